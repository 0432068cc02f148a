# SPDX-License-Identifier: Apache-2.0
"""What the server refuses, and that no answer shows a path of its machine."""

import io
import time

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from fastmetro_mm.errors import InputError
from fastmetro_mm.serve.job_store import JobStore
from fastmetro_mm.serve.limits import Limits
from fastmetro_mm.serve.refusals import Refusal
from fastmetro_mm.serve.uploads import safe_name
from fastmetro_mm.structures.results import FrameResult
from tests.serve.uploading import ended, jpeg, send


def refused(answer, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ['error'] and words in answer.json()['error']


PLAYLIST = b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n'


@pytest.mark.parametrize(
    ('content', 'status', 'words'),
    [
        (b'', 400, 'is empty'),
        (b'words, not pixels', 415, 'neither an image nor a video'),
        (b'\0' * 500, 415, 'nothing but zeros'),
        (b'<html><body>', 415, 'a web page'),
        (b'PK\x03\x04 some archive', 415, 'zip archive'),
        (b'ffconcat version 1.0\nfile /etc/passwd\n', 415, 'neither'),
        (PLAYLIST, 415, 'neither'),
        (b'\0\0\0\x18ftypmp42 and then nothing', 415, 'convert it to .mp4'),
        (b'\x89PNG\r\n\x1a\n and then nothing', 415, 'neither'),
    ],
)
def test_files_that_are_no_image(content, status, words, client):
    # the names must not matter: FFmpeg would read play lists, and these name other files
    for name in ('a.jpg', 'a.mp4', 'a.m3u8'):
        refused(client.post(f'/api/jobs?name={name}', content=content), status, words)
    assert len(client.app.state.store) == 0


def test_a_damaged_image_fails_by_its_name(client):
    job = send(client, jpeg(size=(640, 480))[:-3000], name='holiday.jpg')
    assert job['state'] == 'failed' and job['frames'] == 0
    assert job['error'].startswith('holiday.jpg: the JPEG is cut off')
    refused(client.get(f'/api/jobs/{job["id"]}/frames/0'), 404, 'there is no frame 0')
    refused(client.get(f'/api/jobs/{job["id"]}/files/glb'), 422, 'nobody to export')


def test_a_cut_off_video_keeps_its_frames(client, video):
    # the index of an mp4 stands at its end; Matroska can be read up to the cut
    import av

    with av.open(io.BytesIO(video)) as container, io.BytesIO() as file:
        frames = list(container.decode(video=0))
        with av.open(file, 'w', 'matroska') as target:
            stream = target.add_stream('mjpeg', 10)
            stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuvj420p'
            for frame in frames:
                target.mux(stream.encode(frame.reformat(format='yuvj420p')))
            target.mux(stream.encode())
        content = file.getvalue()
    job = send(client, content[: len(content) * 2 // 3], name='clip.mkv')
    assert job['state'] == 'done' and 0 < job['frames_done'] < 6
    assert job['notes'] and job['notes'][0].startswith('clip.mkv: the video ends too early')


def test_sizes(make_client, video):
    image = jpeg()
    client = make_client(upload_bytes=len(image), image_pixels=96 * 64)
    assert send(client, image)['state'] == 'done'
    refused(client.post('/api/jobs', content=image + b'\0'), 413, f'more than {len(image)} bytes')

    def parts():  # without a length beforehand
        yield image
        yield b'\0'

    refused(client.post('/api/jobs', content=parts()), 413, 'more than')
    for length in ('-1', '9' * 30, 'x'):
        headers = {'content-length': length}
        refused(client.post('/api/jobs', content=image, headers=headers), 413, 'more than')
    file = io.BytesIO()
    Image.new('L', (97, 64)).save(file, 'png')
    refused(client.post('/api/jobs', content=file.getvalue()), 413, 'more than 6144 pixels')


def test_a_bomb_is_refused_before_it_is_decoded(make_client):
    client = make_client()
    file = io.BytesIO()
    Image.new('1', (16000, 16000)).save(file, 'png')
    assert file.tell() < 100_000
    refused(client.post('/api/jobs', content=file.getvalue()), 413, 'pixels: make it smaller')


def test_videos_that_are_too_large(make_client, video):
    client = make_client(frame_pixels=96 * 64 - 1)
    refused(client.post('/api/jobs', content=video), 413, 'frames of the video have more than')
    client = make_client(frames=5)
    refused(client.post('/api/jobs', content=video), 413, 'more than 5 frames')


def test_a_job_has_its_time(make_client):
    client = make_client(job_seconds=0)
    job = send(client, jpeg())
    assert job['state'] == 'failed' and job['error'].startswith('took longer than 0 s')


@pytest.mark.parametrize(
    ('given', 'kept'),
    [
        ('photo.jpg', 'photo.jpg'),
        ('../../etc/passwd', 'passwd'),
        ('C:\\Users\\me\\a b.png', 'a b.png'),
        ('..', 'upload'),
        ('', 'upload'),
        ('.hidden', 'hidden'),
        ('a\0b\n"c".jpg', 'a_b__c_.jpg'),
        ('x' * 300 + '.jpg', 'x' * 96 + '.jpg'),
        ('été.jpg', '_t_.jpg'),
    ],
)
def test_names_are_not_paths(given, kept):
    assert safe_name(given) == kept


@pytest.mark.parametrize(
    'path',
    [
        '/../../../etc/passwd',
        '/..%2f..%2f..%2fetc%2fpasswd',
        '/page/page.js',
        '/index.html/../routes.py',
        '/routes.py',
        '/api/jobs/../../etc/passwd',
        '/api/jobs/%2e%2e',
        '/api/jobs/..%2fupload/frames/0',
        '/api/jobs/none',
        '/api/jobs/none/frames/0',
        '/api/jobs/none/frames/0/image',
        '/api/jobs/none/files/npz',
        '/api/none',
    ],
)
def test_nothing_else_can_be_read(path, client):
    answer = client.get(path)
    assert answer.status_code == 404 and list(answer.json()) == ['error']


def test_arguments(client):
    job = send(client, jpeg())
    place = f'/api/jobs/{job["id"]}'
    refused(client.post('/api/jobs?smooth=maybe', content=jpeg()), 400, 'true or false')
    refused(client.get(f'{place}/files/exe'), 404, 'no such format: use overlay')
    for people in ('', 'x', '1,', '-1', '1,,2', '9' * 10, '1,' * 600 + '1'):
        answer = client.get(f'{place}/files/npz', params={'people': people})
        refused(answer, 400, 'like 1,3')
    for lod in ('', '0', '-431', '432', '0431', '431.0', 'x', '4' * 5000):
        answer = client.get(f'{place}/files/ply', params={'lod': lod})
        refused(answer, 400, 'lod: expected 6890 or 1723 or 431 vertices')
    refused(client.get(f'{place}/files/bvh?floor=1'), 400, 'floor: expected true or false')
    refused(client.get(f'{place}/files/bvh?foot_lock=true'), 400, 'needs floor=true')
    for frame in ('1', '999999999999999999999'):
        refused(client.get(f'{place}/frames/{frame}'), 404, 'there is no frame')
    refused(client.put('/api/jobs', content=jpeg()), 405, 'Method Not Allowed')
    answer = client.post(place)
    refused(answer, 405, 'Method Not Allowed')
    assert set(answer.headers['allow'].split(', ')) == {'GET', 'HEAD', 'DELETE'}


def test_a_removed_job_is_gone(client):
    job = send(client, jpeg())
    place, folder = f'/api/jobs/{job["id"]}', client.app.state.store.get(job['id']).folder
    assert folder.is_dir()
    assert client.delete(place).status_code == 204
    assert not folder.exists()
    refused(client.get(place), 404, 'no such job')
    refused(client.get(f'{place}/frames/0'), 404, 'no such job')
    refused(client.delete(place), 404, 'no such job')


def test_other_pages_cannot_use_it(make_client):
    client = make_client(hosts=['Meshes.example'])
    ours = [
        'localhost',
        'localhost:8000',
        '127.0.0.1:8000',
        '[::1]:8000',
        '10.0.0.7',
        'meshes.example',
    ]
    for host in ours:
        assert client.get('/api/about', headers={'host': host}).status_code == 200, host
    for host in ('evil.example', 'localhost.evil.example', '', '[', '127.0.0.1.evil.example'):
        refused(client.get('/api/about', headers={'host': host}), 403, '--allow-host')
    for origin in ('http://evil.example', 'null', 'http://127.0.0.1:9', 'http://['):
        answer = client.post('/api/jobs', content=jpeg(), headers={'origin': origin})
        refused(answer, 403, 'other addresses')
    answer = client.post('/api/jobs', content=jpeg(), headers={'origin': 'http://127.0.0.1'})
    assert answer.status_code == 201


def test_the_oldest_finished_job_makes_room(make_client):
    client = make_client(jobs=2)
    jobs = [send(client, jpeg(number)) for number in range(3)]
    status = [client.get(f'/api/jobs/{job["id"]}').status_code for job in jobs]
    assert status == [404, 200, 200]


def test_a_store_without_room_says_so(tmp_path):
    store = JobStore(Limits(jobs=1), tmp_path)
    job = store.new('a.jpg', False)
    with pytest.raises(Refusal, match='full') as refusal:
        store.new('b.jpg', False)
    assert refusal.value.status == 503
    job.end()
    store.new('b.jpg', False)
    assert len(store) == 1 and not job.folder.exists()
    store.close()
    full = JobStore(Limits(upload_bytes=10, disk_bytes=25), tmp_path)
    one = full.new('a.jpg', False)
    one.bytes = 20
    with pytest.raises(Refusal, match='full'):
        full.new('b.jpg', False)
    full.close()
    assert list(tmp_path.iterdir()) == []


def test_finished_jobs_expire(tmp_path):
    store = JobStore(Limits(keep_seconds=60), tmp_path)
    old, new, running = (store.new('a.jpg', False) for _ in range(3))
    old.end()
    new.end()
    old.ended = time.monotonic() - 61
    (store.root / 'download_left').mkdir()
    store.expire()
    with pytest.raises(Refusal, match='no such job'):
        store.get(old.id)
    assert store.get(new.id) is new and store.get(running.id) is running
    assert not old.folder.exists() and (store.root / 'download_left').exists()
    store.close()


def test_no_answer_shows_a_path(client, video):
    store = client.app.state.store
    texts = []
    for content, name in ((jpeg(size=(640, 480))[:-3000], 'a.jpg'), (video, 'b.mp4')):
        job = send(client, content, name=name)
        place = f'/api/jobs/{job["id"]}'
        texts += [str(job), client.get(f'{place}/frames/0').text]
        for kind in ('npz', 'json', 'html', 'glb'):
            texts.append(client.get(f'{place}/files/{kind}').content.decode('latin1'))
    root = str(store.root)
    assert np.all([root not in text and root.split('/')[-1] not in text for text in texts])
    # an npz of a video is an archive of compressed files
    job = ended(client, client.post('/api/jobs?name=c.jpg', content=jpeg()).json())
    assert job['name'] == 'c.jpg'


def test_a_full_disk_of_the_server_is_no_fault_of_the_user(client, monkeypatch, caplog):
    job = send(client, jpeg())

    def fail(path, *rest):
        raise OSError(28, 'No space left on device', str(path))

    gentle = TestClient(client.app, base_url='http://127.0.0.1', raise_server_exceptions=False)
    for name in ('mesh_files.write_ply', 'bvh.write_bvh'):
        monkeypatch.setattr(f'fastmetro_mm.exporters.{name}', fail)
    for kind in ('ply', 'bvh'):
        refused(gentle.get(f'/api/jobs/{job["id"]}/files/{kind}'), 500, 'a fault of the server')
        with pytest.raises(InputError, match='No space left'):  # what the server logs
            client.get(f'/api/jobs/{job["id"]}/files/{kind}')
    monkeypatch.setattr(FrameResult, 'save_npz', fail)
    with caplog.at_level('ERROR', 'fastmetro_mm.serve'):
        job = send(client, jpeg())
    assert job['state'] == 'failed' and job['error'] == 'a fault of the server; its log tells more'
    assert 'No space left' in caplog.text

# SPDX-License-Identifier: Apache-2.0
"""What the server answers when all goes well."""

import base64
import io
import json
import zipfile

import cv2
import numpy as np
import pytest

from fastmetro_mm.exporters.scene import AXES
from tests.exporters.readers import read_bvh
from tests.serve.uploading import jpeg, load, send


@pytest.fixture(scope='module')
def photo(client) -> dict:
    """A photo with two people, done."""
    return send(client, jpeg(), name='../../etc/Ana Sol.jpg')


@pytest.fixture(scope='module')
def clip(client, video) -> dict:
    """A video with two people, done."""
    return send(client, video, name='clip.mp4', smooth='true')


def fetch(client, job: dict, kind: str, **query) -> tuple[str, bytes]:
    answer = client.get(f'/api/jobs/{job["id"]}/files/{kind}', params=query)
    assert answer.status_code == 200, answer.text
    return answer.headers['content-disposition'].split('"')[1], answer.content


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('', 'text/html'),
        ('page.css', 'text/css'),
        ('page.js', 'text/javascript'),
        ('viewer.js', 'text/javascript'),
    ],
)
def test_the_page_loads_nothing_from_elsewhere(name, kind, client):
    answer = client.get(f'/{name}')
    assert answer.status_code == 200 and answer.headers['content-type'].startswith(kind)
    assert "default-src 'none'" in answer.headers['content-security-policy']
    text = answer.text.replace('http://www.w3.org/2000/svg', '')
    assert 'http://' not in text and 'https://' not in text


def test_a_photo(client, photo):
    assert photo['name'] == 'Ana Sol.jpg' and photo['kind'] == 'image'
    assert photo['state'] == 'done' and photo['error'] is None and photo['notes'] == []
    assert (photo['frames_done'], photo['frames'], photo['size']) == (1, 1, [96, 64])
    assert [(p['number'], p['frames']) for p in photo['people']] == [(0, 1), (1, 1)]
    frame = client.get(f'/api/jobs/{photo["id"]}/frames/0').json()
    assert [person['box'] for person in frame['people']] == [[0, 0, 48, 64], [48, 0, 96, 64]]
    image = client.get(f'/api/jobs/{photo["id"]}/frames/0/image')
    assert image.headers['content-type'] == 'image/jpeg'
    pixels = cv2.imdecode(np.frombuffer(image.content, np.uint8), 1)
    assert pixels.shape == (64, 96, 3)


def test_the_viewer_gets_the_meshes_of_the_npz(client, photo):
    name, content = fetch(client, photo, 'npz')
    arrays = load(content)
    assert name == 'Ana Sol.npz' and str(arrays['image_path']) == 'Ana Sol.jpg'
    frame = client.get(f'/api/jobs/{photo["id"]}/frames/0').json()
    faces = client.get('/api/about').json()['faces']
    for number, person in enumerate(frame['people']):
        found = np.frombuffer(base64.b64decode(person['vertices']), '<f4').reshape(-1, 3)
        expected = (arrays['vertices'] + arrays['translation'][:, None])[number] @ AXES['y_up'].T
        assert np.abs(found - expected).max() < 1e-5
        triangles = np.frombuffer(base64.b64decode(faces[person['faces']]), '<u2')
        assert np.array_equal(triangles.reshape(-1, 3), arrays['faces'])


def test_every_format_of_a_photo(client, photo):
    kinds = client.get('/api/about').json()['formats']
    assert {'overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html', 'smpl', 'bvh'} <= set(kinds)
    starts = dict(overlay=b'\xff\xd8', obj=b'#', ply=b'ply', glb=b'glTF', html=b'<!DOCTYPE')
    for kind, start in starts.items():
        name, content = fetch(client, photo, kind)
        assert content.startswith(start) and name.startswith('Ana Sol'), kind
    name, content = fetch(client, photo, 'bvh')  # a file a person
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert name == 'Ana Sol_bvh.zip'
        assert archive.namelist() == ['Ana Sol_person_0.bvh', 'Ana Sol_person_1.bvh']


def test_picked_people_alone(client, photo, clip):
    assert len(load(fetch(client, photo, 'npz', people='1')[1])['vertices']) == 1
    number = clip['people'][1]['number']
    name, content = fetch(client, clip, 'bvh', people=str(number))
    assert name == f'clip_track_{number}.bvh' and content.startswith(b'HIERARCHY')
    answer = client.get(f'/api/jobs/{photo["id"]}/files/glb?people=7')
    assert answer.status_code == 422 and answer.json() == {'error': 'there is nobody to export'}


def test_levels_of_detail(client, photo, clip):
    assert client.get('/api/about').json()['levels'] == [6890, 1723, 431]
    for query, count in (({}, 6890), ({'lod': 6890}, 6890), ({'lod': 431}, 431)):
        ply = fetch(client, photo, 'ply', people='0', **query)[1]
        assert f'element vertex {count}\n'.encode() in ply[:500]
    content = fetch(client, clip, 'glb', lod=431)[1]
    assert len(content) < len(fetch(client, clip, 'glb')[1]) / 3


def test_a_floor_under_a_video(client, clip, tmp_path):
    number = clip['people'][0]['number']
    ankles = {}
    for query in ({}, {'floor': 'true'}, {'floor': 'true', 'foot_lock': 'true'}):
        path = tmp_path / 'clip.bvh'
        path.write_bytes(fetch(client, clip, 'bvh', people=str(number), **query)[1])
        names, _, _, joints = read_bvh(path)  # centimetres, y up
        feet = [names.index(name) for name in ('L_Foot', 'R_Foot')]
        ankles[tuple(query)] = joints[:, feet]
    lowest = [places[..., 1].min(axis=1) for places in ankles.values()]
    assert np.abs(lowest[1]).max() < 25 and np.abs(lowest[0]).max() > 50  # the camera's height
    assert np.abs(ankles['floor', 'foot_lock'] - ankles['floor',]).max() < 50
    assert np.allclose(lowest[1], lowest[2], atol=1e-3)  # the lock moves along the floor


def test_a_video(client, clip):
    assert clip['kind'] == 'video' and clip['state'] == 'done' and clip['fps'] == 10
    assert clip['frames_done'] == 6
    assert clip['times'] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [person['frames'] for person in clip['people']] == [6, 6]
    frame = client.get(f'/api/jobs/{clip["id"]}/frames/5').json()
    assert frame['frame'] == 5 and frame['time'] == pytest.approx(0.5)
    assert len(frame['people']) == 2
    lines = fetch(client, clip, 'json')[1].splitlines()
    assert len(lines) == 6 and json.loads(lines[5])['image_path'] == 'clip.mp4'
    assert fetch(client, clip, 'glb')[1].startswith(b'glTF')
    name, content = fetch(client, clip, 'overlay')
    assert name == 'clip_overlay.mp4' and b'ftyp' in content[:16]


def test_smoothing_changes_a_video_only(client, video, photo, clip):
    plain = send(client, video, name='clip.mp4')

    def joints(job: dict) -> np.ndarray:
        archive = zipfile.ZipFile(io.BytesIO(fetch(client, job, 'npz')[1]))
        return load(archive.read(sorted(archive.namelist())[5]))['joints_3d']

    assert np.abs(joints(plain) - joints(clip)).max() > 1e-6
    smooth = send(client, jpeg(), smooth='true')
    kept = [load(fetch(client, job, 'npz')[1])['joints_3d'] for job in (photo, smooth)]
    assert np.array_equal(*kept)


def test_the_description_names_every_route(client):
    described = client.get('/api/openapi.json').json()
    assert described['openapi'] == '3.1.0'
    there = {
        route.path.replace(':int', '')
        for route in client.app.routes
        if route.path.startswith('/api/') and route.path != '/api/openapi.json'
    }
    assert set(described['paths']) == there
    references = set()

    def walk(part):
        if isinstance(part, dict):
            references.add(part.get('$ref'))
            part = list(part.values())
        if isinstance(part, list):
            for item in part:
                walk(item)

    walk(described)
    schemas = described['components']['schemas']
    assert references - {None} <= {f'#/components/schemas/{name}' for name in schemas}

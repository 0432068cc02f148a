# SPDX-License-Identifier: Apache-2.0
"""Pictures from everything a user may have."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.errors import InputError


def fail(error):
    raise error


@pytest.fixture
def folder(tmp_path):
    """Three pictures of different grey and a file that is none."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((20, 30, 3), 50 * number, np.uint8))
    (tmp_path / 'notes.txt').write_text('none')
    return tmp_path


@pytest.fixture
def web_address(folder):
    """Address under which the folder is served."""
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_web_addresses(web_address):
    picture, = open_source(f'{web_address}/1.png', fail).pictures
    assert picture.image[0, 0, 0] == 50
    with pytest.raises(InputError, match='cannot be read'):
        list(open_source(f'{web_address}/9.png', fail).pictures)
    with pytest.raises(InputError, match='use file, http or https'):
        list(open_source('gopher://9.png', fail).pictures)


@pytest.mark.parametrize('kind', ['folder', 'glob', 'list', 'address'])
def test_files(folder, kind):
    given = dict(folder=folder, glob=f'{folder}/*.png', address=f'file://{folder}/2.png',
                 list=[folder / '0.png', str(folder / '1.png'), folder / '2.png'])[kind]
    source = open_source(given, fail)
    pictures = list(source.pictures)
    assert [picture.image[0, 0, 0] for picture in pictures] == (
        [100] if kind == 'address' else [0, 50, 100])
    assert source.length == len(pictures) and not source.is_video
    assert source.in_list == (kind == 'list')
    assert pictures[0].size == (30, 20) and pictures[-1].path.endswith('2.png')


def test_arrays_are_bgr(folder):
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200
    assert next(open_source(image, fail).pictures).image[0, 0].tolist() == [0, 0, 200]
    assert len(list(open_source(np.stack([image] * 3), fail).pictures)) == 3
    with pytest.raises(InputError, match='picture 0 is float64'):
        next(open_source([image / 255], fail).pictures)


def test_video_frames_are_counted_and_rgb(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 12.5) as writer:
        for _ in range(9):
            writer.write(np.full((49, 65, 3), (200, 30, 30), np.uint8))  # odd sides
    source = open_source(path, fail)
    frames = list(source.pictures)
    assert source.is_video and source.fps == pytest.approx(12.5) and source.length == 9
    assert [frame.index for frame in frames] == list(range(9))
    assert frames[0].size == (64, 48)
    assert frames[8].image.mean(axis=(0, 1)) == pytest.approx([200, 30, 30], abs=12)
    assert [file.name for file in tmp_path.iterdir()] == ['clip.mp4']


def test_a_video_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match='frame 1 is 32x32, the first was 64x48'):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            writer.write(np.zeros((32, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match='change the ending'):
        VideoWriter(tmp_path / 'clip.avi', 25)


def test_mistakes(folder):
    empty = folder / 'empty.mp4'
    empty.touch()
    (folder / 'sub').mkdir()
    for given, message in ((empty, 'empty or unreadable video'), (folder / 'sub', 'no pictures'),
                           (f'{folder}/*.webp', 'no picture fits'), ([], 'list of pictures'),
                           ('webcam:x', 'expected a webcam'), (3.5, 'cannot read pictures')):
        with pytest.raises(InputError, match=message):
            open_source(given, fail)
    with pytest.raises(FileNotFoundError, match='no such picture, video or folder'):
        open_source(folder / 'missing.jpg', fail)
    with pytest.raises(InputError, match=r'notes\.txt: unreadable picture'):
        list(open_source(folder / 'notes.txt', fail).pictures)

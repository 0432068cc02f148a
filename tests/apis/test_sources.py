# SPDX-License-Identifier: Apache-2.0
"""Images from everything a user may have; nothing is left out without a word."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.apis import sources
from fastmetro_mm.apis.guarding import UnexpectedError, error_handler, guarded, printable
from fastmetro_mm.apis.image_reading import read_image
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.visualization.image_files import write_image


def fail(error):
    raise error


@pytest.fixture
def folder(tmp_path):
    """Three images of different grey and a file that is none."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((20, 30, 3), 50 * number, np.uint8))
    (tmp_path / 'notes.txt').write_text('none')
    return tmp_path


@pytest.fixture
def notices(monkeypatch):
    """What was said."""
    said = []
    for module in (sources, __import__('fastmetro_mm.apis.image_reading', fromlist=['x'])):
        monkeypatch.setattr(module, 'notice', said.append)
    return said


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
    (image,) = open_source(f'{web_address}/1.png', fail).images
    assert image.pixels[0, 0, 0] == 50
    with pytest.raises(InputError, match='cannot be read'):
        list(open_source(f'{web_address}/9.png', fail).images)
    for scheme in ('gopher', 's3', 'petrel', 'ftp', 'data'):
        with pytest.raises(InputError, match='use file, http or https'):
            list(open_source(f'{scheme}://b/a.png', fail).images)


@pytest.mark.parametrize('kind', ['folder', 'glob', 'list', 'address', 'bytes', 'list of bytes'])
def test_files(folder, kind):
    data = [(folder / f'{number}.png').read_bytes() for number in range(3)]
    given = {
        'folder': folder,
        'glob': f'{folder}/*.png',
        'address': f'file://{folder}/2.png',
        'list': [folder / '0.png', str(folder / '1.png'), folder / '2.png'],
        'bytes': data[2],
        'list of bytes': [data[0], bytearray(data[1]), memoryview(data[2])],
    }[kind]
    source = open_source(given, fail)
    images = list(source.images)
    assert [image.pixels[0, 0, 0] for image in images] == (
        [100] if kind in ('address', 'bytes') else [0, 50, 100]
    )
    assert source.length == len(images) and not source.is_video
    assert source.in_list == kind.startswith('list')
    assert images[0].size == (30, 20)
    assert images[-1].path is None if 'bytes' in kind else images[-1].path.endswith('2.png')


def test_arrays_are_bgr():
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200
    assert next(open_source(image, fail).images).pixels[0, 0].tolist() == [0, 0, 200]
    assert len(list(open_source(np.stack([image] * 3), fail).images)) == 3
    for wrong in (image / 255, image[..., 0], np.dstack([image, image[..., :1]]), image[:0]):
        with pytest.raises(InputError, match='give uint8'):
            next(open_source([wrong], fail).images)
        with pytest.raises(InputError, match='give uint8'):
            next(open_source(wrong, fail).images)


def test_what_is_left_out_of_a_folder_is_counted(folder, notices):
    (folder / 'sub').mkdir()
    (folder / '.hidden.png').touch()
    (folder / 'clip.mp4').touch()
    (folder / 'LICENSE').touch()
    write_image(folder / 'a_overlay.jpg', np.zeros((9, 9, 3), np.uint8))
    cv2.imwrite(str(folder / 'my_overlay.jpg'), np.zeros((9, 9, 3), np.uint8))
    source = open_source(folder, fail)
    assert [Path(name).name for name in source.names] == [
        '0.png',
        '1.png',
        '2.png',
        'my_overlay.jpg',
    ]
    for part in (
        '4 images, left out: ',
        '1 folder',
        '1 hidden file',
        '1 .txt',
        '1 .mp4 (videos',
        '1 without an ending',
        '1 result of this package',
    ):
        assert part in notices[0]
    assert len(list(source.images)) == 4


def test_endings_in_any_case(folder):
    for number, ending in enumerate(('JPG', 'Jpeg', 'TIFF', 'webp', 'HEIC', 'avif', 'mpo')):
        (folder / f'x{number}.{ending}').touch()
    assert open_source(folder, fail).length == 10


def test_images_and_videos_are_known_by_their_bytes(folder, clip):
    (folder / '0.png').rename(folder / 'image.mp4')
    assert next(open_source(folder / 'image.mp4', fail).images).size == (30, 20)
    clip.rename(folder / 'film.xyz')
    assert open_source(folder / 'film.xyz', fail).is_video
    (folder / '1.png').rename(folder / 'no_ending')
    assert next(open_source(folder / 'no_ending', fail).images).size == (30, 20)


def test_files_called_webcam(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ('webcam', 'webcam_photo.png', 'webcam:0'):
        (folder / '1.png').write_bytes((folder / '2.png').read_bytes())
        (folder / name).write_bytes((folder / '2.png').read_bytes())
        assert next(open_source(name, fail).images).size == (30, 20)
    with pytest.raises(MissingFileError, match='no such image, video or folder'):
        open_source('webcam_missing.jpg', fail)
    with pytest.raises(InputError, match='expected a webcam as a number'):
        open_source('webcam:x', fail)


def test_tilde_is_home_unless_a_file_has_such_a_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv('HOME', str(folder))
    assert next(open_source('~/1.png', fail).images).size == (30, 20)
    with pytest.raises(MissingFileError, match=r'~nobody_here\.jpg: no such image'):
        open_source('~nobody_here.jpg', fail)
    (folder / '~x.png').write_bytes((folder / '2.png').read_bytes())
    assert next(open_source('~x.png', fail).images).size == (30, 20)
    assert next(open_source(['~x.png'], fail).images).size == (30, 20)


def test_names_of_any_bytes(folder):
    name = folder / 'a\udce9.png'  # as Python carries a byte that is no UTF-8
    try:
        name.write_bytes((folder / '2.png').read_bytes())
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    image = next(open_source(name, fail).images)
    assert image.size == (30, 20) and image.where == f'{folder}/a\ufffd.png'
    assert printable(name).encode()
    with pytest.raises(InputError, match='no image format has this ending'):
        write_image(folder / 'a.\udce9', np.zeros((9, 9, 3), np.uint8))
    assert write_image(folder / 'b\udce9.jpg', np.zeros((9, 9, 3), np.uint8)).is_file()


def test_mistakes(folder):
    empty = folder / 'empty.mp4'
    empty.touch()
    (folder / 'sub').mkdir()
    for given, message in (
        (empty, 'video is empty'),
        (folder / 'sub', 'no images there'),
        (f'{folder}/*.webp', 'no file fits'),
        ([], 'list of images'),
        (f'{folder}/*.txt', r'no images there \(1 .txt'),
        (3.5, 'cannot read images'),
        (None, 'cannot read images'),
        (True, 'cannot read images'),
        ('x' * 5000, 'this is no path'),
        ('x' * 300, 'too long'),
        ('a\0b', 'this is no path'),
    ):
        with pytest.raises(InputError, match=message):
            open_source(given, fail)
    with pytest.raises(MissingFileError, match='no such image, video or folder'):
        open_source(folder / 'missing.jpg', fail)
    with pytest.raises(InputError, match=r'notes\.txt: unreadable image'):
        list(open_source(folder / 'notes.txt', fail).images)


def test_one_bad_input_does_not_stop_the_others(folder, monkeypatch):
    (folder / 'bomb.png').write_bytes(_bomb())
    given = [
        '~x.jpg',
        's3://b/a',
        torch.zeros(3, 3),
        None,
        3,
        folder,
        'a\0b',
        b'',
        b'junk',
        folder / 'bomb.png',
        folder / 'missing.png',
        folder / '2.png',
    ]
    errors = []
    images = list(open_source(given, errors.append).images)
    assert [image.index for image in images] == [11]
    assert len(errors) == 11 and all('\n' not in str(error) for error in errors)
    assert all(isinstance(error, (InputError, MissingFileError)) for error in errors)
    assert 'image 2 is a Tensor' in str(errors[2])


def _bomb():
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new('1', (20_000, 20_000)).save(buffer, 'PNG')
    return buffer.getvalue()


@pytest.mark.parametrize(
    'error, match',
    [
        (MemoryError(), 'photo.jpg: not enough memory'),
        (OSError(5, 'Input/output error'), 'photo.jpg: Input'),
        (OSError(28, 'No space left on device', 'out/a.npz'), 'out/a.npz: No space left'),
        (RuntimeError('what\never'), 'photo.jpg: unexpected RuntimeError: what ever'),
        (KeyError('x'), 'unexpected KeyError'),
        (RecursionError(), 'unexpected RecursionError'),
    ],
)
def test_the_guard_takes_everything(error, match):
    seen = []
    with guarded('photo.jpg', seen.append):
        raise error
    assert match in str(seen[0]) and seen[0].__cause__ is error and '\n' not in str(seen[0])
    with pytest.raises((InputError, UnexpectedError)):
        with guarded('photo.jpg', error_handler('raise')):
            raise error


def test_the_guard_does_not_take_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        with guarded('photo.jpg', error_handler('skip')):
            raise KeyboardInterrupt


def test_kinds_of_error_handling():
    with pytest.raises(InputError, match='on_error must be'):
        error_handler('ignore')


def test_images_of_several_pages_say_so(folder, notices):
    from PIL import Image

    pages = [Image.new('RGB', (9, 9), color) for color in ('red', 'blue')]
    pages[0].save(folder / 'pages.tif', save_all=True, append_images=pages[1:])
    assert read_image(folder / 'pages.tif').pixels[0, 0].tolist() == [255, 0, 0]
    assert 'holds 2 images, the first one is used' in notices[0]


def test_huge_images_say_so(folder, notices, monkeypatch):
    monkeypatch.setattr('fastmetro_mm.images.decoding.WORKING_PIXELS', 200)
    image = read_image(folder / '1.png')
    assert image.pixels.shape == (10, 15, 3) and image.size == (30, 20)
    assert image.reduction.tolist() == [2, 2]
    assert '30x20 is worked on at 15x10' in notices[0]

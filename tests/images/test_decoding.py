# SPDX-License-Identifier: Apache-2.0
"""Every format comes out upright, opaque and whole, or is refused in one line."""

import io
import os
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from fastmetro_mm.errors import InputError
from fastmetro_mm.images import decoding
from fastmetro_mm.images.decoding import decode_whole, reduction_for, upright
from fastmetro_mm.images.formats import kind_of
from fastmetro_mm.images.jpeg import comment, read_header, with_comment

FORMATS = {'JPEG': 6, 'PNG': 0, 'WEBP': 12, 'TIFF': 0, 'AVIF': 12}  # and the error of coding


@pytest.fixture(scope='module')
def scene():
    """An image in which all four corners differ: (48, 80, 3)."""
    y, x = np.mgrid[:48, :80]
    return np.stack([x * 3, y * 5, 255 - x - y], -1).astype(np.uint8)


def encoded(pixels, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height=200, width=300):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (height // 4, width // 4, 3), np.uint8)
    return cv2.resize(small, (width, height))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', FORMATS)
def test_orientation_is_applied_in_every_format(scene, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(scene)
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))  # Pillow's own reading of the tag
    found = decode_whole(encoded(scene, kind, exif=exif, quality=95))
    assert found.pixels.shape == expected.shape
    assert found.size == expected.shape[1::-1]
    assert np.abs(found.pixels.astype(int) - expected).mean() < FORMATS[kind] + 0.01
    assert found.pixels.flags.c_contiguous


def test_orientation_without_meaning_is_none(scene):
    assert np.array_equal(upright(scene, 0), scene) and np.array_equal(upright(scene, 9), scene)


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'AVIF'])
def test_transparent_pixels_lie_on_white(kind):
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = [200, 40, 40, 255]
    pixels[16:24] = [0, 0, 0, 128]
    found = decode_whole(encoded(pixels, kind, lossless=True, quality=100)).pixels.astype(int)
    for row, value in ((4, (200, 40, 40)), (20, (127, 127, 127)), (30, (255, 255, 255))):
        assert np.abs(found[row, 16] - value).max() <= 6


def test_transparent_colour_of_a_palette_lies_on_white():
    image = Image.new('P', (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', transparency=1)
    assert (decode_whole(buffer.getvalue()).pixels == 255).all()


def test_opaque_and_deep_pixels_are_unchanged(scene):
    assert np.array_equal(decode_whole(encoded(scene, 'PNG')).pixels, scene)
    opaque = np.dstack([scene, np.full(scene.shape[:2], 255, np.uint8)])
    assert np.array_equal(decode_whole(encoded(opaque, 'PNG')).pixels, scene)
    deep = cv2.imencode('.png', scene[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode_whole(deep).pixels, scene)
    deep = cv2.imencode('.png', scene[..., 0].astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode_whole(deep).pixels[..., 1], scene[..., 0])
    grey = decode_whole(encoded(scene[..., 0], 'PNG')).pixels
    assert np.array_equal(grey, np.repeat(scene[..., :1], 3, 2))


def test_jpegs_are_those_of_opencv(scene):
    for options in (
        dict(),
        dict(progressive=True),
        dict(subsampling=0),
        dict(restart_marker_rows=1),
    ):
        data = encoded(noise(), 'JPEG', quality=90, **options)
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.array_equal(decode_whole(data).pixels, expected)
    buffer = io.BytesIO()
    Image.fromarray(scene).convert('CMYK').save(buffer, 'JPEG', quality=95)
    assert np.abs(decode_whole(buffer.getvalue()).pixels.astype(int) - scene).mean() < 12


@pytest.mark.parametrize('options', [dict(), dict(progressive=True)])
def test_damaged_jpegs_are_refused(options):
    data = encoded(noise(), 'JPEG', quality=90, **options)
    half = len(data) // 2
    zeroed = data[:half] + bytes(600) + data[half + 600 :]
    for broken in (data[:half], data[:-2], data[:half] + b'\xff\xd9', zeroed):
        with pytest.raises(InputError, match=r'damaged JPEG|cut off') as caught:
            decode_whole(broken)
        assert '\n' not in str(caught.value)


def test_harmless_oddities_of_jpegs_are_read():
    data = encoded(noise(), 'JPEG', quality=90)
    expected = decode_whole(data).pixels
    padded = data[:-2] + bytes(40) + data[-2:]  # some cameras fill up before the end marker
    for odd in (data + bytes(100), padded, data + b'\xff\xda no scan'):
        assert np.array_equal(decode_whole(odd).pixels, expected)


def test_motion_photos_are_read_whatever_follows():
    data = encoded(noise(), 'JPEG', quality=90)
    expected = decode_whole(data).pixels
    rng = np.random.default_rng(1)
    for _ in range(40):
        assert np.array_equal(decode_whole(data + rng.bytes(50_000)).pixels, expected)


def test_a_thumbnail_is_not_the_image():
    thumbnail = encoded(noise(40, 40), 'JPEG')
    data = encoded(noise(), 'JPEG', exif=b'Exif\0\0' + thumbnail)
    header = read_header(data)
    assert header.size == (300, 200) and header.end == len(data) - 2
    with pytest.raises(InputError, match='cut off'):
        decode_whole(data[: len(data) // 2])


@pytest.mark.parametrize(
    'kind, options, match',
    [
        ('PNG', {}, 'damaged image'),
        ('TIFF', dict(compression='tiff_lzw'), 'damaged image|unreadable'),
        ('AVIF', {}, 'damaged image|unreadable'),
        ('BMP', {}, 'damaged image'),
    ],
)
def test_other_damaged_formats_are_refused(kind, options, match):
    data = encoded(noise(), kind, **options)
    with pytest.raises(InputError, match=match):
        decode_whole(data[: len(data) // 2])
    if kind != 'BMP':
        half = len(data) // 2
        with pytest.raises(InputError, match=match):
            decode_whole(data[:half] + bytes(2000) + data[half + 2000 :])


@pytest.mark.parametrize(
    'data, match',
    [
        (b'', 'empty'),
        (bytes(5000), 'nothing but zeros'),
        (b'<!DOCTYPE html><html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'),
        (b'no image at all', 'unreadable image'),
        (b'\0\0\0\x18ftypisom' + bytes(40), 'a video'),
    ],
)
def test_what_is_no_image_is_named(data, match):
    with pytest.raises(InputError, match=match):
        decode_whole(data)


def test_heic_is_read_or_named(scene, monkeypatch):
    pillow_heif = pytest.importorskip('pillow_heif')
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(scene)).save(buffer, quality=95)
    data = buffer.getvalue()
    assert kind_of(data[:400]) == 'heif'
    assert np.abs(decode_whole(data).pixels.astype(int) - scene).mean() < 12
    with pytest.raises(InputError, match='damaged HEIC'):
        decode_whole(data[: len(data) // 2])
    monkeypatch.setitem(__import__('sys').modules, 'pillow_heif', None)
    with pytest.raises(InputError, match='pip install pillow-heif'):
        decode_whole(data)


def test_huge_images_are_read_reduced(monkeypatch):
    assert [reduction_for((side, side)) for side in (6000, 6400, 12_000, 13_000, 30_000)] == [
        1,
        2,
        2,
        4,
        8,
    ]
    monkeypatch.setattr(decoding, 'WORKING_PIXELS', 20_000)
    pixels = noise(201, 302)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ('JPEG', 'PNG'):
        found = decode_whole(encoded(pixels, kind, exif=exif, quality=95))
        assert found.size == (201, 302)
        assert found.pixels.shape == (151, 101, 3)
        expected = cv2.resize(np.rot90(pixels, -1), (101, 151), interpolation=cv2.INTER_AREA)
        assert np.abs(found.pixels.astype(int) - expected).mean() < 12  # 70 if turned wrongly


def test_declared_sizes_are_bounded(scene):
    data = bytearray(encoded(scene, 'JPEG'))
    place = data.index(b'\xff\xc0') + 5
    data[place : place + 4] = struct.pack('>HH', 60_000, 60_000)
    with pytest.raises(InputError, match='60000x60000 pixels are too many'):
        decode_whole(bytes(data))
    buffer = io.BytesIO()
    Image.new('1', (20_000, 20_000)).save(buffer, 'PNG')
    with pytest.raises(InputError, match='too large for this format'):
        decode_whole(buffer.getvalue())


def test_random_bytes_never_raise_anything_else():
    rng = np.random.default_rng(2)
    starts = [encoded(noise(40, 40), kind) for kind in ('JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP')]
    for number in range(300):
        data = bytearray(starts[number % len(starts)])
        for place in rng.integers(0, len(data), 8):
            data[place] = rng.integers(256)
        try:
            decode_whole(bytes(data[: rng.integers(4, len(data) + 1)]) + os.urandom(number % 7))
        except InputError as error:
            assert '\n' not in str(error)


def test_comments_of_jpegs():
    data = encoded(noise(), 'JPEG')
    marked = with_comment(data, 'who made it')
    assert comment(marked[:300]) == 'who made it' and comment(data[:300]) == comment(b'') == ''
    assert np.array_equal(decode_whole(marked).pixels, decode_whole(data).pixels)

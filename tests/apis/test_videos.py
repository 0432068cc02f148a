# SPDX-License-Identifier: Apache-2.0
"""Videos: whole or told, turned, with their own times; written ones are proved."""

import errno
import os
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from fastmetro_mm.apis import video_writer, videos
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.errors import InputError
from fastmetro_mm.result_marks import is_result


def fail(error):
    raise error


def write(path, count=40, fps=20, codec='libx264', times=None, size=(96, 64), options=None):
    """A video whose frames get brighter; noise makes all frames of about one size in bytes."""
    with av.open(str(path), 'w', options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)
            pixels[:32, :32] = 40 + 4 * number
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.skipif('libx264' not in av.codecs_available, reason='no H.264 encoder')
def test_written_videos_take_half_the_work(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 25) as writer:
        writer.write(np.zeros((64, 96, 3), np.uint8))
    told = path.read_bytes()  # x264 writes its settings into the file
    assert b'crf=21.0' in told and b'rc_lookahead=10' in told and b'subme=2' in told


def test_frames_are_counted_and_rgb(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 12.5) as writer:
        for _ in range(9):
            writer.write(np.full((49, 65, 3), (200, 30, 30), np.uint8))  # odd sides
    source = open_source(path, fail)
    frames = list(source.images)
    assert source.is_video and source.fps == pytest.approx(12.5) and source.length == 9
    assert [frame.index for frame in frames] == list(range(9))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(9) / 12.5)
    assert frames[0].size == (64, 48) and frames[3].where == f'{path}, frame 3'
    assert frames[8].pixels.mean(axis=(0, 1)) == pytest.approx([200, 30, 30], abs=12)
    assert [file.name for file in tmp_path.iterdir()] == ['clip.mp4']


def test_frames_are_those_of_the_decoder(tmp_path):
    path = write(tmp_path / 'clip.mp4', count=6)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    found = [frame.pixels for frame in open_source(path, fail).images]
    assert len(found) == 6 and np.array_equal(found, expected)


@pytest.mark.parametrize(
    'name, codec, options',
    [
        ('a.mp4', 'libx264', dict(movflags='+faststart')),
        ('a.mkv', 'libx264', {}),
        ('a.webm', 'libvpx', {}),
        ('a.avi', 'mpeg4', {}),
        ('a.ts', 'libx264', {}),
        ('a.flv', 'flv', {}),
        ('a.mpg', 'mpeg2video', {}),
        ('a.wmv', 'wmv2', {}),
    ],
)
def test_a_video_that_is_cut_off_is_told_and_kept(tmp_path, name, codec, options):
    path = write(tmp_path / name, codec=codec, fps=25, options=options)
    assert len(list(open_source(path, fail).images)) == 40  # whole: nothing to tell
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    errors = []
    frames = list(open_source(path, errors.append).images)
    assert 5 < len(frames) < 40
    assert len(errors) == 1 and name in str(errors[0])
    assert 'ends too early' in str(errors[0]) or 'are damaged' in str(errors[0])


def test_a_zeroed_middle_is_told(tmp_path):
    path = write(tmp_path / 'a.mp4')
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 3000] = bytes(3000)
    path.write_bytes(data)
    errors = []
    assert len(list(open_source(path, errors.append).images)) > 30
    assert 'parts of the video are damaged' in str(errors[0])


def test_times_of_a_variable_rate(tmp_path):
    times = [0, 0.04, 0.08, 0.5, 0.54, 0.58, 1, 1.5, 1.54, 3]
    source = open_source(write(tmp_path / 'a.mp4', 10, times=times), fail)
    assert [frame.time for frame in source.images] == pytest.approx(times, abs=0.002)


def test_written_times_are_kept(tmp_path):
    times = [0, 0.1, 0.15, 0.9, 2.0]
    with VideoWriter(tmp_path / 'a.mp4', 25) as writer:
        for moment in times:
            writer.write(np.zeros((32, 32, 3), np.uint8), moment)
    frames = list(open_source(tmp_path / 'a.mp4', fail).images)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize(
    'degrees, turn, matrix',
    [(90, -1, (0, 1, -1, 0)), (180, 2, (-1, 0, 0, -1)), (270, 1, (0, -1, 1, 0))],
)
def test_videos_are_turned_as_they_say(tmp_path, degrees, turn, matrix):
    path = write(tmp_path / 'a.mp4', 3)
    upright = next(open_source(path, fail).images).pixels
    data = bytearray(path.read_bytes())
    place = data.index(b'tkhd') + 44
    a, b, c, d = (value * 65536 for value in matrix)
    data[place : place + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    found = next(open_source(path, fail).images)
    assert np.array_equal(found.pixels, np.rot90(upright, turn))
    seen = cv2.VideoCapture(str(path)).read()[1]  # OpenCV turns them as well
    assert seen.shape == found.pixels.shape


def test_a_gif_has_its_times_and_lies_on_white(tmp_path):
    from PIL import Image

    frames = [Image.new('RGB', (32, 32), (value, 0, 0)) for value in (10, 120, 240)]
    frames[0].save(
        tmp_path / 'a.gif', save_all=True, append_images=frames[1:], duration=[100, 500, 200]
    )
    found = list(open_source(tmp_path / 'a.gif', fail).images)
    assert [frame.time for frame in found] == pytest.approx([0, 0.1, 0.6])
    image = Image.new('P', (32, 32), 0)
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.save(tmp_path / 'b.gif', transparency=0)
    assert (next(open_source(tmp_path / 'b.gif', fail).images).pixels == 255).all()


def test_a_guessed_frame_rate_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(videos, 'notice', said.append)
    monkeypatch.setattr(videos, '_MOST_FPS', 10)  # the video says 20
    source = open_source(write(tmp_path / 'a.mp4', 5), fail)
    assert source.fps == 25 and 'no usable frame rate, 25 frames' in said[0]


def test_frames_are_counted_where_the_header_does_not_tell(tmp_path):
    source = open_source(write(tmp_path / 'a.mkv'), fail)
    assert source.length is None and source.count() == 40


def test_videos_of_any_name(tmp_path):
    path = tmp_path / 'a\udce9.mp4'
    try:
        path.touch()
    except OSError:
        pytest.skip('this file system takes UTF-8 names only')
    with VideoWriter(path, 25) as writer:
        for _ in range(5):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    assert len(list(open_source(path, fail).images)) == 5


def test_what_is_no_video(tmp_path):
    (tmp_path / 'junk.mp4').write_text('junk' * 100)
    with pytest.raises(InputError, match='unreadable video'):
        open_source(tmp_path / 'junk.mp4', fail)
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match='no video, sound alone'):
        open_source(tmp_path / 'sound.mp4', fail)


class _Camera:
    """A camera that gives three frames."""

    def __init__(self, number):
        self.left = 3

    def isOpened(self):
        return True

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((8, 8, 3), (1, 2, 3), np.uint8)

    def get(self, what):
        return 0.0

    def release(self):
        pass


def test_webcams_tell_real_times(monkeypatch):
    clock = iter([5.0, 5.0, 5.2, 5.9])
    monkeypatch.setattr(videos.cv2, 'VideoCapture', _Camera)
    monkeypatch.setattr(videos.time, 'monotonic', lambda: next(clock))
    source = open_source('webcam:1', fail)
    assert source.is_live and source.is_video
    frames = list(source.images)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.9])
    assert frames[0].pixels[0, 0].tolist() == [3, 2, 1]


# writing


def test_a_video_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match='frame 1 is 32x32, the first was 64x48'):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            writer.write(np.zeros((32, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match='change the ending'):
        VideoWriter(tmp_path / 'clip.avi', 25)
    with pytest.raises(InputError, match='1x1 pixels are too small'):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            writer.write(np.zeros((1, 1, 3), np.uint8))
    with VideoWriter(tmp_path / 'clip.mp4', 25):
        pass
    assert list(tmp_path.iterdir()) == []  # no frame, no file


def test_ctrl_c_completes_a_video(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            for _ in range(7):
                writer.write(np.zeros((32, 32, 3), np.uint8))
            raise KeyboardInterrupt
    assert len(list(open_source(tmp_path / 'clip.mp4', fail).images)) == 7
    assert is_result(tmp_path / 'clip.mp4')


def test_no_process_of_its_own_can_get_the_terminal_s_ctrl_c(tmp_path):
    """Encoding happens in this process: a signal to the group cannot end it."""

    def children() -> set[str]:  # a browser of other tests may be among them
        return set(open(f'/proc/self/task/{os.getpid()}/children').read().split())

    before = children()
    with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
        assert children() <= before


def test_a_file_that_is_not_whole_never_gets_its_name(tmp_path, monkeypatch):
    real = video_writer.VideoWriter._complete

    def lose(self):
        self.frames += 1  # as if one frame had not reached the disk
        real(self)

    monkeypatch.setattr(video_writer.VideoWriter, '_complete', lose)
    with pytest.raises(InputError, match='5 of 6 frames can be read back'):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            for _ in range(5):
                writer.write(np.zeros((32, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_by_name(tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with VideoWriter(tmp_path / 'whole.mp4', 25) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(InputError, match=r'clip.mp4: the video cannot be written \(No space left'):
        with VideoWriter(tmp_path / 'clip.mp4', 25) as writer:
            writer.write(np.zeros((32, 32, 3), np.uint8))
            monkeypatch.setattr(video_writer, 'open', full, raising=False)
    assert [path.name for path in tmp_path.iterdir()] == ['whole.mp4']


def test_links_and_devices_are_left_alone(tmp_path):
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / 'clip.mp4').symlink_to(tmp_path / 'mine')
    with pytest.raises(InputError, match='symbolic link'):
        VideoWriter(tmp_path / 'clip.mp4', 25)
    assert (tmp_path / 'mine').read_text() == 'mine'

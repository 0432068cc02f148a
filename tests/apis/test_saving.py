# SPDX-License-Identifier: Apache-2.0
"""Files of images and videos open elsewhere, hold what was found, and replace nothing else."""

import json
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis import guarding, load_npz, motion_files, outputs
from fastmetro_mm.apis.saving import ResultSaver, check_kinds
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.errors import InputError
from fastmetro_mm.result_marks import is_result
from fastmetro_mm.visualization.renderer_factory import build_renderer

KINDS = ('overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html')


@pytest.fixture(scope='module')
def renderer():
    return build_renderer('software')


@pytest.fixture
def notices(monkeypatch):
    said = []
    for module in (outputs, motion_files):
        monkeypatch.setattr(module, 'notice', said.append)
    return said


def count_frames(path):
    video, count = cv2.VideoCapture(str(path)), 0
    while video.read()[0]:
        count += 1
    return count


def test_files_of_an_image(three_people, renderer, tmp_path):
    with ResultSaver(tmp_path, KINDS, renderer, views=('side',)) as saver:
        saver.add(three_people[0], 'photo')
    names = {'photo_overlay.jpg', *(f'photo.{kind}' for kind in KINDS[1:])}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert {path.name for path in saver.written} == names
    assert cv2.imread(str(tmp_path / 'photo_overlay.jpg')).shape[1] == 640 + 480
    assert len(load_npz(tmp_path / 'photo.npz').people) == 3
    assert (tmp_path / 'photo.glb').read_bytes()[:4] == b'glTF'
    assert (tmp_path / 'photo.obj').read_text().count('\no ') == 3
    assert all(is_result(path) for path in saver.written)


class Counting:
    """A renderer that counts its images."""

    name = 'counting'

    def __init__(self, renderer):
        self.renderer, self.images = renderer, 0

    def render(self, *args):
        self.images += 1
        return self.renderer.render(*args)


def test_what_overlay_and_page_show_is_drawn_once(three_people, renderer, tmp_path):
    counting = Counting(renderer)
    with ResultSaver(tmp_path, ('overlay', 'html'), counting, views=('side', 'top')) as saver:
        for number in range(2):
            saver.add(replace(three_people[0], frame_index=number), f'photo_{number}')
    assert counting.images == 2 * 3  # the overlay and two views of each image
    for name in ('photo_0_overlay.jpg', 'photo_1_overlay.jpg'):
        assert cv2.imread(str(tmp_path / name)).shape[1] == 640 + 2 * 480


def frames_with_poses(frame, count):
    turned = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    turned[0] = np.diag([1, -1, -1])
    for index in range(count):
        people = [
            replace(
                person,
                track_id=number + 1,
                global_orient=turned[0],
                body_pose=turned[1:],
                betas=np.zeros(10, np.float32),
            )
            for number, person in enumerate(frame.people)
        ]
        yield replace(frame, frame_index=index, people=people, time=index**2 / 10)


def test_files_of_a_video(three_people, renderer, tmp_path):
    kinds = ('overlay', 'npz', 'json', 'glb', 'html', 'smpl')
    with ResultSaver(tmp_path, kinds, renderer, fps=10) as saver:
        for frame in frames_with_poses(three_people[0], 14):
            saver.add(frame, 'clip')
    assert count_frames(tmp_path / 'clip_overlay.mp4') == 14
    lines = [json.loads(line) for line in (tmp_path / 'clip.jsonl').read_text().splitlines()]
    assert [line['frame_index'] for line in lines] == list(range(14))
    times = np.arange(14) ** 2 / 10  # a rate that varies is kept by every file
    assert [line['time'] for line in lines] == pytest.approx(times)
    assert load_npz(tmp_path / 'clip_npz' / '000003.npz').time == pytest.approx(0.9)
    with np.load(tmp_path / 'clip_smpl_track_1.npz') as file:
        assert file['times'] == pytest.approx(times)
    glb = (tmp_path / 'clip.glb').read_bytes()
    content = json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], 'little')])
    clocks = {sampler['input'] for sampler in content['animations'][0]['samplers']}
    assert content['accessors'][clocks.pop()]['max'] == pytest.approx([16.9])
    assert len(list((tmp_path / 'clip_npz').glob('*.npz'))) == 14
    assert (tmp_path / 'clip.html').stat().st_size > 100_000
    assert len(list(tmp_path.glob('clip_smpl_*.npz'))) == 3
    assert not list(tmp_path.glob('.*'))
    assert all(is_result(path) for path in saver.written)


def test_ctrl_c_keeps_what_was_made(three_people, renderer, tmp_path):
    kinds = ('overlay', 'json', 'glb', 'smpl', 'html')
    with pytest.raises(KeyboardInterrupt):
        with ResultSaver(tmp_path, kinds, renderer, fps=10) as saver:
            for frame in frames_with_poses(three_people[0], 3):
                saver.add(frame, 'clip')
            raise KeyboardInterrupt
    assert count_frames(tmp_path / 'clip_overlay.mp4') == 3
    assert len((tmp_path / 'clip.jsonl').read_text().splitlines()) == 3
    assert {path.name for path in tmp_path.iterdir()} == {
        'clip_overlay.mp4',
        'clip.jsonl',
        'clip.glb',
        'clip.html',
        *(f'clip_smpl_track_{n}.npz' for n in (1, 2, 3)),
    }


def test_a_kind_that_fails_does_not_stop_the_others(three_people, renderer, tmp_path, monkeypatch):
    def broken(self, *args):
        raise OSError(28, 'No space left on device', str(tmp_path / 'clip_overlay.mp4'))

    for method in ('write', 'close'):
        monkeypatch.setattr('fastmetro_mm.apis.video_writer.VideoWriter.' + method, broken)
        errors, folder = [], tmp_path / method
        folder.mkdir()
        with ResultSaver(
            folder, ('overlay', 'json', 'npz'), renderer, fps=10, on_error=errors.append
        ) as saver:
            for frame in frames_with_poses(three_people[0], 3):
                saver.add(frame, 'clip')
        assert str(errors[0]) == f'{tmp_path}/clip_overlay.mp4: No space left on device'
        assert len((folder / 'clip.jsonl').read_text().splitlines()) == 3
        assert len(list((folder / 'clip_npz').iterdir())) == 3
    monkeypatch.undo()
    write = VideoWriter.write

    def fail_later(self, *args):
        if self.frames:
            raise InputError('frame 1 is one too many')
        write(self, *args)

    monkeypatch.setattr(VideoWriter, 'write', fail_later)
    with pytest.raises(InputError, match='frame 1 is'):  # on_error='raise' still closes the rest
        with ResultSaver(tmp_path, ('overlay', 'json'), renderer, fps=10) as saver:
            for frame in frames_with_poses(three_people[0], 2):
                saver.add(frame, 'clip')
    assert len((tmp_path / 'clip.jsonl').read_text().splitlines()) == 2
    assert count_frames(tmp_path / 'clip_overlay.mp4') == 1


def test_a_video_whose_frames_change_their_size(three_people, renderer, tmp_path, notices):
    """The overlay keeps the size of the first, with what does not fill it in the middle."""
    first, second, third = frames_with_poses(replace(three_people[0], people=[]), 3)
    red = np.full((240, 160, 3), (250, 0, 0), np.uint8)
    changed = [replace(one, image_size=(160, 240), image=red) for one in (second, third)]
    with ResultSaver(tmp_path, ('overlay',), renderer, fps=10) as saver:
        for frame in (first, *changed):
            saver.add(frame, 'clip')
    video = cv2.VideoCapture(str(tmp_path / 'clip_overlay.mp4'))
    frames = [video.read()[1] for _ in range(3)]
    assert {frame.shape for frame in frames} == {(480, 640, 3)} and not video.read()[0]
    filled = np.flatnonzero(frames[2][240, :, 2] > 125)
    assert np.abs(filled[[0, -1]] - [160, 479]).max() <= 2 and frames[2][:4, 320, 2].min() > 125
    assert len(notices) == 1 and 'frame 1 is of another size' in notices[0]
    assert 'fitted into 640x480' in notices[0]


def test_lines_that_did_not_reach_the_disk_are_told(three_people, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r'clip.jsonl: No space left on device'):
        with ResultSaver(tmp_path, ('json',), fps=10) as saver:
            saver.add(three_people[0], 'clip')
            file = saver._outputs[0]._file

            class Full:
                name = file.name

                def close(self):
                    file.close()
                    raise OSError(28, 'No space left on device')

            saver._outputs[0]._file = Full()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('kind', KINDS)
def test_a_user_s_own_file_is_left_alone(three_people, renderer, tmp_path, kind):
    name = 'photo_overlay.jpg' if kind == 'overlay' else f'photo.{kind}'
    if kind == 'npz':
        np.savez(tmp_path / name, format='mine', weights=np.zeros(3))
    elif kind == 'overlay':
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9, 3), np.uint8))
    else:
        (tmp_path / name).write_text('{"labels": "mine"}')
    before = (tmp_path / name).read_bytes()
    errors = []
    for _ in range(2):
        with ResultSaver(tmp_path, KINDS, renderer, on_error=errors.append) as saver:
            saver.add(three_people[0], 'photo')
    assert (tmp_path / name).read_bytes() == before
    assert len(errors) == 2 and 'is no result of this package' in str(errors[0])
    assert len(list(tmp_path.iterdir())) == len(KINDS)  # the others are written, twice


@pytest.mark.parametrize('what', ['link', 'folder', 'pipe'])
def test_links_folders_and_devices_are_left_alone(three_people, tmp_path, what):
    path = tmp_path / 'photo.json'
    (tmp_path / 'target').write_text('mine')
    dict(
        link=lambda: path.symlink_to(tmp_path / 'target'),
        folder=path.mkdir,
        pipe=lambda: os.mkfifo(path),
    )[what]()
    with pytest.raises(InputError, match=r'symbolic link|is a folder|a device or a pipe'):
        with ResultSaver(tmp_path, ('json',)) as saver:
            saver.add(three_people[0], 'photo')
    assert ((tmp_path / 'target').read_text() == 'mine' and not path.is_file()) or path.is_symlink()


def test_an_image_without_people(three_people, renderer, tmp_path, notices):
    kinds = ('glb', 'obj', 'ply', 'smpl', 'npz', 'json', 'overlay', 'html')
    with ResultSaver(tmp_path, kinds, renderer) as saver:
        saver.add(replace(three_people[0], people=[]), 'photo')
    assert {path.name for path in tmp_path.iterdir()} == {
        'photo.npz',
        'photo.json',
        'photo_overlay.jpg',
        'photo.html',
    }
    assert len(notices) == 4
    assert notices[0] == 'photo: nobody that can be drawn, no .glb is written'


def test_frames_of_an_earlier_longer_run_are_told(three_people, tmp_path, notices):
    for count in (4, 2):
        with ResultSaver(tmp_path, ('npz',), fps=10) as saver:
            for frame in frames_with_poses(three_people[0], count):
                saver.add(frame, 'clip')
    assert notices == [f'{tmp_path}/clip_npz: holds 2 files of an earlier run as well']


def test_a_log_that_cannot_be_written_costs_no_file(three_people, tmp_path, monkeypatch, capsys):
    def fail(*args):
        raise FileNotFoundError(2, 'No such file or directory', 'gone/run.log')

    monkeypatch.setattr(guarding, 'print_log', fail)
    with ResultSaver(tmp_path, ('obj', 'npz')) as saver:
        saver.add(replace(three_people[0], people=[]), 'photo')
    assert [path.name for path in saver.written] == ['photo.npz']
    assert 'nobody that can be drawn' in capsys.readouterr().err


def test_mistakes(tmp_path):
    with pytest.raises(InputError, match="cannot save 'fbx': choose from overlay,npz"):
        check_kinds(['npz', 'fbx'])
    with pytest.raises(
        InputError, match=r'bvh,amass,rrd; FBX .*save bvh or glb, import it into Blender'
    ):
        check_kinds(['fbx'])

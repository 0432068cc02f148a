# SPDX-License-Identifier: Apache-2.0
"""Files of pictures and videos open elsewhere and hold what was found."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis import load_npz
from fastmetro_mm.apis.saving import ResultSaver, check_kinds, make_folder
from fastmetro_mm.errors import InputError
from fastmetro_mm.visualization.renderer_factory import build_renderer


@pytest.fixture(scope='module')
def renderer():
    return build_renderer('software')


def test_files_of_a_picture(three_people, renderer, tmp_path):
    kinds = ('overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html')
    with ResultSaver(tmp_path, kinds, renderer, views=('side',)) as saver:
        saver.add(three_people[0], 'photo')
    names = {'photo_overlay.jpg', *(f'photo.{kind}' for kind in kinds[1:])}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert {path.name for path in saver.written} == names
    assert cv2.imread(str(tmp_path / 'photo_overlay.jpg')).shape[1] == 640 + 480
    assert len(load_npz(tmp_path / 'photo.npz').people) == 3
    assert (tmp_path / 'photo.glb').read_bytes()[:4] == b'glTF'
    assert (tmp_path / 'photo.obj').read_text().count('\no ') == 3


def frames_with_poses(frame, count):
    turned = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    turned[0] = np.diag([1, -1, -1])
    for index in range(count):
        people = [replace(person, track_id=number + 1, global_orient=turned[0],
                          body_pose=turned[1:], betas=np.zeros(10, np.float32))
                  for number, person in enumerate(frame.people)]
        yield replace(frame, frame_index=index, people=people)


def test_files_of_a_video(three_people, renderer, tmp_path):
    kinds = ('overlay', 'npz', 'json', 'glb', 'html', 'smpl')
    with ResultSaver(tmp_path, kinds, renderer, fps=10) as saver:
        for frame in frames_with_poses(three_people[0], 14):
            saver.add(frame, 'clip')
    video = cv2.VideoCapture(str(tmp_path / 'clip_overlay.mp4'))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == 14
    lines = (tmp_path / 'clip.jsonl').read_text().splitlines()
    assert [json.loads(line)['frame_index'] for line in lines] == list(range(14))
    assert len(list((tmp_path / 'clip_npz').glob('*.npz'))) == 14
    assert (tmp_path / 'clip.glb').read_bytes()[:4] == b'glTF'
    assert (tmp_path / 'clip.html').stat().st_size > 100_000
    assert len(list(tmp_path.glob('clip_smpl_*.npz'))) == 3
    assert not list(tmp_path.glob('.*'))


def test_a_video_that_fails_leaves_nothing_half_written(three_people, renderer, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with ResultSaver(tmp_path, ('overlay', 'json'), renderer, fps=10) as saver:
            saver.add(three_people[0], 'clip')
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_mistakes(tmp_path):
    with pytest.raises(InputError, match="cannot save 'fbx': choose from overlay,npz"):
        check_kinds(['npz', 'fbx'])
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write results there'):
        make_folder(tmp_path / 'file' / 'out')

# SPDX-License-Identifier: Apache-2.0
"""``projects/blender_import``: Blender's camera sees the image (with bpy: tests/exporters)."""

from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.structures.results import FrameResult, PersonMesh
from projects.blender_import.load import by_person, frame_rate, frames_of, lens_of, read_frame

FACES = np.array([[0, 1, 2], [0, 2, 3]])
SIZES = ((640, 480), (300, 500))


def frame(number: int, size: tuple[int, int], tracks: tuple[int, ...]) -> FrameResult:
    rng = np.random.default_rng(number)
    width, height = size
    people = [
        PersonMesh(
            vertices=rng.normal(size=(4, 3)),
            joints_3d=np.zeros((14, 3)),
            keypoints=np.zeros((14, 2)),
            pred_cam=np.array([1.0, 0, 0]),
            translation=np.array([0.1 * track, 0.2, 5.0]),
            bbox=np.zeros(4),
            bbox_score=1.0,
            crop_to_image=np.eye(2, 3),
            crop_size=256.0,
            track_id=track,
        )
        for track in tracks
    ]
    focal = 1.1 * max(size)
    intrinsics = np.array([[focal, 0, width / 2 + 20], [0, focal, height / 2 - 10], [0, 0, 1.0]])
    return FrameResult(None, number, size, intrinsics, people, 'open_body', FACES, time=number / 25)


def seen_by_blender(points: np.ndarray, lens, size: tuple[int, int]) -> np.ndarray:
    """Pixels by Blender's own rule: a sensor of 36 mm along the longer side, looking along +y."""
    longer = max(size)
    x = points[:, 0] / points[:, 1] * lens.focal / 36.0 - lens.shift[0]
    z = points[:, 2] / points[:, 1] * lens.focal / 36.0 - lens.shift[1]
    return np.stack([size[0] / 2 + x * longer, size[1] / 2 - z * longer], axis=1)


@pytest.mark.parametrize('size', SIZES)
def test_blender_sees_the_image(size, tmp_path):
    result = frame(0, size, (1, 2))
    read = read_frame(result.save_npz(tmp_path / 'a.npz'))
    assert read.names == ('track_1', 'track_2') and read.size == size
    lens = lens_of(read.intrinsics, read.size)
    for person, points in zip(result.people, read.vertices, strict=True):
        expected = result.camera.project(person.camera_vertices)
        assert seen_by_blender(points, lens, size) == pytest.approx(expected, abs=1e-3)


def test_people_of_a_video(tmp_path):
    tracks = {3: (1,), 4: (1, 2), 5: (), 10: (2,)}
    for number, ids in tracks.items():
        frame(number, SIZES[0], ids).save_npz(tmp_path / f'clip_{number}.npz')
    frames = frames_of(tmp_path)
    assert [one.number for one in frames] == [3, 4, 5, 10]
    assert {name: sorted(shapes) for name, shapes in by_person(frames).items()} == {
        'track_1': [3, 4], 'track_2': [4, 10],
    }  # fmt: skip
    assert frame_rate(frames) == pytest.approx(25.0) and frame_rate(frames[:1]) == 30.0


def test_other_files_are_named(tmp_path):
    np.savez(tmp_path / 'other.npz', a=np.zeros(3))
    with pytest.raises(ValueError, match=r'other\.npz: is no result'):
        read_frame(tmp_path / 'other.npz')
    with pytest.raises(ValueError, match='no npz there'):
        frames_of(Path(tmp_path / 'empty'))

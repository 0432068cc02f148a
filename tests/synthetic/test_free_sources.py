# SPDX-License-Identifier: Apache-2.0
"""Motions and panoramas are read as they are meant: small files with known answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.synthetic.environment_light import sh_basis
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.kinematics import place_joints
from fastmetro_mm.synthetic.rotations import vectors_to_matrices
from projects.free_model.build_pose_library import thin
from projects.free_model.motions.bvh import Motion, read_bvh
from projects.free_model.motions.deepmimic import read_deepmimic
from projects.free_model.motions.retarget import CMU, DEEPMIMIC, PARENTS, retarget
from projects.free_model.panoramas import cut_view, irradiance

_BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Leg
  {
    OFFSET 0 -2 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: .04
0 0 0 0 0 0 0 0 0
1 2 3 90 0 0 0 0 90
"""


def test_bvh_turns_about_moving_axes(tmp_path: Path) -> None:
    path = tmp_path / 'a.bvh'
    path.write_text(_BVH)
    motion = read_bvh(path)
    assert motion.names == ('Hips', 'Leg') and motion.parents == (-1, 0)
    assert motion.offsets.tolist() == [[0, 0, 0], [0, -2, 0]] and motion.seconds == 0.04
    assert motion.turns[0] == pytest.approx(np.tile(np.eye(3), (2, 1, 1)))
    # The hips turn x to y; the leg then turns its own y to its own z.
    assert motion.turns[1, 0] @ [1, 0, 0] == pytest.approx([0, 1, 0], abs=1e-12)
    assert motion.turns[1, 1] @ [0, 1, 0] == pytest.approx([0, 0, 1], abs=1e-12)
    path.write_text(_BVH.partition('MOTION')[0])
    with pytest.raises(ValueError, match='cut off'):
        read_bvh(path)


def test_deepmimic_bends_knees_back_and_elbows_forward(tmp_path: Path) -> None:
    """A stand with one knee and one elbow bent by a radian becomes just that in our body."""
    row = [0.03, 0, 1, 0] + [1, 0, 0, 0] * 4 + [-1.0] + [1, 0, 0, 0] * 2 + [0.0]
    row += [1, 0, 0, 0] + [0.0] + [1, 0, 0, 0] * 2 + [1.0]
    path = tmp_path / 'a.txt'
    path.write_text(json.dumps({'Frames': [row]}))
    rest = Figure('body').rest_joints
    pose = retarget(read_deepmimic(path), DEEPMIMIC, rest)[0]
    places, _ = place_joints(vectors_to_matrices(pose), rest)
    # Straight at rest means something else in both bodies; the bones' directions are kept.
    shank = places[8] - places[5]
    assert shank / np.linalg.norm(shank) == pytest.approx([0, -np.cos(1), -np.sin(1)], abs=1e-6)
    leg = places[7] - places[1]
    assert leg / np.linalg.norm(leg) == pytest.approx([0, -1, 0], abs=1e-6)
    assert pose[18] == pytest.approx([0, -1.0, 0], abs=0.02)  # left elbow
    assert pose[16] == pytest.approx([0, 0, -np.pi / 2], abs=0.02)  # hanging arms
    assert pose[17] == pytest.approx([0, 0, np.pi / 2], abs=0.02)
    path.write_text(json.dumps({'Frames': [row[:-1]]}))
    with pytest.raises(ValueError, match='44'):
        read_deepmimic(path)


def test_our_own_skeleton_comes_back_unchanged() -> None:
    """Retargeting a skeleton with our bones gives its turns back, without the heading."""
    rest = Figure('body').rest_joints
    offsets = np.array([rest[j] - rest[max(p, 0)] for j, p in enumerate(PARENTS)])
    turns = np.tile(np.eye(3), (1, 24, 1, 1))
    bend = np.array([[1, 0, 0], [0, np.cos(0.7), -np.sin(0.7)], [0, np.sin(0.7), np.cos(0.7)]])
    turns[0, [4, 7, 10]] = bend  # the left knee
    around = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    motion = Motion(CMU, PARENTS, offsets, around @ turns, 0.1)
    pose = retarget(motion, CMU, rest)[0]
    expected = np.zeros((24, 3))
    expected[4] = (0.7, 0, 0)
    assert pose == pytest.approx(expected, abs=1e-9)


def test_thinning_keeps_what_differs() -> None:
    places = np.zeros((4, 24, 3))
    places[1] += 0.01
    places[2] += 0.1
    places[3] += 0.101
    assert thin(places, 0.04).tolist() == [0, 2]


def test_light_of_simple_skies() -> None:
    """White all around lights everything by one; a sky lights what faces up most."""
    white = irradiance(np.ones((64, 128, 3), np.float32))
    directions = np.array([[0.0, 1, 0], [0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert sh_basis(directions) @ white == pytest.approx(1.0, abs=0.01)
    sky = np.zeros((64, 128, 3), np.float32)
    sky[:32] = 1.0
    up, down, left, front = (sh_basis(directions) @ irradiance(sky)).mean(axis=1)
    # Exact: 2, 0 and 1 of the mean.
    assert up == pytest.approx(2.0, abs=0.05) and down == pytest.approx(0.0, abs=0.05)
    assert left == pytest.approx(1.0, abs=0.05) and front == pytest.approx(1.0, abs=0.05)


def test_views_look_where_they_should() -> None:
    """Sky above, ground below; a turn by a quarter shows what lies there."""
    panorama = np.full((64, 128, 3), 0.02, np.float32)
    panorama[:32] = 0.5
    panorama[32:, 90:102, 0] = 0.5  # something red on the ground, a quarter turn to +x
    view = cut_view(panorama, 32, 0.0, 0.0, 1.0)
    assert view[:12].min() > view[20:].max() + 80
    red = cut_view(panorama, 32, np.pi / 2, 0.0, 1.0)
    assert red[20:, 12:20, 0].mean() > red[20:, 12:20, 2].mean() + 80
    assert cut_view(panorama, 32, 0.0, 0.6, 1.0).mean() > view.mean()  # looking up

# SPDX-License-Identifier: Apache-2.0
"""Blender itself (``pip install bpy``, Python 3.11) as a reader of BVH, GLB and npz."""

import numpy as np
import pytest

from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.joint_sets import SMPL24
from projects.blender_import.load import load, to_blender
from tests.exporters.conftest import leave_out
from tests.exporters.readers import joints_of

bpy = pytest.importorskip('bpy')

FPS = 25
MILLIMETRE = 1e-3


@pytest.fixture(scope='module')
def video(make_frame):
    """Six frames; track 4 is missing in frame 2, track 1 appears in frame 3."""
    frames = [make_frame(index, people=2, track_ids=[4, 1]) for index in range(6)]
    for index, frame in enumerate(frames):
        frame.time = index / FPS
    return leave_out(frames)


@pytest.fixture(scope='module')
def files(video, tmp_path_factory):
    """Results of the video as the command writes them."""
    folder = tmp_path_factory.mktemp('results')
    with ResultSaver(folder, ('npz', 'bvh', 'glb'), fps=FPS) as saver:
        for frame in video:
            saver.add(frame, 'clip')
    return folder


@pytest.fixture
def joints(open_body):
    """Joints of a person where Blender should have them (24, 3)."""
    from fastmetro_mm.body.assets import load_body_assets

    row = load_body_assets('open_body').J_regressor_h36m[0].astype(np.float64)
    return lambda person: to_blender(joints_of(person, open_body, row) * [1, -1, -1])


@pytest.fixture(autouse=True)
def empty_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def show(seconds: float, first_frame: int) -> None:
    """Put the scene to a time."""
    scene = bpy.context.scene
    at = first_frame + seconds * scene.render.fps / scene.render.fps_base
    number = int(np.floor(at + 1e-6))
    scene.frame_set(number, subframe=max(0.0, min(at - number, 0.999999)))


def bones(armature, prefix: str = '') -> np.ndarray:
    """Heads of the bones in the world, in SMPL's order (24, 3)."""
    own = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([own.matrix_world @ own.pose.bones[prefix + name].head for name in SMPL24])


def vertices(thing) -> np.ndarray:
    """Vertices in the world as they are shown (V, 3)."""
    own = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([own.matrix_world @ vertex.co for vertex in own.to_mesh().vertices])


def test_bvh(video, files, joints):
    for track, first in ((4, 0), (1, 3)):
        load(files / f'clip_track_{track}.bvh')
        armature = bpy.context.scene.objects[-1]
        assert bpy.context.scene.render.fps / bpy.context.scene.render.fps_base == FPS
        for frame in video:
            for person in frame.people:
                if person.track_id == track:
                    show(frame.time - first / FPS, 1)
                    assert np.abs(bones(armature) - joints(person)).max() < MILLIMETRE


def test_rigged_glb(video, files, joints):
    load(files / 'clip.glb')
    for frame in video:
        show(frame.time, 0)
        for person in frame.people:
            name = f'track_{person.track_id}'
            armature = bpy.data.objects[name]
            found = bones(armature, f'{name}_')
            assert np.abs(found - joints(person)).max() < MILLIMETRE
            shown = vertices(bpy.data.objects[f'{name}_mesh'])
            assert np.abs(shown - to_blender(person.camera_vertices)).max() < MILLIMETRE


def test_npz(video, files):
    load(files / 'clip_npz')
    scene = bpy.context.scene
    assert scene.render.fps / scene.render.fps_base == pytest.approx(FPS)
    assert (scene.frame_start, scene.frame_end) == (0, 5)
    for frame in video:
        show(frame.time, 0)
        there = {f'track_{person.track_id}' for person in frame.people}
        shown = {o.name for o in scene.objects if o.type == 'MESH' and not o.hide_render}
        assert shown == there
        for person in frame.people:
            shown = vertices(bpy.data.objects[f'track_{person.track_id}'])
            assert np.abs(shown - to_blender(person.camera_vertices)).max() < MILLIMETRE

# SPDX-License-Identifier: Apache-2.0
"""Levels of detail in every mesh format: vertices of the fine mesh, closed and facing outwards."""

import json

import numpy as np
import pytest

from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.levels import level_number, mesh_level
from fastmetro_mm.exporters.scene import frame_meshes
from fastmetro_mm.structures.results import FrameResult, PersonMesh
from fastmetro_mm.visualization.renderer_factory import build_renderer
from tests.exporters.readers import GlbPlayer, read_glb

Y_UP = np.array([1.0, -1, -1])


def volume(vertices, faces) -> float:
    """Litres; positive where faces look outwards."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.einsum('fi,fi->f', a, np.cross(b, c)).sum() / 6 * 1000)


@pytest.mark.parametrize('body', ['open_body', 'open_hand'])
def test_a_level_is_part_of_the_fine_mesh(body):
    assets = load_body_assets(body)
    for number, count in enumerate(assets.num_vertices):
        assert level_number(body, count) == number
        level = mesh_level(body, number)
        assert len(level.index) == count == len(set(level.index.tolist()))
        assert level.faces.max() == count - 1
        down = np.arange(assets.num_vertices[0])[:, None].astype(float)
        for matrix in assets.down[:number]:
            down = matrix @ down
        assert np.array_equal(level.index, down[:, 0])
    with pytest.raises(ExportError, match=f'{body} has no level of 7 vertices: choose'):
        level_number(body, 7)


@pytest.mark.parametrize('lod', [6890, 1723, 431])
def test_every_mesh_format(lod, make_frame, tmp_path):
    trimesh = pytest.importorskip('trimesh')
    frame = make_frame(0, people=2)
    frame.image = np.full((48, 64, 3), 90, np.uint8)
    kinds = ['obj', 'ply', 'glb']
    with ResultSaver(tmp_path, kinds, options=ExportOptions(lod=lod)) as saver:
        saver.add(frame, 'photo')
    fine = frame_meshes(frame)
    index = mesh_level('open_body', level_number('open_body', lod)).index
    litres = [volume(mesh.vertices, mesh.faces) for mesh in fine]
    for kind in kinds:
        found = trimesh.load(tmp_path / f'photo.{kind}', process=False)
        if kind == 'ply':
            assert len(found.vertices) == 2 * lod
            continue
        scene = found if kind == 'glb' else trimesh.Scene(found)
        meshes = list(scene.geometry.values())
        assert sum(len(mesh.vertices) for mesh in meshes) == 2 * lod
        if kind == 'glb':
            for mesh, whole, size in zip(meshes, fine, litres, strict=True):
                assert np.abs(mesh.vertices - whole.vertices[index] * Y_UP).max() < 1e-5
                assert volume(mesh.vertices, mesh.faces) == pytest.approx(size, rel=0.15)


def test_a_rig_and_a_page(make_frame, tmp_path):
    frames = [make_frame(index, people=1, track_ids=[3]) for index in range(2)]
    for frame in frames:
        frame.image = np.full((480, 640, 3), 90, np.uint8)
    renderer, options = build_renderer('software'), ExportOptions(lod=431)
    with ResultSaver(tmp_path, ['glb', 'html'], renderer, 25, (), options=options) as saver:
        for frame in frames:
            saver.add(frame, 'clip')
    player = GlbPlayer(*read_glb(tmp_path / 'clip.glb'))
    index = mesh_level('open_body', 2).index
    for number, frame in enumerate(frames):
        found = player.vertices('track_3', number / 25)
        wanted = frame.people[0].camera_vertices[index] * Y_UP
        assert found.shape == (431, 3) and np.abs(found - wanted).max() < 2e-4
    text = (tmp_path / 'clip.html').read_text()
    data = json.loads(text.split('id="data">')[1].split('</script>')[0])
    assert len(data['frames'][0]['people'][0]['vertices']) == 431 * 3 * 4 * 4 // 3


def test_left_hands_face_outwards_too():
    assets = load_body_assets('open_hand')
    vertices = np.asarray(load_model_arrays('open_hand')['v_template'], np.float32)
    people = [
        PersonMesh(
            vertices=vertices * ([1, 1, 1] if is_right else [-1, 1, 1]),
            joints_3d=np.zeros((21, 3)),
            keypoints=np.zeros((21, 2)),
            pred_cam=np.ones(3),
            translation=np.array([0.0, 0, 1]),
            bbox=np.array([0.0, 0, 9, 9]),
            bbox_score=1.0,
            crop_to_image=np.eye(2, 3),
            crop_size=224.0,
            is_right=is_right,
        )
        for is_right in (True, False)
    ]
    frame = FrameResult(None, 0, (64, 48), np.eye(3), people, 'open_hand', assets.faces[0])
    right, left = frame_meshes(frame, lod=195)
    assert volume(right.vertices, right.faces) == pytest.approx(
        volume(left.vertices, left.faces), rel=1e-6
    )
    assert volume(right.vertices, right.faces) > 0.05

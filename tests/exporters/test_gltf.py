# SPDX-License-Identifier: Apache-2.0
"""GLB scenes, read with trimesh and with a parser of the container written here."""

import json
import math
import struct

import numpy as np
import pytest

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.gltf import srgb_to_linear, vertex_normals, write_glb
from fastmetro_mm.exporters.scene import frame_meshes
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.render_types import RenderMesh

Y_UP = np.array([1.0, -1, -1])


@pytest.fixture(scope='module')
def frame(make_frame):
    return make_frame(people=2)


@pytest.fixture()
def scene_file(frame, tmp_path):
    return write_glb(tmp_path / 'scene.glb', frame_meshes(frame), frame.camera, ['a', 'b'])


def test_container_follows_the_specification(scene_file):
    data = scene_file.read_bytes()
    magic, version, total = struct.unpack('<4sII', data[:12])
    assert (magic, version, total) == (b'glTF', 2, len(data))
    length, kind = struct.unpack('<I4s', data[12:20])
    assert kind == b'JSON' and length % 4 == 0
    content = json.loads(data[20 : 20 + length])
    binary, kind = struct.unpack('<I4s', data[20 + length : 28 + length])
    assert kind == b'BIN\0' and 28 + length + binary == len(data)
    assert content['buffers'] == [{'byteLength': content['buffers'][0]['byteLength']}]
    assert 0 <= binary - content['buffers'][0]['byteLength'] < 4
    for accessor in content['accessors']:
        view = content['bufferViews'][accessor['bufferView']]
        size = {5126: 4, 5125: 4}[accessor['componentType']]
        size *= {'SCALAR': 1, 'VEC3': 3}[accessor['type']]
        assert accessor['count'] * size == view['byteLength'] and view['byteOffset'] % 4 == 0


def test_an_independent_reader_finds_the_same_people(frame, scene_file):
    trimesh = pytest.importorskip('trimesh')
    scene = trimesh.load(scene_file, process=False)
    for name, mesh in zip('ab', frame_meshes(frame), strict=True):
        found = scene.geometry[name]
        assert np.abs(found.vertices - mesh.vertices * Y_UP).max() < 1e-6
        assert np.array_equal(found.faces, mesh.faces)
        assert found.volume > 0.03  # outside stays outside
        transform, geometry = scene.graph[name]
        assert geometry == name and np.array_equal(transform, np.eye(4))
        normals = vertex_normals(mesh.vertices * Y_UP, mesh.faces)
        assert np.abs(found.vertex_normals - normals).max() < 1e-6
        factor = np.asarray(found.visual.material.baseColorFactor)[:3] / 255
        assert np.abs(factor - srgb_to_linear(mesh.color)).max() < 0.003


def test_the_camera_of_the_file_projects_like_ours(frame, scene_file, read_glb):
    content, _ = read_glb(scene_file)
    camera = content['cameras'][0]
    node = next(n for n in content['nodes'] if n.get('camera') == 0)
    assert set(node) == {'name', 'camera'}  # at the origin, unturned: looks along -z
    lens, (width, height) = camera['perspective'], frame.image_size
    points = frame_meshes(frame)[1].vertices[::50]
    x, y, z = (points * Y_UP).T
    # Projection matrix of the glTF specification, 3.10.3.3, then the viewport.
    slope = math.tan(lens['yfov'] / 2)
    u = (x / (lens['aspectRatio'] * slope * -z) + 1) * 0.5 * width
    v = (1 - y / (slope * -z)) * 0.5 * height
    assert np.abs(np.stack([u, v], 1) - frame.camera.project(points)).max() < 1e-9
    assert camera['extras']['intrinsics'] == frame.intrinsics.tolist()


def test_unequal_focal_lengths_go_into_the_aspect_ratio(frame, tmp_path, read_glb):
    camera = PerspectiveCamera(np.array([[500.0, 0, 320], [0, 1000, 240], [0, 0, 1]]), 640, 480)
    content, _ = read_glb(write_glb(tmp_path / 'a.glb', frame_meshes(frame), camera))
    lens = content['cameras'][0]['perspective']
    slope = math.tan(lens['yfov'] / 2)
    assert math.isclose(slope, 0.24) and math.isclose(slope * lens['aspectRatio'], 0.64)


def test_colours_per_vertex(frame, tmp_path, read_glb):
    mesh = frame_meshes(frame)[0]
    colors = np.random.default_rng(0).random(mesh.vertices.shape)
    path = write_glb(tmp_path / 'a.glb', [RenderMesh(mesh.vertices, mesh.faces, colors)])
    content, array = read_glb(path)
    found = array(content['meshes'][0]['primitives'][0]['attributes']['COLOR_0'])
    assert np.abs(found - srgb_to_linear(colors)).max() < 1e-6


def test_known_colour_values():
    # IEC 61966-2-1: half grey on the screen is 0.2140 of the light.
    assert np.allclose(
        srgb_to_linear(np.array([0, 0.04, 0.5, 1])), [0, 0.003096, 0.21404, 1], atol=1e-5
    )


def test_normals_of_a_cube_corner():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0], [9, 9, 9]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2]])
    normals = vertex_normals(vertices, faces)
    assert np.allclose(normals[0], -np.ones(3) / math.sqrt(3))
    assert np.array_equal(normals[4], [0, 0, 1])  # lonely vertex


@pytest.mark.parametrize(
    ('camera', 'name', 'message'),
    [
        (PerspectiveCamera(np.array([[0, 9.0, 5], [9, 0, 5], [0, 0, 1]]), 9, 9), 'a.glb', 'roll'),
        (PerspectiveCamera(np.array([[-9.0, 0, 5], [0, 9, 5], [0, 0, 1]]), 9, 9), 'a.glb', 'mirr'),
        (None, 'a.gltf', r'must end with \.glb'),
    ],
)
def test_mistakes_are_named(camera, name, message, frame, tmp_path):
    with pytest.raises(ExportError, match=message):
        write_glb(tmp_path / name, frame_meshes(frame), camera)
    assert not list(tmp_path.iterdir())

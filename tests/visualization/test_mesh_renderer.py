# SPDX-License-Identifier: Apache-2.0
"""Checks of the scene, the choice of the renderer, and agreement of the two renderers."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastmetro_mm.errors import RendererUnavailableError
from fastmetro_mm.geometry.camera import OrthographicCamera, PerspectiveCamera
from fastmetro_mm.visualization import pyrender_renderer, renderer_factory
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.renderer_factory import build_renderer
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer


@pytest.fixture(scope='module')
def pyrender():
    """The pyrender renderer, or a skip with the reason why it cannot draw here."""
    try:
        return build_renderer('pyrender')
    except RendererUnavailableError as error:
        pytest.skip(f'no OpenGL: {error}')


def rolled_camera():
    """Camera that is rolled by 35 degrees, mirrored, and off centre."""
    cos, sin = np.cos(0.61), np.sin(0.61)
    matrix = np.eye(3)
    matrix[:2, :2] = 300 * np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1, 1])
    matrix[:2, 2] = [150, 130]
    return PerspectiveCamera(matrix, 320, 241)


CAMERAS = {
    'perspective': (PerspectiveCamera.from_focal_length(300.0, (320, 240)), [0, 0, 4.0]),
    'unequal focal lengths': (
        PerspectiveCamera(np.array([[300, 0, 160], [0, 220, 120], [0, 0, 1]]), 320, 240),
        [0, 0, 4.0],
    ),
    'rolled and mirrored': (rolled_camera(), [0, 0, 4.0]),
    'orthographic': (
        OrthographicCamera(np.array([[70.0, 10, 150], [-10, 70, 110]]), 321, 240),
        [0, 0, 0.0],
    ),
    'inside the mesh': (PerspectiveCamera.from_focal_length(100.0, (320, 240)), [0, 0, 0.3]),
}


@pytest.mark.parametrize('name', CAMERAS)
def test_both_renderers_draw_the_same_scene(pyrender, sphere, name):
    camera, translation = CAMERAS[name]
    vertices, faces = sphere
    bumpy = vertices * (1 + 0.15 * np.sin(6 * vertices[:, :1]) * np.cos(5 * vertices[:, 1:2]))
    meshes = [
        RenderMesh(bumpy + translation, faces),
        RenderMesh(0.6 * bumpy + translation + np.array([0.7, 0.2, -0.3]), faces, (0.9, 0.5, 0.4)),
    ]
    background = np.full((camera.height, camera.width, 3), 70, np.uint8)
    ours = SoftwareRenderer().render(meshes, camera, background)
    theirs = pyrender.render(meshes, camera, background)
    for number in (0, 1):
        mine, other = ours.index == number, theirs.index == number
        assert (mine & other).sum() / (mine | other).sum() >= 0.99
    both = (ours.index == theirs.index) & (ours.index >= 0)
    difference = np.abs(ours.depth - theirs.depth)[both]
    assert np.median(difference) < 0.006  # half a pixel on a slope
    assert np.quantile(difference, 0.95) < 0.05
    assert np.abs(ours.image[both].astype(int) - theirs.image[both]).mean() < 2
    assert (theirs.depth[theirs.index < 0] == 0).all()


def test_pyrender_keeps_the_background_and_serves_several_sizes(pyrender, sphere):
    vertices, faces = sphere
    background = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    small = PerspectiveCamera.from_focal_length(50.0, (90, 60))
    large = PerspectiveCamera.from_focal_length(50.0, (200, 100))
    assert np.array_equal(pyrender.render([], small, background).image, background)
    mesh = RenderMesh(vertices + np.array([0, 0, 8]), faces)
    assert pyrender.render([mesh], large).image.shape == (100, 200, 3)
    result = build_renderer('pyrender').render([mesh], small, background)
    assert np.array_equal(result.image[0], background[0])
    assert result.index[30, 45] == 0 and result.index[0, 0] == -1


def test_pyrender_draws_from_any_thread(pyrender, sphere):
    camera = PerspectiveCamera.from_focal_length(60.0, (64, 48))
    mesh = RenderMesh(sphere[0] + [0, 0, 3], sphere[1])
    expected = pyrender.render([mesh], camera).image
    assert (expected != 255).any()

    def draw(_):
        return build_renderer('pyrender').render([mesh], camera).image

    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(image, expected) for image in pool.map(draw, range(12)))


def test_triton_can_be_imported_after_opengl_was_used(pyrender, repo_dir):
    """Each brings an LLVM; without care the process crashes."""
    pytest.importorskip('triton')
    code = (
        'import numpy as np\n'
        'from fastmetro_mm.geometry.camera import PerspectiveCamera\n'
        'from fastmetro_mm.visualization.render_types import RenderMesh\n'
        'from fastmetro_mm.visualization.renderer_factory import build_renderer\n'
        'mesh = RenderMesh(np.array([[-1, -1, 3], [1, -1, 3], [0, 1, 3.0]]), [[0, 1, 2]])\n'
        'camera = PerspectiveCamera.from_focal_length(60, (64, 48))\n'
        "build_renderer('pyrender').render([mesh], camera)\n"
        'import triton._C.libtriton\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=repo_dir, check=False)
    assert done.returncode == 0


def test_auto_falls_back_to_software_and_says_why_once(monkeypatch):
    messages = []
    monkeypatch.setattr(renderer_factory, 'print_log', lambda text, **_: messages.append(text))
    monkeypatch.delenv('PYOPENGL_PLATFORM', raising=False)
    monkeypatch.setattr(pyrender_renderer, 'probe_platform', lambda platform: 'no such library')
    monkeypatch.setattr(renderer_factory, 'may_have_gpu', lambda: True)
    renderer_factory._choose_backend.cache_clear()
    try:
        assert build_renderer('auto').name == 'software'
        assert build_renderer('auto').name == 'software'
    finally:
        renderer_factory._choose_backend.cache_clear()
    assert len(messages) == 1
    assert 'egl: no such library; osmesa: no such library' in messages[0]
    assert 'apt-get install libegl1' in messages[0] and '\n' not in messages[0]


def test_auto_leaves_opengl_alone_where_there_is_no_gpu(monkeypatch):
    monkeypatch.delenv('PYOPENGL_PLATFORM', raising=False)
    monkeypatch.setattr(pyrender_renderer, 'probe_platform', lambda platform: pytest.fail('asked'))
    monkeypatch.setattr(renderer_factory, 'may_have_gpu', lambda: False)
    renderer_factory._choose_backend.cache_clear()
    try:
        assert build_renderer('auto').name == 'software'
    finally:
        renderer_factory._choose_backend.cache_clear()


def test_a_gpu_is_known_by_its_device_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'linux')
    (tmp_path / 'dri').mkdir()
    (tmp_path / 'nvidia-uvm').touch()
    assert not renderer_factory.may_have_gpu(tmp_path)
    (tmp_path / 'dri' / 'renderD128').touch()
    assert renderer_factory.may_have_gpu(tmp_path)
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert renderer_factory.may_have_gpu(tmp_path / 'nothing')


def test_asking_for_pyrender_without_opengl_is_one_clear_error(monkeypatch):
    monkeypatch.delenv('PYOPENGL_PLATFORM', raising=False)
    monkeypatch.setattr(pyrender_renderer, 'probe_platform', lambda platform: 'driver missing')
    with pytest.raises(RendererUnavailableError, match='use the software renderer'):
        build_renderer('pyrender')


def test_without_pyrender_no_platform_is_tried(monkeypatch):
    """As after a plain `pip install`: the fix is an extra, not a system library."""
    monkeypatch.setattr(pyrender_renderer, 'probe_platform', lambda platform: pytest.fail('asked'))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(RendererUnavailableError, match=r"pip install 'fastmetro_mm\[render\]'"):
        pyrender_renderer.choose_platform()


def test_platform_set_by_the_user_is_kept(monkeypatch):
    monkeypatch.setenv('PYOPENGL_PLATFORM', 'osmesa')
    monkeypatch.setattr(pyrender_renderer, 'probe_platform', lambda platform: pytest.fail('asked'))
    assert pyrender_renderer.choose_platform() == 'osmesa'
    assert os.environ['PYOPENGL_PLATFORM'] == 'osmesa'


def test_probe_reports_a_platform_that_does_not_exist():
    reason = pyrender_renderer.probe_platform('no_such_platform')
    assert reason and '\n' not in reason


def test_importing_the_drawing_modules_needs_no_opengl():
    code = (
        'import sys; import fastmetro_mm.visualization.mesh_visualizer, '
        'fastmetro_mm.visualization.pyrender_renderer; '
        'bad = [m for m in ("OpenGL", "pyrender", "smplx") if m in sys.modules]; '
        'import os; assert not bad, bad; assert "PYOPENGL_PLATFORM" not in os.environ'
    )
    environment = {key: os.environ[key] for key in os.environ if key != 'PYOPENGL_PLATFORM'}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_unknown_backend_is_named():
    with pytest.raises(ValueError, match="got 'opendr'"):
        build_renderer('opendr')


def test_bad_meshes_are_named(sphere):
    vertices, faces = sphere
    broken = vertices.copy()
    broken[5, 1] = np.nan
    with pytest.raises(ValueError, match=r'1 of 768 vertices are not finite \(first: vertex 5'):
        RenderMesh(broken, faces)
    with pytest.raises(ValueError, match='the mesh has 100 vertices'):
        RenderMesh(vertices[:100], faces)
    with pytest.raises(ValueError, match='color'):
        RenderMesh(vertices, faces, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r'faces must be \(F, 3\)'):
        RenderMesh(vertices, faces.ravel())


def test_background_of_another_size_is_refused(camera):
    with pytest.raises(ValueError, match=r'\(120, 160, 3\)'):
        build_renderer('software').render([], camera, np.zeros((160, 120, 3), np.uint8))

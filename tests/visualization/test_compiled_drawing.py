# SPDX-License-Identifier: Apache-2.0
"""The loops that numba compiles draw what NumPy draws; when they are used, and when they cannot be.

The loops also run as plain Python here, so that they are tested where numba is not installed.
"""

import importlib
import logging
import sys
import threading
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from fastmetro_mm.errors import ConfigError, MissingPackageError, RendererUnavailableError
from fastmetro_mm.geometry.camera import OrthographicCamera, PerspectiveCamera
from fastmetro_mm.visualization import drawing_choice, numpy_drawing
from fastmetro_mm.visualization.render_types import Lighting, RenderMesh
from fastmetro_mm.visualization.renderer_factory import build_renderer
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

SIZE = (72, 54)
CAMERAS = {
    'perspective': PerspectiveCamera.from_focal_length(67.0, SIZE),
    'orthographic': OrthographicCamera(np.array([[15.0, 2, 36], [-2, 15, 27]]), *SIZE),
}


@pytest.fixture(scope='module')
def loops():
    """The compiled loops, not compiled."""
    stub = MagicMock()
    stub.njit = lambda **options: lambda function: function
    name = 'fastmetro_mm.visualization.compiled'
    parts = [name, *(f'{name}.{part}' for part in ('light', 'triangles', 'drawing'))]
    before = {part: sys.modules.pop(part, None) for part in ('numba', *parts)}
    sys.modules['numba'] = stub
    try:
        return importlib.import_module(parts[-1]).draw
    finally:
        for part, module in before.items():
            sys.modules.pop(part, None)
            if module is not None:
                sys.modules[part] = module


@pytest.fixture
def state(monkeypatch):
    """A process that has not drawn yet, with what ``auto`` stands for left to it."""
    fresh = drawing_choice._MachineCode()
    monkeypatch.setattr(drawing_choice, '_STATE', fresh)
    monkeypatch.delenv('FASTMETRO_DRAWING', raising=False)
    return fresh


def scenes(sphere):
    vertices, faces = sphere
    rng = np.random.default_rng(0)
    bumpy = vertices * (1 + 0.15 * np.sin(7 * vertices[:, [1]] + 5 * vertices[:, [0]]))
    colors = rng.uniform(0.2, 1, vertices.shape)
    holed = np.delete(faces, np.arange(200, 420), axis=0)
    closed = RenderMesh(bumpy + np.array([0.3, 0, 4]), faces, colors)
    opened = RenderMesh(bumpy + np.array([-0.5, 0.2, 3.6]), holed, colors)

    def ball(size, *place):
        return [RenderMesh(size * vertices + np.array(place), faces)]

    return {
        'closed': [closed],
        'open': [opened],
        'both': [closed, opened],
        'through the camera': ball(1, 0.2, 0, 0.7),
        'behind': ball(1, 0, 0, -5),
        'beside': ball(1, 40, 0, 4),
        'half outside': [RenderMesh(bumpy + np.array([2.2, -1.4, 4]), holed, colors)],
        'tiny': ball(0.1, 0.4, 0.3, 4),
        'smaller than a pixel': ball(0.02, 0.41, 0.3, 4),
        'flat triangles': ball(np.array([1, 1, 0]), 0, 0, 4),
        'nothing': [],
    }


NAMES = list(scenes((np.zeros((500, 3)), np.zeros((500, 3), int))))


@pytest.mark.parametrize('kind', CAMERAS)
@pytest.mark.parametrize('name', NAMES)
def test_loops_draw_what_numpy_draws(loops, sphere, monkeypatch, name, kind):
    meshes, background = (
        scenes(sphere)[name],
        np.random.default_rng(1).integers(0, 255, (54, 72, 3)),
    )
    background = background.astype(np.uint8)
    for factor in (1, 2, 3) if name == 'both' else (2,):
        assert_same_pixels(loops, monkeypatch, meshes, CAMERAS[kind], background, factor)


def assert_same_pixels(draw, monkeypatch, meshes, camera, background, factor=2, lighting=None):
    """Draw with NumPy and with another function; most scenes must show something."""
    expected = SoftwareRenderer(factor, lighting, 'numpy').render(meshes, camera, background)
    monkeypatch.setattr(drawing_choice._STATE, 'draw', draw)
    result = SoftwareRenderer(factor, lighting, 'compiled').render(meshes, camera, background)
    assert np.array_equal(result.index, expected.index)
    assert np.allclose(result.depth, expected.depth, atol=1e-6)
    off = np.abs(result.image.astype(int) - expected.image).max(-1)
    changed = (expected.image != background).any(-1).sum()
    assert (off > 1).sum() <= 0.001 * changed
    return changed


def test_scenes_show_what_they_should(loops, sphere, monkeypatch):
    background = np.zeros((54, 72, 3), np.uint8)
    camera = CAMERAS['perspective']
    changed = {
        name: assert_same_pixels(loops, monkeypatch, meshes, camera, background)
        for name, meshes in scenes(sphere).items()
    }
    assert {name for name, count in changed.items() if not count} == {'behind', 'beside', 'nothing'}
    assert changed['both'] > changed['closed'] > 800 and changed['smaller than a pixel'] <= 4


@pytest.mark.parametrize(
    'lighting', [Lighting(ambient=1, lights=(), specular=0), Lighting(shininess=3.5)]
)
def test_light_is_the_same(loops, sphere, monkeypatch, lighting):
    background = np.zeros((54, 72, 3), np.uint8)
    meshes = scenes(sphere)['both']
    camera = CAMERAS['perspective']
    assert assert_same_pixels(loops, monkeypatch, meshes, camera, background, 2, lighting)


def test_machine_code_draws_people(monkeypatch, tmp_path):
    pytest.importorskip('numba')
    from fastmetro_mm.body.build import build_body_model

    model = build_body_model('open_body')
    vertices = model(torch.zeros(1, 72), torch.zeros(1, 10)).vertices[0].numpy() * [1, -1, -1]
    monkeypatch.setenv('FASTMETRO_CACHE', str(tmp_path))
    camera = PerspectiveCamera.from_focal_length(500, (200, 300))
    meshes = [
        RenderMesh(vertices + np.array(place), model.faces.numpy(), (0.9, 0.7, 0.5))
        for place in ((0, 0.3, 4), (0.4, 0.3, 5))
    ]
    background = np.full((300, 200, 3), 90, np.uint8)
    draw = drawing_choice._MachineCode().load()
    assert assert_same_pixels(draw, monkeypatch, meshes, camera, background) > 4000
    assert list(drawing_choice.machine_code_folder().glob('*/*.nbi'))


def used(loops='auto'):
    """What draws next."""
    with drawing_choice.timed_drawing(loops) as draw:
        return draw


def machine_code():
    """Stands for the compiled loops."""


def test_machine_code_is_loaded_when_it_pays(state, monkeypatch, tmp_path):
    monkeypatch.setenv('FASTMETRO_CACHE', str(tmp_path))
    monkeypatch.setattr(drawing_choice, '_load', lambda: machine_code)
    assert used() is numpy_drawing.draw
    state.spent = drawing_choice.LOADING  # enough to load, not to compile
    assert used() is numpy_drawing.draw
    state.spent = drawing_choice.COMPILING
    assert used() is machine_code and used('numpy') is numpy_drawing.draw


def test_machine_code_that_was_kept_is_loaded_earlier(state, monkeypatch, tmp_path):
    monkeypatch.setenv('FASTMETRO_CACHE', str(tmp_path))
    monkeypatch.setattr(drawing_choice, '_load', lambda: machine_code)
    kept = drawing_choice.machine_code_folder() / 'compiled_0' / 'drawing.draw_scene.nbi'
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert used() is numpy_drawing.draw
    state.spent = drawing_choice.LOADING
    assert used() is machine_code


def test_drawing_counts(state, sphere):
    SoftwareRenderer().render(scenes(sphere)['closed'], CAMERAS['perspective'])
    assert 0 < state.spent < drawing_choice.LOADING


def test_the_variable_decides_what_auto_is(state, monkeypatch):
    monkeypatch.setattr(drawing_choice, '_load', lambda: machine_code)
    monkeypatch.setenv('FASTMETRO_DRAWING', 'compiled')
    assert used() is machine_code
    monkeypatch.setenv('FASTMETRO_DRAWING', 'numpy')
    assert used() is numpy_drawing.draw
    monkeypatch.setenv('FASTMETRO_DRAWING', 'crayon')
    with pytest.raises(ConfigError, match=r'\$FASTMETRO_DRAWING is .crayon.: .*numpy, compiled'):
        used()
    with pytest.raises(ConfigError, match=r'\$FASTMETRO_DRAWING'):  # before anything is drawn
        build_renderer('software')
    monkeypatch.delenv('FASTMETRO_DRAWING')
    with pytest.raises(ConfigError, match='crayon'):
        SoftwareRenderer(loops='crayon')


def test_without_numba_numpy_draws_and_says_nothing(state, monkeypatch, caplog):
    monkeypatch.setattr(drawing_choice.importlib.util, 'find_spec', lambda name: None)
    state.spent = drawing_choice.COMPILING
    with caplog.at_level(logging.WARNING):
        assert used() is numpy_drawing.draw and used() is numpy_drawing.draw
    assert not caplog.records
    with pytest.raises(MissingPackageError, match=r"pip install 'fastmetro_mm\[draw\]'"):
        used('compiled')


def test_a_broken_compiler_is_told_once(state, monkeypatch):
    said = []
    monkeypatch.setattr(drawing_choice, 'print_log', lambda line, **_: said.append(line))

    def broken():
        raise AttributeError('no LLVM\nhere')

    monkeypatch.setattr(drawing_choice, '_load', broken)
    state.spent = drawing_choice.COMPILING
    assert used() is numpy_drawing.draw and used() is numpy_drawing.draw
    assert len(said) == 1 and 'AttributeError: no LLVM here); NumPy draws on' in said[0]
    with pytest.raises(RendererUnavailableError, match='no LLVM'):
        used('compiled')


def test_others_draw_while_one_thread_loads(state, monkeypatch):
    loading, go_on, drawn = threading.Event(), threading.Event(), []

    def slow():
        loading.set()
        assert go_on.wait(10)
        return machine_code

    monkeypatch.setattr(drawing_choice, '_load', slow)
    state.spent = drawing_choice.COMPILING
    thread = threading.Thread(target=lambda: drawn.append(used()))
    thread.start()
    assert loading.wait(10) and used() is numpy_drawing.draw
    go_on.set()
    thread.join()
    assert drawn == [machine_code] and used() is machine_code


@pytest.mark.parametrize('writable', [True, False])
def test_a_cache_that_cannot_be_written_is_left_alone(state, monkeypatch, tmp_path, writable):
    compiled, config = MagicMock(), MagicMock(CACHE_DIR='of another program')
    seen = []
    compiled.draw_scene.enable_caching.side_effect = lambda: seen.append(config.CACHE_DIR)
    monkeypatch.setattr(drawing_choice.importlib.util, 'find_spec', lambda name: name)
    monkeypatch.setitem(sys.modules, 'numba', MagicMock(config=config))
    package = 'fastmetro_mm.visualization.compiled'
    monkeypatch.setitem(sys.modules, package, MagicMock(drawing=compiled))
    folder = tmp_path / 'cache'
    if not writable:
        folder.touch()  # a file stands where the folder should be
    monkeypatch.setenv('FASTMETRO_CACHE', str(folder))
    assert used('compiled') is compiled.draw
    assert seen == ([str(drawing_choice.machine_code_folder())] if writable else [])
    assert config.CACHE_DIR == 'of another program'
    compiled.draw_scene.compile.assert_called_once_with(compiled.SIGNATURE)

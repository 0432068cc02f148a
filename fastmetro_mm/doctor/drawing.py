# SPDX-License-Identifier: Apache-2.0
"""Checks which renderer really draws, in a process of its own: a broken driver may crash."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys

from fastmetro_mm.doctor.finding import Finding
from fastmetro_mm.visualization.drawing_choice import VARIABLE, machine_code_folder

GL_FIX = 'apt-get install -y libegl1 libgl1 libegl-mesa0 libgles2 && pip install pyrender==0.1.45'
SECONDS = 90

# A red triangle over the middle of an image: the middle pixel must turn red, the corner stay.
_DRAW = """
import sys
import numpy as np
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.renderer_factory import build_renderer
renderer = build_renderer(sys.argv[1])
camera = PerspectiveCamera(np.array([[64., 0, 32], [0, 64, 32], [0, 0, 1]]), 64, 64)
corners = np.array([[-1., -0.6, 3], [1, -0.6, 3], [0, 1, 3]])
faces = np.array([[0, 1, 2], [0, 2, 1]])
background = np.zeros((64, 64, 3), np.uint8)
result = renderer.render([RenderMesh(corners, faces, (1., 0., 0.))], camera, background)
middle = result.image[32, 32].astype(int)
assert middle[0] > 60 and middle[0] > 2 * middle[1], f'the image is wrong: {middle}'
assert result.image[0, 0].max() == 0, 'the background is not kept'
assert abs(result.depth[32, 32] - 3) < 0.01, f'the depth is wrong: {result.depth[32, 32]}'
print(getattr(renderer, 'platform', renderer.name))
"""


def try_renderer(backend: str, loops: str = 'auto') -> tuple[bool, str]:
    """Draw a triangle with a renderer and look at the image.

    Args:
        backend: ``pyrender`` or ``software``.
        loops: What runs the loops of the software renderer, see ``drawing_choice``.

    Returns:
        Whether it drew, and the platform it drew with or the reason why not, in one line.
    """
    try:
        # the last word makes the package leave out what drawing does not need (its __init__.py)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _DRAW, backend, 'fastmetro_mm.doctor'],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, VARIABLE: loops},
        )
    except subprocess.TimeoutExpired:
        return False, f'no image within {SECONDS} s'
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1][:300] if lines else f'ended with {done.returncode}'


def check_drawing() -> list[Finding]:
    """Both renderers, and the machine code of the second, which is made here if it was not yet."""
    works, detail = try_renderer('pyrender')
    if works:
        opengl = Finding('drawing (OpenGL)', 'ok', f'pyrender draws through {detail}')
    else:
        opengl = Finding(
            'drawing (OpenGL)', 'note', f'{detail}; the slower software renderer is used', GL_FIX
        )
    works, detail = try_renderer('software')
    if works:
        software = Finding('drawing (software)', 'ok', 'draws')
    else:
        software = Finding('drawing (software)', 'problem', detail, 'install fastmetro_mm again')
    return [opengl, software, _check_machine_code()]


def _check_machine_code() -> Finding:
    name, fix = 'drawing (compiled)', "pip install 'numba>=0.61'"
    if importlib.util.find_spec('numba') is None:
        return Finding(name, 'note', 'numba is not installed: NumPy draws, half as fast', fix)
    works, detail = try_renderer('software', 'compiled')
    if not works:
        return Finding(name, 'note', f'{detail}; NumPy draws, half as fast', fix)
    folder = machine_code_folder()
    kept = f'kept in {folder}' if any(folder.glob('*/*.nbi')) else f'not kept: no file in {folder}'
    return Finding(name, 'ok', f'numba {importlib.metadata.version("numba")}, {kept}')

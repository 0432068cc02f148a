# SPDX-License-Identifier: Apache-2.0
"""Draws meshes with pyrender, that is with OpenGL, without a screen.

Nothing of OpenGL is imported before the first renderer is built. Where the user has not set
``PYOPENGL_PLATFORM``, EGL and then OSMesa are tried, each in a process of its own: PyOpenGL cannot
change its platform once loaded, and a broken driver may end the process that tries it.
"""

import contextlib
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numpy as np

from fastmetro_mm.errors import RendererUnavailableError
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.render_types import (
    NEAR,
    Camera,
    Lighting,
    RenderMesh,
    RenderResult,
    prepare_background,
)
from fastmetro_mm.visualization.shading import shade_meshes
from fastmetro_mm.visualization.triangle_soup import TriangleSoup

PLATFORMS = ('egl', 'osmesa')
PROBE_SECONDS = 60
FIX = (
    'install an OpenGL library that draws without a screen '
    '(Debian/Ubuntu: apt-get install libegl1 libgl1 libegl-mesa0) or use the software renderer'
)
_PROBE = """
import numpy
if not hasattr(numpy, 'infty'):
    numpy.infty = numpy.inf
import pyrender
scene = pyrender.Scene()
scene.add(pyrender.Mesh([pyrender.Primitive([[-9, -9, -1], [9, -9, -1], [0, 9, -1]])]))
scene.add(pyrender.OrthographicCamera(1, 1))
depth = pyrender.OffscreenRenderer(8, 8).render(scene, pyrender.RenderFlags.DEPTH_ONLY)
assert (depth > 0).all(), 'a triangle over the whole image was not drawn'
"""


class PyrenderRenderer:
    """Draws meshes with OpenGL; light and colours are those of the software renderer.

    Args:
        lighting: Lights, in camera axes.

    Raises:
        RendererUnavailableError: If pyrender is not installed or no OpenGL platform draws.
    """

    name = 'pyrender'

    def __init__(self, lighting: Lighting | None = None) -> None:
        self.lighting = lighting or Lighting()
        self.platform = choose_platform()
        self._pyrender = _import_pyrender()
        try:
            self._offscreen = _in_gl_thread(_shared_offscreen, os.getpid())
        except Exception as error:  # each GL binding raises its own kinds
            raise RendererUnavailableError(
                f'OpenGL through {self.platform} does not start ({_one_line(error)}); {FIX}'
            ) from error

    def render(
        self, meshes: Sequence[RenderMesh], camera: Camera, background: np.ndarray | None = None
    ) -> RenderResult:
        """See :class:`Renderer`. A pixel belongs to a mesh if its centre does."""
        image = prepare_background(background, camera)
        perspective = isinstance(camera, PerspectiveCamera)
        soup = shade_meshes(meshes, self.lighting, perspective)
        if not len(soup.corners):
            empty = np.zeros(image.shape[:2], dtype=np.float32)
            return RenderResult(image, empty, np.full(empty.shape, -1, dtype=np.int32))

        place = _perspective_scene if perspective else _orthographic_scene
        placed: Any = camera  # of the kind that `place` is for
        positions, gl_camera, depth_of = place(self._pyrender, soup, placed)
        positions, colors = _face_viewer(positions, soup.colors, perspective)
        scene = self._pyrender.Scene(bg_color=np.zeros(4))
        scene.add(gl_camera)
        numbers = {}
        for number in np.unique(soup.mesh_index):
            mine = soup.mesh_index == number
            node = scene.add(self._mesh(positions[mine], colors[mine]))
            # Mesh number + 1 as a 24-bit colour; 0 is the background.
            numbers[node] = [(int(number) + 1) >> shift & 255 for shift in (16, 8, 0)]

        color, ids, depth = _in_gl_thread(self._draw, scene, camera, numbers)
        # Edges are averaged with a transparent black background, so colours are premultiplied.
        share = color[..., 3:] / 255.0
        image = np.round(image * (1 - share) + color[..., :3]).clip(0, 255).astype(np.uint8)
        index = (ids.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)) - 1
        depth = np.where(index >= 0, depth_of(depth), 0).astype(np.float32)
        return RenderResult(image, depth, index.astype(np.int32))

    def _draw(self, scene: Any, camera: Camera, numbers: dict) -> tuple:
        """Colours, mesh numbers as colours, and depth of a scene."""
        flags = self._pyrender.RenderFlags
        self._offscreen.viewport_width = camera.width
        self._offscreen.viewport_height = camera.height
        with _numpy_infty():
            color, _ = self._offscreen.render(scene, flags.FLAT | flags.RGBA)
            return color, *self._offscreen.render(scene, flags.SEG, numbers)

    def _mesh(self, positions: np.ndarray, colors: np.ndarray) -> Any:
        """Pyrender mesh of loose triangles that needs no light."""
        pyrender = self._pyrender
        primitive = pyrender.Primitive(
            positions=positions.reshape(-1, 3).astype(np.float32),
            color_0=colors.reshape(-1, 3).astype(np.float32),
            mode=pyrender.constants.GLTF.TRIANGLES,
            material=pyrender.MetallicRoughnessMaterial(
                baseColorFactor=(1.0, 1.0, 1.0, 1.0), doubleSided=True
            ),
        )
        return pyrender.Mesh([primitive])


def choose_platform() -> str:
    """OpenGL platform that draws here; sets ``PYOPENGL_PLATFORM`` unless the user has.

    Returns:
        ``egl``, ``osmesa`` or what the user has set.

    Raises:
        RendererUnavailableError: If none draws; the message holds each one's reason. Nothing is
            tried where pyrender is not installed.
    """
    if importlib.util.find_spec('pyrender') is None:
        raise RendererUnavailableError(
            "pyrender is not installed: pip install 'fastmetro_mm[render]', or use the software "
            'renderer'
        )
    if os.environ.get('PYOPENGL_PLATFORM'):
        return os.environ['PYOPENGL_PLATFORM']
    reasons = []
    for platform in PLATFORMS:
        reason = probe_platform(platform)
        if reason is None:
            os.environ['PYOPENGL_PLATFORM'] = platform
            return platform
        reasons.append(f'{platform}: {reason}')
    raise RendererUnavailableError(f'no OpenGL platform draws ({"; ".join(reasons)}); {FIX}')


@cache
def probe_platform(platform: str) -> str | None:
    """Draw one triangle through an OpenGL platform, in a process of its own.

    Args:
        platform: Value for ``PYOPENGL_PLATFORM``.

    Returns:
        None if it draws, otherwise the reason in one line.
    """
    try:
        done = subprocess.run(
            [sys.executable, '-c', _PROBE],
            env={**os.environ, 'PYOPENGL_PLATFORM': platform},
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f'no answer within {PROBE_SECONDS} s'
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip()[:200] if lines else f'ended with code {done.returncode}'


def _import_pyrender() -> Any:
    """The pyrender module."""
    _import_triton_first()
    try:
        with _numpy_infty():
            return importlib.import_module('pyrender')
    except Exception as error:  # PyOpenGL raises AttributeError, OSError, ... for missing libraries
        raise RendererUnavailableError(
            f'pyrender cannot be imported ({_one_line(error)}); {FIX}'
        ) from error


@cache
def _import_triton_first() -> None:
    """Load triton, which torch's CUDA builds import sooner or later, before any OpenGL.

    It and Mesa's software OpenGL each bring an LLVM; the process crashes if triton comes second.
    """
    if importlib.util.find_spec('triton') is not None:
        with contextlib.suppress(Exception):  # then torch cannot import it later either
            importlib.import_module('triton._C.libtriton')


@lru_cache(maxsize=1)
def _gl_thread(process: int) -> ThreadPoolExecutor:
    """The thread that makes all OpenGL calls of a process: contexts belong to their thread."""
    return ThreadPoolExecutor(1, thread_name_prefix='opengl')


def _in_gl_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function where OpenGL may be used; callers in several threads take turns."""
    return _gl_thread(os.getpid()).submit(function, *arguments).result()


@lru_cache(maxsize=1)
def _shared_offscreen(process: int) -> Any:
    """The one OpenGL context of a process; it serves all image sizes.

    Shared because deleting one EGL context in pyrender closes the display of all others.
    """
    # Mesa's driver and triton (torch.compile, torch.export) bring an LLVM each; loaded after the
    # driver, triton ends the process with a segmentation fault.
    with contextlib.suppress(ImportError):
        importlib.import_module('triton')
    return _import_pyrender().OffscreenRenderer(64, 64)


@contextlib.contextmanager
def _numpy_infty() -> Iterator[None]:
    """Give NumPy 2 the old name ``infty`` while pyrender 0.1.45 runs (pyrender issue 288)."""
    if hasattr(np, 'infty'):
        yield
        return
    np.__dict__['infty'] = np.inf
    try:
        yield
    finally:
        del np.__dict__['infty']


def _perspective_scene(pyrender: Any, soup: TriangleSoup, camera: PerspectiveCamera) -> tuple:
    """Positions in OpenGL axes, camera, and the map from read to real depth."""
    matrix = camera.intrinsics
    focal = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    positions = soup.corners * [1, -1, -1]
    # Roll, mirror and unequal focal lengths of K go to the points, OpenGL's camera has none.
    positions[..., :2] = soup.corners[..., :2] @ (matrix[:2, :2] / focal).T * [1, -1]
    depth = soup.corners[..., 2]
    gl_camera = pyrender.IntrinsicsCamera(
        focal,
        focal,
        matrix[0, 2],
        matrix[1, 2],
        # Close to the mesh on both sides, to use all 24 bits of the depth buffer.
        znear=max(0.99 * float(depth.min()), 0.99 * NEAR),
        zfar=1.01 * float(depth.max()),
    )
    return positions, gl_camera, lambda read: read


def _orthographic_scene(pyrender: Any, soup: TriangleSoup, camera: Camera) -> tuple:
    """Positions in OpenGL axes (pixels sideways, metres in depth), camera, and the depth map."""
    half = np.array([camera.width, camera.height]) / 2
    pixels = camera.project(soup.corners) - half
    depth = soup.corners[..., 2]
    nearest, extent = float(depth.min()), float(np.ptp(depth))
    positions = np.concatenate([pixels * [1, -1], -(depth - nearest + 1.0)[..., None]], axis=-1)
    near, far = 0.5, extent + 1.5
    gl_camera = pyrender.OrthographicCamera(xmag=half[0], ymag=half[1], znear=near, zfar=far)

    def real_depth(read: np.ndarray) -> np.ndarray:
        # pyrender undoes a perspective depth buffer even here; go back to the buffer's value.
        read = np.where(read > 0, read, 1).astype(np.float64)
        buffer = (far + near - 2 * near * far / read) / (far - near)
        return near + (buffer + 1) / 2 * (far - near) + nearest - 1.0

    return positions, gl_camera, real_depth


def _face_viewer(
    positions: np.ndarray, colors: np.ndarray, perspective: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Turn all triangles towards the viewer: pyrender's depth pass always drops back faces."""
    normals = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    away = (normals * positions[:, 0]).sum(1) > 0 if perspective else normals[:, 2] < 0
    order = np.where(away[:, None], [0, 2, 1], [0, 1, 2])[..., None]
    return np.take_along_axis(positions, order, 1), np.take_along_axis(colors, order, 1)


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f'{type(error).__name__}: {text[0]}' if text else type(error).__name__

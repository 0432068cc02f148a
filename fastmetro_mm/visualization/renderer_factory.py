# SPDX-License-Identifier: Apache-2.0
"""The choice of what draws meshes.

``build_renderer('auto')`` takes pyrender (OpenGL) where there is a GPU and it really draws, and the
software renderer everywhere else; both draw the same scene from the same meshes and camera. Without
a GPU OpenGL takes longer than the software renderer, and two seconds to start.
"""

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from fastmetro_mm.errors import ConfigError, RendererUnavailableError
from fastmetro_mm.visualization.pyrender_renderer import PyrenderRenderer
from fastmetro_mm.visualization.render_types import Renderer
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer


def build_renderer(backend: str = 'auto') -> Renderer:
    """Renderer by name; ``auto`` means pyrender if it can draw on a GPU here, else software.

    Whoever sets ``PYOPENGL_PLATFORM`` wants OpenGL: ``auto`` then tries it without a GPU too.

    The choice of ``auto`` is made once a process and logged with its reason.

    Args:
        backend: ``auto``, ``pyrender`` or ``software``.

    Returns:
        The renderer.

    Raises:
        RendererUnavailableError: If ``pyrender`` is asked for and cannot draw.
        ValueError: If the name is unknown.
    """
    if backend == 'software':
        return SoftwareRenderer()
    if backend == 'pyrender':
        return PyrenderRenderer()
    if backend == 'auto':
        return build_renderer(_choose_backend())
    raise ConfigError(f"renderer backend must be 'auto', 'pyrender' or 'software', got {backend!r}")


@lru_cache(maxsize=1)
def _choose_backend() -> str:
    """Name of the backend that ``auto`` stands for on this machine."""
    if not (os.environ.get('PYOPENGL_PLATFORM') or may_have_gpu()):
        print_log('Meshes are drawn by the software renderer: there is no GPU.', logger='current')
        return 'software'
    try:
        renderer: Any = build_renderer('pyrender')
    except RendererUnavailableError as error:
        print_log(f'Meshes are drawn by the software renderer: {error}', logger='current')
        return 'software'
    print_log(f'Meshes are drawn by pyrender ({renderer.platform}).', logger='current')
    return 'pyrender'


def may_have_gpu(devices: Path = Path('/dev')) -> bool:
    """Whether a GPU may draw here: not on a Linux machine without a device for it.

    Args:
        devices: Folder of the device files.

    Returns:
        True also where there is no telling (other systems).
    """
    patterns = ('dri/renderD*', 'nvidia[0-9]*', 'dxg')
    return sys.platform != 'linux' or any(any(devices.glob(name)) for name in patterns)

# SPDX-License-Identifier: Apache-2.0
"""The choice of what draws meshes.

``build_renderer('auto')`` takes pyrender (OpenGL) where it really draws and the software renderer
everywhere else; both draw the same scene from the same meshes and camera.
"""

from functools import lru_cache
from typing import Any

from mmengine.logging import print_log

from fastmetro_mm.errors import ConfigError, RendererUnavailableError
from fastmetro_mm.visualization.pyrender_renderer import PyrenderRenderer
from fastmetro_mm.visualization.render_types import Renderer
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer


def build_renderer(backend: str = 'auto') -> Renderer:
    """Renderer by name; ``auto`` means pyrender if it can draw here, else software.

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
    try:
        renderer: Any = build_renderer('pyrender')
    except RendererUnavailableError as error:
        print_log(f'Meshes are drawn by the software renderer: {error}', logger='current')
        return 'software'
    print_log(f'Meshes are drawn by pyrender ({renderer.platform}).', logger='current')
    return 'pyrender'

# SPDX-License-Identifier: Apache-2.0
"""Draws meshes where there is no OpenGL: a z-buffer, smooth shading, smooth edges."""

from collections.abc import Sequence

import numpy as np

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.drawing_choice import check_loops, timed_drawing
from fastmetro_mm.visualization.lit_scene import LitScene
from fastmetro_mm.visualization.render_types import (
    Camera,
    Lighting,
    RenderMesh,
    RenderResult,
    prepare_background,
)


class SoftwareRenderer:
    """Draws meshes on the processor: smooth shading, two-sided light, correct occlusion.

    Args:
        supersample: Samples per pixel along each axis; 2 gives smooth edges, 1 is faster.
        lighting: Lights, in camera axes.
        loops: What runs the inner loops, see ``drawing_choice``.
    """

    name = 'software'

    def __init__(
        self, supersample: int = 2, lighting: Lighting | None = None, loops: str = 'auto'
    ) -> None:
        if supersample < 1:
            raise ConfigError(f'supersample must be at least 1, got {supersample}')
        self.supersample = supersample
        self.lighting = lighting or Lighting()
        self.loops = check_loops(loops)

    def render(
        self, meshes: Sequence[RenderMesh], camera: Camera, background: np.ndarray | None = None
    ) -> RenderResult:
        """See :class:`Renderer`. Depth and mesh number are those at a pixel's centre."""
        image = prepare_background(background, camera)
        result = RenderResult(
            image,
            np.zeros(image.shape[:2], dtype=np.float32),
            np.full(image.shape[:2], -1, dtype=np.int32),
        )
        perspective = isinstance(camera, PerspectiveCamera)
        scene = LitScene(meshes, self.lighting, perspective)
        if not len(scene.faces):
            return result
        depth = scene.vertices[:, 2]
        # What decides must be linear on the image plane; depth in perspective is not.
        nearness = 1 / depth if perspective else -depth
        with timed_drawing(self.loops) as draw:
            draw(scene, camera.project(scene.vertices), nearness, self.supersample, result)
        return result

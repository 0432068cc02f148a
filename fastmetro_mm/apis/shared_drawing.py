# SPDX-License-Identifier: Apache-2.0
"""What result files show, drawn once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.frame_drawing import draw_panels, draw_views, join_panels


@dataclass
class Drawing:
    """How overlays and reports are drawn; what two kinds of files show is drawn once."""

    renderer: Any = None  # what draws
    views: Sequence[str] = ()  # views beside overlays of images: any of ``front side back top``
    projection: str = 'network'  # ``'network'`` or ``'scene'``, see ``frame_drawing.render_frame``
    smpl_panel: bool | None = None  # see ``frame_drawing.draw_frame``
    _frame: FrameResult | None = None
    _drawn: dict[str, Any] = field(default_factory=dict)

    def overlay(self, frame: FrameResult, with_views: bool = False) -> np.ndarray:
        """The overlay of a frame; where asked for, with the views beside it."""
        panels = self._once(
            frame,
            'panels',
            lambda: draw_panels(
                frame, self.renderer, projection=self.projection, smpl_panel=self.smpl_panel
            ),
        )
        return join_panels(panels, self.sides(frame) if with_views and self.views else None)

    def sides(self, frame: FrameResult) -> np.ndarray:
        """The people of a frame from the sides of ``views``."""
        return self._once(frame, 'sides', lambda: draw_views(frame, self.renderer, self.views))

    def _once(self, frame: FrameResult, name: str, draw: Callable[[], Any]) -> Any:
        if self._frame is not frame:
            self._frame, self._drawn = frame, {}
        if name not in self._drawn:
            self._drawn[name] = draw()
        return self._drawn[name]

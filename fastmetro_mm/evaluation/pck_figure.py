# SPDX-License-Identifier: Apache-2.0
"""Drawing of PCK curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastmetro_mm.evaluation.functional.curves import pck_curve
from fastmetro_mm.fileio import write_atomically


def draw_pck_curves(
    path: str | Path, distances: dict[str, np.ndarray], maximum: float = 0.05
) -> Path:
    """Draw one curve, the mean over keypoints, for each set of distances.

    Args:
        path: image file; its suffix chooses the format.
        distances: (B, K) metres by name.
        maximum: right end of the axis, metres.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, values in distances.items():
        thresholds, curves = pck_curve(values, maximum)
        axes.plot(thresholds * 1000.0, curves.mean(axis=0) * 100.0, label=name)
    axes.set(
        xlabel='threshold (mm)',
        ylabel='correct points (%)',
        xlim=(0, maximum * 1000.0),
        ylim=(0, 100),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return write_atomically(path, lambda name: figure.savefig(name, dpi=150))

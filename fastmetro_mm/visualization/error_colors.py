# SPDX-License-Identifier: Apache-2.0
"""Where a predicted mesh is wrong: distances to the true one, and colours for them."""

import cv2
import numpy as np

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.visualization.contact_sheet import INK, PAPER

LARGEST_MM = 100.0
"""Error that gets the last colour unless told otherwise, millimetres; larger ones get it too."""

COLOR_TABLE = np.array(
    [
        (0.93, 0.93, 0.87),
        (0.86, 0.78, 0.48),
        (0.84, 0.59, 0.19),
        (0.79, 0.38, 0.13),
        (0.68, 0.18, 0.17),
        (0.48, 0.11, 0.18),
    ]
)
"""Colours of 0, 20, 40, 60, 80 and 100 % of the largest error, RGB in 0..1; linear in between.

Their OKLab lightness falls in equal steps (0.94, 0.83, ... 0.39), so that equal differences of the
error look equally large, also in grey and to colour-blind readers. (6, 3)
"""


def vertex_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distance of each vertex from the true one.

    Args:
        predicted: Metres. (V, 3)
        true: Metres, same axes, centred alike. (V, 3)

    Returns:
        Metres. (V,)

    Raises:
        ValueError: If the meshes are not of the same shape.
    """
    predicted, true = (np.asarray(mesh, dtype=np.float64) for mesh in (predicted, true))
    if predicted.shape != true.shape or predicted.ndim != 2 or predicted.shape[1] != 3:
        raise ConfigError(
            f'predicted and true mesh must both be (V, 3), got {predicted.shape} and {true.shape}'
        )
    return np.linalg.norm(predicted - true, axis=1)


def error_colors(errors: np.ndarray, largest_mm: float = LARGEST_MM) -> np.ndarray:
    """Colours of :data:`COLOR_TABLE` for errors: pale where right, dark red where wrong.

    Args:
        errors: Metres, not negative. (V,)
        largest_mm: Error of the last colour, millimetres.

    Returns:
        RGB in 0..1. (V, 3)

    Raises:
        ValueError: If ``largest_mm`` is not positive.
    """
    if not largest_mm > 0:
        raise ConfigError(f'largest_mm must be positive, got {largest_mm}')
    place = np.asarray(errors, dtype=np.float64) * 1000 / largest_mm
    stops = np.linspace(0, 1, len(COLOR_TABLE))
    return np.column_stack([np.interp(place, stops, channel) for channel in COLOR_TABLE.T])


def error_legend(width: int, largest_mm: float = LARGEST_MM) -> np.ndarray:
    """Strip with the colours and what they mean; colours on meshes are these times the light.

    Args:
        width: Pixels.
        largest_mm: Error of the last colour, millimetres.

    Returns:
        RGB on white paper. (H, width, 3) uint8
    """
    scale = float(np.clip(width / 640, 0.35, 1.5))
    bar, text, margin = round(20 * scale), round(26 * scale), round(8 * scale)
    strip = np.full((bar + text + margin, width, 3), PAPER, dtype=np.uint8)
    place = (np.arange(width - 2 * margin) + 0.5) / (width - 2 * margin)
    colors = error_colors(place * largest_mm / 1000, largest_mm)
    strip[margin : margin + bar, margin : width - margin] = np.round(255 * colors)
    for share in (0, 0.5, 1):
        value = f'{share * largest_mm:g}'
        label = {0: '0 mm', 0.5: value, 1: f'>= {value}'}[share]
        size = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 1)[0][0]
        left = round(margin + share * (width - 2 * margin - size))
        cv2.putText(
            strip, label, (left, margin + bar + round(0.75 * text)), cv2.FONT_HERSHEY_SIMPLEX,
            0.6 * scale, INK, 1, cv2.LINE_AA,
        )  # fmt: skip
    return strip

# SPDX-License-Identifier: Apache-2.0
"""Which detector a user means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector import PersonDetector
from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.apis.detector_hands import FreeHandDetector

BoxFinder = Callable[[np.ndarray], Sequence[PersonBox]]


def is_free(detector: str | Path | BoxFinder | None, weights: str | Path | None) -> bool:
    """Whether the one inside the package is meant."""
    return detector == 'free' and weights is None


def free_detector(body: Any, device: str) -> BoxFinder:
    """The one inside the package, for hands or people as the network's body is."""
    return FreeHandDetector(device) if body.is_hand else FreeDetector(device)


def given_detector(
    detector: str | Path | BoxFinder | None, weights: str | Path | None, device: str
) -> BoxFinder | None:
    """Any other one.

    Args:
        detector: See :class:`~fastmetro_mm.apis.mesh_inferencer.MeshInferencer`.
        weights: Its checkpoint.
        device: Where it runs.

    Returns:
        The detector; None for the whole image.

    Raises:
        DetectorError: If it cannot be set up.
    """
    if detector is None or detector in ('whole', 'none'):
        return None
    if callable(detector):
        return detector
    return PersonDetector(weights, None if detector in ('free', 'rtmdet') else detector, device)

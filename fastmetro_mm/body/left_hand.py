# SPDX-License-Identifier: Apache-2.0
"""The sign error in the shape directions of the published left hand.

``MANO_LEFT.pkl`` was published with the x part of its shape directions
(``shapedirs[:, 0, :]``) copied from the right hand instead of mirrored
(https://github.com/vchoutas/smplx/issues/48). A left hand is a right hand mirrored in x, so the
two must differ in sign; in the published file they are equal. The fix is to negate them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastmetro_mm.body.model_checks import LEFT_FIXED_KEY
from fastmetro_mm.body.model_files import read_model_file


def left_hand_needs_fix(
    left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray] | None
) -> bool:
    """Whether the x shape directions of a left hand have the wrong sign.

    Args:
        left: Arrays of the left-hand file.
        right: Arrays of the right-hand file if it is at hand. Then the published test decides:
            the left x directions must be nearer to the negated right ones than to the right
            ones. Without it every file counts as the original release, which has the error,
            unless it carries the mark of a file that was fixed by this package.

    Returns:
        True if the directions must be negated.
    """
    if bool(np.any(left.get(LEFT_FIXED_KEY, False))):
        return False
    if right is None:
        return True
    left_x, right_x = left['shapedirs'][:, 0], right['shapedirs'][:, 0]
    return bool(np.abs(left_x - right_x).sum() < np.abs(left_x + right_x).sum())


def read_left_hand(path: str | Path, fix_left_shapedirs: bool = True) -> dict[str, np.ndarray]:
    """Read a left-hand model file and fix its shape directions where needed.

    A ``MANO_RIGHT`` file in the same folder is used for the test.

    Args:
        path: ``MANO_LEFT.pkl`` or ``.npz``.
        fix_left_shapedirs: False keeps the directions as published, to reproduce results that
            were computed with the error.

    Returns:
        Arrays as ``read_model_file`` gives them, with the mark of a fixed file when the
        directions are right.

    Raises:
        BodyDataError: See ``read_model_file``.
    """
    path = Path(path)
    left = read_model_file(path, 'mano')
    if not fix_left_shapedirs:
        return left
    beside = (path.with_name(f'MANO_RIGHT{ending}') for ending in ('.npz', '.pkl'))
    right_path = next((file for file in beside if file.is_file()), None)
    right = None if right_path is None else read_model_file(right_path, 'mano')
    if left_hand_needs_fix(left, right):
        left['shapedirs'] = left['shapedirs'] * np.array([-1.0, 1.0, 1.0])[None, :, None]
    left[LEFT_FIXED_KEY] = np.array(1)
    return left

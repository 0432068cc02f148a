# SPDX-License-Identifier: Apache-2.0
"""Build a posable body model by its config name."""

import functools
import os
from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.body.left_hand import read_left_hand
from fastmetro_mm.body.model_files import find_model_file, read_model_file
from fastmetro_mm.body.skinning import SkinnedBodyModel
from fastmetro_mm.body.smplx_backend import SmplxBodyModel
from fastmetro_mm.errors import ConfigError

BACKENDS = ('native', 'smplx')
_FAMILY = {'smpl': 'smpl', 'open_body': 'smpl', 'mano': 'mano', 'open_hand': 'mano'}


def load_model_arrays(
    name: str,
    body_data_root: str | os.PathLike | None = None,
    gender: str = 'neutral',
    side: str = 'right',
    fix_left_shapedirs: bool = True,
) -> dict[str, np.ndarray]:
    """Find and read the model file of a body.

    Args:
        name: ``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``.
        body_data_root: Folder with licensed files (``FASTMETRO_BODY_DATA`` wins over it).
        gender: ``'neutral'``, ``'male'`` or ``'female'``; the open body has one for all.
        side: ``'right'`` or ``'left'`` hand.
        fix_left_shapedirs: See ``left_hand.read_left_hand``.

    Returns:
        Arrays as ``read_model_file`` gives them; a fresh dict over cached arrays, do not write
        into the arrays.

    Raises:
        MissingBodyFileError: The file is missing; the message names it and its source.
        BodyDataError: The file is damaged or of another model.
        ValueError: Unknown name, gender or side.
    """
    path = find_model_file(name, body_data_root, gender, side)
    modified = path.stat().st_mtime_ns
    return dict(_read(path, modified, _FAMILY.get(name, name), side, fix_left_shapedirs))


@functools.lru_cache(maxsize=4)
def _read(
    path: Path, modified: int, family: str, side: str, fix_left_shapedirs: bool
) -> dict[str, np.ndarray]:
    # `modified` is part of the key so that a replaced file is read again.
    if family == 'mano' and side == 'left':
        return read_left_hand(path, fix_left_shapedirs)
    return read_model_file(path, family)


def build_body_model(
    name: str,
    body_data_root: str | os.PathLike | None = None,
    gender: str = 'neutral',
    backend: str = 'native',
    side: str = 'right',
    flat_hand_mean: bool = False,
    fix_left_shapedirs: bool = True,
    dtype: torch.dtype = torch.float32,
) -> SkinnedBodyModel | SmplxBodyModel:
    """Build a body model that turns pose and shape into vertices.

    Args:
        name: ``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``.
        body_data_root: Folder with licensed files (``FASTMETRO_BODY_DATA`` wins over it).
        gender: ``'neutral'``, ``'male'`` or ``'female'``.
        backend: ``'native'`` (this package) or ``'smplx'`` (the optional package, fed with the
            same arrays).
        side: ``'right'`` or ``'left'`` hand.
        flat_hand_mean: Whether axis-angle hand poses are absolute instead of relative to the
            mean pose.
        fix_left_shapedirs: Fix the known sign error of ``MANO_LEFT``.
        dtype: Precision.

    Returns:
        A module called as ``model(pose, betas, transl=None)``.

    Raises:
        ModuleNotFoundError: ``backend='smplx'`` without smplx.
        ValueError: Unknown backend, or see :func:`load_model_arrays`.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"unknown body-model backend '{backend}'; use {' or '.join(BACKENDS)}")
    arrays = load_model_arrays(name, body_data_root, gender, side, fix_left_shapedirs)
    if backend == 'native':
        return SkinnedBodyModel(arrays, flat_hand_mean=flat_hand_mean, dtype=dtype)
    return SmplxBodyModel(
        arrays, flat_hand_mean=flat_hand_mean, is_right_hand=side == 'right', dtype=dtype
    )

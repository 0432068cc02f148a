# SPDX-License-Identifier: Apache-2.0
"""Find and read SMPL, MANO and open-body model files into plain, checked arrays.

Pickles go through the allow-list reader of ``foreign_files``: no code of the file, no chumpy.
Both forms, ``.pkl`` and ``.npz``, end in the same arrays.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from fastmetro_mm.body.assets import BODY_KINDS
from fastmetro_mm.body.locations import ENVIRONMENT_VARIABLE, find_body_file, resolve_body_data_root
from fastmetro_mm.body.model_checks import (
    FAMILIES,
    KEYS,
    OPTIONAL_KEYS,
    check_model_arrays,
    check_shape,
    family_of,
)
from fastmetro_mm.errors import BodyDataError, ConfigError, MissingFileError
from fastmetro_mm.foreign_files.archives import NpzFile
from fastmetro_mm.foreign_files.damage import raise_as, reading
from fastmetro_mm.foreign_files.kinds import recognise, sentence
from fastmetro_mm.foreign_files.pickles import open_pickle

_SPARSE_PARTS = ('data', 'indices', 'indptr', 'shape')
_GENDER_LETTERS = {'neutral': 'neutral', 'male': 'm', 'female': 'f'}
_GENDER_NAMES = {'m': 'male', 'f': 'female', 'none': 'neutral'}


def model_file_names(name: str, gender: str = 'neutral', side: str = 'right') -> tuple[str, ...]:
    """Official file names of a model, preferred first (``.npz`` before the ``.pkl`` it mirrors).

    Args:
        name: ``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``.
        gender: ``'neutral'``, ``'male'`` or ``'female'`` (SMPL only).
        side: ``'right'`` or ``'left'`` (MANO only).

    Raises:
        ValueError: Unknown name, gender or side.
    """
    gender = _GENDER_NAMES.get(gender, gender)
    if gender not in _GENDER_LETTERS:
        raise ConfigError(f"unknown gender '{gender}'; use neutral, male or female")
    if side not in ('right', 'left'):
        raise ConfigError(f"unknown side '{side}'; use right or left")
    kind = BODY_KINDS.get(name)
    if kind is not None and kind.is_open:
        if kind.joint_set == 'hand21' and side == 'left':
            raise ConfigError('the open hand is a right hand; mirror the image for a left one')
        return (kind.model_file,)
    if name == 'mano':
        stems = (f'MANO_{side.upper()}',)
    elif name == 'smpl':
        letter = _GENDER_LETTERS[gender]
        stems = (
            f'SMPL_{gender.upper()}',
            f'basicModel_{letter}_lbs_10_207_0_v1.0.0',
            f'basicmodel_{letter}_lbs_10_207_0_v1.0.0',
            f'basicmodel_{letter}_lbs_10_207_0_v1.1.0',
            f'basicModel_{letter}_lbs_10_207_0_v1.1.0',
        )
    else:
        raise ConfigError(f"unknown body model '{name}'; use smpl, mano, open_body or open_hand")
    return tuple(f'{stem}.{ending}' for stem in stems for ending in ('npz', 'pkl'))


def find_model_file(
    name: str,
    body_data_root: str | os.PathLike | None = None,
    gender: str = 'neutral',
    side: str = 'right',
) -> Path:
    """Find a model file.

    Args:
        name: ``'smpl'``, ``'mano'``, ``'open_body'`` or ``'open_hand'``.
        body_data_root: Folder with the official files; see ``resolve_body_data_root``.
        gender: See :func:`model_file_names`.
        side: See :func:`model_file_names`.

    Returns:
        Path of the first file that exists, in the folder or its subfolders ``smpl``, ``mano``
        and ``models``.

    Raises:
        MissingBodyFileError: None is there; the message names the file, its source and place.
    """
    names = model_file_names(name, gender, side)
    if BODY_KINDS[name].is_open:
        return find_body_file(
            BODY_KINDS[name].folder,
            names,
            f"model file of '{name}'",
            'the package is incomplete, install fastmetro_mm again',
        )
    family = FAMILIES[name]
    site = 'https://smpl.is.tue.mpg.de' if name == 'smpl' else 'https://mano.is.tue.mpg.de'
    shown = f'{Path(names[0]).stem}.pkl'
    return find_body_file(
        resolve_body_data_root(body_data_root),
        names,
        f'licensed {family.title} model file',
        f'register at {site}, put {shown} there, or set {ENVIRONMENT_VARIABLE} to the folder '
        'that holds it, or run `fastmetro prepare --from CHECKOUT '
        f'--{name} FILE`',
    )


def read_model_file(path: str | os.PathLike, family: str | None = None) -> dict[str, np.ndarray]:
    """Read a SMPL- or MANO-layout model file.

    Args:
        path: ``.pkl`` (Python-2 pickle with or without chumpy) or ``.npz``.
        family: ``'smpl'`` or ``'mano'`` to insist on one; by default told from the vertices.

    Returns:
        Float64 arrays ``v_template (V, 3)``, ``shapedirs (V, 3, 10)`` (of 300 the first 10),
        ``posedirs (V, 3, P)``, ``J_regressor (J, V)``, ``weights (V, J)``; int64 arrays
        ``kintree_table (2, J)`` (root parent -1, parents as columns) and ``f (F, 3)``; for
        hands ``hands_mean (45,)`` and ``hands_components (45, 45)``, and ``fingertip_ids (5,)``
        where the file has them. Metres, y up.

    Raises:
        UnsafePickleError: The pickle asks for a foreign name; nothing was run.
    """
    path = Path(path)
    if not path.is_file():
        what = 'is a folder, give the model file in it' if path.is_dir() else 'no such model file'
        raise MissingFileError(f'{path}: {what}')
    with raise_as(BodyDataError):
        kind = recognise(path)
        if kind == 'npz' or (kind == 'zip' and path.suffix == '.npz'):
            raw = _read_npz(path)
        elif kind in ('pickle', 'text', 'unknown') and path.suffix != '.npz':
            raw = open_pickle(path)
        else:
            raise BodyDataError(
                f'{path}: expected a SMPL or MANO model (.pkl or .npz), but the '
                f'file {sentence(kind, path)}'
            )
        if not isinstance(raw, dict):
            raise BodyDataError(
                f'{path}: not a SMPL or MANO model file, the pickle holds no table of arrays'
            )
        return check_model_arrays(raw, str(path), family)


def _read_npz(path: Path) -> dict[str, Any]:
    file = NpzFile(path)
    if 'v_template' not in file:
        return {}
    # its length tells the model, and so the sizes of everything else before they are read
    family = family_of(file.header('v_template').shape[:1], str(path))
    raw: dict[str, Any] = {}
    for key in (*KEYS, *OPTIONAL_KEYS):
        if key in file:
            header = file.header(key)
            if header.size is not None:
                check_shape(key, header.shape, family, str(path))
            raw[key] = file.read(key)
    parts = [f'J_regressor_{part}' for part in _SPARSE_PARTS]
    if 'J_regressor' not in raw and all(part in file for part in parts):
        most = family.joints * family.vertices + 1
        for part in parts:
            shape = file.header(part).shape
            if len(shape) != 1 or shape[0] > most:
                raise BodyDataError(
                    f'{path}: {part} has shape {shape}, expected one row of at most {most}'
                )
        data, indices, indptr, shape = (file.read(part) for part in parts)
        with reading(f'{path}[J_regressor]'):
            raw['J_regressor'] = sparse.csc_matrix((data, indices, indptr), shape=tuple(shape))
            raw['J_regressor'].check_format(full_check=True)
    return raw

# SPDX-License-Identifier: Apache-2.0
"""Find and read SMPL, MANO and open-body model files into plain, checked arrays.

Pickles go through the allow-list reader of ``safe_pickle``: no code of the file, no chumpy.
Both forms, ``.pkl`` and ``.npz``, end in the same arrays.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from fastmetro_mm.body.locations import (
    ENVIRONMENT_VARIABLE,
    OPEN_BODY_FOLDER,
    find_body_file,
    resolve_body_data_root,
)
from fastmetro_mm.body.safe_pickle import (
    build_plain,
    load_allow_listed,
    load_object_member,
)
from fastmetro_mm.errors import BodyDataError, ConfigError, MissingFileError


@dataclass(frozen=True)
class ModelFamily:
    """Sizes every file of a model family must have."""

    title: str
    vertices: int
    joints: int
    pose_directions: int
    extra: tuple[str, ...] = ()


FAMILIES = {
    'smpl': ModelFamily('SMPL', 6890, 24, 207),
    'mano': ModelFamily('MANO', 778, 16, 135, ('hands_mean', 'hands_components')),
}
# Vertex counts of models people have beside SMPL and MANO, to say what a wrong file is.
OTHER_MODELS = {10475: 'SMPL-X', 5023: 'FLAME', 3889: 'SMAL'}
NUM_BETAS = 10
_KEYS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'kintree_table', 'f')
_OPTIONAL_KEYS = ('hands_mean', 'hands_components', 'fingertip_ids', 'left_shapedirs_fixed')
_SPARSE_PARTS = ('data', 'indices', 'indptr', 'shape')
# Left-hand files written by this package carry this key: their sign error is mended already.
LEFT_FIXED_KEY = 'left_shapedirs_fixed'

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
    if name == 'open_body':
        return ('OPEN_BODY.npz',)
    if name == 'open_hand':
        if side == 'left':
            raise ConfigError('the open hand is a right hand; mirror the image for a left one')
        return ('OPEN_HAND_RIGHT.npz',)
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
    if name.startswith('open_'):
        return find_body_file(OPEN_BODY_FOLDER, names, f"model file of '{name}'",
                              'the package is incomplete, install fastmetro_mm again')
    family = FAMILIES[name]
    site = 'https://smpl.is.tue.mpg.de' if name == 'smpl' else 'https://mano.is.tue.mpg.de'
    shown = f'{Path(names[0]).stem}.pkl'
    return find_body_file(
        resolve_body_data_root(body_data_root),
        names,
        f'licensed {family.title} model file',
        f'register at {site}, put {shown} there, or set {ENVIRONMENT_VARIABLE} to the folder '
        'that holds it, or run `python tools/prepare_body_data.py --from CHECKOUT '
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
        FileNotFoundError: No such file.
        UnsafePickleError: The pickle asks for a foreign name; nothing was run.
        BodyDataError: Damaged, truncated, another model, or wrong sizes.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such model file')
    raw = _read_npz(path) if _is_zip(path) else _read_pickle(path)
    return check_model_arrays(raw, str(path), family)


def check_model_arrays(
    raw: dict[str, Any], source: str, family: str | None = None
) -> dict[str, np.ndarray]:
    """Check the sizes of raw model arrays and bring them into one form.

    Args:
        raw: Arrays by key, as a model file holds them (sparse regressors allowed).
        source: File name for messages.
        family: ``'smpl'``, ``'mano'`` or ``None``.

    Returns:
        See :func:`read_model_file`.

    Raises:
        BodyDataError: A key is missing or has a wrong size.
    """
    missing = [key for key in _KEYS if key not in raw]
    if missing:
        raise BodyDataError(f'{source}: not a SMPL or MANO model file, it has no '
                            f'{", ".join(missing)}')
    vertices = len(np.atleast_1d(_numeric(raw['v_template'], 'v_template', source)))
    found = next((key for key, spec in FAMILIES.items() if spec.vertices == vertices), None)
    if found is None or (family is not None and found != family):
        wanted = ' or '.join(
            f'{spec.title} ({spec.vertices} vertices)'
            for key, spec in FAMILIES.items() if family in (None, key)
        )  # fmt: skip
        what = FAMILIES[found].title if found else OTHER_MODELS.get(vertices, 'an unknown model')
        raise BodyDataError(f'{source}: expected {wanted}, found {what} with {vertices} vertices')
    spec = FAMILIES[found]
    shapes = {
        'v_template': (spec.vertices, 3),
        'posedirs': (spec.vertices, 3, spec.pose_directions),
        'J_regressor': (spec.joints, spec.vertices),
        'weights': (spec.vertices, spec.joints),
        'kintree_table': (2, spec.joints),
        'hands_mean': (45,),
        'hands_components': (45, 45),
        'fingertip_ids': (5,),
    }
    arrays = {}
    for key in (*_KEYS, *_OPTIONAL_KEYS):
        if key not in raw or (key.startswith('hands_') and not spec.extra):
            if key in spec.extra:
                raise BodyDataError(f'{source}: a {spec.title} file must hold {key}')
            continue
        arrays[key] = _numeric(raw[key], key, source)
        if key in shapes and arrays[key].shape != shapes[key]:
            raise BodyDataError(f'{source}: {key} must have shape {shapes[key]}, found '
                                f'{arrays[key].shape}')
    shapedirs = arrays['shapedirs']
    if shapedirs.shape[:2] != (spec.vertices, 3) or shapedirs.ndim != 3 or (
        shapedirs.shape[2] < NUM_BETAS
    ):
        raise BodyDataError(f'{source}: shapedirs must have shape ({spec.vertices}, 3, '
                            f'{NUM_BETAS} or more), found {shapedirs.shape}')
    arrays['shapedirs'] = np.ascontiguousarray(shapedirs[:, :, :NUM_BETAS])
    faces = arrays['f']
    if faces.ndim != 2 or faces.shape[1] != 3 or not (0 <= faces.min() <= faces.max() < vertices):
        raise BodyDataError(f'{source}: f must hold triangles over {vertices} vertices')
    arrays['kintree_table'] = _tree(arrays['kintree_table'], source)
    return arrays


def _numeric(value: Any, key: str, source: str) -> np.ndarray:
    value = build_plain(value, f'{source}[{key}]')
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.item()
    array = value.toarray() if sparse.issparse(value) else np.asarray(value)
    if array.dtype.kind not in 'biuf':
        raise BodyDataError(f'{source}: {key} does not hold numbers')
    integers = key in ('f', 'kintree_table', 'fingertip_ids', LEFT_FIXED_KEY)
    if not integers and not np.isfinite(array).all():
        raise BodyDataError(f'{source}: {key} holds values that are not finite')
    return np.ascontiguousarray(array.astype(np.int64 if integers else np.float64))


def _tree(table: np.ndarray, source: str) -> np.ndarray:
    """Parents as columns with -1 for the root.

    The root's parent is 2**32 - 1 (uint32), 2**32 (through float32) or -1, depending on the
    history of the file.
    """
    column = {int(joint): i for i, joint in enumerate(table[1])}
    parents = np.full(table.shape[1], -1, np.int64)
    for i in range(1, table.shape[1]):
        parent = column.get(int(table[0, i]), i)
        if parent >= i:
            raise BodyDataError(f'{source}: kintree_table gives joint {i} the parent '
                                f'{int(table[0, i])}, which does not come before it')
        parents[i] = parent
    if int(table[0, 0]) in column:
        raise BodyDataError(f'{source}: kintree_table has no root in its first column')
    return np.stack([parents, np.arange(table.shape[1])])


def _is_zip(path: Path) -> bool:
    with path.open('rb') as stream:
        start = stream.read(4)
    return start == b'PK\x03\x04' or path.suffix == '.npz'


def _read_pickle(path: Path) -> dict[str, Any]:
    with path.open('rb') as stream:
        value = load_allow_listed(stream, str(path))
    if not isinstance(value, dict):
        raise BodyDataError(f'{path}: not a SMPL or MANO model file, the pickle holds no table '
                            'of arrays')
    return value


def _read_npz(path: Path) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            wanted = [key for key in (*_KEYS, *_OPTIONAL_KEYS) if f'{key}.npy' in names]
            wanted += [f'J_regressor_{part}' for part in _SPARSE_PARTS
                       if f'J_regressor_{part}.npy' in names]  # fmt: skip
            for key in wanted:
                raw[key] = load_object_member(archive.read(f'{key}.npy'), f'{path}[{key}]')
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise BodyDataError(f'{path}: damaged or truncated .npz file ({error})') from None
    parts = [raw.pop(f'J_regressor_{part}', None) for part in _SPARSE_PARTS]
    if 'J_regressor' not in raw and all(part is not None for part in parts):
        data, indices, indptr, shape = parts
        try:
            matrix = sparse.csc_matrix((data, indices, indptr), shape=tuple(shape))
            matrix.check_format(full_check=True)
        except (ValueError, TypeError, IndexError) as error:
            raise BodyDataError(f'{path}: J_regressor is damaged ({error})') from None
        raw['J_regressor'] = matrix
    return raw

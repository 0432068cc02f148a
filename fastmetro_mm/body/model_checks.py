# SPDX-License-Identifier: Apache-2.0
"""Check the arrays of a SMPL- or MANO-layout model and bring them into one form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from fastmetro_mm.errors import BodyDataError
from fastmetro_mm.foreign_files.pickles import build_plain


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
MOST_BETAS = 400
KEYS = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'kintree_table', 'f')
OPTIONAL_KEYS = ('hands_mean', 'hands_components', 'fingertip_ids', 'left_shapedirs_fixed')
# Left-hand files written by this package carry this key: their sign error is fixed already.
LEFT_FIXED_KEY = 'left_shapedirs_fixed'
_INTEGER_KEYS = ('f', 'kintree_table', 'fingertip_ids', LEFT_FIXED_KEY)
_EXTENT = (0.05, 10.0)  # metres that a body or hand measures along its longest axis, generously


def family_of(shape: tuple[int, ...], source: str, wanted: str | None = None) -> ModelFamily:
    """The family with so many vertices.

    Args:
        shape: Shape of ``v_template``, or its beginning.
        source: File name for messages.
        wanted: ``'smpl'`` or ``'mano'`` to insist on one.

    Raises:
        BodyDataError: There is none, or it is another one.
    """
    vertices = shape[0] if shape else 1
    found = next((key for key, spec in FAMILIES.items() if spec.vertices == vertices), None)
    if found is not None and wanted in (None, found):
        return FAMILIES[found]
    expected = ' or '.join(
        f'{spec.title} ({spec.vertices} vertices)'
        for key, spec in FAMILIES.items()
        if wanted in (None, key)
    )
    what = FAMILIES[found].title if found else OTHER_MODELS.get(vertices, 'an unknown model')
    raise BodyDataError(f'{source}: expected {expected}, found {what} with {vertices} vertices')


def check_shape(key: str, shape: tuple[int, ...], family: ModelFamily, source: str) -> None:
    """Compare the shape of an array with what the family needs, before it is read.

    Raises:
        BodyDataError: It differs.
    """
    vertices = family.vertices
    if key == 'shapedirs':
        good = (
            len(shape) == 3 and shape[:2] == (vertices, 3) and NUM_BETAS <= shape[2] <= MOST_BETAS
        )
        expected = f'({vertices}, 3, {NUM_BETAS} or more)'
    elif key == 'f':
        good = len(shape) == 2 and shape[1] == 3 and 1 <= shape[0] <= 4 * vertices
        expected = '(triangles, 3)'
    else:
        wanted = {
            'v_template': (vertices, 3),
            'posedirs': (vertices, 3, family.pose_directions),
            'J_regressor': (family.joints, vertices),
            'weights': (vertices, family.joints),
            'kintree_table': (2, family.joints),
            'hands_mean': (45,),
            'hands_components': (45, 45),
            'fingertip_ids': (5,),
            LEFT_FIXED_KEY: (),
        }[key]
        good, expected = shape == wanted, str(wanted)
    if not good:
        raise BodyDataError(f'{source}: {key} must have shape {expected}, found {shape}')


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
    missing = [key for key in KEYS if key not in raw]
    if missing:
        raise BodyDataError(
            f'{source}: not a SMPL or MANO model file, it has no {", ".join(missing)}'
        )
    spec = family_of(np.shape(_array(raw['v_template'], 'v_template', source)), source, family)
    arrays = {}
    for key in (*KEYS, *OPTIONAL_KEYS):
        if key not in raw or (key.startswith('hands_') and not spec.extra):
            if key in spec.extra:
                raise BodyDataError(f'{source}: a {spec.title} file must hold {key}')
            continue
        arrays[key] = _numeric(raw[key], key, spec, source)
    arrays['shapedirs'] = np.ascontiguousarray(arrays['shapedirs'][:, :, :NUM_BETAS])
    _check_values(arrays, spec, source)
    arrays['kintree_table'] = _tree(arrays['kintree_table'], source)
    return arrays


def _check_values(arrays: dict[str, np.ndarray], spec: ModelFamily, source: str) -> None:
    faces, weights = arrays['f'], arrays['weights']
    if not 0 <= faces.min() <= faces.max() < spec.vertices:
        raise BodyDataError(f'{source}: f must hold triangles over {spec.vertices} vertices')
    for key, values in (('weights', weights), ('J_regressor', arrays['J_regressor'])):
        sums = values.sum(axis=1)
        row = int(np.abs(sums - 1).argmax())
        if not abs(sums[row] - 1) < 0.01:
            raise BodyDataError(
                f'{source}: every row of {key} must sum to one, row {row} sums to '
                f'{sums[row]:.4g}; download the file again'
            )
    if weights.min() < -1e-3:
        raise BodyDataError(f'{source}: weights must not be negative, found {weights.min():.4g}')
    extent = float(np.ptp(arrays['v_template'], axis=0).max())
    if not _EXTENT[0] < extent < _EXTENT[1]:
        raise BodyDataError(
            f'{source}: v_template must be in metres, but the {spec.title} model '
            f'measures {extent:.4g} along its longest axis (millimetres?)'
        )


def _array(value: Any, key: str, source: str) -> Any:
    """The array or sparse matrix of an entry; a sparse one is not yet unpacked."""
    value = build_plain(value, f'{source}[{key}]')
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = build_plain(value.item(), f'{source}[{key}]')
    return value if sparse.issparse(value) else np.asarray(value)


def _numeric(value: Any, key: str, spec: ModelFamily, source: str) -> np.ndarray:
    array = _array(value, key, source)
    if array.dtype.kind not in 'biuf':
        raise BodyDataError(f'{source}: {key} does not hold numbers')
    check_shape(key, array.shape, spec, source)
    if sparse.issparse(array):
        array = array.toarray()
    if not np.isfinite(array).all():
        raise BodyDataError(f'{source}: {key} holds values that are not finite')
    if key not in _INTEGER_KEYS:
        return np.ascontiguousarray(array.astype(np.float64))
    if array.dtype.kind == 'f' and (array != np.trunc(array)).any():
        raise BodyDataError(
            f'{source}: {key} must hold whole numbers, found {array[array != np.trunc(array)][0]}'
        )
    return np.ascontiguousarray(array.astype(np.int64))


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
            raise BodyDataError(
                f'{source}: kintree_table gives joint {i} the parent '
                f'{int(table[0, i])}, which does not come before it'
            )
        parents[i] = parent
    if int(table[0, 0]) in column:
        raise BodyDataError(f'{source}: kintree_table has no root in its first column')
    return np.stack([parents, np.arange(table.shape[1])])

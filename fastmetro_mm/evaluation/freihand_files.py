# SPDX-License-Identifier: Apache-2.0
"""Files of the FreiHAND evaluation: predictions to submit, and the released ground truth."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmetro_mm.errors import DataSetError, MissingFileError
from fastmetro_mm.fileio import write_atomically, write_json

NUM_JOINTS, NUM_VERTICES = 21, 778


def write_predictions(
    path: str | Path, xyz: Sequence[np.ndarray], verts: Sequence[np.ndarray], expected: int
) -> Path:
    """Write ``pred.json`` and a zip with it beside, ready for submission.

    Args:
        path: name of the JSON file; the zip has the same name with the suffix ``.zip`` and holds
            the file as ``pred.json``, the name the official server asks for.
        xyz: (21, 3) metres for every image, in the order of the set.
        verts: (778, 3) metres for every image.
        expected: number of images of the set (official evaluation set: 3960).

    Returns:
        Path of the zip.

    Raises:
        ValueError: if a count, a shape or a number is wrong; nothing is written then.
    """
    path = Path(path)
    if len(xyz) != expected or len(verts) != expected:
        raise DataSetError(
            f'{path}: expected predictions for {expected} images, got {len(xyz)} '
            f'sets of joints and {len(verts)} meshes; nothing was written'
        )
    for name, points, count in (('joints', xyz, NUM_JOINTS), ('vertices', verts, NUM_VERTICES)):
        for number, one in enumerate(points):
            if one.shape != (count, 3) or not np.isfinite(one).all():
                raise DataSetError(
                    f'{path}: {name} of image {number} must be finite numbers of '
                    f'shape ({count}, 3), got shape {one.shape}; nothing was written'
                )
    # nine digits are below the precision of float32 and halve the file
    content = [
        [np.round(one.astype(np.float64), 9).tolist() for one in points] for points in (xyz, verts)
    ]
    write_json(path, content)

    def pack(name: Path) -> None:
        with zipfile.ZipFile(name, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, 'pred.json')

    return write_atomically(path.with_suffix('.zip'), pack)


def read_points(path: str | Path, count: int) -> np.ndarray:
    """Read ``evaluation_xyz.json`` or ``evaluation_verts.json``.

    Args:
        path: JSON list with ``count`` points for every image.
        count: 21 or 778.

    Returns:
        (N, count, 3) float64 metres.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold such a list.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f'{path}: no such file; download the evaluation annotations of '
            'FreiHAND v2 or leave the option out'
        )
    try:
        points = np.array(json.loads(path.read_text(encoding='utf-8')), dtype=np.float64)
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise DataSetError(
            f'{path}: expected a JSON list of ({count}, 3) points for every image ({error})'
        ) from error
    if points.ndim != 3 or points.shape[1:] != (count, 3):
        raise DataSetError(f'{path}: expected shape (N, {count}, 3), got {points.shape}')
    return points

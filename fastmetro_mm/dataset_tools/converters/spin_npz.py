# SPDX-License-Identifier: Apache-2.0
"""SPIN-style npz files (SPIN, GraphCMR and their relatives) as a row source.

Keys, as in SPIN's ``datasets/base_dataset.py``: ``imgname``, ``center`` (N, 2) px, ``scale``
(N,) = box side / 200, and where there are ``part`` (N, 24, 3) px, ``S`` (N, 24, 4) metres in
camera axes, ``pose`` (N, 72), ``shape`` (N, 10), ``has_smpl`` (N,), ``gender`` (N,).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastmetro_mm.dataset_tools.converters.files import DAMAGED_NPZ
from fastmetro_mm.dataset_tools.converters.run import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError, MissingFileError

_SHAPES = {'center': (2,), 'scale': (), 'part': (24, 3), 'S': (24, 4), 'pose': (72,),
           'shape': (10,), 'has_smpl': (), 'gender': ()}


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise MissingFileError(f'{path} not found: give the npz file with --in')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ('imgname', *_SHAPES) if name in file.files}
    except DAMAGED_NPZ as error:
        reason = ' '.join(str(error).split())[:100]
        raise DataSetError(f'{path} is not an npz of plain arrays ({reason}): save it without '
                           'pickled objects') from None
    missing = {'imgname', 'center', 'scale'} - set(arrays)
    if missing:
        raise DataSetError(f'{path} lacks {sorted(missing)}: not a SPIN-style file')
    count = len(arrays['imgname'])
    for name, shape in _SHAPES.items():
        if name in arrays and arrays[name].shape != (count, *shape):
            raise DataSetError(f'{path}: {name} has shape {arrays[name].shape}, expected '
                               f'{(count, *shape)}')
    return arrays


class SpinNpzSource:
    """Rows of a SPIN-style npz.

    Args:
        path: The npz.
        images: Folder that ``imgname`` is relative to; where a name is not found there, its
            last part is tried.

    Raises:
        FileNotFoundError: No such npz or folder.
        DataSetError: Not such a file.
    """

    def __init__(self, path: str | Path, images: str | Path) -> None:
        self.path, self.images = Path(path), Path(images)
        if not self.images.is_dir():
            raise MissingFileError(f'image folder {images} not found: give it with --images')
        self._arrays = _read_arrays(self.path)

    def __len__(self) -> int:
        return len(self._arrays['imgname'])

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'spin-npz', 'file': self.path.name, 'images': self.images.name}

    def key(self, index: int) -> str:
        """Name of the image."""
        return str(self._arrays['imgname'][index])

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: The image is missing.
            ValueError: A label is not finite, the image cannot be decoded.
        """
        name = self.key(index)
        path = self.images / name
        if not path.is_file():
            path = self.images / Path(name).name
        if not path.is_file():
            raise SkipRow('image not found')
        values = {key: array[index] for key, array in self._arrays.items()}
        has_smpl = 'pose' in values and 'shape' in values and bool(values.get('has_smpl', 1))
        gender = values.get('gender')
        label = make_label(
            values['center'], float(values['scale']), values.get('part'), values.get('S'),
            values['pose'] if has_smpl else None, values['shape'] if has_smpl else None,
            None if gender is None else str(gender))
        return TSVRow(name, path.read_bytes(), label)

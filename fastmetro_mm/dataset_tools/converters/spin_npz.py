# SPDX-License-Identifier: Apache-2.0
"""SPIN-style npz files (SPIN, GraphCMR and their relatives) as a row source.

Keys, as in SPIN's ``datasets/base_dataset.py``: ``imgname``, ``center`` (N, 2) px, ``scale``
(N,) = box side / 200, and where there are ``part`` (N, 24, 3) px, ``S`` (N, 24, 4) metres in
camera axes, ``pose`` (N, 72), ``shape`` (N, 10 or more), ``has_smpl`` (N,), ``gender`` (N,).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.dataset_tools.converters.files import RestrictedNpz, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import (
    find_image,
    is_file,
    key_of,
    read_image,
)
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_rows,
    numbers,
    shaped,
    texts,
)
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError

_SHAPES = {
    'center': (2,),
    'scale': (),
    'part': (24, 3),
    'S': (24, 4),
    'pose': (72,),
    'has_smpl': (),
}


def _read_arrays(path: Path) -> dict[str, np.ndarray | list]:
    file = RestrictedNpz(path)
    missing = {'imgname', 'center', 'scale'} - set(file.names)
    if missing:
        raise DataSetError(f'{path} lacks {sorted(missing)}: not a SPIN-style file')
    try:
        arrays: dict = {
            name: texts(file[name], name) for name in ('imgname', 'gender') if name in file
        }
        count = len(arrays['imgname'])
        if len(arrays.get('gender', arrays['imgname'])) != count:
            raise ValueError(f'{len(arrays["gender"])} genders for {count} images')
        for name, shape in _SHAPES.items():
            if name in file:
                arrays[name] = shaped(file.read(name, (count, *shape)), name, (count, *shape))
        if 'shape' in file:
            betas = numbers(file.read('shape', (count, None)), 'shape')
            arrays['shape'] = betas_rows(betas, count, 'shape')
            arrays['num_betas'] = betas.shape[-1]
        if not np.isin(arrays.get('has_smpl', 0), (0, 1)).all():
            raise ValueError('has_smpl holds other values than 0 and 1')
    except DataSetError:
        raise
    except ValueError as error:
        raise DataSetError(f'{path}: {error}: correct the file') from None
    return arrays


class SpinNpzSource(FileSource):
    """Rows of a SPIN-style npz.

    Args:
        path: The npz.
        images: Folder that ``imgname`` is relative to; where a name is not found there, its
            last part is tried.

    Raises:
        FileNotFoundError: No such npz or folder.
        DataSetError: Not such a file.
    """

    KIND = 'spin-npz'

    def __init__(self, path: str | Path, images: str | Path) -> None:
        self.path = Path(path)
        self.images = require_folder(images, 'image folder', 'give it with --images')
        self.paths, self.options = [self.path], dict(file=self.path, images=self.images)
        self._arrays = _read_arrays(self.path)
        self._num_betas: Any = self._arrays.pop('num_betas', 0)

    @property
    def note(self) -> str:
        """What the labels hold."""
        names = ', '.join(
            name for name in ('part', 'S', 'pose', 'shape', 'gender') if name in self._arrays
        )
        mesh = '' if {'pose', 'shape'} <= set(self._arrays) else '; has_smpl is 0'
        return f'of the file: {names or "boxes only"}{mesh}{betas_note([int(self._num_betas)])}'

    def __len__(self) -> int:
        return len(self._arrays['imgname'])

    def key(self, index: int) -> str:
        """Name of the image."""
        return key_of(self._arrays['imgname'][index])

    def _path(self, index: int) -> Path:
        try:
            path = find_image(self.images, self._arrays['imgname'][index])
            if is_file(path):
                return path
        except SkipRow:
            pass  # perhaps an absolute path of another machine
        return find_image(self.images, Path(self.key(index)).name)

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: The image is missing.
            ValueError: A label is not finite, the image cannot be decoded.
        """
        values = {key: array[index] for key, array in self._arrays.items()}
        has_smpl = 'pose' in values and 'shape' in values and bool(values.get('has_smpl', 1))
        label = make_label(
            values['center'],
            values['scale'],
            values.get('part'),
            values.get('S'),
            values['pose'] if has_smpl else None,
            values['shape'] if has_smpl else None,
            values.get('gender'),
        )
        return TSVRow(self.key(index), read_image(self._path(index)), label)

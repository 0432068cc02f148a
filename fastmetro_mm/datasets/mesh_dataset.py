# SPDX-License-Identifier: Apache-2.0
"""Data set over the official TSV layout, simple or composite."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import Dataset

from fastmetro_mm.datasets.labels import LAYOUTS, parse_label
from fastmetro_mm.datasets.metainfo import BODY14_METAINFO, HAND21_METAINFO, METAINFO
from fastmetro_mm.datasets.sample_seed import SampleSeed
from fastmetro_mm.datasets.set_yaml import SetYaml
from fastmetro_mm.datasets.tsv import CompositeTSV, TSVFile, read_int_table
from fastmetro_mm.errors import ConfigError, DataRowError, DataSetError

_MAX_TRIES = 100


@DATASETS.register_module()
class MeshTSVDataset(Dataset):
    """People (or hands) with mesh labels from TSV files.

    The yaml names the parts: ``img`` and, where there are, ``label``, ``hw``, ``linelist``,
    each relative to the yaml or absolute. With ``composite: true`` the parts are lists of files
    (or a text file listing them) and ``linelist`` holds ``source<TAB>row`` lines.

    A sample before the pipeline: ``img_bytes`` (encoded image), ``img_key``, ``ori_shape`` where
    known, and with labels the fields of `labels.parse_label` (3D joints relative to the pelvis
    or wrist). Without labels the whole image is the box.

    Args:
        ann_file: Path of the yaml.
        pipeline: Transforms, or their configs.
        data_root: Folder put before a relative `ann_file`.
        test_mode: Evaluation: unreadable rows raise.
        body: ``'smpl'`` (24 joints, 72 pose numbers) or ``'hand'`` (21, 48). Default: that of
            the class.
        metainfo: Replaces the keypoint metainfo (mmpose form).
        indices: Use only the first N samples (int), or these.
        on_error: What to do with a row that cannot be used: ``'raise'``, or ``'skip'`` (log it
            once, take the next usable row instead). Default: raise in test mode, skip in
            training; skip is refused in test mode.
        check_rows: Require that the parts have equally many rows and equal keys.
        on_stale: For a ``.lineidx`` that does not fit: ``'rebuild'`` or ``'raise'``.
        lazy_init: Open the files at the first use only.

    Raises:
        FileNotFoundError: The yaml or a part is missing.
        DataSetError: The set is empty, its parts do not fit together, or it is to train a network
            and has no labels.
    """

    METAINFO: dict = BODY14_METAINFO
    BODY = 'smpl'

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[dict | Callable] = (),
        data_root: str | None = '',
        test_mode: bool = False,
        body: str | None = None,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        on_error: str | None = None,
        check_rows: bool = True,
        on_stale: str = 'rebuild',
        lazy_init: bool = False,
    ) -> None:
        self.body = body or self.BODY
        if self.body not in LAYOUTS:
            raise ConfigError(f'body must be one of {sorted(LAYOUTS)}, got {self.body!r}')
        on_error = on_error or ('raise' if test_mode else 'skip')
        if on_error not in ('raise', 'skip') or (test_mode and on_error == 'skip'):
            raise ConfigError(
                f"on_error={on_error!r} with test_mode={test_mode}: use 'raise' or, "
                "in training only, 'skip'"
            )
        self.ann_file = Path(data_root or '') / ann_file
        self.test_mode = test_mode
        self.on_error = on_error
        self.check_rows = check_rows
        self.on_stale = on_stale
        self._layout = LAYOUTS[self.body]
        if metainfo is None:
            metainfo = self.METAINFO if body is None else METAINFO[body]
        self._metainfo = parse_pose_metainfo(deepcopy(metainfo))
        self._indices = indices
        self._sample_seed = SampleSeed()
        # The scope is named because a detector that ran before leaves its own as the default.
        self.pipeline = [
            TRANSFORMS.build({'_scope_': 'mmpose', **t}) if isinstance(t, dict) else t
            for t in pipeline
        ]
        self._ready = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """Keypoint metainfo, parsed by mmpose."""
        return deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Open the files and check that they belong together; nothing on a second call."""
        if self._ready:
            return
        self._yaml = SetYaml(self.ann_file)
        image = self._open('img')
        if image is None:
            raise DataSetError(f'{self.ann_file} has no "img" entry: name the img.tsv there')
        self._img = image
        self._label = self._open('label')
        self._hw = self._open('hw')
        if self._label is None and self.pipeline and not self.test_mode:
            raise DataSetError(
                f'{self.ann_file} has no "label" entry and training needs labels: '
                'name the label.tsv there, or use the set with test_mode=True'
            )
        if self.check_rows:
            self._check_counts(self._yaml.composite)
        lines = self._read_lines()
        if self._indices is not None:
            lines = (
                lines[: self._indices]
                if isinstance(self._indices, int)
                else lines[np.asarray(self._indices, np.int64)]
            )
        if len(lines) == 0:
            raise DataSetError(
                f'{self.ann_file}: the data set has no rows: check its img and '
                'linelist files, or make it again'
            )
        self._lines = lines
        # Shared by the worker processes, so that the count of a whole run can be told.
        self._unusable = torch.zeros(len(lines), dtype=torch.uint8).share_memory_()
        self._ready = True

    def _open(self, part: str) -> TSVFile | CompositeTSV | None:
        paths = self._yaml.files(part)
        if paths is None:
            return None
        sources = [TSVFile(path, self.on_stale) for path in paths]
        if not self._yaml.composite:
            return sources[0]
        linelist = self._yaml.linelist
        assert linelist is not None  # SetYaml asks a composite set for one
        return CompositeTSV(sources, read_int_table(linelist, 2), linelist)

    def _check_counts(self, composite: bool) -> None:
        for part, file in (('label', self._label), ('hw', self._hw)):
            if file is None:
                continue
            images, others = _sources(self._img), _sources(file)
            if len(images) != len(others):
                raise DataSetError(
                    f'{self.ann_file}: {len(images)} img files but '
                    f'{len(others)} {part} files: list them in pairs'
                )
            for img, other in zip(images, others, strict=True):
                if len(img) != len(other):
                    raise DataSetError(
                        f'{other.path} has {len(other)} rows but {img.path} has {len(img)}: use '
                        'files of one release, or set check_rows=False if this is meant'
                    )

    def _read_lines(self) -> np.ndarray:
        path = self._yaml.linelist
        if self._yaml.composite or path is None:  # a composite linelist picked the rows already
            return np.arange(len(self._img))
        lines = read_int_table(path, 1)[:, 0]
        limit = min(len(f) for f in (self._img, self._label, self._hw) if f is not None)
        bad = np.flatnonzero((lines < 0) | (lines >= limit))
        if len(bad):
            raise DataSetError(
                f'{path} line {bad[0] + 1}: row {lines[bad[0]]} does not exist, '
                f'the files have {limit}: use the linelist of these files'
            )
        return lines

    def __len__(self) -> int:
        self.full_init()
        return len(self._lines)

    def source_rows(self) -> np.ndarray:
        """Rows of the files that the samples come from (of the picks, in a composite set)."""
        self.full_init()
        return np.array(self._lines)

    def source_files(self) -> list[Path]:
        """The yaml and all files of the set."""
        files = [path for paths in self.part_files().values() for path in paths]
        return [self.ann_file, *files, *filter(None, [self._yaml.linelist])]

    def part_files(self) -> dict[str, list[Path]]:
        """TSV files of the parts ``img``, ``hw`` and ``label`` that the set has."""
        self.full_init()
        parts = {'img': self._img, 'hw': self._hw, 'label': self._label}
        return {
            name: [file.path for file in _sources(part)]
            for name, part in parts.items()
            if part is not None
        }

    def where(self, idx: int) -> str:
        """File and row of a sample's image as text."""
        self.full_init()
        return self._img.where(int(self._lines[idx]))

    def get_data_info(self, idx: int) -> dict:
        """Sample before the pipeline.

        Raises:
            DataRowError: The row cannot be used; names file and row.
        """
        self.full_init()
        line = int(self._lines[idx])
        image = self._columns(self._img, line)
        info: dict[str, Any] = dict(
            img_key=self._key(self._img, line, image),
            sample_idx=int(idx),
            dataset_name=self._metainfo['dataset_name'],
            flip_indices=self._metainfo['flip_indices'],
            gender='none',
        )
        try:
            info['img_bytes'] = base64.b64decode(image[-1], validate=True)
        except binascii.Error:
            raise self._error(self._img, line, 'the image column is not base64') from None
        if self._hw is not None:
            columns = self._columns(self._hw, line)
            self._compare_keys(self._hw, line, columns, info['img_key'])
            info['img_key'] = self._key(self._hw, line, columns)  # as in the official loader
            info['ori_shape'] = self._parse_size(columns[1], line)
        if self._label is not None:
            columns = self._columns(self._label, line)
            self._compare_keys(self._label, line, columns, info['img_key'])
            try:
                info.update(parse_label(columns[1], self._layout))
            except DataRowError as error:
                raise self._error(self._label, line, str(error)) from None
        return info

    def _columns(self, file: TSVFile | CompositeTSV, line: int) -> list[bytes]:
        columns = file.row(line)
        if len(columns) < 2 or not columns[0]:
            raise self._error(file, line, 'expected a key, a tab and a value (cut off?)')
        return columns

    def _key(self, file: TSVFile | CompositeTSV, line: int, columns: list[bytes]) -> str:
        try:
            return columns[0].decode()
        except UnicodeDecodeError:
            raise self._error(file, line, 'the key is not UTF-8 text') from None

    def _compare_keys(
        self, file: TSVFile | CompositeTSV, line: int, columns: list[bytes], key: str
    ) -> None:
        if self.check_rows and columns[0] != key.encode():
            raise self._error(
                file,
                line,
                f'key {columns[0][:60]!r} but the image is {key!r} '
                '(set check_rows=False if this is meant)',
            )

    def _parse_size(self, text: bytes, line: int) -> tuple[int, int]:
        try:
            content = json.loads(text)[0]
            height, width = content['height'], content['width']
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            parts = text.split(b' ')  # old form "H W"
            height, width = parts if len(parts) == 2 else (0, 0)
        try:
            size = int(height), int(width)
        except (TypeError, ValueError, OverflowError):
            size = (0, 0)
        if min(size) <= 0:
            assert self._hw is not None  # the text is its own
            raise self._error(self._hw, line, 'does not hold a height and width')
        return size

    @staticmethod
    def _error(file: TSVFile | CompositeTSV, line: int, reason: str) -> DataRowError:
        return DataRowError(
            f'{file.where(line)}: {reason}; fix the row or take it out of the linelist'
        )

    def prepare_data(self, idx: int) -> dict:
        """Sample after the pipeline.

        Raises:
            DataRowError: The row cannot be used; names file and row.
        """
        results = self.get_data_info(idx)
        key = results['img_key']
        try:
            for transform in self.pipeline:
                results = transform(results)
                if results is None:
                    raise DataRowError(f'{type(transform).__name__} dropped the sample')
        except DataRowError as error:
            raise self._error(self._img, int(self._lines[idx]), f'{key}: {error}') from None
        return results

    def set_augmentation_seed(self, seed: int) -> None:
        """Draw the augmentation of every sample from this seed and its index alone.

        Without it samples draw from the global generators, and so from their worker's.
        """
        self._sample_seed.set(seed)

    def __getitem__(self, idx: int) -> dict:
        if not -len(self) <= idx < len(self):
            raise IndexError(f'sample {idx} of {len(self)}')
        idx = idx % len(self)
        with self._sample_seed.of(idx):
            return self._usable_sample(idx)

    def _usable_sample(self, idx: int) -> dict:
        if self.on_error == 'raise':
            return self.prepare_data(idx)
        last: DataRowError | None = None
        for candidate in range(idx, idx + min(_MAX_TRIES, len(self))):
            candidate %= len(self)
            if self._unusable[candidate]:
                continue
            try:
                return self.prepare_data(candidate)
            except DataRowError as error:
                last = error
                self._unusable[candidate] = 1
                print_log(f'skipped: {error}', 'current', level=logging.WARNING)
        raise DataSetError(
            f'{self.ann_file}: no usable row among {min(_MAX_TRIES, len(self))} '
            f'from {idx} on' + (f'; last: {last}' if last else '')
        )

    @property
    def num_skipped(self) -> int:
        """Number of different rows found unusable so far, in all worker processes."""
        return int(self._unusable.sum()) if self._ready else 0

    def skipped_summary(self) -> str | None:
        """One line about the rows left out so far, for the end of an epoch; None without any."""
        count = self.num_skipped
        if not count:
            return None
        return (
            f'{self.ann_file}: {count} of {len(self)} rows cannot be used and were skipped, '
            'others were taken in their place; each is named once above'
        )


@DATASETS.register_module()
class HandMeshTSVDataset(MeshTSVDataset):
    """`MeshTSVDataset` of right hands (FreiHAND layout): 21 joints about the wrist."""

    METAINFO = HAND21_METAINFO
    BODY = 'hand'


def _sources(part: TSVFile | CompositeTSV) -> Sequence[TSVFile]:
    """The files of a part."""
    return [part] if isinstance(part, TSVFile) else part.sources

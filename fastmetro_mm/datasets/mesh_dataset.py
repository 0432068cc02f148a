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

import numpy as np
import torch
import yaml
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import Dataset

from fastmetro_mm.datasets.labels import LAYOUTS, parse_label
from fastmetro_mm.datasets.metainfo import BODY14_METAINFO, HAND21_METAINFO, METAINFO
from fastmetro_mm.datasets.tsv import CompositeTSV, TSVFile, read_int_table
from fastmetro_mm.errors import ConfigError, DataRowError, DataSetError, MissingFileError

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
        DataSetError: The set is empty or its parts do not fit together.
    """

    METAINFO: dict = BODY14_METAINFO
    BODY = 'smpl'

    def __init__(self, ann_file: str, pipeline: Sequence[dict | Callable] = (),
                 data_root: str | None = '', test_mode: bool = False, body: str | None = None,
                 metainfo: dict | None = None, indices: int | Sequence[int] | None = None,
                 on_error: str | None = None, check_rows: bool = True,
                 on_stale: str = 'rebuild', lazy_init: bool = False) -> None:
        self.body = body or self.BODY
        if self.body not in LAYOUTS:
            raise ConfigError(f"body must be one of {sorted(LAYOUTS)}, got {self.body!r}")
        on_error = on_error or ('raise' if test_mode else 'skip')
        if on_error not in ('raise', 'skip') or (test_mode and on_error == 'skip'):
            raise ConfigError(f"on_error={on_error!r} with test_mode={test_mode}: use 'raise' or, "
                             "in training only, 'skip'")
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
        config = self._read_yaml()
        composite = bool(config.get('composite', False))
        self._img = self._open(config, 'img', composite)
        self._label = self._open(config, 'label', composite)
        self._hw = self._open(config, 'hw', composite)
        if self.check_rows:
            self._check_counts(composite)
        lines = self._read_lines(config, composite)
        if self._indices is not None:
            lines = (lines[:self._indices] if isinstance(self._indices, int)
                     else lines[np.asarray(self._indices, np.int64)])
        if len(lines) == 0:
            raise DataSetError(f'{self.ann_file}: the data set has no rows: check its img and '
                               'linelist files, or make it again')
        self._lines = lines
        # Shared by the worker processes, so that the count of a whole run can be told.
        self._unusable = torch.zeros(len(lines), dtype=torch.uint8).share_memory_()
        self._ready = True

    def _read_yaml(self) -> dict:
        if not self.ann_file.is_file():
            raise MissingFileError(
                f'data set {self.ann_file} not found: set ann_file and data_root in the config '
                'to a yaml of the TSV layout, or make one with tools/dataset/')
        try:
            config = yaml.safe_load(self.ann_file.read_text())
        except (yaml.YAMLError, UnicodeDecodeError):
            raise DataSetError(f'{self.ann_file} is not a yaml file: correct it') from None
        if not isinstance(config, dict) or not config.get('img'):
            raise DataSetError(f'{self.ann_file} has no "img" entry: name the img.tsv there')
        if not isinstance(config.get('linelist') or '', str):
            raise DataSetError(f'{self.ann_file}: "linelist" must be one path')
        return config

    def _resolve(self, name: str) -> Path:
        beside = self.ann_file.parent / name
        return Path(name) if not beside.is_file() and Path(name).is_file() else beside

    def _open(self, config: dict, part: str, composite: bool) -> TSVFile | CompositeTSV | None:
        names = config.get(part)
        if not names:
            return None
        if not composite:
            if not isinstance(names, str):
                raise DataSetError(f'{self.ann_file}: "{part}" must be one path (lists of files '
                                   'need composite: true)')
            return TSVFile(self._resolve(names), self.on_stale)
        if isinstance(names, str):
            list_file = self._resolve(names)
            if not list_file.is_file():
                raise MissingFileError(f'{self.ann_file}: list {list_file} of "{part}" not found')
            names = self._read_name_list(list_file)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataSetError(f'{self.ann_file}: "{part}" must be a list of paths')
        linelist = self._linelist_path(config)
        if linelist is None:
            raise DataSetError(f'{self.ann_file}: a composite set needs a "linelist" of '
                               'source<TAB>row lines')
        sources = [TSVFile(self._resolve(name), self.on_stale) for name in names]
        return CompositeTSV(sources, read_int_table(linelist, 2), linelist)

    @staticmethod
    def _read_name_list(path: Path) -> list[str]:
        with open(path, 'rb') as file:
            lines = file.read(1 << 20).splitlines()  # a list of names is far shorter
        if not lines or any(b'\t' in line for line in lines):
            raise DataSetError(f'{path} is not a list of file names, one per line (as a composite '
                               'set needs it): list the files in the yaml')
        return [line.strip().decode() for line in lines if line.strip()]

    def _linelist_path(self, config: dict) -> Path | None:
        return self._resolve(config['linelist']) if config.get('linelist') else None

    def _check_counts(self, composite: bool) -> None:
        for part, file in (('label', self._label), ('hw', self._hw)):
            if file is None:
                continue
            if composite and len(self._img.sources) != len(file.sources):
                raise DataSetError(f'{self.ann_file}: {len(self._img.sources)} img files but '
                                   f'{len(file.sources)} {part} files: list them in pairs')
            pairs = (zip(self._img.sources, file.sources, strict=True) if composite
                     else [(self._img, file)])
            for img, other in pairs:
                if len(img) != len(other):
                    raise DataSetError(
                        f'{other.path} has {len(other)} rows but {img.path} has {len(img)}: use '
                        'files of one release, or set check_rows=False if this is meant')

    def _read_lines(self, config: dict, composite: bool) -> np.ndarray:
        path = self._linelist_path(config)
        if composite or path is None:  # a composite linelist picked the rows already
            return np.arange(len(self._img))
        lines = read_int_table(path, 1)[:, 0]
        limit = min(len(f) for f in (self._img, self._label, self._hw) if f is not None)
        bad = np.flatnonzero((lines < 0) | (lines >= limit))
        if len(bad):
            raise DataSetError(f'{path} line {bad[0] + 1}: row {lines[bad[0]]} does not exist, '
                               f'the files have {limit}: use the linelist of these files')
        return lines

    def __len__(self) -> int:
        self.full_init()
        return len(self._lines)

    def source_rows(self) -> np.ndarray:
        """Rows of the files that the samples come from (of the picks, in a composite set)."""
        self.full_init()
        return np.array(self._lines)

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
        info = dict(img_key=self._key(self._img, line, image), sample_idx=int(idx),
                    dataset_name=self._metainfo['dataset_name'],
                    flip_indices=self._metainfo['flip_indices'], gender='none')
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

    def _compare_keys(self, file: TSVFile | CompositeTSV, line: int, columns: list[bytes],
                      key: str) -> None:
        if self.check_rows and columns[0] != key.encode():
            raise self._error(file, line, f'key {columns[0][:60]!r} but the image is {key!r} '
                              '(set check_rows=False if this is meant)')

    def _parse_size(self, text: bytes, line: int) -> tuple[int, int]:
        try:
            content = json.loads(text)[0]
            height, width = content['height'], content['width']
        except (ValueError, TypeError, KeyError, IndexError):
            parts = text.split(b' ')  # old form "H W"
            height, width = parts if len(parts) == 2 else (None, None)
        try:
            size = int(height), int(width)
        except (TypeError, ValueError, OverflowError):
            size = (0, 0)
        if min(size) <= 0:
            raise self._error(self._hw, line, 'does not hold a height and width')
        return size

    @staticmethod
    def _error(file: TSVFile | CompositeTSV, line: int, reason: str) -> DataRowError:
        return DataRowError(f'{file.where(line)}: {reason}; mend the row or take it out of the '
                            'linelist')

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

    def __getitem__(self, idx: int) -> dict:
        if not -len(self) <= idx < len(self):
            raise IndexError(f'sample {idx} of {len(self)}')
        idx = idx % len(self)
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
        raise DataSetError(f'{self.ann_file}: no usable row among {min(_MAX_TRIES, len(self))} '
                           f'from {idx} on' + (f'; last: {last}' if last else ''))

    @property
    def num_skipped(self) -> int:
        """Number of different rows found unusable so far, in all worker processes."""
        return int(self._unusable.sum()) if self._ready else 0

    def skipped_summary(self) -> str | None:
        """One line about the rows left out so far, for the end of an epoch; None without any."""
        count = self.num_skipped
        if not count:
            return None
        return (f'{self.ann_file}: {count} of {len(self)} rows cannot be used and were skipped, '
                'others were taken in their place; each is named once above')


@DATASETS.register_module()
class HandMeshTSVDataset(MeshTSVDataset):
    """`MeshTSVDataset` of right hands (FreiHAND layout): 21 joints about the wrist."""

    METAINFO = HAND21_METAINFO
    BODY = 'hand'

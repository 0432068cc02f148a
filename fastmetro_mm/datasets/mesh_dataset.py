# SPDX-License-Identifier: Apache-2.0
"""Data set over the official TSV layout, simple or composite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import Dataset

from fastmetro_mm.datasets.labels import LAYOUTS
from fastmetro_mm.datasets.metainfo import BODY14_METAINFO, HAND21_METAINFO, METAINFO
from fastmetro_mm.datasets.sample_seed import SampleSeed
from fastmetro_mm.datasets.set_rows import SetRows
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
        self._rows = SetRows(self.ann_file, self._layout, self.check_rows, self.on_stale)
        if not self._rows.has_labels and self.pipeline and not self.test_mode:
            raise DataSetError(
                f'{self.ann_file} has no "label" entry and training needs labels: '
                'name the label.tsv there, or use the set with test_mode=True'
            )
        lines = self._rows.lines()
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

    def __len__(self) -> int:
        self.full_init()
        return len(self._lines)

    def source_rows(self) -> np.ndarray:
        """Rows of the files that the samples come from (of the picks, in a composite set)."""
        self.full_init()
        return np.array(self._lines)

    def source_files(self) -> list[Path]:
        """The yaml and all files of the set."""
        self.full_init()
        return self._rows.source_files()

    def part_files(self) -> dict[str, list[Path]]:
        """TSV files of the parts ``img``, ``hw`` and ``label`` that the set has."""
        self.full_init()
        return self._rows.part_files()

    def where(self, idx: int) -> str:
        """File and row of a sample's image as text."""
        self.full_init()
        return self._rows.where(int(self._lines[idx]))

    def get_data_info(self, idx: int) -> dict:
        """Sample before the pipeline.

        Raises:
            DataRowError: The row cannot be used; names file and row.
        """
        self.full_init()
        info = dict(
            sample_idx=int(idx),
            dataset_name=self._metainfo['dataset_name'],
            flip_indices=self._metainfo['flip_indices'],
            gender='none',
        )
        return {**info, **self._rows.read(int(self._lines[idx]))}

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
            raise self._rows.error(int(self._lines[idx]), f'{key}: {error}') from None
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

# SPDX-License-Identifier: Apache-2.0
"""Base of the metrics: exact over samples for any number of ranks, errors kept by sample."""

from __future__ import annotations

import logging
import math
import sys
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from fastmetro_mm.evaluation.sample_access import get_field, sample_key
from fastmetro_mm.fileio import write_json


class SampleMetric(BaseMetric):
    """A metric that computes something for every sample.

    Every processed sample leaves one entry, labelled or not. A distributed sampler pads the last
    round with samples that other ranks have seen already; official code averages them in, and
    averages the means of the ranks. Here the entries of all ranks come together first. Where all
    of them carry the dataset index (``sample_idx`` in the metainfo), repeated ones are dropped and
    the rest is put in dataset order, whatever the sampler did; otherwise the ranks are interleaved
    and cut to the size of the dataset, which is right for mmengine's ``DefaultSampler``.

    Args:
        per_sample_file: JSON file for the errors of every sample by ``img_key``; None for none.
        collect_device: see mmengine's ``BaseMetric``.
        prefix: put before metric names, ``prefix/name``; None for plain names.
        collect_dir: see mmengine's ``BaseMetric``.
    """

    def __init__(
        self,
        per_sample_file: str | Path | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        # plain names are intended here; mmengine warns where it gets no prefix
        super().__init__(
            collect_device=collect_device, prefix=prefix or 'mesh', collect_dir=collect_dir
        )
        self.prefix = prefix
        self.per_sample_file = per_sample_file
        self._dataset_size: int | None = None

    def check_dataset(self, dataset: Any) -> None:
        """Refuse a data set that cannot be evaluated, before a network is trained for it.

        Args:
            dataset: what the samples will come from.

        Raises:
            ConfigError: it does not suit the options of this metric.
        """

    def add_entry(self, sample: Any, **values: Any) -> dict:
        """Keep what was computed for a sample, and give the entry back."""
        index = get_field(sample, 'sample_idx')
        entry = dict(index=None if index is None else int(index), key=sample_key(sample), **values)
        self.results.append(entry)
        return entry

    def evaluate(self, size: int) -> dict:
        """Compute the metrics of the whole dataset.

        Args:
            size: length of the dataset.

        Returns:
            Metric names and values.
        """
        self._dataset_size = size
        # cutting to the dataset's size is left to unique_entries, which knows the indices
        return super().evaluate(sys.maxsize)

    def unique_entries(self, entries: Sequence[dict]) -> list[dict]:
        """Drop what a padding sampler repeated.

        Args:
            entries: entries of all ranks, interleaved.

        Returns:
            One entry a sample, in dataset order.
        """
        size = len(entries) if self._dataset_size is None else self._dataset_size
        if any(entry['index'] is None for entry in entries):
            return list(entries[:size])
        first = {}
        for entry in entries:
            first.setdefault(entry['index'], entry)
        if len(first) != size:
            self.warn(f'{len(first)} different samples were evaluated, the dataset has {size}')
        return [first[index] for index in sorted(first)]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """See mmengine; samples are made unique, then :meth:`summarise` is asked."""
        return self.summarise(self.unique_entries(results))

    @abstractmethod
    def summarise(self, entries: list[dict]) -> dict[str, float]:
        """Turn unique entries into metric values."""

    def warn(self, message: str) -> None:
        """Log a warning with the name of the metric."""
        print_log(f'{type(self).__name__}: {message}', logger='current', level=logging.WARNING)


class ErrorMetric(SampleMetric):
    """A metric whose values are means of per-sample errors in millimetres.

    Entries hold ``errors``: a dict of numbers, or None where the sample has no label. A metric
    nobody has a label for is nan, with a warning: no number is made up for it.

    ``process`` checks samples and copies what is to be compared; the errors are computed when
    enough samples wait, because test batches are small and every array operation has its price.

    Args:
        names: names of the errors, in the order of the output.
        label: flag that says which samples count, for messages.
        at_once: samples to wait for.
        kwargs: see :class:`SampleMetric`.
    """

    def __init__(self, names: Sequence[str], label: str, at_once: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.names = tuple(names)
        self.label = label
        self.at_once = at_once
        self._waiting: dict[Hashable, list[tuple[list[dict], Any]]] = {}

    @abstractmethod
    def errors_of(self, kind: Hashable, parts: Sequence[Any]) -> list[dict[str, float]]:
        """Errors of every sample, in millimetres by name.

        Args:
            kind: as given to :meth:`wait`.
            parts: the values given to :meth:`wait` with that kind, in order.
        """

    def wait(self, kind: Hashable, entries: list[dict], values: Any) -> None:
        """Put samples off until there are enough to compute at once.

        Args:
            kind: samples of one kind are computed together.
            entries: their entries, whose ``errors`` are still None.
            values: what :meth:`errors_of` needs of them; must not be overwritten later.
        """
        self._waiting.setdefault(kind, []).append((entries, values))
        if sum(len(part) for part, _ in self._waiting[kind]) >= self.at_once:
            self._compute(kind)

    def compute_waiting(self) -> None:
        """Fill in the errors of all samples that still wait."""
        for kind in tuple(self._waiting):
            self._compute(kind)

    def _compute(self, kind: Hashable) -> None:
        parts = self._waiting.pop(kind)
        entries = [entry for members, _ in parts for entry in members]
        errors = self.errors_of(kind, [values for _, values in parts])
        for entry, one in zip(entries, errors, strict=True):
            entry['errors'] = one

    def evaluate(self, size: int) -> dict:
        """See :class:`SampleMetric`; waiting samples come first."""
        self.compute_waiting()
        return super().evaluate(size)

    def summarise(self, entries: list[dict]) -> dict[str, float]:
        """Average over the labelled samples; write the per-sample file.

        Args:
            entries: unique entries.

        Returns:
            Means by name, and nothing else.
        """
        labelled = [entry for entry in entries if entry['errors'] is not None]
        if not labelled:
            self.warn(
                f'none of the {len(entries)} samples has {self.label}=1, '
                f'so {", ".join(self.names)} cannot be computed'
            )
        metrics = {}
        for name in self.names:
            values = np.array([entry['errors'][name] for entry in labelled])
            bad = [labelled[i]['key'] for i in np.flatnonzero(np.isnan(values))]
            if bad:
                self.warn(f'{name} is not a number for {len(bad)} samples, the first is {bad[0]}')
            metrics[name] = float(values.mean()) if values.size else float('nan')
        if self.per_sample_file is not None:
            self._write_errors(labelled)
        return metrics

    def _write_errors(self, labelled: list[dict]) -> None:
        """Write ``[{img_key, sample_idx, errors...}]``, the worst by the last of the names first.

        A list and not a dict by key: one image with several people has one key for all of them.
        """
        rows = [
            dict(img_key=entry['key'], sample_idx=entry['index'], **entry['errors'])
            for entry in labelled
        ]
        worst_first = self.names[-1]
        rows.sort(key=lambda row: -np.nan_to_num(row[worst_first], nan=np.inf))
        for row in rows:  # JSON knows no nan
            for name in self.names:
                row[name] = None if math.isnan(row[name]) else round(row[name], 6)
        assert self.per_sample_file is not None
        write_json(self.per_sample_file, rows, indent=1)

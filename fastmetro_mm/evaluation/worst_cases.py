# SPDX-License-Identifier: Apache-2.0
"""Images of the samples with the largest errors, from the per-sample file of a metric."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmpose.registry import DATASETS, VISUALIZERS

from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.visualization.crop_images import crop_with_sample
from fastmetro_mm.visualization.true_meshes import add_true_meshes

BATCH_SIZE = 16


def read_worst(path: str | Path, count: int, by: str | None = None) -> list[dict[str, Any]]:
    """Read the rows with the largest errors.

    Args:
        path: ``per_sample_file`` of a metric of this package.
        count: How many.
        by: Error to sort by; as the file is (the metric's last error first) if not given.

    Returns:
        Rows with ``img_key``, ``sample_idx`` and errors in millimetres, worst first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, or lacks the error ``by``.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f'{path}: no such file: let `fastmetro test` write it with '
            f'--cfg-options test_evaluator.0.per_sample_file={path}'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise InputError(
            f'{path}: is not JSON ({error}): write it anew with `fastmetro test`'
        ) from None
    # the file of FreiHANDMetric holds errors by joint, too
    rows = content.get('images') if isinstance(content, dict) else content
    if not rows or not isinstance(rows, list):
        raise InputError(f'{path}: holds no rows of samples: give the per_sample_file of a metric')
    for number, row in enumerate(rows):
        index = row.get('sample_idx') if isinstance(row, dict) else None
        if not isinstance(index, int) or index < 0:
            raise InputError(
                f'{path} row {number}: has no sample_idx (the row of the data set): '
                'give the per_sample_file of a metric over a set of this package'
            )
    if by is not None:
        names = list(error_names(rows[0]))
        if by not in names:
            raise InputError(f'{path}: has no error {by!r}: choose one of {", ".join(names)}')
        # an error that is no number is the worst there is
        rows = sorted(rows, key=lambda row: -row[by] if _is_number(row.get(by)) else -np.inf)
    return rows[:count]


def _is_number(error: float | None) -> bool:
    return error is not None and np.isfinite(error)


def error_names(row: dict[str, Any]) -> tuple[str, ...]:
    """Names of the errors of a row."""
    return tuple(name for name in row if name not in ('img_key', 'sample_idx'))


def describe(rank: int, row: dict[str, Any]) -> str:
    """One line about a row: its place, its errors, its key."""
    errors = '  '.join(
        f'{name} {"nan" if row[name] is None else format(row[name], ".1f")}'
        for name in error_names(row)
        if not name.startswith(('PCK', 'AUC'))
    )
    return f'{rank}: {errors}  {Path(row["img_key"]).name}'


def draw_worst_cases(
    cfg: Config, model: Any, rows: Sequence[dict[str, Any]], views: Sequence[str] = ()
) -> list[tuple[str, np.ndarray]]:
    """Predict the samples again and draw the truth and the prediction on their crops.

    Args:
        cfg: Config with ``test_dataloader`` and the visualizer.
        model: Network in evaluation mode.
        rows: Rows of :func:`read_worst`.
        views: Views beside the overlays, see ``MeshVisualizer``.

    Returns:
        Label and RGB image of each row, for ``contact_sheet``.

    Raises:
        ValueError: If a row is not a sample of the test set.
    """
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    visualizer = VISUALIZERS.build({'name': 'worst_cases', **cfg.visualizer, 'vis_backends': None})
    visualizer.set_dataset_meta(dataset.metainfo)
    tiles = []
    for start in range(0, len(rows), BATCH_SIZE):
        part = rows[start : start + BATCH_SIZE]
        batch = pseudo_collate([_find_sample(dataset, row) for row in part])
        with torch.no_grad():
            samples = model.test_step(copy.copy(batch))
        try:
            add_true_meshes(model, samples)
        except FileNotFoundError as error:
            # the skeleton of the labels is drawn instead
            print_log(f'True meshes are not drawn: {error}', logger='current')
        for number, (row, sample) in enumerate(zip(part, samples, strict=True), start + 1):
            crop, sample = crop_with_sample(batch['inputs'][number - 1 - start], sample, model)
            drawn = visualizer.add_datasample('worst_cases', crop, sample, views=tuple(views))
            tiles.append((describe(number, row), drawn))
    return tiles


def _find_sample(dataset: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Packed sample of a row."""
    index, key = row['sample_idx'], row['img_key']
    found = None
    if index < len(dataset):
        packed = dataset[index]
        found = packed['data_samples'].get('img_key')
    if found != key:
        there = f'has {len(dataset)} samples' if found is None else f'holds {found} there'
        raise InputError(
            f'sample {index} should be {key}, but the test set {there}: give the '
            'config (and --cfg-options) that the errors were computed with'
        )
    return packed

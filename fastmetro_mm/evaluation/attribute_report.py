# SPDX-License-Identifier: Apache-2.0
"""Errors by joint and by what makes people hard, beside the means over everybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import METRICS

from fastmetro_mm.body.joint_sets import HAND21, J14, J24, J24_TO_J14
from fastmetro_mm.evaluation.attributes import GROUPS, attributes_of, order_of
from fastmetro_mm.evaluation.functional.joint_errors import aligned_distances, joint_distances
from fastmetro_mm.evaluation.sample_access import has_label, require_instance, to_array
from fastmetro_mm.evaluation.sample_metric import SampleMetric
from fastmetro_mm.fileio import write_json

REPORT_FILE = 'report.json'
_NAMES = {len(J14): J14, len(HAND21): HAND21}


@METRICS.register_module()
class AttributeReport(SampleMetric):
    """Tables of joint errors in millimetres; adds no metric of its own.

    Writes ``report.json``: ``joints`` (a row a joint), ``attributes`` (by name a row a group) and
    ``images`` (errors of every sample, the worst PA-MPJPE first, as other metrics'
    ``per_sample_file``). Rows hold ``count``, ``MPJPE`` and ``PA-MPJPE``, computed as by
    :class:`MeshJointMetric`.

    Args:
        folder: Where the report goes.
        field: Predicted joints in ``pred_instances``, metres. (1, 14, 3) or (1, 21, 3)
        kwargs: See mmengine's ``BaseMetric``.
    """

    def __init__(self, folder: str | Path, field: str = 'joints_3d', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder, self.field = Path(folder), field

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Compare the joints of labelled samples."""
        for sample in data_samples:
            errors = None
            if has_label(sample, 'has_3d'):
                pred = to_array(require_instance(sample, 'pred_instances', self.field))
                true = to_array(require_instance(sample, 'gt_instance_labels', 'joints_3d'))
                if true.shape[1] == len(J24):
                    true = true[:, list(J24_TO_J14)]
                true = true[..., :3]
                errors = [
                    (1000 * distances(pred, true)[0]).tolist()
                    for distances in (joint_distances, aligned_distances)
                ]
            self.add_entry(sample, errors=errors, groups=attributes_of(sample))

    def summarise(self, entries: list[dict]) -> dict[str, float]:
        """Write the tables; gives no metric."""
        known = [entry for entry in entries if entry['errors'] is not None]
        if not known:
            self.warn('no sample has has_3d=1, so the tables are empty')
            empty = {'everybody': [], 'joints': [], 'attributes': {}, 'images': []}
            write_json(self.folder / REPORT_FILE, empty, indent=1)
            return {}
        errors = np.array([entry['errors'] for entry in known])  # (N, 2, J)
        names = _NAMES.get(errors.shape[2]) or tuple(map(str, range(errors.shape[2])))
        attributes = {}
        for attribute in GROUPS:
            rows: dict[str, list[int]] = {}
            for number, entry in enumerate(known):
                if attribute in entry['groups']:
                    rows.setdefault(entry['groups'][attribute], []).append(number)
            if rows:
                attributes[attribute] = [
                    _row(group, errors[rows[group]]) for group in order_of(attribute, rows)
                ]
        means = np.nan_to_num(errors.mean(2), nan=np.inf)
        images = [
            {
                'img_key': known[number]['key'],
                'sample_idx': known[number]['index'],
                **{
                    name: _number(value)
                    for name, value in zip(('MPJPE', 'PA-MPJPE'), means[number], strict=True)
                },
            }
            for number in np.argsort(-means[:, 1], kind='stable')
        ]
        report = {
            'everybody': [_row('all', errors)],
            'joints': [_row(name, errors[:, :, [number]]) for number, name in enumerate(names)],
            'attributes': attributes,
            'images': images,
        }
        write_json(self.folder / REPORT_FILE, report, indent=1)
        return {}


def _number(value: float) -> float | None:
    """Rounded; None for what is no number, which JSON does not know."""
    return round(float(value), 3) if np.isfinite(value) else None


def _row(name: str, errors: np.ndarray) -> dict[str, Any]:
    """Means of errors (N, 2, J)."""
    absolute, aligned = errors.mean((0, 2))
    return {
        'name': name,
        'count': len(errors),
        'MPJPE': _number(absolute),
        'PA-MPJPE': _number(aligned),
    }

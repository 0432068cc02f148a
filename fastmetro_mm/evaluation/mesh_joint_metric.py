# SPDX-License-Identifier: Apache-2.0
"""MPJPE and PA-MPJPE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import METRICS

from fastmetro_mm.body_models.joint_sets import HAND21, J14, J24, J24_TO_J14

from .functional.curves import auc_by_sample
from .functional.joint_errors import joint_distances, pa_mpjpe
from .sample_access import has_label, require_instance, sample_key, stack_instances
from .sample_metric import ErrorMetric


@METRICS.register_module()
class MeshJointMetric(ErrorMetric):
    """Joint errors in millimetres over the samples with 3D joints.

    ``MPJPE`` centres both sides on the mean of the hips (hands: wrist); ``PA-MPJPE`` aligns by a
    similarity with a proper rotation. Bodies are compared on the 14 joints of J14, whose truth is
    the label's, not the body model's. Confidences of single joints are not consulted (official).

    Args:
        field: predicted joints in ``pred_instances``, (1, 14, 3) or (1, 21, 3) metres;
            ``'smpl_joints_3d'`` for the SMPL head, then give a ``prefix`` too.
        pck_mm: thresholds in millimetres; each adds ``PCK@<t>mm`` and ``AUC@<t>mm`` (0 to t in
            100 steps) of the root-centred joints, in percent.
        per_sample_file: JSON file for the errors of every sample.
        collect_device: see mmengine's ``BaseMetric``.
        prefix: put before metric names.
        collect_dir: see mmengine's ``BaseMetric``.
    """

    def __init__(self,
                 field: str = 'joints_3d',
                 pck_mm: Sequence[float] = (),
                 per_sample_file: str | Path | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        names = ['MPJPE', 'PA-MPJPE']
        self.pck_mm = tuple(pck_mm)
        curves = [f'{kind}@{threshold:g}mm' for threshold in self.pck_mm
                  for kind in ('PCK', 'AUC')]
        super().__init__(curves + names, 'has_3d', per_sample_file=per_sample_file,
                         collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.field = field

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Compute the errors of a batch.

        Args:
            data_batch: not used.
            data_samples: samples with ``pred_instances`` and ``gt_instance_labels``.

        Raises:
            ValueError: if a field is missing or has the wrong shape.
        """
        errors: list[dict[str, float] | None] = [None] * len(data_samples)
        # one computation a batch; hands and bodies in one batch make two
        alike: dict[tuple, list[tuple]] = {}
        for number, sample in enumerate(data_samples):
            if has_label(sample, 'has_3d'):
                pred = require_instance(sample, 'pred_instances', self.field)
                gt = require_instance(sample, 'gt_instance_labels', 'joints_3d')
                alike.setdefault((pred.shape, gt.shape), []).append((number, pred, gt))
        for members in alike.values():
            numbers, preds, gts = zip(*members, strict=True)
            pred, gt = self._pair(preds, gts, data_samples[numbers[0]])
            for number, one in zip(numbers, self._errors(pred, gt), strict=True):
                errors[number] = one
        for sample, one in zip(data_samples, errors, strict=True):
            self.add_entry(sample, errors=one)

    def _pair(self, preds: Sequence[Any], gts: Sequence[Any],
              first: Any) -> tuple[np.ndarray, np.ndarray]:
        """Comparable joints (B, 14 or 21, 3), float64, of samples of the same shapes."""
        pred, gt = (stack_instances(values).cpu().double().numpy() for values in (preds, gts))
        if gt.shape[1] == len(J24) and pred.shape[1] == len(J14):
            gt = gt[:, list(J24_TO_J14)]
        count = gt.shape[1] if gt.ndim == 3 else 0
        if (count not in (len(J14), len(HAND21)) or gt.shape[2] not in (3, 4)
                or pred.shape[1:] != (count, 3)):
            raise ValueError(
                f'{sample_key(first)}: pred_instances.{self.field} {tuple(preds[0].shape[1:])} '
                f'does not fit gt_instance_labels.joints_3d {tuple(gts[0].shape[1:])}; expected '
                '(14, 3) and (24, 4) for a body, (21, 3) and (21, 4) for a hand')
        return pred, gt[..., :3]

    def _errors(self, pred: np.ndarray, gt: np.ndarray) -> list[dict[str, float]]:
        """Errors of each sample."""
        distances = joint_distances(pred, gt)
        columns = {'MPJPE': distances.mean(axis=1) * 1000.0,
                   'PA-MPJPE': pa_mpjpe(pred, gt) * 1000.0}
        for threshold in self.pck_mm:
            limit = threshold / 1000.0
            columns[f'PCK@{threshold:g}mm'] = (distances <= limit).mean(axis=1) * 100.0
            columns[f'AUC@{threshold:g}mm'] = auc_by_sample(distances, limit) * 100.0
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

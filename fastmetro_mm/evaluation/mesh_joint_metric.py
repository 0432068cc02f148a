# SPDX-License-Identifier: Apache-2.0
"""MPJPE and PA-MPJPE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import METRICS

from fastmetro_mm.body_models.joint_sets import HAND21, J14, J24, J24_TO_J14

from .functional.curves import auc, pck
from .functional.joint_errors import aligned_distances, joint_distances
from .sample_access import has_label, require_array, sample_key
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
        for sample in data_samples:
            errors = self._errors(sample) if has_label(sample, 'has_3d') else None
            self.add_entry(sample, errors=errors)

    def _errors(self, sample: Any) -> dict[str, float]:
        """Errors of one labelled sample."""
        pred = require_array(sample, 'pred_instances', self.field)
        gt = require_array(sample, 'gt_instance_labels', 'joints_3d')
        if gt.shape[0] == len(J24) and pred.shape[0] == len(J14):
            gt = gt[list(J24_TO_J14)]
        if pred.shape != (len(gt), 3) or gt.shape[1:] not in ((3,), (4,)) or len(gt) not in (
                len(J14), len(HAND21)):
            raise ValueError(
                f'{sample_key(sample)}: pred_instances.{self.field} {pred.shape} does not fit '
                f'gt_instance_labels.joints_3d {gt.shape}; expected (14, 3) and (24, 4) for a '
                'body, (21, 3) and (21, 4) for a hand')
        pred, gt = pred[None], gt[None, :, :3]
        distances = joint_distances(pred, gt)
        errors = {'MPJPE': float(distances.mean() * 1000.0),
                  'PA-MPJPE': float(aligned_distances(pred, gt).mean() * 1000.0)}
        for threshold in self.pck_mm:
            limit = threshold / 1000.0
            errors[f'PCK@{threshold:g}mm'] = pck(distances, limit) * 100.0
            errors[f'AUC@{threshold:g}mm'] = auc(np.nan_to_num(distances, nan=np.inf),
                                                 limit) * 100.0
        return errors

# SPDX-License-Identifier: Apache-2.0
"""MPJPE and PA-MPJPE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import METRICS

from fastmetro_mm.body.joint_sets import HAND21, J14, J24, J24_TO_J14
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.evaluation.functional.curves import auc_by_sample
from fastmetro_mm.evaluation.functional.joint_errors import joint_distances, pa_mpjpe
from fastmetro_mm.evaluation.sample_access import (
    has_label,
    require_instance,
    sample_key,
    stack_instances,
)
from fastmetro_mm.evaluation.sample_metric import ErrorMetric


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
        kwargs: see :class:`SampleMetric`: ``per_sample_file``, ``prefix`` and the rest.
    """

    def __init__(
        self, field: str = 'joints_3d', pck_mm: Sequence[float] = (), **kwargs: Any
    ) -> None:
        names = ['MPJPE', 'PA-MPJPE']
        self.pck_mm = tuple(pck_mm)
        curves = [f'{kind}@{threshold:g}mm' for threshold in self.pck_mm for kind in ('PCK', 'AUC')]
        super().__init__(curves + names, 'has_3d', at_once=512, **kwargs)
        self.field = field

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Check a batch and keep what its errors are computed from.

        Raises:
            ValueError: if a field is missing or has the wrong shape.
        """
        # hands and bodies in one batch are computed apart
        alike: dict[tuple, list[tuple]] = {}
        for sample in data_samples:
            entry = self.add_entry(sample, errors=None)
            if has_label(sample, 'has_3d'):
                pred = require_instance(sample, 'pred_instances', self.field)
                gt = require_instance(sample, 'gt_instance_labels', 'joints_3d')
                shapes = pred.shape[1:], gt.shape[1:]
                if shapes not in alike:
                    self._check(sample, *map(tuple, shapes))
                alike.setdefault(shapes, []).append((entry, pred, gt))
        for shapes, members in alike.items():
            entries, preds, gts = zip(*members, strict=True)
            self.wait(shapes, list(entries), (stack_instances(preds), stack_instances(gts)))

    def _check(self, sample: Any, pred: tuple[int, ...], gt: tuple[int, ...]) -> None:
        """Refuse joints whose shapes do not fit each other."""
        body, hand = (len(J14), 3), (len(HAND21), 3)
        known: dict[tuple[int, ...], tuple[int, ...]] = {body: (len(J24), len(J14))}
        truths = {**known, hand: (len(HAND21),)}.get(pred, ())
        if len(gt) != 2 or gt[0] not in truths or gt[1] not in (3, 4):
            raise ConfigError(
                f'{sample_key(sample)}: pred_instances.{self.field} {pred} does not fit '
                f'gt_instance_labels.joints_3d {gt}; expected (14, 3) and (24, 4) for a body, '
                '(21, 3) and (21, 4) for a hand'
            )

    def errors_of(self, kind: Any, parts: Sequence[tuple]) -> list[dict[str, float]]:
        """Errors of every sample; ``parts`` are predicted and true joints of batches."""
        pred, gt = (torch.cat(joints).cpu().double().numpy() for joints in zip(*parts, strict=True))
        if gt.shape[1] == len(J24):
            gt = gt[:, list(J24_TO_J14)]
        gt = gt[..., :3]
        distances = joint_distances(pred, gt)
        columns = {
            'MPJPE': distances.mean(axis=1) * 1000.0,
            'PA-MPJPE': pa_mpjpe(pred, gt) * 1000.0,
        }
        for threshold in self.pck_mm:
            limit = threshold / 1000.0
            columns[f'PCK@{threshold:g}mm'] = (distances <= limit).mean(axis=1) * 100.0
            columns[f'AUC@{threshold:g}mm'] = auc_by_sample(distances, limit) * 100.0
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

# SPDX-License-Identifier: Apache-2.0
"""MPVPE and PA-MPVPE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import METRICS
from torch import Tensor

from fastmetro_mm.errors import DataSetError
from fastmetro_mm.evaluation.functional.joint_errors import pa_mpvpe
from fastmetro_mm.evaluation.ground_truth_mesh import GroundTruthMesh
from fastmetro_mm.evaluation.sample_access import (
    has_label,
    require_instance,
    sample_key,
    stack_instances,
)
from fastmetro_mm.evaluation.sample_metric import ErrorMetric

# Row 0 of the official H36M regressor sums to 0.9999. The pelvis of a mesh that was centred once,
# as the official evaluation does, is therefore a ten-thousandth of what it was, not zero; centring
# again would move the mesh off the official numbers.
CENTRED_WITHIN = 2e-4  # metres


@METRICS.register_module()
class MeshVertexMetric(ErrorMetric):
    """Vertex errors in millimetres over the samples with pose and shape labels.

    Both meshes are centred on the H36M pelvis regressed from them (hands: wrist). The true mesh is
    the *neutral* body model's, as in the official evaluation, for sets with genders too; with
    ``gendered=True`` it is that of the sample's gender and the names end in ``-gendered``, because
    the numbers of the two protocols must not be compared.

    Args:
        body: ``dict(name=..., body_data_root=...)``; that of the network, which its samples name,
            if not given. Its model file is opened for the first sample that needs it; samples
            with ``gt_instance_labels.vertices`` do not.
        field: predicted vertices in ``pred_instances``; ``'smpl_vertices'`` for the SMPL head,
            then give a ``prefix`` too.
        procrustes: add ``PA-MPVPE``.
        gendered: see above.
        device: where the body is posed and meshes are compared; the GPU if there is one.
        kwargs: see :class:`SampleMetric`: ``per_sample_file``, ``prefix`` and the rest.
    """

    def __init__(
        self,
        body: dict | None = None,
        field: str = 'vertices',
        procrustes: bool = False,
        gendered: bool = False,
        device: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.suffix = '-gendered' if gendered else ''
        names = ['MPVPE', 'PA-MPVPE'] if procrustes else ['MPVPE']
        super().__init__([name + self.suffix for name in names], 'has_smpl', at_once=128, **kwargs)
        self.ground_truth = GroundTruthMesh(body, gendered=gendered, device=device)
        self.field = field
        self.procrustes = procrustes

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Check a batch and keep what its errors are computed from.

        Raises:
            ValueError: if a field is missing or has the wrong shape.
            FileNotFoundError: if a body model is needed and its file is not there.
        """
        entries, labelled = [], []
        for sample in data_samples:
            entry = self.add_entry(sample, errors=None)
            if has_label(sample, 'has_smpl'):
                entries.append(entry)
                labelled.append(sample)
        if not labelled:
            return
        for source, (numbers, labels) in self.ground_truth.read(labelled).items():
            pred = self._predictions([labelled[number] for number in numbers])
            self.wait(source, [entries[number] for number in numbers], (pred, labels))

    @torch.no_grad()
    def errors_of(self, kind: str, parts: Sequence[tuple]) -> list[dict[str, float]]:
        """Errors of every sample; ``parts`` are predicted vertices and labels of batches."""
        labels = zip(*(labels for _, labels in parts), strict=True)
        truths, origins = self.ground_truth.pose(kind, [torch.cat(label) for label in labels])
        rows = []
        for pred, _ in parts:  # by batch, which fits into the cache
            count = len(pred)
            rows += self._errors(pred.to(truths.device), truths[:count], origins[:count])
            truths, origins = truths[count:], origins[count:]
        return rows

    def _errors(self, pred: Tensor, truth: Tensor, origin: Tensor) -> list[dict[str, float]]:
        """Errors of each sample of a batch."""
        columns: dict[str, Any] = {'MPVPE': self._distances(pred, truth, origin) * 1000.0}
        if self.procrustes:
            aligned = pa_mpvpe(*(points.cpu().double().numpy() for points in (pred, truth)))
            columns['PA-MPVPE'] = aligned * 1000.0
        names = [name + self.suffix for name in columns]
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _predictions(self, samples: Sequence[Any]) -> Tensor:
        """Predicted vertices (B, V, 3), checked against the shape of the true ones."""
        shape = (self.ground_truth.body.num_vertices[0], 3)
        values = []
        for sample in samples:
            value = require_instance(sample, 'pred_instances', self.field)
            if tuple(value.shape[1:]) != shape:
                raise DataSetError(
                    f'{sample_key(sample)}: pred_instances.{self.field} '
                    f'{tuple(value.shape[1:])} and the true mesh {shape} must have '
                    'the same shape; is the metric set to the body of the network?'
                )
            values.append(value)
        return stack_instances(values)

    def _distances(self, pred: Tensor, truth: Tensor, origin: Tensor) -> Tensor:
        """Mean vertex distance (B,) of centred meshes, metres."""
        difference = pred - truth  # half precision is promoted here
        # Centring is linear in the vertices, so one shift of the difference serves both.
        offset = self.ground_truth.origin(pred).to(difference.dtype)
        left = torch.linalg.vector_norm(offset, dim=2, keepdim=True) <= CENTRED_WITHIN
        difference += origin.to(difference.dtype) - offset.masked_fill(left, 0.0)
        return torch.linalg.vector_norm(difference, dim=2).mean(dim=1, dtype=torch.float64)

# SPDX-License-Identifier: Apache-2.0
"""MPVPE and PA-MPVPE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpose.registry import METRICS

from .functional.joint_errors import mpvpe, pa_mpvpe
from .ground_truth_mesh import GroundTruthMesh
from .sample_access import has_label, require_array, sample_key
from .sample_metric import ErrorMetric


@METRICS.register_module()
class MeshVertexMetric(ErrorMetric):
    """Vertex errors in millimetres over the samples with pose and shape labels.

    Both meshes are centred on the H36M pelvis regressed from them (hands: wrist). The true mesh is
    the *neutral* body model's, as in the official evaluation, for sets with genders too; with
    ``gendered=True`` it is that of the sample's gender and the names end in ``-gendered``, because
    the numbers of the two protocols must not be compared.

    Args:
        body: ``dict(name=..., body_data_root=...)``. Its model file is opened for the first
            sample that needs it; samples with ``gt_instance_labels.vertices`` do not.
        field: predicted vertices in ``pred_instances``; ``'smpl_vertices'`` for the SMPL head,
            then give a ``prefix`` too.
        procrustes: add ``PA-MPVPE``.
        gendered: see above.
        per_sample_file: JSON file for the errors of every sample.
        collect_device: see mmengine's ``BaseMetric``.
        prefix: put before metric names.
        collect_dir: see mmengine's ``BaseMetric``.
    """

    def __init__(self,
                 body: dict,
                 field: str = 'vertices',
                 procrustes: bool = False,
                 gendered: bool = False,
                 per_sample_file: str | Path | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        self.suffix = '-gendered' if gendered else ''
        names = ['MPVPE', 'PA-MPVPE'] if procrustes else ['MPVPE']
        super().__init__([name + self.suffix for name in names], 'has_smpl',
                         per_sample_file=per_sample_file, collect_device=collect_device,
                         prefix=prefix, collect_dir=collect_dir)
        self.ground_truth = GroundTruthMesh(body, gendered=gendered)
        self.field = field
        self.procrustes = procrustes

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Compute the errors of a batch.

        Args:
            data_batch: not used.
            data_samples: samples with ``pred_instances`` and ``gt_instance_labels``.

        Raises:
            ValueError: if a field is missing or has the wrong shape.
            FileNotFoundError: if a body model is needed and its file is not there.
        """
        labelled = [sample for sample in data_samples if has_label(sample, 'has_smpl')]
        truths = iter(self.ground_truth(labelled))
        for sample in data_samples:
            errors = None
            if has_label(sample, 'has_smpl'):
                errors = self._errors(sample, next(truths))
            self.add_entry(sample, errors=errors)

    def _errors(self, sample: Any, truth: Any) -> dict[str, float]:
        """Errors of one labelled sample."""
        pred = require_array(sample, 'pred_instances', self.field)
        if pred.shape != truth.shape:
            raise ValueError(f'{sample_key(sample)}: pred_instances.{self.field} {pred.shape} '
                             f'and the true mesh {truth.shape} must have the same shape; is the '
                             'metric set to the body of the network?')
        if not self.ground_truth.assets.is_hand:
            # already so for this package's heads; makes the metric right for any other centre
            pred = pred - self.ground_truth.pelvis_row() @ pred
        pred, truth = pred[None], truth[None]
        errors = {'MPVPE' + self.suffix: float(mpvpe(pred, truth)[0] * 1000.0)}
        if self.procrustes:
            errors['PA-MPVPE' + self.suffix] = float(pa_mpvpe(pred, truth)[0] * 1000.0)
        return errors

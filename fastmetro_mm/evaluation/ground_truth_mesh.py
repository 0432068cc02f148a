# SPDX-License-Identifier: Apache-2.0
"""True meshes of samples: from a label, or from pose and shape through a body model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.evaluation.sample_access import get_field, read_instance, stack_field

GENDERS = {'m': 'male', 'male': 'male', 'f': 'female', 'female': 'female'}


class GroundTruthMesh:
    """Poses a body model with the labels of samples, once for a batch.

    The model and its files are loaded for the first sample that needs them.

    Args:
        body: ``dict(name=..., body_data_root=...)``.
        gendered: pose the model of the sample's gender instead of the neutral one. The official
            evaluation is neutral, for sets with gender labels too.
        device: where meshes are posed; the GPU if there is one.
    """

    def __init__(self, body: dict, gendered: bool = False, device: str | None = None) -> None:
        self.body = dict(body)
        self.gendered = gendered
        self._device = device
        self._models: dict[str, Any] = {}
        self._pelvis: tuple[Tensor, Tensor] | None = None

    @property
    def assets(self) -> Any:
        """``BodyAssets`` of the body."""
        return load_body_assets(self.body['name'], self.body.get('body_data_root'))

    @property
    def device(self) -> torch.device:
        """Where the meshes are; asked late, when every rank has got its GPU."""
        if self._device is not None:
            return torch.device(self._device)
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')

    def pelvis(self, vertices: Tensor) -> Tensor:
        """Pelvis of body meshes by the H36M regressor, row 0.

        Args:
            vertices: (B, V, 3).

        Returns:
            (B, 1, 3) float64.
        """
        if self._pelvis is None:
            row = np.asarray(self.assets.J_regressor_h36m, dtype=np.float64)[0]
            used = np.flatnonzero(row)
            self._pelvis = torch.from_numpy(used), torch.from_numpy(row[used])
        used, weights = (part.to(vertices.device) for part in self._pelvis)
        picked = vertices.index_select(1, used).to(weights.dtype)
        # no matrix product: sums of a sample must not depend on what else is in the batch
        return (picked * weights[:, None]).sum(dim=1, keepdim=True)

    def _gender(self, sample: Any) -> str:
        """Gender of the model for a sample; anything unknown counts as neutral."""
        if not self.gendered:
            return 'neutral'
        return GENDERS.get(str(get_field(sample, 'gender')).lower(), 'neutral')

    def _model(self, gender: str) -> Any:
        """Body model of a gender, built once."""
        if gender not in self._models:
            from fastmetro_mm.body.build import build_body_model
            # Single precision is off by 1e-7 m a vertex and takes half the memory traffic. A GPU
            # has no need of it, and double keeps clear of products in TF32.
            single = self.device.type == 'cpu'
            model = build_body_model(self.body['name'], self.body.get('body_data_root'),
                                     gender=gender,
                                     dtype=torch.float32 if single else torch.float64)
            self._models[gender] = model.to(self.device).eval()
        return self._models[gender]

    def __call__(self, samples: Sequence[Any]) -> Tensor:
        """True meshes of samples.

        Args:
            samples: see :meth:`read`; at least one.

        Returns:
            (B, V, 3) metres in the order of the samples, see :meth:`pose`.
        """
        numbers, meshes = [], []
        for source, (members, labels) in self.read(samples).items():
            numbers += members
            meshes.append(self.pose(source, labels))
        return torch.cat(meshes)[torch.from_numpy(np.argsort(numbers))]

    def read(self, samples: Sequence[Any]) -> dict[str, tuple[list[int], tuple[Tensor, ...]]]:
        """Labels that meshes come from, by source.

        Args:
            samples: samples whose ``gt_instance_labels`` hold ``vertices`` (1, V, 3), or ``pose``
                and ``betas``.

        Returns:
            For each source, numbers of its samples and their labels: ``'vertices'`` with
            (B, V, 3), or the gender of a model with pose (B, 3 * J) and betas (B, 10).

        Raises:
            ValueError: if labels are missing or do not fit the body; names the sample.
            FileNotFoundError: if a model file is needed and not there.
        """
        sources: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            given = read_instance(sample, 'gt_instance_labels', 'vertices') is not None
            source = 'vertices' if given else self._gender(sample)
            sources.setdefault(source, []).append(number)
        found = {}
        for source, numbers in sources.items():
            if source == 'vertices':
                shapes = {'vertices': (self.assets.num_vertices[0], 3)}
            else:
                model = self._model(source)
                shapes = {'pose': (3 * model.num_joints,), 'betas': (model.num_betas,)}
            members = [samples[number] for number in numbers]
            found[source] = numbers, tuple(
                stack_field(members, 'gt_instance_labels', name, shape)
                for name, shape in shapes.items())
        return found

    @torch.no_grad()
    def pose(self, source: str, labels: Sequence[Tensor]) -> Tensor:
        """Meshes of one source.

        Args:
            source: key of what :meth:`read` gives.
            labels: its labels.

        Returns:
            (B, V, 3) metres. Bodies are where the label or the model puts them, to be centred by
            :meth:`pelvis`; hands on the wrist of the kinematic tree (``vertices`` given as a label
            are taken as centred).
        """
        labels = [label.to(self.device) for label in labels]
        if source == 'vertices':
            return labels[0]
        out = self._model(source)(*labels)
        return out.vertices - out.joints[:, :1] if self.assets.is_hand else out.vertices

# SPDX-License-Identifier: Apache-2.0
"""True meshes of samples: from a label, or from pose and shape through a body model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fastmetro_mm.body_models.assets import load_body_assets

from .sample_access import get_field, read_array, require_array, sample_key

GENDERS = {'m': 'male', 'male': 'male', 'f': 'female', 'female': 'female'}


class GroundTruthMesh:
    """Poses a body model with the labels of samples.

    The model and its files are loaded for the first sample that needs them.

    Args:
        body: ``dict(name=..., body_data_root=...)``.
        gendered: pose the model of the sample's gender instead of the neutral one. The official
            evaluation is neutral, for sets with gender labels too.
    """

    def __init__(self, body: dict, gendered: bool = False) -> None:
        self.body = dict(body)
        self.gendered = gendered
        self._models: dict[str, Any] = {}
        self._pelvis: np.ndarray | None = None

    @property
    def assets(self) -> Any:
        """``BodyAssets`` of the body."""
        return load_body_assets(self.body['name'], self.body.get('body_data_root'))

    def pelvis_row(self) -> np.ndarray:
        """Weights (V,) of the H36M pelvis; row 0 of that regressor."""
        if self._pelvis is None:
            self._pelvis = np.asarray(self.assets.J_regressor_h36m, dtype=np.float64)[0]
        return self._pelvis

    def _gender(self, sample: Any) -> str:
        """Gender of the model for a sample; anything unknown counts as neutral."""
        if not self.gendered:
            return 'neutral'
        return GENDERS.get(str(get_field(sample, 'gender')).lower(), 'neutral')

    def _model(self, gender: str) -> Any:
        """Body model of a gender, built once."""
        if gender not in self._models:
            from fastmetro_mm.body_models.build import build_body_model
            model = build_body_model(self.body['name'], self.body.get('body_data_root'),
                                     gender=gender)
            self._models[gender] = model.cpu().double().eval()
        return self._models[gender]

    def __call__(self, samples: Sequence[Any]) -> list[np.ndarray]:
        """Centred true meshes.

        Args:
            samples: samples whose ``gt_instance_labels`` hold ``vertices`` (1, V, 3), or ``pose``
                and ``betas``.

        Returns:
            One array (V, 3) a sample, float64 metres. Bodies are centred on the H36M pelvis
            regressed from the mesh; hands on the wrist of the kinematic tree (``vertices`` given
            as a label are taken as centred for hands).

        Raises:
            ValueError: if labels are missing or do not fit the body.
            FileNotFoundError: if the model file is needed and not there.
        """
        meshes: list[np.ndarray | None] = [None] * len(samples)
        waiting: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            vertices = read_array(sample, 'gt_instance_labels', 'vertices')
            if vertices is None:
                waiting.setdefault(self._gender(sample), []).append(number)
            else:
                meshes[number] = self._centre(vertices, sample)
        for gender, numbers in waiting.items():
            posed = self._pose([samples[i] for i in numbers], gender)
            for number, vertices in zip(numbers, posed, strict=True):
                meshes[number] = vertices
        return meshes

    def _centre(self, vertices: np.ndarray, sample: Any) -> np.ndarray:
        """Centre a body mesh on its pelvis."""
        count = self.assets.num_vertices[0]
        if vertices.shape != (count, 3):
            raise ValueError(f'{sample_key(sample)}: gt_instance_labels.vertices must be '
                             f'({count}, 3) for the body {self.body["name"]!r}, '
                             f'got {vertices.shape}')
        return vertices if self.assets.is_hand else vertices - self.pelvis_row() @ vertices

    @torch.no_grad()
    def _pose(self, samples: Sequence[Any], gender: str) -> list[np.ndarray]:
        """Pose the model once for several samples."""
        pose, betas = (
            torch.from_numpy(np.stack([require_array(sample, 'gt_instance_labels', name)
                                       for sample in samples])) for name in ('pose', 'betas'))
        out = self._model(gender)(pose, betas)
        vertices = out.vertices.double().numpy()
        if self.assets.is_hand:
            return list(vertices - out.joints[:, :1].double().numpy())
        return [mesh - self.pelvis_row() @ mesh for mesh in vertices]

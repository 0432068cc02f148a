# SPDX-License-Identifier: Apache-2.0
"""True meshes of samples: from a label, or from pose and shape through a body model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.evaluation.sample_access import get_field, read_instance, stack_field


class GroundTruthMesh:
    """Poses a body model with the labels of samples, once for a batch.

    The model and its files are loaded for the first sample that needs them.

    Args:
        body: ``dict(name=..., body_data_root=...)``, or a network's :class:`MeshBody`; None for
            that which the samples name.
        gendered: pose the model of the sample's gender instead of the neutral one. The official
            evaluation is neutral, for sets with gender labels too.
        device: where meshes are posed; the GPU if there is one.
    """

    def __init__(
        self, body: MeshBody | dict | None, gendered: bool = False, device: str | None = None
    ) -> None:
        # of a ready body only what names it: the network's moves with the network
        self._named = body.config if isinstance(body, MeshBody) else body
        self._body: MeshBody | None = None
        self.gendered = gendered
        self._device = device
        self._models: dict[str, Any] = {}

    @property
    def body(self) -> MeshBody:
        """The body of the meshes, read when it is first asked for.

        Raises:
            ConfigError: If neither the config nor a sample has named one.
        """
        if self._named is None:
            raise ConfigError(
                "the metric knows no body: give body=dict(name='smpl', ...), or "
                'samples of a TopdownMeshEstimator, which name theirs'
            )
        if self._body is None:
            self._body = build_body(self._named, with_model=False)
        return self._body

    def knows_body(self, samples: Sequence[Any]) -> bool:
        """Whether the config or a sample has named the body."""
        if self._named is None and samples:
            self._named = get_field(samples[0], 'body')
        return self._named is not None

    @property
    def device(self) -> torch.device:
        """Where the meshes are; asked late, when every rank has got its GPU."""
        if self._device is not None:
            return torch.device(self._device)
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')

    def origin(self, vertices: Tensor, joints: Tensor | None = None) -> Tensor:
        """What the official evaluation subtracts from a mesh; see ``MeshBody.score_origin``.

        Args:
            vertices: (B, V, 3).
            joints: those :meth:`pose` gave with the mesh; None for predictions.

        Returns:
            (B, 1, 3) float64.
        """
        return self.body.to(vertices.device).score_origin(vertices, joints)

    def _gender(self, sample: Any) -> str:
        """Gender of the model for a sample; neutral where it has none.

        Raises:
            ValueError: the gender is a word that nobody knows.
        """
        gender = parse_gender(get_field(sample, 'gender')) if self.gendered else 'none'
        return 'neutral' if gender == 'none' else gender

    def _model(self, gender: str) -> Any:
        """Body model of a gender, built once."""
        if gender not in self._models:
            # Single precision is off by 1e-7 m a vertex and takes half the memory traffic. A GPU
            # has no need of it, and double keeps clear of products in TF32.
            single = self.device.type == 'cpu'
            model = build_body_model(
                self.body.name,
                self.body.assets.root,
                gender=gender,
                dtype=torch.float32 if single else torch.float64,
            )
            self._models[gender] = model.to(self.device).eval()
        return self._models[gender]

    def __call__(self, samples: Sequence[Any]) -> Tensor:
        """True meshes of samples.

        Args:
            samples: see :meth:`read`; at least one.

        Returns:
            (B, V, 3) metres in the order of the samples, centred as the official evaluation does.
        """
        numbers, meshes = [], []
        for source, (members, labels) in self.read(samples).items():
            numbers += members
            vertices, origin = self.pose(source, labels)
            meshes.append(vertices - origin.to(vertices.dtype))
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
        self.knows_body(samples)
        sources: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            given = read_instance(sample, 'gt_instance_labels', 'vertices') is not None
            source = 'vertices' if given else self._gender(sample)
            sources.setdefault(source, []).append(number)
        found = {}
        for source, numbers in sources.items():
            if source == 'vertices':
                shapes = {'vertices': (self.body.num_vertices[0], 3)}
            else:
                model = self._model(source)
                shapes = {'pose': (3 * model.num_joints,), 'betas': (model.num_betas,)}
            members = [samples[number] for number in numbers]
            found[source] = (
                numbers,
                tuple(
                    stack_field(members, 'gt_instance_labels', name, shape)
                    for name, shape in shapes.items()
                ),
            )
        return found

    @torch.no_grad()
    def pose(self, source: str, labels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Meshes of one source.

        Args:
            source: key of what :meth:`read` gives.
            labels: its labels.

        Returns:
            Meshes (B, V, 3), metres, where the label or the model puts them, and the origin to
            subtract (B, 1, 3), float64, see :meth:`origin`.
        """
        labels = [label.to(self.device) for label in labels]
        if source == 'vertices':
            return labels[0], self.origin(labels[0])
        out = self._model(source)(*labels)
        return out.vertices, self.origin(out.vertices, out.joints)

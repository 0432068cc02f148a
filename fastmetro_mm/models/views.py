# SPDX-License-Identifier: Apache-2.0
"""Several views of one crop (mirrored, turned, scaled): what is said about them, as one answer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import SMPL24_FLIP, flip_permutation
from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.body.mirror import mirrored_vertices
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.rotation import global_rotations, local_rotations, mean_rotation
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


def mean_pred_cam(pred_cams: Sequence[Tensor], crops: Sequence[Tensor], size: float) -> Tensor:
    """The ``pred_cam`` on the first crop that stands for those on all.

    Averaged are the size of a metre and the place of the root, both in the image.

    Args:
        pred_cams: Weak perspective ``(s, tx, ty)`` on each crop. (B, 3)
        crops: Affine maps from crop pixels to image pixels, turned or mirrored or not. (B, 2, 3)
        size: Side of the crops, pixels.

    Returns:
        That on the first crop. (B, 3)
    """
    zooms, places = [], []
    for pred_cam, crop in zip(pred_cams, crops, strict=True):
        pred_cam, crop = pred_cam.double(), crop.to(pred_cam.device, torch.float64)
        on_crop = (pred_cam[:, :1] * pred_cam[:, 1:] + 1) * (0.5 * size)
        places.append(torch.einsum('bij,bj->bi', crop[:, :, :2], on_crop) + crop[:, :, 2])
        zooms.append(pred_cam[:, 0] * torch.linalg.det(crop[:, :, :2]).abs().sqrt())
    zoom, place = torch.stack(zooms).mean(0), torch.stack(places).mean(0)
    first = crops[0].to(place)
    on_crop = torch.linalg.solve(first[:, :, :2], place - first[:, :, 2]) / (0.5 * size) - 1
    scale = zoom / torch.linalg.det(first[:, :, :2]).abs().sqrt()
    return torch.column_stack((scale, on_crop / scale[:, None])).to(pred_cams[0].dtype)


class ViewMerger(nn.Module):
    """Bring predictions of mirrored and turned crops back, and average them.

    The mirror image of a person has left and right exchanged; that of a right hand is a left hand
    with the same joint and vertex numbers, so that a network gains by it only if it was trained on
    mirrored hands, too.

    Args:
        body: The network's body.

    Raises:
        ConfigError: If the body's mesh has no left-right symmetry.
    """

    vertices: Tensor
    joints: Tensor
    sign: Tensor

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

    def back(self, prediction: MeshPrediction, flip: Tensor, rot: Tensor) -> MeshPrediction:
        """What a view says, in the axes of the image.

        Args:
            prediction: Raw prediction of views that were turned, then mirrored (``MeshAugment``).
            flip: Which were mirrored. (B,) bool
            rot: How far they were turned, degrees. (B,)

        Returns:
            Full mesh, joints, rotations and shape of the image as it is; coarser meshes are left
            as they are, and so is ``pred_cam``, which belongs to the view's crop.
        """
        flip = flip.to(prediction.vertices.device)[:, None, None]
        angle = -torch.deg2rad(rot.to(prediction.vertices))
        turn = torch.eye(3).to(angle).repeat(len(angle), 1, 1)
        turn[:, 0, 0] = turn[:, 1, 1] = angle.cos()
        turn[:, 1, 0] = angle.sin()
        turn[:, 0, 1] = -turn[:, 1, 0]

        def points(found: Tensor, across: Tensor) -> Tensor:
            upright = torch.where(flip, self.sign * found[:, across], found)
            return upright @ turn  # the inverse, acting on rows

        confidence = prediction.joint_confidence
        if confidence is not None:
            confidence = torch.where(flip[..., 0], confidence[:, self.joints], confidence)
        rotmat = prediction.rotmat
        if rotmat is not None:
            rotmat = rotmat.float()
            rotmat = torch.where(flip[..., None], self.mirror_rotations(rotmat), rotmat)
            rotmat = torch.cat((turn.mT[:, None].to(rotmat) @ rotmat[:, :1], rotmat[:, 1:]), dim=1)
        return MeshPrediction(
            pred_cam=prediction.pred_cam,
            joints=points(prediction.joints, self.joints),
            vertices_coarse=prediction.vertices_coarse,
            vertices_mid=prediction.vertices_mid,
            vertices=points(prediction.vertices, self.vertices),
            rotmat=rotmat,
            betas=prediction.betas,
            joint_confidence=confidence,
        )

    def forward(
        self, predictions: Sequence[MeshPrediction], pred_cam: Tensor, posed: bool
    ) -> MeshPrediction:
        """Average.

        Args:
            predictions: Of each view, brought back.
            pred_cam: Of all of them, see :func:`mean_pred_cam`. (B, 3)
            posed: Whether the mesh is posed from rotations and shape: these are averaged then and
                posed again, because the mean of two meshes has shorter limbs. Rotations are
                averaged against the camera, in which errors do not add up along a limb.

        Returns:
            The raw prediction that all support.
        """

        def mean(name: str) -> Tensor:
            return torch.stack([getattr(one, name) for one in predictions]).mean(0)

        joints = mean('joints')
        rotmat: Any = None
        betas: Any = None
        parents: Any = ()
        if predictions[0].rotmat is not None:
            betas = mean('betas')
            every = [one.rotmat for one in predictions]
            if posed:
                model: Any = self.body.require_model()
                parents = model.parents
                every = [global_rotations(one, parents) for one in every]
            rotmat = mean_rotation(torch.stack(every))
            rotmat = local_rotations(rotmat, parents) if posed else rotmat
        if posed:
            vertices, joints = self.body.centre(self.body.pose(rotmat, betas).vertices)
        else:
            vertices = mean('vertices')
        levels = len(self.body.num_vertices)
        middle: Any = self.body.sampling.down(vertices, 0, 1) if levels == 3 else None
        return MeshPrediction(
            pred_cam=pred_cam,
            joints=joints,
            vertices_coarse=self.body.sampling.down(vertices, 0, levels - 1),
            vertices_mid=middle,
            vertices=vertices,
            rotmat=rotmat,
            betas=betas,
            joint_confidence=(
                None if predictions[0].joint_confidence is None else mean('joint_confidence')
            ),
        )

    def flip_test(
        self, prediction: MeshPrediction, of_mirrored: MeshPrediction, posed: bool
    ) -> MeshPrediction:
        """Average what is said about images and about their mirror images.

        Args:
            prediction: Raw prediction of images.
            of_mirrored: That of their mirror images.
            posed: See :meth:`forward`.

        Returns:
            The raw prediction that both support.
        """
        count, pred_cam = len(prediction.pred_cam), of_mirrored.pred_cam * self.sign[[1, 0, 2]]
        flip = torch.ones(count, dtype=torch.bool)
        same = torch.eye(2, 3).repeat(count, 1, 1)
        return self(
            [prediction, self.back(of_mirrored, flip, torch.zeros(count))],
            mean_pred_cam([prediction.pred_cam, pred_cam], [same, same], 1.0),
            posed,
        )

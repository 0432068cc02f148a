# SPDX-License-Identifier: Apache-2.0
"""Linear blend skinning for files in the SMPL and MANO layout.

The model (Loper et al., SMPL, 2015): template + shape blend shapes + pose blend shapes, joints
regressed from the shaped template, rigid transforms along the kinematic tree, and vertices
blended from the transforms of their joints. Written from the formulas of the paper.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.geometry.precision import full_precision
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat

# Blended transforms take twelve numbers a vertex, 330 kB a person. On a CPU, where nothing is kept
# for a gradient, large batches are skinned in pieces that stay in the cache: 3 times as fast at
# 128 people. Blend shapes want the opposite, all people in one product.
_PEOPLE_IN_CACHE = 16


class BodyModelOutput(NamedTuple):
    """Posed body."""

    vertices: Tensor  # (B, V, 3) metres
    joints: Tensor  # (B, J, 3) metres, the joints of the kinematic tree


class SkinnedBodyModel(nn.Module):
    """Batched skinning of a SMPL- or MANO-layout model.

    Shape and pose blend shapes are one matrix product, joints come from a small matrix prepared
    once, and the kinematic chain runs level by level of the tree, all joints of a level at once.
    Constants are non-persistent buffers: they never enter a checkpoint.

    Args:
        arrays: Model arrays as ``read_model_file`` returns them.
        flat_hand_mean: For hands, whether an axis-angle pose is absolute. By default it is
            relative to ``hands_mean``, as in the official FastMETRO and manopth
            (``flat_hand_mean=False, use_pca=False``).
        dtype: Precision of buffers and computation.
    """

    v_template: Tensor
    directions: Tensor
    joint_template: Tensor
    joint_directions: Tensor
    weights: Tensor
    faces: Tensor
    pose_mean: Tensor | None
    tree_order_to_joint: Tensor
    parent_index: Tensor

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        flat_hand_mean: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        template = np.asarray(arrays['v_template'], np.float64)
        shapedirs = np.asarray(arrays['shapedirs'], np.float64)
        posedirs = np.asarray(arrays['posedirs'], np.float64)
        regressor = np.asarray(arrays['J_regressor'], np.float64)
        parents = [int(p) for p in np.asarray(arrays['kintree_table'])[0]]
        self.num_vertices, self.num_betas = len(template), shapedirs.shape[2]
        self.num_joints = len(parents)
        self.parents = tuple(parents)
        # Files with pose blend shapes of zero (the open body) skip them; the sum is the same.
        self.has_posedirs = bool(posedirs.any())

        # Coordinates are kept (3, V), the long axis last, so that skinning is one product and
        # a few vectorised sums; the layout of the result is (B, V, 3) all the same.
        directions = shapedirs.transpose(2, 1, 0).reshape(self.num_betas, -1)
        if self.has_posedirs:
            bends = posedirs.transpose(2, 1, 0).reshape(posedirs.shape[2], -1)
            directions = np.concatenate([directions, bends])
        # Joints are linear in betas: regress template and directions once, in double precision.
        constants = dict(
            v_template=template.T.reshape(1, -1),
            directions=directions,
            joint_template=(regressor @ template).reshape(1, -1),
            joint_directions=np.einsum('jv,vcb->bjc', regressor, shapedirs).reshape(
                self.num_betas, -1
            ),
            weights=np.asarray(arrays['weights'], np.float64).T,
        )
        for name, value in constants.items():
            tensor = torch.tensor(np.ascontiguousarray(value), dtype=dtype)
            self.register_buffer(name, tensor, persistent=False)
        faces = torch.from_numpy(np.asarray(arrays['f']).astype(np.int64))
        self.register_buffer('faces', faces, persistent=False)
        mean = arrays.get('hands_mean')
        if mean is None or flat_hand_mean:
            self.register_buffer('pose_mean', None, persistent=False)
        else:
            full = np.concatenate([np.zeros(3), np.asarray(mean, np.float64)])
            self.register_buffer('pose_mean', torch.tensor(full, dtype=dtype), persistent=False)
        self._register_tree(parents)

    def _register_tree(self, parents: list[int]) -> None:
        depth = [0] * len(parents)
        for joint in range(1, len(parents)):
            depth[joint] = depth[parents[joint]] + 1
        order = sorted(range(len(parents)), key=lambda joint: depth[joint])
        place = {joint: i for i, joint in enumerate(order)}
        self.num_levels = max(depth) + 1
        for level in range(1, self.num_levels):
            joints = [joint for joint in order if depth[joint] == level]
            self.register_buffer(f'level_joints_{level}', torch.tensor(joints), persistent=False)
            self.register_buffer(
                f'level_parents_{level}',
                torch.tensor([place[parents[joint]] for joint in joints]),
                persistent=False,
            )
        back = torch.tensor([place[joint] for joint in range(len(parents))])
        self.register_buffer('tree_order_to_joint', back, persistent=False)
        parent_or_self = torch.tensor([max(parent, 0) for parent in parents])
        self.register_buffer('parent_index', parent_or_self, persistent=False)

    def forward(self, pose: Tensor, betas: Tensor, transl: Tensor | None = None) -> BodyModelOutput:
        """Pose the model.

        Args:
            pose: (B, J*3) axis-angle in radians or (B, J, 3, 3) rotation matrices, the global
                orientation first. Axis-angle poses of a hand are relative to its mean pose;
                matrices are taken as they are.
            betas: (B, 10) shape coefficients.
            transl: (B, 3) metres, added at the end.

        Returns:
            Vertices and joints in metres. Half-precision input is computed in the precision of
            the model, also under autocast.

        Raises:
            ValueError: Shapes that do not fit the model.
        """
        self._check(pose, betas, transl)
        with full_precision(pose):
            dtype = self.v_template.dtype
            betas = betas.to(dtype)
            rotations = self.pose_to_rotmats(pose)
            coefficients = betas
            if self.has_posedirs:
                bend = rotations[:, 1:] - torch.eye(3, dtype=dtype, device=rotations.device)
                coefficients = torch.cat([betas, bend.flatten(1)], dim=1)
            posed = torch.addmm(self.v_template, coefficients, self.directions)
            rest = torch.addmm(self.joint_template, betas, self.joint_directions)
            rest = rest.unflatten(1, (self.num_joints, 3))
            turned, joints = self._chain(rotations, rest)
            # Transforms act on rest-pose coordinates: remove the rest position of the joint.
            offsets = joints - (turned @ rest.unsqueeze(-1)).squeeze(-1)
            transforms = torch.cat([turned, offsets.unsqueeze(-1)], dim=-1)
            vertices = self._skin(posed, transforms)
            if transl is not None:
                shift = transl.to(dtype).unsqueeze(1)
                vertices, joints = vertices + shift, joints + shift
            return BodyModelOutput(vertices, joints)

    def _skin(self, posed: Tensor, transforms: Tensor) -> Tensor:
        """Vertices (B, V, 3) of shaped ones (B, 3 * V) and transforms (B, J, 3, 4)."""
        batch = posed.shape[0]
        exporting = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if (torch.is_grad_enabled() or exporting or posed.device.type != 'cpu'
                or batch <= _PEOPLE_IN_CACHE):  # fmt: skip
            return self._blend(posed, transforms).transpose(1, 2).contiguous()
        vertices = posed.new_empty(batch, self.num_vertices, 3)
        for start in range(0, batch, _PEOPLE_IN_CACHE):
            part = slice(start, start + _PEOPLE_IN_CACHE)
            vertices[part] = self._blend(posed[part], transforms[part]).transpose(1, 2)
        return vertices

    def _blend(self, posed: Tensor, transforms: Tensor) -> Tensor:
        """Each vertex moved by the weighted transforms of its joints, (B, 3, V)."""
        rows = transforms.permute(0, 2, 3, 1).flatten(0, 2)
        blended = (rows @ self.weights).unflatten(0, (-1, 3, 4))
        x, y, z = posed.unflatten(1, (3, 1, self.num_vertices)).unbind(dim=1)
        placed = torch.addcmul(blended[:, :, 3], blended[:, :, 0], x)
        placed = torch.addcmul(placed, blended[:, :, 1], y)
        return torch.addcmul(placed, blended[:, :, 2], z)

    def pose_to_rotmats(self, pose: Tensor) -> Tensor:
        """(B, J, 3, 3) rotation matrices of a pose, the hand's mean pose included."""
        pose = pose.to(self.v_template.dtype)
        if pose.ndim == 4:
            return pose
        if self.pose_mean is not None:
            pose = pose + self.pose_mean
        return axis_angle_to_rotmat(pose.unflatten(1, (self.num_joints, 3)))

    def _chain(self, rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Global rotations (B, J, 3, 3) and positions (B, J, 3) along the tree."""
        bones = rest - rest.index_select(1, self.parent_index)
        turned, places = rotations[:, :1], rest[:, :1]
        for level in range(1, self.num_levels):
            joints = getattr(self, f'level_joints_{level}')
            parents = getattr(self, f'level_parents_{level}')
            base = turned.index_select(1, parents)
            moved = (base @ bones.index_select(1, joints).unsqueeze(-1)).squeeze(-1)
            places = torch.cat([places, places.index_select(1, parents) + moved], dim=1)
            turned = torch.cat([turned, base @ rotations.index_select(1, joints)], dim=1)
        back = self.tree_order_to_joint
        return turned.index_select(1, back), places.index_select(1, back)

    def _check(self, pose: Tensor, betas: Tensor, transl: Tensor | None) -> None:
        check_model_inputs(pose, betas, transl, self.num_joints, self.num_betas)


def check_model_inputs(
    pose: Tensor, betas: Tensor, transl: Tensor | None, num_joints: int, num_betas: int
) -> None:
    """Raise a ValueError that names the argument whose shape does not fit the model."""
    batch = pose.shape[0]
    if tuple(pose.shape[1:]) not in ((num_joints * 3,), (num_joints, 3, 3)):
        raise ValueError(
            f'pose must be (B, {num_joints * 3}) axis-angle or '
            f'(B, {num_joints}, 3, 3) rotation matrices, found {tuple(pose.shape)}'
        )
    if tuple(betas.shape) != (batch, num_betas):
        raise ValueError(f'betas must be ({batch}, {num_betas}), found {tuple(betas.shape)}')
    if transl is not None and tuple(transl.shape) != (batch, 3):
        raise ValueError(f'transl must be ({batch}, 3), found {tuple(transl.shape)}')

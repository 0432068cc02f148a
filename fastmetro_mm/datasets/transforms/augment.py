# SPDX-License-Identifier: Apache-2.0
"""Random flip, channel noise, rotation and scale, applied to box, 3D joints and pose.

The pixels and the 2D joints follow in `MeshCrop`, which reads what was drawn here. Formulas:
FastMETRO ``src/datasets/human_mesh_tsv.py`` and ``src/utils/image_ops.py``.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from fastmetro_mm.body.joint_sets import J24, J24_FLIP, SMPL24_FLIP
from fastmetro_mm.errors import ConfigError

_POSE_FLIP = (np.array(SMPL24_FLIP)[:, None] * 3 + np.arange(3)).reshape(-1)
_POSE_FLIP_SIGN = np.tile(np.array([1, -1, -1], np.float32), len(SMPL24_FLIP))


def flip_joints(joints: np.ndarray) -> np.ndarray:
    """Mirror the 24 joints (24, D): left and right change places, the first column its sign."""
    flipped = joints[list(J24_FLIP)]
    flipped[:, 0] = -flipped[:, 0]
    return flipped


def flip_pose(pose: np.ndarray) -> np.ndarray:
    """Mirror a SMPL axis-angle pose (72,)."""
    return pose[_POSE_FLIP] * _POSE_FLIP_SIGN


def rotate_joints(joints: np.ndarray, rot: float) -> np.ndarray:
    """Turn joints (J, 4) about the viewing axis as the crop is turned by `rot` degrees."""
    angle = np.deg2rad(-rot)
    sin, cos = np.sin(angle), np.cos(angle)
    turned = joints.copy()
    turned[:, :2] = joints[:, :2] @ np.array([[cos, -sin], [sin, cos]]).T
    return turned


def rotate_pose(pose: np.ndarray, rot: float) -> np.ndarray:
    """Turn the global orientation of an axis-angle pose with the crop.

    As in the official code it goes through Rodrigues' formula even for 0 degrees, in float32,
    which brings its angle into [0, pi].
    """
    turned = pose.astype(np.float32)
    angle = np.deg2rad(-rot)
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    turned[:3] = cv2.Rodrigues(turn @ cv2.Rodrigues(turned[:3])[0])[0][:, 0]
    return turned


@TRANSFORMS.register_module()
class MeshAugment(BaseTransform):
    """Draw an augmentation and apply it to the box and to the labels that do not need the crop.

    Defaults are the official ones for bodies; hands take ``flip_prob=0, rot_factor=90`` (a
    mirrored right hand is a left one). Random numbers come from the global ``np.random``, which
    mmengine seeds in every worker, and are drawn in the official order.

    Reads ``scale`` and, where present, ``joints_3d``, ``pose``. Writes ``aug`` and ``flip``,
    ``rot``; multiplies ``scale``.

    Args:
        train: Without it nothing is drawn (identity), unless `fixed` is given.
        flip_prob: Probability of mirroring.
        noise_factor: Channels are multiplied by uniform factors from 1 +- this.
        rot_factor: Standard deviation of the rotation, degrees; clipped to twice that.
        rot_zero_prob: Probability of no rotation.
        scale_factor: Standard deviation and bound of the scale factor about 1.
        fixed: ``dict(flip=0|1, noise=(r, g, b), rot=degrees, scale=factor)`` used for every
            sample instead of drawing; absent keys mean no change.
    """

    def __init__(
        self,
        train: bool = False,
        flip_prob: float = 0.5,
        noise_factor: float = 0.4,
        rot_factor: float = 30.0,
        rot_zero_prob: float = 0.6,
        scale_factor: float = 0.25,
        fixed: dict | None = None,
    ) -> None:
        self.train = train
        self.flip_prob = flip_prob
        self.noise_factor = noise_factor
        self.rot_factor = rot_factor
        self.rot_zero_prob = rot_zero_prob
        self.scale_factor = scale_factor
        self.fixed = None if fixed is None else self._complete(fixed)

    @staticmethod
    def _complete(fixed: dict) -> dict:
        unknown = set(fixed) - {'flip', 'noise', 'rot', 'scale'}
        if unknown:
            raise ConfigError(
                f'fixed has unknown keys {sorted(unknown)}: use flip, noise, rot, scale'
            )
        noise = np.broadcast_to(np.asarray(fixed.get('noise', 1.0), np.float64), (3,)).copy()
        return dict(
            flip=bool(fixed.get('flip', 0)),
            noise=noise,
            rot=float(fixed.get('rot', 0.0)),
            scale=float(fixed.get('scale', 1.0)),
        )

    def draw(self) -> dict:
        """Draw one augmentation: ``flip`` bool, ``noise`` (3,), ``rot`` degrees, ``scale``."""
        if self.fixed is not None:
            return dict(self.fixed)
        if not self.train:
            return self._complete({})
        flip = self.flip_prob > 0 and np.random.uniform() <= self.flip_prob  # noqa: NPY002
        noise = np.random.uniform(1 - self.noise_factor, 1 + self.noise_factor, 3)  # noqa: NPY002
        bound = 2 * self.rot_factor
        rot = float(np.clip(np.random.randn() * self.rot_factor, -bound, bound))  # noqa: NPY002
        bound = self.scale_factor
        scale = float(np.clip(np.random.randn() * bound + 1, 1 - bound, 1 + bound))  # noqa: NPY002
        if np.random.uniform() <= self.rot_zero_prob:  # noqa: NPY002
            rot = 0.0
        return dict(flip=flip, noise=noise, rot=rot, scale=scale)

    def transform(self, results: dict) -> dict:
        """Apply one augmentation; see the class.

        Raises:
            ValueError: Flip asked for a joint set that cannot be mirrored (hands).
        """
        aug = self.draw()
        joints = results.get('joints_3d')
        if aug['flip'] and joints is not None and len(joints) != len(J24):
            raise ConfigError(
                f'labels with {len(joints)} joints cannot be flipped (a mirrored '
                'right hand is a left one): set flip_prob=0 in MeshAugment'
            )
        results['aug'] = aug
        results['flip'], results['rot'] = aug['flip'], aug['rot']
        results['scale'] = float(aug['scale'] * results['scale'])
        if joints is not None:
            joints = rotate_joints(joints, aug['rot'])
            joints = flip_joints(joints) if aug['flip'] else joints
            results['joints_3d'] = joints.astype(np.float32)
        if 'pose' in results:
            pose = rotate_pose(results['pose'], aug['rot'])
            results['pose'] = flip_pose(pose) if aug['flip'] else pose
        return results

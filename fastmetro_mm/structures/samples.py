# SPDX-License-Identifier: Apache-2.0
"""Samples, tokens and predictions of the network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmpose.structures import PoseDataSample
from torch import Tensor

from fastmetro_mm.earlier_names import accept_old_keywords, alias_of


class MeshDataSample(PoseDataSample):
    """One person (or hand) crop: labels going in, a mesh coming out.

    A subclass of mmpose's sample, so that mmpose's inferencers and visualizers accept it. Every
    ``InstanceData`` field has a leading dimension of 1.

    * ``gt_instances``: ``bboxes (1, 4)`` xyxy, ``bbox_scores (1,)``, ``bbox_centers (1, 2)``,
      ``bbox_scales (1, 2)`` in image pixels.
    * ``gt_instance_labels``: ``joints_2d (1, 24, 3)`` on the crop in [-1, 1] with confidence,
      ``joints_3d (1, 24, 4)`` centred on the pelvis with confidence, ``pose (1, 72)``,
      ``betas (1, 10)``, ``has_smpl has_2d has_3d (1,)``. Hands: 21 joints, wrist, pose 48.
    * ``pred_instances``: ``vertices (1, V, 3)`` and ``joints_3d (1, J, 3)`` centred on the
      pelvis (hands: wrist), ``pred_cam (1, 3)`` = (s, tx, ty), the same as ``camera``, its earlier
      name, ``keypoints (1, J, 2)`` image pixels, ``keypoint_scores (1, J)``, ``bboxes``,
      ``bbox_scores``; with the SMPL head also
      ``global_orient (1, 3, 3)``, ``body_pose (1, 23, 3, 3)``, ``betas (1, 10)``,
      ``smpl_vertices (1, V, 3)`` and ``smpl_joints_3d (1, J, 3)`` where a SMPL file is at hand;
      ``joint_confidence (1, J)`` of networks that can tell, ``joint_spread (1, J)`` metres with
      test-time augmentation.
    * metainfo: ``crop_to_image (2, 3)`` maps crop pixels to image pixels; of predictions ``body``,
      what ``build_body`` makes the network's body from.
    """

    if TYPE_CHECKING:  # fields are attributes from the moment they are set
        gt_instances: Any
        gt_instance_labels: Any
        pred_instances: Any

        def __getattr__(self, name: str) -> Any: ...


@accept_old_keywords(camera='cam_token')
@dataclass
class TokenFeatures:
    """What the neck hands to the head.

    Attributes:
        cam_token: Camera token. (B, C)
        joints: Joint tokens. (B, J, C)
        vertices: Coarse vertex tokens. (B, V, C)
        keypoints: Key points that the tokens were made of, where they were: x and y on the crop in
            [-1, 1] and a score. (B, K, 3)
    """

    cam_token: Tensor
    joints: Tensor
    vertices: Tensor
    keypoints: Tensor | None = None

    camera = alias_of('cam_token')


_NOT_GIVEN: Any = None  # whoever asks for such a field knows that it is there


@accept_old_keywords(camera='pred_cam')
@dataclass
class MeshPrediction:
    """Raw network output. Its origin is free: centre it before use, after up-sampling.

    Attributes:
        pred_cam: Weak perspective (s, tx, ty) on the crop: ``xy = s * (XY + t)``. (B, 3)
        joints: Joints read from the joint tokens, metres. (B, J, 3)
        vertices_coarse: Coarse mesh, metres. (B, 431, 3); hands (B, 195, 3)
        vertices_mid: Middle mesh, body only. (B, 1723, 3)
        vertices: Full mesh, metres. (B, 6890, 3); hands (B, 778, 3)
        rotmat: Rotations of the SMPL head, 0 is the global orientation. (B, 24, 3, 3)
        betas: Shape of the SMPL head. (B, 10)
        smpl_vertices: Mesh of ``rotmat`` and ``betas``, where it was posed, metres. (B, 6890, 3)
        joint_confidence: Probability of each joint to be right, of networks that tell. (B, J)
        mesh_joints: Joints of ``vertices`` as they are, where they were regressed. (B, J, 3)
    """

    pred_cam: Tensor
    joints: Tensor
    vertices_coarse: Tensor
    vertices: Tensor
    vertices_mid: Tensor = _NOT_GIVEN
    rotmat: Tensor = _NOT_GIVEN
    betas: Tensor = _NOT_GIVEN
    smpl_vertices: Tensor = _NOT_GIVEN
    joint_confidence: Tensor | None = None
    mesh_joints: Tensor | None = None

    camera = alias_of('pred_cam')

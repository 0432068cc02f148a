# SPDX-License-Identifier: Apache-2.0
"""What mesh heads share: the body, judging a prediction, and results in the image."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.geometry.camera import crop_to_image, weak_perspective_project
from fastmetro_mm.structures import MeshDataSample, MeshPrediction, MeshTargets


def for_the_log(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Unweighted terms under names that mmengine does not add to the loss.

    It sums everything with ``loss`` in its name, and these are in the weighted total already.
    """
    names = {name: re.sub(r'_?loss_?', '', name) or 'term' for name in terms}
    return {
        names[name]
        if list(names.values()).count(names[name]) == 1
        else name.replace('loss', 'term'): term.detach()
        for name, term in terms.items()
    }


class MeshHead(BaseModule):
    """A head that turns tokens into a :class:`MeshPrediction`.

    Args:
        body: Which mesh: the estimator's :class:`MeshBody`, or ``dict(name='smpl', ...)``.
        criterion: Loss, needed for training only. It gets ``body`` unless it names one itself.
        init_cfg: See mmengine's ``BaseModule``.

    Attributes:
        never_waits: Whether :meth:`forward` leaves a GPU to itself, neither copying to it nor
            waiting for it, so that it can be recorded as a CUDA graph.
    """

    never_waits = True

    def __init__(
        self, body: MeshBody | dict, criterion: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.body = build_body(body)
        self.num_joints = len(self.body.joint_names)  # joint tokens that are read
        self.criterion = None
        if criterion is not None:
            self.criterion = MODELS.build({'body': self.body, **criterion})

    def loss(self, prediction: MeshPrediction, targets: MeshTargets) -> dict[str, Tensor]:
        """Judge a prediction.

        Args:
            prediction: Raw prediction.
            targets: Labels of the same batch.

        Returns:
            ``loss_mesh``, the weighted total, and every unweighted term for the log.

        Raises:
            MissingBodyFileError: If the joints of a hand need its model file, which is missing.
        """
        if self.criterion is None:
            raise ConfigError(
                f'{type(self).__name__} has no criterion: set model.head.criterion, as the configs '
                'under configs/ do'
            )
        terms = self.criterion(prediction, targets)
        total = terms.pop('total')
        return {'loss_mesh': total, **for_the_log(terms)}

    def predict(
        self, prediction: MeshPrediction, data_samples: Sequence[MeshDataSample]
    ) -> list[InstanceData]:
        """Centre the mesh, regress its joints and project them into the image.

        Args:
            prediction: Raw prediction of a batch.
            data_samples: Its samples; ``crop_to_image`` and ``input_size`` of their metainfo are
                used.

        Returns:
            One ``InstanceData`` of numpy arrays a sample: ``vertices joints_3d pred_cam keypoints
            keypoint_scores`` (see :class:`MeshDataSample`).
        """
        vertices, joints = self.centre(prediction)
        pred_cam = prediction.pred_cam.float()
        on_crop = weak_perspective_project(joints, pred_cam)  # (B, J, 2) in [-1, 1]

        known = [sample.metainfo for sample in data_samples]
        sizes, to_image = (
            np.array([one[name] for one in known], dtype=np.float64)
            for name in ('input_size', 'crop_to_image')
        )
        pixels = (on_crop.cpu().numpy() + 1) * 0.5 * sizes[:, None]
        batch = dict(
            vertices=vertices.cpu().numpy(),
            joints_3d=joints.cpu().numpy(),
            pred_cam=pred_cam.cpu().numpy(),
            camera=pred_cam.cpu().numpy(),  # the same under its earlier name
            keypoints=np.asarray(crop_to_image(pixels, to_image), np.float32),
            keypoint_scores=np.ones(joints.shape[:2], dtype=np.float32),
        )
        if prediction.joint_confidence is not None:
            batch['joint_confidence'] = prediction.joint_confidence.float().cpu().numpy()
        # Samples get views: nothing is copied one by one. `set_field` because assignment compares
        # the lengths of all fields every time, which takes longer than all of the above.
        instances = [InstanceData() for _ in data_samples]
        for index, instance in enumerate(instances):
            for name, array in batch.items():
                instance.set_field(array[index : index + 1], name)
        return instances

    def centre(self, prediction: MeshPrediction) -> tuple[Tensor, Tensor]:
        """Put the origin at the pelvis (hands: wrist) and give the joints in that frame.

        Args:
            prediction: Raw prediction.

        Returns:
            Vertices (B, V, 3) and joints (B, 14, 3); hands (B, 21, 3), metres.
        """
        raise NotImplementedError

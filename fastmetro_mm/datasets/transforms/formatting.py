# SPDX-License-Identifier: Apache-2.0
"""Packing one sample for the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpose.registry import TRANSFORMS

from fastmetro_mm.body.joint_sets import J24, J24_TO_J14
from fastmetro_mm.structures import MeshDataSample

_LABELS = ('joints_2d', 'joints_3d', 'pose', 'betas', 'has_smpl', 'has_2d', 'has_3d')
_META_KEYS = (
    'sample_idx', 'img_key', 'img_path', 'ori_shape', 'img_shape', 'input_size', 'center', 'scale',
    'crop_to_image', 'flip', 'rot', 'gender', 'dataset_name', 'flip_indices', 'hidden',
    'pose_family',
)  # fmt: skip


@TRANSFORMS.register_module()
class PackMeshInputs(BaseTransform):
    """Pack the crop and the labels.

    Gives ``inputs``, a uint8 tensor (3, size, size) RGB (normalised later on the device), and
    ``data_samples``, a `MeshDataSample`. Labels are set only where the sample has them (a bare
    image in inference has none).

    Args:
        meta_keys: Keys copied into the metainfo where present.
        pack_transformed: Make samples that are drawn on their crop instead of on the image, BGR;
            mmpose's ``browse_dataset.py --mode transformed`` sets it.
    """

    def __init__(
        self, meta_keys: Sequence[str] = _META_KEYS, pack_transformed: bool = False
    ) -> None:
        self.meta_keys = tuple(meta_keys)
        self.pack_transformed = pack_transformed

    def transform(self, results: dict) -> dict:
        """Pack; see the class."""
        inputs = torch.from_numpy(np.ascontiguousarray(results['img'].transpose(2, 0, 1)))
        center = np.asarray(results['center'], np.float32)
        side = 200 * results['scale']
        bbox = results.get('bbox')
        if bbox is None:
            bbox = np.concatenate([center - side / 2, center + side / 2])
        instances = InstanceData()
        instances.bboxes = np.asarray(bbox, np.float32).reshape(1, 4)
        instances.bbox_scores = np.asarray(results.get('bbox_score', [1.0]), np.float32).reshape(1)
        instances.bbox_centers = center[None]
        instances.bbox_scales = np.full((1, 2), side, np.float32)

        sample = MeshDataSample()
        sample.gt_instances = instances
        present = [name for name in _LABELS if name in results]
        if present:
            labels = InstanceData()
            for name in present:
                value = torch.from_numpy(np.asarray(results[name], np.float32).copy())
                labels.set_field(value[None], name)
            sample.gt_instance_labels = labels
        meta = {key: results[key] for key in self.meta_keys if key in results}
        meta['center'] = center
        if self.pack_transformed:
            inputs = inputs.flip(0)
            height, width = inputs.shape[1:]
            instances.bboxes = np.array([[0, 0, width, height]], np.float32)
            if 'joints_2d' in results:
                joints = np.asarray(results['joints_2d'], np.float32)
                if len(joints) == len(J24):
                    joints = joints[list(J24_TO_J14)]
                instances.keypoints = ((joints[:, :2] + 1) * 0.5 * (width, height))[None]
                instances.keypoints_visible = joints[None, :, 2]
            name = str(meta.get('img_path') or meta.get('img_key', 'image'))
            if not name.lower().endswith(('.jpg', '.jpeg', '.png')):
                name += '.png'  # it becomes the name of the drawing
            meta.update(
                crop_to_image=np.eye(2, 3, dtype=np.float32),
                ori_shape=(height, width),
                img_path=name,
            )
        sample.set_metainfo(meta)
        return dict(inputs=inputs, data_samples=sample)

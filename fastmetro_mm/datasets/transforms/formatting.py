# SPDX-License-Identifier: Apache-2.0
"""Packing one sample for the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpose.registry import TRANSFORMS

from fastmetro_mm.structures import MeshDataSample

_LABELS = ('joints_2d', 'joints_3d', 'pose', 'betas', 'has_smpl', 'has_2d', 'has_3d')
_META_KEYS = ('sample_idx', 'img_key', 'img_path', 'ori_shape', 'img_shape', 'input_size',
              'center', 'scale', 'crop_to_image', 'flip', 'rot', 'gender', 'dataset_name',
              'flip_indices')


@TRANSFORMS.register_module()
class PackMeshInputs(BaseTransform):
    """Pack the crop and the labels.

    Gives ``inputs``, a uint8 tensor (3, size, size) RGB (normalised later on the device), and
    ``data_samples``, a `MeshDataSample`. Labels are set only where the sample has them (a bare
    image in inference has none).

    Args:
        meta_keys: Keys copied into the metainfo where present.
    """

    def __init__(self, meta_keys: Sequence[str] = _META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

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
        instances.bbox_scores = np.asarray(
            results.get('bbox_score', [1.0]), np.float32).reshape(1)
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
        sample.set_metainfo(meta)
        return dict(inputs=inputs, data_samples=sample)

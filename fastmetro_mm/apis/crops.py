# SPDX-License-Identifier: Apache-2.0
"""Into the network and out of it: crops cut as in the config, people made of its answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.hands import mirror_prediction
from fastmetro_mm.datasets.transforms import BoxToCenterScale, LoadMeshImage, MeshCrop
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.structures.results import PersonMesh

_SMPL_FIELDS = ('global_orient', 'body_pose', 'betas', 'smpl_vertices')


def picture_pipeline(config: Config, speed: str, box_padding: float | None) -> Compose:
    """The config's test pipeline without loading, since pictures are decoded once for all.

    Args:
        config: Config with ``test_dataloader``.
        speed: ``fast`` cuts crops in one warp.
        box_padding: Replaces the config's factor from box to crop.

    Returns:
        The pipeline.
    """
    pipeline = Compose(config.test_dataloader.dataset.pipeline)
    pipeline.transforms = [
        step for step in pipeline.transforms if not isinstance(step, LoadMeshImage)]
    for step in pipeline.transforms:
        if speed == 'fast' and isinstance(step, MeshCrop):
            step.mode = 'fast'
        if box_padding is not None and isinstance(step, BoxToCenterScale):
            step.padding = box_padding
    return pipeline


def crop_data(
    image: np.ndarray, path: str | None, box: PersonBox, dataset_meta: Mapping
) -> dict:
    """What a decoded picture's pipeline starts from; the fields that ``LoadMeshImage`` writes.

    Args:
        image: RGB. (H, W, 3) uint8
        path: File of the picture, or None.
        box: Box to cut.
        dataset_meta: Of the network.

    Returns:
        Input of :func:`picture_pipeline`.
    """
    return dict(
        dataset_meta,
        img=image, img_path=path, img_reduction=1,
        ori_shape=image.shape[:2], img_shape=image.shape[:2],
        bbox=np.asarray(box.bbox, np.float32)[None],
        bbox_score=np.array([box.score], np.float32),
    )


def person_of(sample: MeshDataSample, box: PersonBox, image_width: int) -> PersonMesh:
    """One person out of the network's answer; left hands mirrored back.

    Args:
        sample: Sample with ``pred_instances`` of one crop; of a left hand's mirror image.
        box: Box in the picture itself.
        image_width: Width of the picture, pixels.

    Returns:
        The person, not yet placed in the scene.
    """
    found = sample.pred_instances
    person = PersonMesh(
        vertices=found.vertices[0],
        joints_3d=found.joints_3d[0],
        keypoints=found.keypoints[0],
        camera=found.camera[0],
        translation=np.full(3, np.nan),
        bbox=np.asarray(box.bbox, np.float32),
        bbox_score=float(box.score),
        crop_to_image=np.asarray(sample.crop_to_image, np.float32),
        crop_size=float(np.ravel(sample.input_size)[0]),
        track_id=box.track_id,
        is_right=box.is_right,
        **{name: found[name][0] for name in _SMPL_FIELDS if name in found},
    )
    return mirror_prediction(person, image_width) if box.is_right is False else person

# SPDX-License-Identifier: Apache-2.0
"""Into the network and out of it: crops cut as in the config, people made of its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from PIL import Image

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.hands import mirror_prediction
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.datasets.transforms import BoxToCenterScale, LoadMeshImage, MeshCrop
from fastmetro_mm.datasets.transforms.views import View, all_views
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.structures.results import PersonMesh

_SMPL_FIELDS = ('global_orient', 'body_pose', 'betas', 'smpl_vertices')
_CONFIDENCE_FIELDS = ('joint_confidence', 'joint_spread')


def image_pipeline(config: Config, speed: str, box_padding: float | None) -> Compose:
    """The config's test pipeline without loading, since images are decoded once for all.

    Args:
        config: Config with ``test_dataloader``.
        speed: ``fast`` cuts crops in one warp where they would be cut as in the official code.
        box_padding: Replaces the config's factor from box to crop.
    """
    pipeline = Compose(config.test_dataloader.dataset.pipeline)
    pipeline.transforms = [
        step for step in pipeline.transforms if not isinstance(step, LoadMeshImage)
    ]
    for step in pipeline.transforms:
        # 'smooth' stays: it costs little, and a network that was made for it sees less without
        if speed == 'fast' and isinstance(step, MeshCrop) and step.mode == 'official':
            step.mode = 'fast'
        if box_padding is not None and isinstance(step, BoxToCenterScale):
            step.padding = box_padding
    return pipeline


@dataclass
class Crop:
    """One person on the way into the network."""

    box: PersonBox  # box in the image itself, full pixels
    data: dict  # output of the pipeline
    # affine map from the pixels the pipeline saw to full pixels of the image, which is the mirrored
    # one for left hands. (2, 3)
    to_image: np.ndarray


@dataclass(eq=False)
class PendingImage:
    """An image whose people are not all through the network yet."""

    image: SourceImage  # the image
    # its people as they go into the network, in the order of their boxes
    crops: list[Crop] = field(default_factory=list)
    # those that are through, in the same order
    people: list[PersonMesh] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether all are through."""
        return len(self.people) == len(self.crops)


class Cropper:
    """Cuts people out of images as the config says.

    Args:
        config: Config with ``test_dataloader``.
        speed: ``fast`` cuts crops in one warp where they would be cut as in the official code.
        box_padding: Replaces the config's factor from box to crop; also for images that are crops
            already, to which nothing is added without it.
        dataset_meta: Of the network.
        views: Views of every crop for test-time augmentation; none: the crop as it is.
    """

    def __init__(
        self,
        config: Config,
        speed: str,
        box_padding: float | None,
        dataset_meta: Mapping,
        views: Sequence[View] = (),
    ) -> None:
        self._pipeline = image_pipeline(config, speed, box_padding)
        self._meta = dataset_meta
        self._keep_whole = box_padding is None
        self._size = next(
            step.size for step in self._pipeline.transforms if isinstance(step, MeshCrop)
        )
        if views:
            self._pipeline.transforms = all_views(self._pipeline.transforms, views)

    def __call__(self, image: SourceImage, box: PersonBox, mirrored: np.ndarray | None) -> Crop:
        """Cut one person out.

        Args:
            image: The image.
            box: Box in it, full pixels.
            mirrored: Pixels of the mirror image, for a left hand.

        Raises:
            DataRowError: If the box has no pixel.
        """
        pixels = image.pixels if mirrored is None else mirrored
        cut = box if mirrored is None else box.mirrored(image.size[0])
        to_image = np.column_stack([np.diag(image.reduction), np.zeros(2)])
        bbox = np.asarray(cut.bbox, np.float32) / np.tile(image.reduction, 2).astype(np.float32)
        placed: dict[str, Any] = {}
        if box.whole_image and self._keep_whole:
            pixels, inner = middle_crop(pixels, self._size)
            to_image = chain(to_image, inner)
            bbox = np.array([0, 0, self._size, self._size], np.float32)
            placed = dict(center=np.full(2, self._size / 2), scale=self._size / 200)
        data = dict(
            self._meta,
            img=pixels,
            img_path=image.path,
            img_reduction=1,
            ori_shape=pixels.shape[:2],
            img_shape=pixels.shape[:2],
            bbox=bbox[None],
            bbox_score=np.array([box.score], np.float32),
            **placed,
        )
        cropped: Any = self._pipeline(data)  # our transforms drop no sample
        return Crop(box, cropped, to_image)


def middle_crop(pixels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize the shorter side and cut the middle out, as the official demo does.

    Args:
        pixels: RGB. (H, W, 3) uint8
        size: Side of the crop, pixels.

    Returns:
        The crop (size, size, 3), and the affine map from its pixels to those of the image (2, 3).

    Reference:
        ``Resize(224), CenterCrop(224)`` of torchvision on Pillow images, in the official
        ``end2end_inference_bodymesh.py`` and ``end2end_inference_handmesh.py``.
    """
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    wide, high = int(size * width / shorter), int(size * height / shorter)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    resized = Image.fromarray(pixels).resize((wide, high), Image.Resampling.BILINEAR)
    crop = np.asarray(resized)[top : top + size, left : left + size]
    scale = np.array([width / wide, height / high])
    return np.ascontiguousarray(crop), np.column_stack([np.diag(scale), scale * (left, top)])


def chain(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The affine map that applies ``inner`` and then ``outer``, all (2, 3)."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def person_of(
    sample: MeshDataSample, crop: Crop, image_width: int, with_parameters: bool
) -> PersonMesh:
    """One person out of the network's answer; left hands mirrored back.

    Args:
        sample: Sample with ``pred_instances`` of one crop; of a left hand's mirror image.
        crop: What went in.
        image_width: Width of the image in full, pixels.
        with_parameters: Whether SMPL parameters in the answer mean anything.

    Returns:
        The person, not yet placed in the scene.
    """
    found, box = sample.pred_instances, crop.box
    keypoints = found.keypoints[0] @ crop.to_image[:, :2].T + crop.to_image[:, 2]
    person = PersonMesh(
        vertices=found.vertices[0],
        joints_3d=found.joints_3d[0],
        keypoints=keypoints.astype(np.float32),
        pred_cam=found.pred_cam[0],
        translation=np.full(3, np.nan),
        bbox=np.asarray(box.bbox, np.float32),
        bbox_score=box.score,
        crop_to_image=chain(crop.to_image, np.asarray(sample.crop_to_image)).astype(np.float32),
        crop_size=float(np.ravel(sample.input_size)[0]),
        track_id=box.track_id,
        is_right=box.is_right,
        detected_keypoints=None if box.keypoints is None else np.asarray(box.keypoints, np.float32),
        **{name: found[name][0] for name in _SMPL_FIELDS if name in found and with_parameters},
        **{name: found[name][0] for name in _CONFIDENCE_FIELDS if name in found},
    )
    return mirror_prediction(person, image_width) if box.is_right is False else person

# SPDX-License-Identifier: Apache-2.0
"""The crop that a network saw as an image, for samples whose full image is not at hand."""

from typing import Any

import numpy as np
import torch

from fastmetro_mm.geometry.camera import crop_to_image
from fastmetro_mm.structures import MeshDataSample

LEAST_IMAGE = 224
"""Crops about this size or larger are drawn as they are, smaller ones enlarged, pixels."""


def crop_with_sample(
    inputs: torch.Tensor, sample: MeshDataSample, model: torch.nn.Module
) -> tuple[np.ndarray, MeshDataSample]:
    """The crop, enlarged if it is small, and the sample with its places on it.

    Args:
        inputs: See :func:`crop_image`.
        sample: See :func:`on_the_crop`; changed.
        model: See :func:`crop_image`.

    Returns:
        RGB (H, W, 3) uint8, and the sample.
    """
    image = crop_image(inputs, model)
    enlarge = max(1, round(LEAST_IMAGE / image.shape[0]))
    sample = on_the_crop(sample, image.shape[0], enlarge)
    return image.repeat(enlarge, axis=0).repeat(enlarge, axis=1), sample


def crop_image(inputs: torch.Tensor, model: torch.nn.Module) -> np.ndarray:
    """The crop that the network saw, as an image.

    Args:
        inputs: RGB crop before the data preprocessor, or normalised by it. (3, H, W)
        model: Model whose ``data_preprocessor`` knows mean and deviation.

    Returns:
        RGB. (H, W, 3) uint8
    """
    crop = inputs.detach().cpu()
    if crop.is_floating_point():
        preprocessor: Any = getattr(model, 'data_preprocessor', None)
        # Normalised values are small and signed, image values in floating point are not.
        if getattr(preprocessor, '_enable_normalize', False) and crop.min() < 0:
            crop = crop * preprocessor.std.cpu() + preprocessor.mean.cpu()
        crop = crop.round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(crop.permute(1, 2, 0).numpy())


def on_the_crop(sample: MeshDataSample, crop_size: int, enlarge: int = 1) -> MeshDataSample:
    """A sample whose image pixels are the pixels of its crop.

    Args:
        sample: Sample with ``crop_to_image`` in its metainfo.
        crop_size: Side of the crop, pixels.
        enlarge: Pixels of the image for one of the crop.

    Returns:
        The same sample, changed: ``crop_to_image`` only enlarges, keypoints and boxes lie on the
        enlarged crop.
    """
    matrix = np.asarray(sample.crop_to_image, dtype=np.float64)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    if 'pred_instances' in sample and 'keypoints' in sample.pred_instances:
        predicted = sample.pred_instances
        keypoints = np.asarray(torch.as_tensor(predicted.keypoints).cpu(), dtype=np.float64)
        on_crop = enlarge * crop_to_image(keypoints, inverse)
        predicted.keypoints = np.asarray(on_crop, np.float32)
        side = enlarge * crop_size
        predicted.bboxes = np.array([[0, 0, side, side]], dtype=np.float32)
    sample.set_metainfo(dict(crop_to_image=enlarge * np.eye(2, 3)))
    return sample

# SPDX-License-Identifier: Apache-2.0
"""Cutting the person out: pixels and 2D joints, as the official code does or in one warp."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from .augment import flip_joints
from .crop_geometry import (
    CropWindow,
    apply_affine,
    crop_to_image_matrix,
    crop_window,
    invert_affine,
    official_box_matrix,
)


def crop_official(image: np.ndarray, window: CropWindow, size: int, rot: float) -> np.ndarray:
    """Pixels as in the official ``crop`` (FastMETRO ``src/utils/image_ops.py``).

    Cut with a black border, rotate at full resolution with a margin, resize. float32 gives the
    values of the official float64 to about 1e-4 grey levels.

    Args:
        image: uint8 (H, W, 3).
        window: Rectangle to cut.
        size: Side of the result, px.
        rot: Rotation, degrees.

    Returns:
        float32 (size, size, 3) in [0, 255].
    """
    pad = 0
    if rot != 0:
        diagonal = np.hypot(window.width, window.height)
        pad = int(diagonal / 2 - float(window.height) / 2)
    left, top = window.left - pad, window.top - pad
    width, height = window.width + 2 * pad, window.height + 2 * pad
    cut = np.zeros((height, width, 3), np.float32)
    x0, x1 = max(left, 0), min(left + width, image.shape[1])
    y0, y1 = max(top, 0), min(top + height, image.shape[0])
    if x0 < x1 and y0 < y1:
        cut[y0 - top:y1 - top, x0 - left:x1 - left] = image[y0:y1, x0:x1]
    if rot != 0:
        turn = cv2.getRotationMatrix2D(((width - 1) * 0.5, (height - 1) * 0.5), rot, 1.0)
        cut = cv2.warpAffine(cut, turn, (width, height), borderValue=0)
        cut = cut[pad:height - pad, pad:width - pad]
    return cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR)


def crop_fast(image: np.ndarray, crop_to_image: np.ndarray, size: int,
              reduction: int = 1) -> np.ndarray:
    """The same framing by one bilinear sampling of the image, uint8 (size, size, 3).

    Args:
        image: uint8 (H, W, 3).
        crop_to_image: (2, 3) map of positions from crop to image.
        size: Side of the result, px.
        reduction: Factor by which `image` is smaller than the image the map speaks of.
    """
    matrix = crop_to_image / reduction
    # From continuous positions to the pixel-centre indices of OpenCV.
    matrix[:, 2] += matrix[:, :2].sum(1) * 0.5 - 0.5
    return cv2.warpAffine(image, matrix, (size, size), borderValue=0,
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _multiply_channels(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Channel noise on uint8 through a table; clips to [0, 255] and rounds."""
    table = np.clip(np.arange(256)[:, None] * noise, 0, 255)
    return cv2.LUT(image, np.rint(table).astype(np.uint8)[None])


@TRANSFORMS.register_module()
class MeshCrop(BaseTransform):
    """Cut the square crop, apply flip, rotation and channel noise to it, move the 2D joints.

    Both modes frame the crop by the official integer-truncated corners.

    * ``'official'``: pixels and 2D joints equal to the official loader (up to the rounding of
      pixels to uint8). Its 2D joints are truncated to whole crop pixels, about +0.6 px off.
    * ``'fast'``: one uint8 warp from the image, several times faster, pixels differ slightly
      (one resampling instead of two); 2D joints exact to sub-pixels.

    Reads ``img``, ``center``, ``scale``, ``aug`` and, where present, ``joints_2d`` (J, 3) px.
    Writes ``img`` uint8 (size, size, 3) RGB, ``joints_2d`` normalised to [-1, 1],
    ``crop_to_image`` (2, 3) float32 (see `crop_geometry`), ``input_size`` (w, h).

    Args:
        size: Side of the crop, px.
        mode: ``'official'`` or ``'fast'``.
    """

    def __init__(self, size: int = 224, mode: str = 'official') -> None:
        if mode not in ('official', 'fast'):
            raise ValueError(f"MeshCrop mode must be 'official' or 'fast', got {mode!r}")
        self.size = size
        self.mode = mode

    def transform(self, results: dict) -> dict:
        """Cut the crop; see the class."""
        aug = results.get('aug') or dict(flip=False, noise=np.ones(3), rot=0.0)
        rot, flip, noise = aug['rot'], bool(aug['flip']), aug['noise']
        center, scale, image = results['center'], results['scale'], results['img']
        window = crop_window(center, scale, self.size)
        matrix = crop_to_image_matrix(window, self.size, rot, flip)
        if self.mode == 'official':
            if results.get('img_reduction', 1) != 1:
                raise ValueError("MeshCrop(mode='official') needs the full image: remove "
                                 'crop_size from LoadMeshImage')
            crop = crop_official(image, window, self.size, rot)
            crop = crop[:, ::-1] if flip else crop
            crop = np.rint(np.clip(crop * noise.astype(np.float32), 0, 255)).astype(np.uint8)
        else:
            crop = crop_fast(image, matrix, self.size, results.get('img_reduction', 1))
            if np.any(noise != 1):
                crop = _multiply_channels(crop, noise)
        if 'joints_2d' in results:
            results['joints_2d'] = self._move_joints(
                results['joints_2d'], matrix, official_box_matrix(center, scale, self.size, rot),
                flip)
        results['img'] = np.ascontiguousarray(crop)
        results['crop_to_image'] = matrix.astype(np.float32)
        results['input_size'] = (self.size, self.size)
        return results

    def _move_joints(self, joints: np.ndarray, crop_to_image: np.ndarray,
                     official_matrix: np.ndarray, flip: bool) -> np.ndarray:
        moved = np.array(joints, np.float64)
        if self.mode == 'official':
            position = apply_affine(moved[:, :2], official_matrix[:2]).astype(int) + 1
            moved[:, :2] = 2.0 * position / self.size - 1.0
            moved = flip_joints(moved) if flip else moved
        else:
            position = apply_affine(moved[:, :2], invert_affine(crop_to_image))
            moved[:, :2] = 2.0 * position / self.size - 1.0
            if flip:  # the map is mirrored already: only left and right change places
                moved = flip_joints(moved)
                moved[:, 0] = -moved[:, 0]
        return moved.astype(np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Cutting the person out: pixels and 2D joints, as the official code does or in one warp."""

from __future__ import annotations

import math

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from fastmetro_mm.datasets.transforms.augment import flip_joints
from fastmetro_mm.datasets.transforms.crop_geometry import (
    CropWindow,
    apply_affine,
    crop_to_image_matrix,
    crop_window,
    invert_affine,
    official_box_matrix,
)
from fastmetro_mm.errors import ConfigError

# Fixed-point steps of OpenCV's affine warp up to version 4: 1/1024 px for the terms of the
# position, 1/32 px for the position itself. Version 5 is finer for some pixel types.
_TERM_STEPS = 1024
_POSITION_STEPS = 32


def _cut(image: np.ndarray, window: CropWindow) -> np.ndarray:
    """Pixels of a window, black outside of the image; a view where it lies inside."""
    height, width = image.shape[:2]
    x0, x1 = max(window.left, 0), min(window.right, width)
    y0, y1 = max(window.top, 0), min(window.bottom, height)
    if (x0, y0, x1, y1) == tuple(window):
        return image[y0:y1, x0:x1]
    cut = np.zeros((window.height, window.width, 3), np.uint8)
    if x0 < x1 and y0 < y1:
        cut[y0 - window.top : y1 - window.top, x0 - window.left : x1 - window.left] = image[
            y0:y1, x0:x1
        ]
    return cut


def _linear_taps(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The two pixels, and the weight of the second, that a bilinear resize reads per result.

    Returns:
        int64 (2 * size,) pixel numbers in pairs, float32 (size,) weights.
    """
    position = (np.arange(size) + 0.5) * (length / size) - 0.5
    first = np.floor(position)
    taps = np.stack([first, first + 1], 1).clip(0, length - 1).astype(np.int64)
    return taps.reshape(-1), (position - first).astype(np.float32)


def _rotate_and_resize(cut: np.ndarray, size: int, rot: float, pad: int) -> np.ndarray:
    """Rotate at full resolution, drop a margin of `pad`, resize; only pixels that are read.

    Equal to ``cv2.warpAffine`` of OpenCV 4 (which the published numbers come from; its fixed
    positions matter at edges) and ``cv2.resize``, but instead of the whole rotated image only
    the two pixels per axis that the resize reads are made.
    """
    height, width = cut.shape[:2]
    turn = cv2.invertAffineTransform(
        cv2.getRotationMatrix2D(((width - 1) * 0.5, (height - 1) * 0.5), rot, 1.0)
    )
    xs, weight_x = _linear_taps(width - 2 * pad, size)
    ys, weight_y = _linear_taps(height - 2 * pad, size)
    xs, ys = xs + pad, ys + pad
    ratio = _TERM_STEPS // _POSITION_STEPS
    maps = []
    for row in turn:
        along_x = np.rint(row[0] * xs * _TERM_STEPS).astype(np.int64)
        along_y = np.rint((row[1] * ys + row[2]) * _TERM_STEPS).astype(np.int64) + ratio // 2
        position = (along_y[:, None] + along_x[None]) // ratio
        maps.append(position.astype(np.float32) / _POSITION_STEPS)
    taps = cv2.remap(cut, maps[0], maps[1], cv2.INTER_LINEAR, borderValue=0).astype(np.float32)
    upper, lower = taps[0::2], taps[1::2]
    rows = upper + (lower - upper) * weight_y[:, None, None]
    left, right = rows[:, 0::2], rows[:, 1::2]
    return left + (right - left) * weight_x[:, None]


def crop_official(image: np.ndarray, window: CropWindow, size: int, rot: float) -> np.ndarray:
    """Pixels as in the official ``crop`` (FastMETRO ``src/utils/image_ops.py``).

    Cut with a black border, rotate at full resolution with a margin, resize. The official code
    works in float64; here the sampled pixels are rounded to grey levels once, an error of at
    most 0.5.

    Args:
        image: uint8 (H, W, 3).
        window: Rectangle to cut.
        size: Side of the result, px.
        rot: Rotation, degrees.

    Returns:
        (size, size, 3) in [0, 255], uint8 or, with rotation, float32.
    """
    if rot == 0:
        return cv2.resize(_cut(image, window), (size, size), interpolation=cv2.INTER_LINEAR)
    pad = int(np.hypot(window.width, window.height) / 2 - float(window.height) / 2)
    padded = CropWindow(
        window.left - pad, window.top - pad, window.right + pad, window.bottom + pad
    )
    return _rotate_and_resize(_cut(image, padded), size, rot, pad)


def crop_fast(
    image: np.ndarray, crop_to_image: np.ndarray, size: int, reduction: int = 1
) -> np.ndarray:
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
    return cv2.warpAffine(
        image, matrix, (size, size), borderValue=0, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )


def crop_smooth(image: np.ndarray, window: CropWindow, size: int, rot: float = 0) -> np.ndarray:
    """Pixels of a window, every one of them averaged where the crop is smaller.

    A network whose features see single pixels (a 2D pose network) is thrown off by what bilinear
    sampling leaves of a large photo.

    Args:
        image: uint8 (H, W, 3).
        window: Rectangle to cut.
        size: Side of the result, px.
        rot: Rotation, degrees; after the pixels were averaged.

    Returns:
        uint8 (size, size, 3).
    """
    shrinks = max(window.width, window.height) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if rot == 0:
        return cv2.resize(_cut(image, window), (size, size), interpolation=how)
    # what the corners of the turned window see, by whole pixels of the result
    margin = math.ceil(size * (math.sqrt(2) - 1) / 2)
    pad_x, pad_y = (round(margin * side / size) for side in (window.width, window.height))
    padded = CropWindow(
        window.left - pad_x, window.top - pad_y, window.right + pad_x, window.bottom + pad_y
    )
    whole = size + 2 * margin
    cut = cv2.resize(_cut(image, padded), (whole, whole), interpolation=how)
    turn = cv2.getRotationMatrix2D(((whole - 1) * 0.5, (whole - 1) * 0.5), rot, 1.0)
    turn[:, 2] -= margin
    return cv2.warpAffine(cut, turn, (size, size), borderValue=0, flags=cv2.INTER_LINEAR)


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
    * ``'smooth'``: as ``'fast'``, but the pixels of a larger window are averaged instead of some
      being picked.

    Reads ``img``, ``center``, ``scale``, ``aug`` and, where present, ``joints_2d`` (J, 3) px.
    Writes ``img`` uint8 (size, size, 3) RGB, ``joints_2d`` normalised to [-1, 1],
    ``crop_to_image`` (2, 3) float32 (see `crop_geometry`), ``input_size`` (w, h).

    Args:
        size: Side of the crop, px.
        mode: ``'official'``, ``'fast'`` or ``'smooth'``.
    """

    def __init__(self, size: int = 224, mode: str = 'official') -> None:
        if mode not in ('official', 'fast', 'smooth'):
            raise ConfigError(f"MeshCrop mode must be 'official', 'fast' or 'smooth', got {mode!r}")
        self.size = size
        self.mode = mode

    def transform(self, results: dict) -> dict:
        """Cut the crop; see the class."""
        aug = results.get('aug') or dict(flip=False, noise=np.ones(3), rot=0.0)
        rot, flip, noise = float(aug['rot']), bool(aug['flip']), np.asarray(aug['noise'])
        center, scale, image = results['center'], results['scale'], results['img']
        window = crop_window(center, scale, self.size)
        matrix = crop_to_image_matrix(window, self.size, rot, flip)
        if self.mode == 'official':
            if results.get('img_reduction', 1) != 1:
                raise ConfigError(
                    "MeshCrop(mode='official') needs the full image: remove "
                    'crop_size from LoadMeshImage'
                )
            crop = crop_official(image, window, self.size, rot)
            crop = crop[:, ::-1] if flip else crop
            crop = np.rint(np.clip(crop * noise.astype(np.float32), 0, 255)).astype(np.uint8)
        else:
            reduction = results.get('img_reduction', 1)
            if self.mode == 'smooth' and reduction == 1:
                crop = crop_smooth(image, window, self.size, rot)
                crop = crop[:, ::-1] if flip else crop
            else:
                crop = crop_fast(image, matrix, self.size, reduction)
            if np.any(noise != 1):
                crop = _multiply_channels(crop, noise)
        if 'joints_2d' in results:
            results['joints_2d'] = self._move_joints(
                results['joints_2d'],
                matrix,
                official_box_matrix(center, scale, self.size, rot),
                flip,
            )
        results['img'] = np.ascontiguousarray(crop)
        results['crop_to_image'] = matrix.astype(np.float32)
        results['input_size'] = (self.size, self.size)
        return results

    def _move_joints(
        self, joints: np.ndarray, crop_to_image: np.ndarray, official_matrix: np.ndarray, flip: bool
    ) -> np.ndarray:
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

# SPDX-License-Identifier: Apache-2.0
"""Transforms that bring in the image and the box of one sample."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from fastmetro_mm.errors import ConfigError, DataRowError, InputError, MissingFileError
from fastmetro_mm.images.decoding import decode_whole
from fastmetro_mm.images.formats import kind_of
from fastmetro_mm.images.jpeg import read_header

# Smallest scale factor of the official augmentation, assumed where it is not drawn yet.
_SMALLEST_SCALE_FACTOR = 0.75


def decode_image(data: bytes, reduction: int = 1) -> np.ndarray:
    """Decode JPEG, PNG... to RGB, upright; transparent pixels lie on white.

    JPEGs of data sets are decoded as the official code does, by OpenCV, which tolerates damage
    inside of them; ``fastmetro_mm.images.decoding`` is stricter.

    Args:
        data: Encoded image.
        reduction: 1, or 2, 4, 8 for a JPEG decoded at that fraction of its size (faster).

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        DataRowError: Not an image, or a JPEG that is cut off (decoders fill it with grey).
    """
    if kind_of(data[:400]) != 'jpeg':
        try:
            return decode_whole(data, reduced=False).pixels
        except InputError as error:
            raise DataRowError(f'the image cannot be decoded: {error}') from None
    if read_header(data).end is None:
        raise DataRowError('the JPEG is cut off')
    flag = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }[reduction]
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        raise DataRowError('the image cannot be decoded')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@TRANSFORMS.register_module()
class LoadMeshImage(BaseTransform):
    """Bring the image in as RGB, from whatever the sample has.

    Reads ``img_bytes`` (encoded), else ``img`` (a BGR array, as mmpose's API passes it), else
    ``img_path``. Writes ``img`` (uint8 (H, W, 3) RGB), ``ori_shape``, ``img_shape`` and
    ``img_reduction``; removes ``img_bytes``.

    Args:
        crop_size: With a number, JPEGs whose box is at least twice that size are decoded at
            1/2, 1/4 or 1/8, which is faster. Only for ``MeshCrop(mode='fast')``. Applies most
            often after `MeshAugment`, where the size of the box is final; before it the
            smallest official scale factor is assumed. None decodes in full.
    """

    def __init__(self, crop_size: int | None = None) -> None:
        self.crop_size = crop_size

    def transform(self, results: dict) -> dict:
        """Add the image; see the class."""
        reduction = 1
        data = results.pop('img_bytes', None)
        if data is None and 'img' not in results:
            path = Path(results['img_path'])
            if not path.is_file():
                raise MissingFileError(f'image {path} not found: correct the path')
            data = path.read_bytes()
        if data is None:
            image = np.asarray(results['img'])
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise ConfigError(f'img is {image.dtype} {image.shape}: pass uint8 (H, W, 3) BGR')
            image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)
        else:
            reduction = self._choose_reduction(results, data)
            try:
                image = decode_image(data, reduction)
            except DataRowError as error:
                if results.get('img_path'):
                    raise DataRowError(f'{results["img_path"]}: {error}') from None
                raise
        results['img'] = image
        if reduction == 1 or 'ori_shape' not in results:
            # A reduced odd size was rounded up; then a size that the data set knows stays.
            results['ori_shape'] = (image.shape[0] * reduction, image.shape[1] * reduction)
        results['img_shape'] = results['ori_shape']
        results['img_reduction'] = reduction
        return results

    def _choose_reduction(self, results: dict, data: bytes) -> int:
        if self.crop_size is None or 'scale' not in results or data[:2] != b'\xff\xd8':
            return 1
        side = 200 * results['scale'] * (1 if 'aug' in results else _SMALLEST_SCALE_FACTOR)
        return next((r for r in (8, 4, 2) if side >= r * self.crop_size), 1)


@TRANSFORMS.register_module()
class BoxToCenterScale(BaseTransform):
    """Turn a box into the centre and scale of the square crop, where they are absent.

    Reads ``bbox`` (1, 4) xyxy px. Without any box the image is a crop already, and its middle is
    taken without padding, as the official demo does. Writes ``center`` (2,) px and ``scale``
    (side of the square / 200).

    Args:
        padding: Factor from the longer side of the box to the side of the crop; 1.2 as in the
            official 3DPW labels.
    """

    def __init__(self, padding: float = 1.2) -> None:
        self.padding = padding

    def transform(self, results: dict) -> dict:
        """Add centre and scale; see the class."""
        if 'center' in results and 'scale' in results:
            return results
        if 'bbox' not in results:
            height, width = results['img_shape'][:2]
            results['bbox'] = np.array([[0, 0, width, height]], np.float32)
            results['center'] = np.array([width / 2, height / 2])
            results['scale'] = min(width, height) / 200
            return results
        box = np.asarray(results['bbox'], np.float64).reshape(-1)
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            raise DataRowError(f'bbox {box.tolist()} is not a box (x1, y1, x2, y2) with an area')
        results['center'] = (box[:2] + box[2:]) / 2
        results['scale'] = float(self.padding * (box[2:] - box[:2]).max() / 200)
        return results

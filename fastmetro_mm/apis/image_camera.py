# SPDX-License-Identifier: Apache-2.0
"""The camera of a full image, from whatever is known about it, and where people stand in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from fastmetro_mm.errors import InputError
from fastmetro_mm.geometry.camera import default_focal_length, orthographic_from_weak

FULL_FRAME_DIAGONAL = math.hypot(36, 24)
"""Diagonal of 35 mm film, millimetres: what "35 mm equivalent" focal lengths refer to."""

_MILLIMETRES_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}  # EXIF FocalPlaneResolutionUnit


@dataclass(frozen=True)
class CameraHint:
    """What is known about the camera. The first that is given counts, in this order.

    Args:
        intrinsics: Matrix K, pixels: for a solved or calibrated camera. (3, 3)
        focal_length: Focal length, pixels; principal point in the middle.
        fov_deg: Horizontal field of view, degrees; principal point in the middle.
        estimate: Any function from an image, RGB (H, W, 3) uint8, to its focal length in pixels
            or its matrix K, such as another network; it is asked for every image or frame.
        use_exif: Whether to read the focal length from a photo's EXIF data. Without any, the
            image's diagonal is taken (a diagonal field of view of 53 degrees).

    Raises:
        InputError: If a value is of no use.
    """

    intrinsics: np.ndarray | None = None
    focal_length: float | None = None
    fov_deg: float | None = None
    estimate: Callable[[np.ndarray], Any] | None = None
    use_exif: bool = True

    def __post_init__(self) -> None:
        if self.intrinsics is not None:
            try:
                matrix = np.asarray(self.intrinsics, dtype=np.float64)
            except (TypeError, ValueError):
                matrix = np.empty(0)
            if (
                matrix.shape != (3, 3)
                or not np.isfinite(matrix).all()
                or not (matrix[0, 0] > 0 and matrix[1, 1] > 0 and (matrix[2] == [0, 0, 1]).all())
            ):
                raise InputError(
                    f'intrinsics must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, got '
                    f'{" ".join(str(self.intrinsics).split())}'
                )
            object.__setattr__(self, 'intrinsics', matrix)
        if self.focal_length is not None and not _between(self.focal_length, 0, math.inf):
            raise InputError(f'focal length must be positive pixels, got {self.focal_length}')
        if self.fov_deg is not None and not _between(self.fov_deg, 0, 180):
            raise InputError(
                f'field of view must lie between 0 and 180 degrees, got {self.fov_deg}'
            )

    def matrix(
        self,
        image_size: tuple[int, int],
        photo: str | Path | Image.Exif | None = None,
        pixels: np.ndarray | None = None,
    ) -> np.ndarray:
        """Matrix K for one image.

        Args:
            image_size: Width and height, pixels.
            photo: Photo whose EXIF data may tell the focal length, or these data.
            pixels: The image, perhaps reduced, for ``estimate``. RGB (H, W, 3) uint8

        Returns:
            K, pixels of ``image_size``. (3, 3)

        Raises:
            InputError: If ``estimate`` gives something else than a camera.
        """
        if self.intrinsics is not None:
            return self.intrinsics.copy()
        width, height = image_size
        focal = self.focal_length
        if focal is None and self.fov_deg is not None:
            focal = 0.5 * width / math.tan(math.radians(self.fov_deg) / 2)
        if focal is None and self.estimate is not None and pixels is not None:
            return self._estimated(image_size, pixels)
        if focal is None and self.use_exif and photo is not None:
            focal = exif_focal_length(photo, image_size)
        if focal is None:
            focal = default_focal_length(image_size)
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])

    def _estimated(self, image_size: tuple[int, int], pixels: np.ndarray) -> np.ndarray:
        size = pixels.shape[1::-1]
        assert self.estimate is not None
        found = self.estimate(pixels)
        try:
            found = np.asarray(found, dtype=np.float64)
            hint = CameraHint(found) if found.size > 1 else CameraHint(None, found.item())
            inner = hint.matrix(size)
        except (TypeError, ValueError) as error:  # InputError is one
            raise InputError(
                f'CameraHint(estimate=...): {error}; it must give a focal length in pixels or K'
            ) from None
        return np.diag([image_size[0] / size[0], image_size[1] / size[1], 1.0]) @ inner


def exif_focal_length(photo: str | Path | Image.Exif, image_size: tuple[int, int]) -> float | None:
    """Focal length that a photo's EXIF data tell.

    Taken from the 35 mm equivalent (which compares diagonals), else from the focal length and the
    resolution of the sensor. A photo that was cropped later still tells that of the full photo.

    Args:
        photo: Photo, or its EXIF data.
        image_size: Width and height the pixels refer to.

    Returns:
        Pixels, or None if the file does not tell.
    """
    try:
        if isinstance(photo, Image.Exif):
            exif = photo
        else:
            with Image.open(photo) as image:
                exif = image.getexif()
        data = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # Pillow raises a dozen kinds for malformed files, which tell nothing
        return None
    diagonal = math.hypot(*image_size)
    equivalent = _number(data, ExifTags.Base.FocalLengthIn35mmFilm)
    if equivalent:
        return equivalent / FULL_FRAME_DIAGONAL * diagonal
    millimetres = _number(data, ExifTags.Base.FocalLength)
    per_unit = _number(data, ExifTags.Base.FocalPlaneXResolution)
    unit = _MILLIMETRES_PER_UNIT.get(data.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    full = math.hypot(
        _number(data, ExifTags.Base.ExifImageWidth) or 0,
        _number(data, ExifTags.Base.ExifImageHeight) or 0,
    )
    if not (millimetres and per_unit and unit):
        return None
    # The file may have been made smaller since; its diagonal was `full` pixels on the sensor.
    return millimetres / unit * per_unit * (diagonal / full if full else 1.0)


def translation_in_image(
    pred_cam: np.ndarray, crop_to_image: np.ndarray, crop_size: float, intrinsics: np.ndarray
) -> np.ndarray:
    """Where a person stands before the image's camera.

    The root lies on the ray through the pixel where the network's camera sees it, at the depth
    where the person has the size the network sees. For square pixels and a principal point in the
    middle this is ``geometry.camera.perspective_from_weak``.

    Args:
        pred_cam: Weak perspective ``(s, tx, ty)`` on the crop. (3,)
        crop_to_image: Affine map from crop pixels to image pixels, not rotated. (2, 3)
        crop_size: Side of the crop, pixels.
        intrinsics: Matrix K of the image. (3, 3)

    Returns:
        Metres, ``camera = root + translation``; NaN where the camera's scale is not positive, as
        untrained networks give. (3,)

    Reference:
        Li et al., CLIFF, ECCV 2022, eq. 1, for any K.
    """
    if not (np.isfinite(pred_cam).all() and pred_cam[0] > 0):
        return np.full(3, np.nan)
    flat = orthographic_from_weak(pred_cam, crop_to_image, crop_size, (1, 1))
    pixels_per_metre = math.sqrt(abs(np.linalg.det(flat.matrix[:, :2])))
    focal = math.sqrt(intrinsics[0, 0] * intrinsics[1, 1])
    ray = np.linalg.solve(intrinsics, np.append(flat.matrix[:, 2], 1.0))
    return focal / pixels_per_metre * ray


def pred_cam_on_crop(flat: np.ndarray, crop_to_image: np.ndarray, crop_size: float) -> np.ndarray:
    """Weak-perspective camera on a crop that sees the same as a camera of the full image.

    The inverse of ``geometry.camera.orthographic_from_weak``.

    Args:
        flat: Map from metres to image pixels, the same scale for both axes. (2, 3)
        crop_to_image: Affine map from crop pixels to image pixels, not rotated. (2, 3)
        crop_size: Side of the crop, pixels.

    Returns:
        ``(s, tx, ty)``. (3,)
    """
    half = 0.5 * crop_size
    linear = np.asarray(crop_to_image, dtype=np.float64)[:, :2]
    scale = math.sqrt(np.linalg.det(flat[:, :2]) / np.linalg.det(linear)) / half
    root = np.linalg.solve(linear, flat[:, 2] - crop_to_image[:, 2]) / half - 1.0
    return np.array([scale, *(root / scale)])


def _between(value: object, low: float, high: float) -> bool:
    """Whether it is a number between two others, both excluded."""
    return (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and bool(low < value < high)
    )


def _number(data: dict, tag: int) -> float | None:
    """A positive EXIF number; None for what is absent, zero or malformed."""
    try:
        value = float(data.get(tag, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return value if 0 < value < math.inf else None

# SPDX-License-Identifier: Apache-2.0
"""Cameras: from ``pred_cam``, what the network says, to a camera of the full image.

``pred_cam`` is the weak-perspective vector (s, tx, ty) on the crop; what is called ``camera`` is an
object that projects (:class:`PerspectiveCamera`, :class:`OrthographicCamera`), and ``intrinsics``
are its matrix K.

Frames used in the whole package:

* *root*: metres, camera axes (x right, y down, z forward), origin at the pelvis (hand: wrist). The
  network predicts vertices and joints here.
* *camera*: metres, same axes, origin at the camera centre; ``camera = root + translation``.
* *crop_norm*: the network's input square, x right, y down, both in [-1, 1].
* *crop* (px): the same square, ``(crop_norm + 1) * 0.5 * crop_size``.
* *image* (px): the full image; ``crop_to_image`` (2, 3) takes crop pixels there, with rotation
  and flip included when the crop had them.

Pixel coordinates are continuous: (0, 0) is the outer corner of the top-left pixel, its centre is
(0.5, 0.5), and an image spans [0, width] x [0, height]. Renderers sample at pixel centres.
"""

import math

import numpy as np
from torch import Tensor

from fastmetro_mm.earlier_names import accept_old_keywords
from fastmetro_mm.geometry.camera_models import OrthographicCamera, PerspectiveCamera


@accept_old_keywords(camera='pred_cam')
def weak_perspective_project(points: Tensor, pred_cam: Tensor) -> Tensor:
    """Project points of the root frame onto the crop by ``pred_cam``: scaled orthographic.

    Convention: ``xy = s * (XY + t)`` (not ``s * XY + t``); the crop spans [-1, 1], x right, y down.

    Args:
        points: Points in the root frame, metres. (B, N, 3)
        pred_cam: Weak-perspective ``(s, tx, ty)``. (B, 3)

    Returns:
        Points in ``crop_norm``. (B, N, 2)

    Raises:
        ValueError: If the shapes are not (B, N, 3) and (B, 3).

    Reference:
        Cho et al., FastMETRO, ECCV 2022; ``orthographic_projection`` of the official code.
    """
    if pred_cam.ndim != 2 or pred_cam.shape[-1] != 3 or points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(
            f'expected points (B, N, 3) and pred_cam (B, 3), got {tuple(points.shape)} and '
            f'{tuple(pred_cam.shape)}'
        )
    return pred_cam[:, None, :1] * (points[..., :2] + pred_cam[:, None, 1:])


def crop_to_image(points: np.ndarray | Tensor, matrix: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Map crop pixels to image pixels.

    Args:
        points: Points in crop pixels. (..., N, 2)
        matrix: Affine map from crop pixels to image pixels. (..., 2, 3)

    Returns:
        Points in image pixels, same type as given. (..., N, 2)

    Raises:
        ValueError: If the last dimensions are not (N, 2) and (2, 3).
    """
    if points.shape[-1] != 2 or tuple(matrix.shape[-2:]) != (2, 3):
        raise ValueError(
            f'expected points (..., N, 2) and matrix (..., 2, 3), got {tuple(points.shape)} and '
            f'{tuple(matrix.shape)}'
        )
    return points @ matrix[..., :2].swapaxes(-1, -2) + matrix[..., None, :, 2]


def default_focal_length(image_size: tuple[int, int]) -> float:
    """Focal length to assume when nothing is known about the camera: the image's diagonal.

    Args:
        image_size: Width and height of the full image, pixels.

    Returns:
        Focal length, pixels; a diagonal field of view of 53 degrees.

    Reference:
        Li et al., CLIFF, ECCV 2022, Sec. 3.2 (after Kissos et al., 2020).
    """
    return math.hypot(*image_size)


def overlay_focal_length(image_size: tuple[int, int]) -> float:
    """Long focal length for drawing over an image, where the depth is of no interest.

    The network is trained with a weak-perspective camera. A long focal length keeps the drawn mesh
    on the points that this camera predicts (a limb 0.3 m before the root moves by some 0.5 % of its
    distance from the image's centre) and still orders people by depth.

    Args:
        image_size: Width and height of the full image, pixels.

    Returns:
        Focal length, pixels.

    Reference:
        5000 px for a 256 px crop, scaled to the image's longer side, as 4D-Humans (Goel et al.,
        ICCV 2023) draws.
    """
    return 5000.0 / 256.0 * max(image_size)


@accept_old_keywords(camera='pred_cam')
def orthographic_from_weak(
    pred_cam: np.ndarray, crop_to_image: np.ndarray, crop_size: float, image_size: tuple[int, int]
) -> OrthographicCamera:
    """The network's own camera, as a camera of the full image. Exact, nothing is approximated.

    Args:
        pred_cam: Weak-perspective ``(s, tx, ty)``, s > 0. (3,)
        crop_to_image: Affine map from crop pixels to image pixels. (2, 3)
        crop_size: Side of the square crop, pixels.
        image_size: Width and height of the full image, pixels.

    Returns:
        Camera that projects root-frame points into the full image.

    Raises:
        ValueError: If s is not a positive, finite number.
    """
    scale, *shift = _checked(pred_cam)
    affine = np.asarray(crop_to_image, dtype=np.float64)
    linear = affine[:, :2] * (0.5 * crop_size * scale)  # image pixels per metre
    origin = affine[:, :2] @ np.full(2, 0.5 * crop_size) + affine[:, 2]  # crop's centre
    offset = linear @ np.array(shift) + origin
    return OrthographicCamera(np.column_stack([linear, offset]), *image_size)


@accept_old_keywords(camera='pred_cam')
def perspective_from_weak(
    pred_cam: np.ndarray,
    crop_to_image: np.ndarray,
    crop_size: float,
    image_size: tuple[int, int],
    focal_length: float | None = None,
) -> tuple[PerspectiveCamera, np.ndarray]:
    """Perspective camera of the full image, and where a predicted person stands before it.

    The principal point is the middle of the image. What is approximated: a point at root depth 0
    projects exactly where the crop's weak-perspective camera puts it; a point at root depth z is
    moved towards the principal point by the share ``z / (tz + z)`` of its distance from it. With
    ``tz`` proportional to the focal length, a long one makes the two cameras agree everywhere.

    People found in one image share its camera, so one scene can hold them all. If the crop was
    rotated or flipped, the returned camera carries that roll or mirror in its intrinsics, because
    predictions live in the rotated crop's axes.

    Args:
        pred_cam: Weak-perspective ``(s, tx, ty)``, s > 0. (3,)
        crop_to_image: Affine map from crop pixels to image pixels: a similarity, mirrored or not.
            The official crop's corners are whole pixels, so that its sides may differ by one; the
            mean is taken, which moves points by at most a quarter of a pixel. (2, 3)
        crop_size: Side of the square crop, pixels.
        image_size: Width and height of the full image, pixels.
        focal_length: Focal length, image pixels; :func:`default_focal_length` if not given.

    Returns:
        The camera, and the translation (3,) in metres with ``camera = root + translation``.

    Raises:
        ValueError: If s is not a positive, finite number or the crop was stretched.

    Reference:
        Li et al., CLIFF, ECCV 2022, eq. 1 for the unrotated crop.
    """
    flat = orthographic_from_weak(pred_cam, crop_to_image, crop_size, image_size)
    return perspective_from_orthographic(flat, focal_length)


def perspective_from_orthographic(
    flat: OrthographicCamera, focal_length: float | None = None
) -> tuple[PerspectiveCamera, np.ndarray]:
    """Perspective camera and translation that agree with a scaled-orthographic camera at depth 0.

    See :func:`perspective_from_weak`, which is this after :func:`orthographic_from_weak`.

    Args:
        flat: Camera that projects root-frame points into the image.
        focal_length: Focal length, pixels; :func:`default_focal_length` if not given.

    Returns:
        The camera, and the translation (3,) in metres with ``camera = root + translation``.

    Raises:
        ValueError: If the camera stretches one axis by more than a fifth against the other.
    """
    linear, offset = flat.matrix[:, :2], flat.matrix[:, 2]
    left, stretch, right = np.linalg.svd(linear)
    if stretch[0] > 1.2 * stretch[1]:
        raise ValueError(
            'crop_to_image must scale both axes alike (rotation and flip are fine), but one is '
            f'scaled {stretch[0] / stretch[1]:.2f} times more than the other'
        )
    turn = left @ right  # nearest rotation or mirror
    if np.allclose(turn, np.eye(2), atol=1e-5):
        # float32 noise must not give each person a camera of their own.
        turn = np.eye(2)
    pixels_per_metre = math.sqrt(stretch[0] * stretch[1])
    image_size = (flat.width, flat.height)
    if focal_length is None:
        focal_length = default_focal_length(image_size)
    center = np.array(image_size, dtype=np.float64) / 2
    intrinsics = np.eye(3)
    intrinsics[:2, :2] = focal_length * turn
    intrinsics[:2, 2] = center
    shift = turn.T @ (offset - center) / pixels_per_metre
    translation = np.array([*shift, focal_length / pixels_per_metre])
    return PerspectiveCamera(intrinsics, *image_size), translation


def _checked(pred_cam: np.ndarray) -> np.ndarray:
    """Weak-perspective vector as float64 (3,), checked."""
    pred_cam = np.asarray(pred_cam, dtype=np.float64)
    if pred_cam.shape != (3,) or not np.isfinite(pred_cam).all() or pred_cam[0] <= 0:
        raise ValueError(
            f'pred_cam must be finite (s, tx, ty) with s > 0, got {pred_cam.tolist()}; a network '
            'that is not trained yet can predict such values'
        )
    return pred_cam

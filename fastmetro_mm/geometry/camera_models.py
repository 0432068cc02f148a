# SPDX-License-Identifier: Apache-2.0
"""The two kinds of camera: pinhole and scaled-orthographic. Frames: see ``geometry/camera.py``."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PerspectiveCamera:
    """Pinhole camera without lens distortion.

    Args:
        intrinsics: Matrix K, pixels. Usually ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]``; its upper
            2x2 block may also hold a roll or a mirror, which is how a rotated or flipped crop's
            camera is written. (3, 3)
        width: Image width, pixels.
        height: Image height, pixels.

    Raises:
        ValueError: If K is not a finite, invertible (3, 3) matrix with last row (0, 0, 1) or the
            size is not positive.
    """

    intrinsics: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        matrix = np.asarray(self.intrinsics, dtype=np.float64)
        if (
            matrix.shape != (3, 3)
            or not np.isfinite(matrix).all()
            or not np.array_equal(matrix[2], [0, 0, 1])
            or np.linalg.det(matrix) == 0
        ):
            raise ValueError(
                'intrinsics must be a finite, invertible (3, 3) matrix with last row (0, 0, 1), '
                f'got {matrix.tolist()}'
            )
        _check_size(self.width, self.height)
        object.__setattr__(self, 'intrinsics', matrix)

    @classmethod
    def from_focal_length(
        cls, focal_length: float, image_size: tuple[int, int]
    ) -> 'PerspectiveCamera':
        """Camera with square pixels and its principal point in the middle of the image.

        Args:
            focal_length: Focal length, pixels.
            image_size: Width and height, pixels.
        """
        width, height = image_size
        matrix = [[focal_length, 0, width / 2], [0, focal_length, height / 2], [0, 0, 1]]
        return cls(np.array(matrix), width, height)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project camera-frame points.

        Args:
            points: Points in the camera frame, metres. (..., 3)

        Returns:
            Image pixels; NaN for points that do not lie before the camera (z <= 0). (..., 2)
        """
        points = np.asarray(points, dtype=np.float64)
        depth = points[..., 2:]
        if not (depth > 0).all():
            depth = np.where(depth > 0, depth, np.nan)
        return points[..., :2] / depth @ self.intrinsics[:2, :2].T + self.intrinsics[:2, 2]


@dataclass(frozen=True)
class OrthographicCamera:
    """Scaled-orthographic camera: ``image = matrix[:, :2] @ XY + matrix[:, 2]``, depth is z.

    Args:
        matrix: Affine map from metres to image pixels. (2, 3)
        width: Image width, pixels.
        height: Image height, pixels.

    Raises:
        ValueError: If the matrix is not finite, invertible and (2, 3), or the size not positive.
    """

    matrix: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if (
            matrix.shape != (2, 3)
            or not np.isfinite(matrix).all()
            or np.linalg.det(matrix[:, :2]) == 0
        ):
            raise ValueError(f'matrix must be finite, invertible and (2, 3), got {matrix.tolist()}')
        _check_size(self.width, self.height)
        object.__setattr__(self, 'matrix', matrix)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points.

        Args:
            points: Points in metres, camera axes. (..., 3)

        Returns:
            Image pixels. (..., 2)
        """
        points = np.asarray(points, dtype=np.float64)
        return points[..., :2] @ self.matrix[:, :2].T + self.matrix[:, 2]


def _check_size(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise ValueError(f'image size must be positive, got {width}x{height}')

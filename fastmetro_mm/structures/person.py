# SPDX-License-Identifier: Apache-2.0
"""One person, or hand, as inference returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.earlier_names import accept_old_keywords, alias_of
from fastmetro_mm.geometry.camera import OrthographicCamera, orthographic_from_weak


@accept_old_keywords(camera='pred_cam')
@dataclass
class PersonMesh:
    """One person (or hand) of an image.

    Args:
        vertices: Root frame, metres. (V, 3)
        joints_3d: Root frame, metres; 14 joints, hands 21. (J, 3)
        keypoints: The same joints as the network's own camera sees them, image pixels. (J, 2)
        pred_cam: Weak perspective ``(s, tx, ty)`` on the crop: ``xy = s * (XY + t)``. (3,)
        translation: Metres, to add to root-frame points for the image's camera
            (``FrameResult.intrinsics``). NaN if the network's camera is of no use (scale not
            positive), which only untrained networks give: see ``is_placed``. (3,)
        bbox: Box the crop was made from, x1 y1 x2 y2, image pixels. (4,)
        bbox_score: Confidence of the box; 1 for boxes that were given.
        crop_to_image: Affine map from crop pixels to image pixels. (2, 3)
        crop_size: Side of the crop, pixels.
        track_id: Number of the person through a video, None for single images.
        is_right: Hands: whether it is a right one; None for bodies. Left hands are stored as
            left hands: mesh, keypoints, ``pred_cam`` and crop are mirrored back already.
        global_orient: Rotation of the SMPL head. (3, 3)
        body_pose: Rotations of the SMPL head, joints 1 to 23. (23, 3, 3)
        betas: Shape of the SMPL head. (10,)
        smpl_vertices: Mesh of the SMPL head, root frame, metres. (V, 3)
        detected_keypoints: What the detector saw: x, y in image pixels and a score of 0 to 1;
            COCO's 17 keypoints of a person, MediaPipe's 21 landmarks of a hand. Zeros where it
            saw an outline only, None where the box came from elsewhere. (K, 3)
        joint_confidence: For each of ``joints_3d`` the probability that it is right, see
            docs/inference.md; of networks that can tell. (J,)
        joint_spread: Test-time augmentation: how far its views lie apart, the standard deviation
            of each joint's place, metres. (J,)
    """

    vertices: np.ndarray
    joints_3d: np.ndarray
    keypoints: np.ndarray
    pred_cam: np.ndarray
    translation: np.ndarray
    bbox: np.ndarray
    bbox_score: float
    crop_to_image: np.ndarray
    crop_size: float
    track_id: int | None = None
    is_right: bool | None = None
    global_orient: np.ndarray | None = None
    body_pose: np.ndarray | None = None
    betas: np.ndarray | None = None
    smpl_vertices: np.ndarray | None = None
    detected_keypoints: np.ndarray | None = None
    joint_confidence: np.ndarray | None = None
    joint_spread: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.is_right is not None:
            self.is_right = bool(self.is_right)  # NumPy's False is not False

    camera = alias_of('pred_cam')

    @property
    def is_placed(self) -> bool:
        """Whether the person has a place in the scene and a finite mesh: it can be drawn."""
        return bool(np.isfinite(self.translation).all() and np.isfinite(self.vertices).all())

    @property
    def confidence(self) -> float | None:
        """Share of the joints that are expected to be right; None where nothing tells."""
        return None if self.joint_confidence is None else float(self.joint_confidence.mean())

    @property
    def camera_vertices(self) -> np.ndarray:
        """Vertices in the frame of the image's camera, metres (V, 3)."""
        return self.vertices + self.translation

    def image_camera(self, image_size: tuple[int, int]) -> OrthographicCamera:
        """The network's own camera as a camera of the full image, exact.

        Args:
            image_size: Width and height, pixels.

        Returns:
            Camera that projects root-frame points to image pixels.

        Raises:
            ValueError: If the person is not placed.
        """
        return orthographic_from_weak(self.pred_cam, self.crop_to_image, self.crop_size, image_size)

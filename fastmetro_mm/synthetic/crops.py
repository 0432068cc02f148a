# SPDX-License-Identifier: Apache-2.0
"""Training crops of people straight from the drawing, without files and JPEG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastmetro_mm.datasets.transforms.crop import crop_fast
from fastmetro_mm.datasets.transforms.crop_geometry import (
    apply_affine,
    crop_to_image_matrix,
    crop_window,
    invert_affine,
)
from fastmetro_mm.earlier_names import alias_of
from fastmetro_mm.synthetic.scene import Studio


@dataclass(frozen=True)
class PersonCrops:
    """Crops around labelled people, as training cuts them.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        pose: (N, 72) axis-angle, radians, the root in camera axes; (N, 48) for hands, relative
            to the mean pose.
        betas: (N, 10) shapes.
        vertices: (N, V, 3) float32, metres, camera axes, from the labelled root.
        joints_3d: (N, K, 3) float32, metres, camera axes, from the labelled root.
        keypoints: (N, K, 3) float32, crop pixels, and 1 where inside the image.
        intrinsics: (N, 4) float64, focal lengths and principal point fx, fy, cx, cy, crop pixels.
        root: (N, 3) float64, labelled root in the camera, metres.
    """

    images: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    vertices: np.ndarray
    joints_3d: np.ndarray
    keypoints: np.ndarray
    intrinsics: np.ndarray
    root: np.ndarray

    camera = alias_of('intrinsics')

    def project(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels (N, P, 2) of (N, P, 3) points, metres from the root, camera axes."""
        moved = points + self.root[:, None]
        focal, principal = self.intrinsics[:, None, :2], self.intrinsics[:, None, 2:]
        return moved[..., :2] / moved[..., 2:] * focal + principal


def draw_crops(studio: Studio, rngs: Sequence[np.random.Generator], size: int = 256) -> PersonCrops:
    """Draws one crop for every source of randomness.

    Args:
        studio: A studio of scene ``'photo'``; images of about the crop's size are best.
        rngs: One for each crop; the same ones give the same crops.
        size: Side of the crops, pixels.

    Returns:
        The crops with their labels.

    Raises:
        ValueError: The studio draws another scene.
    """
    plans = [studio.plan(rng) for rng in rngs]
    images, vertices, joints, keypoints, intrinsics, roots = [], [], [], [], [], []
    for rng, plan, posed in zip(rngs, plans, studio.pose(plans), strict=True):
        photo, label = studio.take_photo(rng, plan, posed)
        window = crop_window(np.array(label['center']), label['scale'], size)
        to_image = crop_to_image_matrix(window, size, 0.0, False)
        images.append(crop_fast(photo.image, to_image, size))
        to_crop = invert_affine(to_image)
        marks = np.array(label['2d_joints'])
        keypoints.append(np.column_stack([apply_affine(marks[:, :2], to_crop), marks[:, 2]]))
        main = photo.people[0]
        root = main.posed.keypoints[studio.figure.root]
        vertices.append(main.posed.vertices - root)
        joints.append(main.posed.keypoints - root)
        roots.append(root + main.camera.translation)
        center = apply_affine(main.camera.principal[None], to_crop)[0]
        intrinsics.append([*(main.camera.focal * to_crop[[0, 1], [0, 1]]), *center])
    return PersonCrops(
        images=np.stack(images),
        pose=np.stack([plan.pose for plan in plans]),
        betas=np.stack([plan.betas for plan in plans]),
        vertices=np.stack(vertices).astype(np.float32),
        joints_3d=np.stack(joints).astype(np.float32),
        keypoints=np.stack(keypoints).astype(np.float32),
        intrinsics=np.array(intrinsics),
        root=np.stack(roots),
    )

# SPDX-License-Identifier: Apache-2.0
"""Left hands through a network of right hands: mirror the image, then mirror the answer back."""

from dataclasses import replace

import numpy as np

from fastmetro_mm.structures.results import PersonMesh


def mirror_image(image: np.ndarray) -> np.ndarray:
    """The image in a mirror.

    The whole image is mirrored, not the crop: the official crop truncates its corners towards
    zero, so only then does a mirrored image give exactly the mirrored answer.

    Args:
        image: RGB. (H, W, 3) uint8

    Returns:
        Same shape.
    """
    return np.ascontiguousarray(image[:, ::-1])


def mirror_prediction(person: PersonMesh, image_width: int) -> PersonMesh:
    """Bring a person found in the mirrored image back to the image itself.

    Args:
        person: Prediction on the mirrored image; without SMPL parameters. Its box is already
            one of the image itself.
        image_width: Width of the image, pixels.

    Returns:
        The prediction with x negated where it is metric and ``width - x`` where it is pixels.
    """
    flip = np.array([-1, 1, 1], np.float32)
    keypoints = person.keypoints.copy()
    keypoints[:, 0] = image_width - keypoints[:, 0]
    # The crop is mirrored about its middle as well, so its axes are those of the image.
    matrix = person.crop_to_image.copy()
    matrix[0, 2] = image_width - matrix[0, 0] * person.crop_size - matrix[0, 2]
    scale, shift_x, shift_y = person.pred_cam
    return replace(
        person,
        vertices=person.vertices * flip,
        joints_3d=person.joints_3d * flip,
        keypoints=keypoints,
        pred_cam=np.array([scale, -shift_x, shift_y], person.pred_cam.dtype),
        crop_to_image=matrix,
    )

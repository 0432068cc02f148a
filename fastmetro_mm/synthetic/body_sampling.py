# SPDX-License-Identifier: Apache-2.0
"""What a random person is before drawing: posture, orientation towards the camera, shape."""

from dataclasses import dataclass

import numpy as np

from fastmetro_mm.synthetic.anatomy import posture_to_pose
from fastmetro_mm.synthetic.camera_placement import sample_view
from fastmetro_mm.synthetic.pose_families import sample_posture
from fastmetro_mm.synthetic.rotations import matrices_to_vectors, vectors_to_matrices


@dataclass(frozen=True)
class Plan:
    """A person or a hand, not yet drawn.

    Attributes:
        family: Name of the pose family.
        pose: (J * 3,) axis-angle, radians, the root in camera axes, as it goes to the label.
        betas: (10,) shape coefficients, standard deviations.
    """

    family: str
    pose: np.ndarray
    betas: np.ndarray


def sample_betas(rng: np.random.Generator) -> np.ndarray:
    """(10,) normal shape coefficients, cut at 2.2 so that no body becomes grotesque."""
    return np.clip(rng.standard_normal(10), -2.2, 2.2).round(4)


def plan_body(rng: np.random.Generator, facing: bool = False) -> Plan:
    """Draws posture, view and shape of one person, who may have to face the camera.

    The numbers are rounded here, before the mesh is made, so that the label gives the very same
    mesh again.
    """
    family, posture = sample_posture(rng)
    pose = posture_to_pose(posture)
    pose[0] = matrices_to_vectors(sample_view(rng, facing) @ vectors_to_matrices(pose[0]))
    return Plan(family, pose.reshape(-1).round(6), sample_betas(rng))

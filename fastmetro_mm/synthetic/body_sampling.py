# SPDX-License-Identifier: Apache-2.0
"""What a random person is before drawing: posture, orientation towards the camera, shape."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fastmetro_mm.synthetic.anatomy import posture_to_pose
from fastmetro_mm.synthetic.camera_placement import sample_photo_view, sample_view
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.photo_poses import sample_photo_pose
from fastmetro_mm.synthetic.pose_families import sample_posture
from fastmetro_mm.synthetic.rotations import matrices_to_vectors, vectors_to_matrices

COMPANIONS = (0.60, 0.26, 0.10, 0.04)
"""Shares of images with 0, 1, 2 and 3 people beside the labelled one."""

PoseSource = Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]]
"""From randomness and the joints (24, 3) at rest to a family's name and a pose (24, 3)."""


@dataclass(frozen=True)
class Plan:
    """A person or a hand, not yet drawn."""

    family: str  # name of the pose family
    # (J * 3,) axis-angle, radians, the root in camera axes, as it goes to the label
    pose: np.ndarray
    betas: np.ndarray  # (10,) shape coefficients, standard deviations
    companions: 'tuple[Plan, ...]' = ()  # other people in the image, who are drawn but not labelled


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


def plan_photo(
    rng: np.random.Generator, rest_joints: np.ndarray, pose: PoseSource = sample_photo_pose
) -> Plan:
    """Draws the people of one image: one, or a few who share the way of the camera.

    Args:
        rng: Source of randomness.
        rest_joints: (24, 3) joints of the body at rest, metres.
        pose: Draws the name of a pose's family, and the pose.
    """
    main = plan_photo_body(rng, rest_joints, pose)
    others = rng.choice(len(COMPANIONS), p=COMPANIONS)
    companions = tuple(plan_photo_body(rng, rest_joints, pose) for _ in range(others))
    return replace(main, companions=companions)


def plan_photo_body(
    rng: np.random.Generator, rest_joints: np.ndarray, pose: PoseSource = sample_photo_pose
) -> Plan:
    """Draws pose, view and shape of one person as photographs show people.

    Args:
        rng: Source of randomness.
        rest_joints: (24, 3) joints of the body at rest, metres.
        pose: Draws the name of a pose's family, and the pose.
    """
    family, turns = pose(rng, rest_joints)
    turns[0] = matrices_to_vectors(sample_photo_view(rng) @ vectors_to_matrices(turns[0]))
    betas = sample_betas(rng)
    if rng.random() < 0.5:  # the first coefficients make most of what tells people apart
        betas[:3] = np.clip(betas[:3] * 1.35, -3.0, 3.0).round(4)
    return Plan(family, turns.reshape(-1).round(6), betas)


def sample_people(
    rng: np.random.Generator, count: int, rest_joints: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draws many people without images, as the ``'photo'`` scene does.

    Args:
        rng: Source of randomness.
        count: How many.
        rest_joints: (24, 3) joints of the body at rest; those of the open body if None.

    Returns:
        (N, 72) float64 axis-angle poses, the root in camera axes, and (N, 10) shapes.
    """
    if rest_joints is None:
        rest_joints = Figure('body').rest_joints
    people = [plan_photo_body(rng, rest_joints) for _ in range(count)]
    return (
        np.array([person.pose for person in people]).reshape(count, 72),
        np.array([person.betas for person in people]).reshape(count, 10),
    )

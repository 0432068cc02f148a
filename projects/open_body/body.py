# SPDX-License-Identifier: Apache-2.0
"""Assemble the open body: surface, skeleton, weights, shapes and regressors."""

from dataclasses import dataclass

import numpy as np

from projects.open_body.anny_export import AnnyExport
from projects.open_body.poses import random_body_pose
from projects.open_body.regressors import body_landmark_rows, fit_joint_regressor
from projects.open_body.shapes import linear_response, principal_shapes, project
from projects.open_body.skeleton import (
    BODY_JOINTS,
    BODY_PARENTS,
    joint_positions,
    keep_strongest,
    merge_weights,
    mirror_joints,
)
from projects.open_body.surface import (
    ReducedSurface,
    largest_component,
    membrane_operator,
    reduce_symmetric,
    restrict_faces,
)
from projects.open_body.tpose import to_tpose

FLIP_X = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class BodyParts:
    """The arrays of OPEN_BODY.npz and the two landmark regressors (float64)."""

    v_template: np.ndarray
    faces: np.ndarray
    shapedirs: np.ndarray
    weights: np.ndarray
    J_regressor: np.ndarray
    h36m: np.ndarray
    extra: np.ndarray
    mirror: np.ndarray
    variance_share: np.ndarray


def tpose_people(
    export: AnnyExport,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All people's skin in the T-pose at full resolution.

    Returns:
        vertices (S, V, 3), joints (S, 24, 3), left eye centres (S, 3), weights (V, 24),
        faces (F, 3); V counts the skin only.
    """
    total = export.vertices.shape[1]
    keep = largest_component(export.faces, total)
    faces = restrict_faces(export.faces, keep, total)
    film = membrane_operator(faces, export.cavity[keep])
    weights = keep_strongest(film @ merge_weights(export.weights, export.bones)[keep])
    joints = joint_positions(export.bone_heads, export.bones)
    at = export.bones.index
    head = BODY_JOINTS.index('head')
    skins, skeletons, eyes = [], [], []
    for skin, heads, own in zip(export.vertices, export.bone_heads, joints, strict=True):
        palm = {
            s: heads[at(f'finger2-1.{s.upper()}')] - heads[at(f'finger5-1.{s.upper()}')]
            for s in 'lr'
        }
        posed, skeleton = to_tpose(film @ skin[keep], own, weights, palm)
        skins.append(posed)
        skeletons.append(skeleton)
        # The T-pose leaves spine, neck and head untouched, so the eye only moves along.
        eyes.append(heads[at('eye.L')] - own[head] + skeleton[head])
    return np.stack(skins), np.stack(skeletons), np.stack(eyes), weights, faces


def build_body(export: AnnyExport, num_vertices: int = 6890, seed: int = 0) -> BodyParts:
    """Run every step on the exported people."""
    skins, joints, eyes, weights, faces = tpose_people(export)
    reduced: ReducedSurface = reduce_symmetric(skins.mean(axis=0), faces, num_vertices)
    mirror, pairs = reduced.mirror, mirror_joints()
    people = np.stack([reduced.transfer @ skin for skin in skins])
    people = 0.5 * (people + people[:, mirror] * FLIP_X)
    joints = 0.5 * (joints + joints[:, pairs] * FLIP_X)
    merged = reduced.transfer @ weights
    merged = keep_strongest(0.5 * (merged + merged[mirror][:, pairs]))

    mean, directions, share = principal_shapes(people, 10)
    base, response = linear_response(joints, project(people, mean, directions))
    rows = fit_joint_regressor(
        mean, directions, base, response, merged, BODY_PARENTS, random_body_pose, seed
    )
    rows = symmetric_rows(rows, mirror, pairs)
    h36m, extra = body_landmark_rows(mean, merged, eyes.mean(axis=0), rows, mirror)
    return BodyParts(mean, reduced.faces, directions, merged, rows, h36m, extra, mirror, share)


def symmetric_rows(rows: np.ndarray, mirror: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Right rows become the mirror image of the left ones; centre rows their own mirror image."""
    result = rows.copy()
    for i, partner in enumerate(pairs):
        if partner == i:
            result[i] = 0.5 * (rows[i] + rows[i][mirror])
        elif i < partner:
            result[partner] = rows[i][mirror]
    return result

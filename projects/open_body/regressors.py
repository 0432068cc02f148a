# SPDX-License-Identifier: Apache-2.0
"""Joint regressors of the open body: sparse convex rows over the vertices.

The 24 rows follow the skeleton over shapes and poses; the H36M17 and the 14 extra rows have the
meaning (not the numbers) of the official files: order of H36M17 as FastMETRO's config.py, extra
rows as its JOINTS_IDX recipe needs them after the 24.
"""

import numpy as np
from scipy.optimize import nnls

from projects.open_body.poses import skin
from projects.open_body.skeleton import BODY_JOINTS, BODY_PARENTS

H36M17 = (
    'Pelvis',
    'R_Hip',
    'R_Knee',
    'R_Ankle',
    'L_Hip',
    'L_Knee',
    'L_Ankle',
    'Torso',
    'Neck',
    'Nose',
    'Head',
    'L_Shoulder',
    'L_Elbow',
    'L_Wrist',
    'R_Shoulder',
    'R_Elbow',
    'R_Wrist',
)
EXTRA14 = (
    'Nose',
    'R_Eye',
    'L_Eye',
    'R_Ear',
    'L_Ear',
    'R_Hip',
    'L_Hip',
    'Neck',
    'Top_of_Head',
    'Pelvis',
    'Thorax',
    'Spine',
    'Jaw',
    'Head',
)


def fit_rows(
    samples: np.ndarray,
    targets: np.ndarray,
    candidates: list[np.ndarray],
    sample_weight: np.ndarray,
) -> np.ndarray:
    """Convex rows that reproduce moving targets from moving vertices.

    Args:
        samples: (S, V, 3) meshes.
        targets: (S, J, 3).
        candidates: for each target the vertices that may be used.
        sample_weight: (S,) trust in each mesh.

    Returns:
        (J, V), rows non-negative with sum 1 and at most a few dozen entries.
    """
    rows = np.zeros((targets.shape[1], samples.shape[1]))
    for j, chosen in enumerate(candidates):
        origin = targets[:, j][:, None]
        system = (samples[:, chosen] - origin) * sample_weight[:, None, None]
        system = np.moveaxis(system, 1, 2).reshape(-1, len(chosen))
        # Positions are relative to the target, so the fit asks for zero; the heavy row of ones
        # keeps the weights from vanishing.
        stiff = 100.0
        right = np.r_[np.zeros(len(system)), stiff]
        for _ in range(2):
            weights, _ = nnls(np.vstack([system, np.full(len(chosen), stiff)]), right)
            strong = weights > 0.004 * weights.sum()
            system, chosen = system[:, strong], chosen[strong]
        weights = weights[strong]
        rows[j, chosen] = weights / weights.sum()
    return rows


def joint_candidates(
    vertices: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    parents: tuple[int, ...] = BODY_PARENTS,
    count: int = 240,
) -> list[np.ndarray]:
    """The vertices nearest each joint among those that the joint or its neighbours move."""
    chosen = []
    for j, parent in enumerate(parents):
        near = [j] + ([parent] if parent >= 0 else [])
        own = weights[:, near].sum(axis=1)
        if parent < 0:
            own = own + weights[:, [c for c, p in enumerate(parents) if p == j]].sum(axis=1)
        pool = np.flatnonzero(own > 0.6)
        order = np.linalg.norm(vertices[pool] - joints[j], axis=1).argsort()
        chosen.append(np.sort(pool[order[:count]]))
    return chosen


def fit_joint_regressor(
    mean: np.ndarray,
    directions: np.ndarray,
    joints: np.ndarray,
    joint_directions: np.ndarray,
    weights: np.ndarray,
    parents: tuple[int, ...],
    random_pose,
    seed: int,
    num_shapes: int = 24,
    num_poses: int = 16,
    nearest: int = 240,
) -> np.ndarray:
    """(J, V) rows for the skeleton; rest meshes weigh most because skinning starts from them."""
    rng = np.random.default_rng(seed)
    samples, targets, trust = [mean], [joints], [20.0]
    for i in range(num_shapes + num_poses):
        betas = rng.normal(size=directions.shape[2])
        vertices, moved = mean + directions @ betas, joints + joint_directions @ betas
        if i >= num_shapes:
            vertices, moved = skin(vertices, moved, weights, random_pose(rng), parents)
        samples.append(vertices)
        targets.append(moved)
        trust.append(4.0 if i < num_shapes else 1.0)
    return fit_rows(
        np.stack(samples),
        np.stack(targets),
        joint_candidates(mean, joints, weights, parents, nearest),
        np.array(trust),
    )


def body_landmark_rows(
    vertices: np.ndarray,
    weights: np.ndarray,
    eye: np.ndarray,
    joint_rows: np.ndarray,
    mirror: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The 17 H36M rows and the 14 extra rows.

    Args:
        vertices: (V, 3) mean T-pose body.
        weights: (V, 24).
        eye: (3,) centre of the left eyeball.
        joint_rows: (24, V).
        mirror: (V,) mirror vertex of each vertex.

    Returns:
        (17, V) and (14, V).
    """
    row = {name: joint_rows[i] for i, name in enumerate(BODY_JOINTS)}
    head = np.flatnonzero(weights[:, BODY_JOINTS.index('head')] > 0.9)
    points = vertices[head]
    midline = np.abs(points[:, 0]) < 0.012
    front = points[:, 2]

    def around(point: np.ndarray, count: int) -> np.ndarray:
        distance = np.linalg.norm(points - point, axis=1)
        near = distance.argsort()[:count]
        return _row(head[near], 1.0 / (0.004 + distance[near]), len(vertices))

    def even(values: np.ndarray) -> np.ndarray:
        return 0.5 * (values + values[mirror])

    level = np.abs(points[:, 1] - eye[1]) < 0.05
    tip = points[np.where(midline & level, front, -9.0).argmax()]
    # The chin is the foremost midline point in the band under the lips.
    band = midline & (points[:, 1] < tip[1] - 0.055) & (points[:, 1] > tip[1] - 0.085)
    chin = points[np.where(band, front, -9.0).argmax()]
    lens = points[
        np.where(np.linalg.norm(points[:, :2] - eye[:2], axis=1) < 0.006, front, -9.0).argmax()
    ]
    ear_band = np.abs(points[:, 1] - (eye[1] + tip[1]) / 2) < 0.02
    ear = points[np.where(ear_band, points[:, 0], -9.0).argmax()]
    crown = points[np.where(midline, points[:, 1], -9.0).argmax()]

    nose, top, l_eye, l_ear = (
        even(around(tip, 3)),
        even(around(crown, 4)),
        around(lens, 4),
        around(ear, 3),
    )
    pelvis = 0.5 * (row['l_hip'] + row['r_hip'])
    shoulders = 0.5 * (row['l_shoulder'] + row['r_shoulder'])
    named = {
        'Nose': nose,
        'L_Eye': l_eye,
        'R_Eye': l_eye[mirror],
        'L_Ear': l_ear,
        'R_Ear': l_ear[mirror],
        'Top_of_Head': top,
        'Pelvis': pelvis,
        'Neck': 0.5 * (row['neck'] + shoulders),
        'Thorax': 0.25 * row['neck'] + 0.75 * shoulders,
        'Spine': row['spine2'],
        'Torso': row['spine2'],
        'Jaw': 0.6 * even(around(chin, 4)) + 0.4 * row['head'],
        'Head': 0.75 * top + 0.25 * row['head'],
    }
    for side in 'LR':
        for part in ('Hip', 'Knee', 'Ankle', 'Shoulder', 'Elbow', 'Wrist'):
            named[f'{side}_{part}'] = row[f'{side.lower()}_{part.lower()}']
    return (np.stack([named[n] for n in H36M17]), np.stack([named[n] for n in EXTRA14]))


def _row(columns: np.ndarray, weights: np.ndarray, length: int) -> np.ndarray:
    row = np.zeros(length)
    row[columns] = weights / weights.sum()
    return row

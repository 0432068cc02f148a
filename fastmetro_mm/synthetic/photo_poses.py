# SPDX-License-Identifier: Apache-2.0
"""Poses as they occur in photographs: families, activities, real motions, and mixtures of them."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.synthetic.activity_families import ACTIVITIES
from fastmetro_mm.synthetic.anatomy import posture_to_pose
from fastmetro_mm.synthetic.kinematics import mirror_pose, place_joints, reach, self_penetration
from fastmetro_mm.synthetic.pose_families import sample_posture
from fastmetro_mm.synthetic.pose_library import load_pose_library
from fastmetro_mm.synthetic.posture_parts import add_noise
from fastmetro_mm.synthetic.rotations import matrices_to_vectors, vectors_to_matrices

SHARES = {'families': 0.28, 'activities': 0.27, 'motions': 0.30, 'mixtures': 0.15}
"""Where poses come from, and how often."""

TRIES = 4
"""How often a pose is drawn until its limbs do not lie in one another."""

_DEEPEST = 0.02  # overlap of two limbs that is let pass, metres
_ACTIVITY_NAMES = tuple(ACTIVITIES)
_ACTIVITY_SHARES = np.array([share for _, share in ACTIVITIES.values()])
_ACTIVITY_SHARES /= _ACTIVITY_SHARES.sum()

_LEGS = (1, 2, 4, 5, 7, 8, 10, 11)
_ARMS = tuple(range(13, 15)) + tuple(range(16, 24))
# Noise over poses that come from elsewhere, radians about each axis (standard deviation).
_NOISE = np.full((24, 3), 0.06)
_NOISE[0] = 0.0
_NOISE[[1, 2, 12, 15]] = 0.08
_NOISE[[4, 5]] = (0.10, 0.02, 0.02)
_NOISE[[10, 11]] = (0.05, 0.0, 0.0)
_NOISE[[13, 14]] = (0.02, 0.06, 0.06)
_NOISE[[16, 17]] = 0.12
_NOISE[[18, 19]] = (0.15, 0.10, 0.02)
_NOISE[[20, 21]] = (0.05, 0.10, 0.20)
_NOISE[[22, 23]] = (0.0, 0.03, 0.15)


ON_THE_GROUND = frozenset(
    f'humanoid3d_{name}'
    for name in ('backflip', 'cartwheel', 'crawl', 'getup_facedown', 'getup_faceup', 'roll')
)
"""Motions of the pose library that are rarer in photos than there."""

_Maker = Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]]


def _some_activity(rng: np.random.Generator) -> _Maker:
    name = _ACTIVITY_NAMES[rng.choice(len(_ACTIVITY_NAMES), p=_ACTIVITY_SHARES)]
    return partial(_activity, name=name)


def _activity(
    rng: np.random.Generator, rest_joints: np.ndarray, name: str
) -> tuple[str, np.ndarray]:
    activity = ACTIVITIES[name][0](rng)
    curl = {'l_fingers_curl': rng.uniform(0, 0.5), 'r_fingers_curl': rng.uniform(0, 0.5)}
    turns = vectors_to_matrices(posture_to_pose(add_noise(rng, curl | activity.posture)))
    reach(turns, rest_joints, activity.reaches)
    turns[0] = activity.tilt @ turns[0]
    pose = matrices_to_vectors(turns)
    return name, mirror_pose(pose) if rng.random() < 0.5 else pose


def _family(rng: np.random.Generator, rest_joints: np.ndarray) -> tuple[str, np.ndarray]:
    name, posture = sample_posture(rng)
    return name, posture_to_pose(posture)


def _motion(rng: np.random.Generator, rest_joints: np.ndarray) -> tuple[str, np.ndarray]:
    library = load_pose_library()
    row = rng.integers(len(library.poses))
    if library.names[library.source[row]] in ON_THE_GROUND and rng.random() < 0.6:
        row = rng.integers(len(library.poses))  # rarer in photos than in these motions
    pose = library.poses[row]
    pose = pose + rng.standard_normal((24, 3)) * _NOISE
    return 'motion', mirror_pose(pose) if rng.random() < 0.5 else pose


def _mixture(rng: np.random.Generator, rest_joints: np.ndarray) -> tuple[str, np.ndarray]:
    """Between two poses, or the arms of one, the legs of another and the trunk of a third."""
    makers = (_family, _some_activity(rng), _motion)
    first, second, third = (
        makers[rng.choice(3, p=(0.25, 0.25, 0.5))](rng, rest_joints)[1] for _ in range(3)
    )
    if rng.random() < 0.5:
        step = Rotation.from_rotvec(first).inv() * Rotation.from_rotvec(second)
        share = rng.uniform(0.25, 0.75)
        return 'mixture', (
            Rotation.from_rotvec(first) * Rotation.from_rotvec(share * step.as_rotvec())
        ).as_rotvec()
    pose = first.copy()
    pose[list(_ARMS)] = second[list(_ARMS)]
    pose[list(_LEGS)] = third[list(_LEGS)]
    return 'mixture', pose


def _choose_maker(rng: np.random.Generator, shares: Mapping[str, float]) -> _Maker:
    source = rng.choice(len(SHARES), p=[shares.get(name, 0.0) for name in SHARES])
    if source == 1:
        return _some_activity(rng)
    makers: dict[int, _Maker] = {0: _family, 2: _motion, 3: _mixture}
    return makers[int(source)]


def sample_photo_pose(
    rng: np.random.Generator,
    rest_joints: np.ndarray,
    shares: Mapping[str, float] = SHARES,
    tries: int = TRIES,
) -> tuple[str, np.ndarray]:
    """Draws a pose; one whose limbs lie deep in one another is drawn again a few times.

    Args:
        rng: Source of randomness.
        rest_joints: (24, 3) joints of the body at rest, metres.
        shares: Where poses come from, of ``SHARES``, and how often; in sum 1.
        tries: How many poses are drawn at most.

    Returns:
        Name of the family, activity or source, and the (24, 3) axis-angle pose in the body's own
        upright frame (y up, facing z).
    """
    maker = _choose_maker(rng, shares)
    shallowest, best = np.inf, ('', np.zeros((24, 3)))
    for _ in range(tries):
        name, pose = maker(rng, rest_joints)
        depth = float(self_penetration(*place_joints(vectors_to_matrices(pose), rest_joints)))
        if depth < shallowest:
            shallowest, best = depth, (name, pose)
        if depth <= _DEEPEST:
            break
    return best

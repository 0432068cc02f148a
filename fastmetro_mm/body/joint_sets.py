# SPDX-License-Identifier: Apache-2.0
"""Names, orders, flips and skeletons of the joint sets used by FastMETRO.

Orders are those of the official code (``src/modeling/data/config.py``, ``_smpl.py`` and
``_mano.py``). Every index map below is computed from the names, so a map cannot disagree with
the order it maps from or to.

* ``J24``: order of the label rows (``2d_joints``, ``3d_joints``).
* ``J14``: what is predicted and evaluated for bodies.
* ``H36M17``: rows of ``J_regressor_h36m_correct.npy`` (right leg first).
* ``EXTRA14``: rows of ``J_regressor_extra.npy``.
* ``SMPL24``: joints of the kinematic tree of SMPL.
* ``MANO16``: joints of the kinematic tree of MANO; ``HAND21`` adds the five fingertips.
"""

from collections.abc import Sequence

from fastmetro_mm.errors import ConfigError

J24 = (
    'R_Ankle', 'R_Knee', 'R_Hip', 'L_Hip', 'L_Knee', 'L_Ankle',
    'R_Wrist', 'R_Elbow', 'R_Shoulder', 'L_Shoulder', 'L_Elbow', 'L_Wrist',
    'Neck', 'Top_of_Head', 'Pelvis', 'Thorax', 'Spine', 'Jaw', 'Head',
    'Nose', 'L_Eye', 'R_Eye', 'L_Ear', 'R_Ear',
)  # fmt: skip
J14 = (
    'R_Ankle', 'R_Knee', 'R_Hip', 'L_Hip', 'L_Knee', 'L_Ankle',
    'R_Wrist', 'R_Elbow', 'R_Shoulder', 'L_Shoulder', 'L_Elbow', 'L_Wrist',
    'Neck', 'Head',
)  # fmt: skip
H36M17 = (
    'Pelvis', 'R_Hip', 'R_Knee', 'R_Ankle', 'L_Hip', 'L_Knee', 'L_Ankle',
    'Torso', 'Neck', 'Nose', 'Head',
    'L_Shoulder', 'L_Elbow', 'L_Wrist', 'R_Shoulder', 'R_Elbow', 'R_Wrist',
)  # fmt: skip
EXTRA14 = (
    'Nose', 'R_Eye', 'L_Eye', 'R_Ear', 'L_Ear', 'R_Hip', 'L_Hip', 'Neck',
    'Top_of_Head', 'Pelvis', 'Thorax', 'Spine', 'Jaw', 'Head',
)  # fmt: skip
SMPL24 = (
    'Pelvis', 'L_Hip', 'R_Hip', 'Spine1', 'L_Knee', 'R_Knee', 'Spine2', 'L_Ankle', 'R_Ankle',
    'Spine3', 'L_Foot', 'R_Foot', 'Neck', 'L_Collar', 'R_Collar', 'Head',
    'L_Shoulder', 'R_Shoulder', 'L_Elbow', 'R_Elbow', 'L_Wrist', 'R_Wrist', 'L_Hand', 'R_Hand',
)  # fmt: skip
SMPL24_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

FINGERS = ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
HAND21 = ('Wrist', *(f'{finger}_{i}' for finger in FINGERS for i in (1, 2, 3, 4)))
# MANO stores the fingers in another order than HAND21, and has no fingertips.
MANO16 = (
    'Wrist',
    *(f'{finger}_{i}' for finger in ('Index', 'Middle', 'Pinky', 'Ring', 'Thumb')
      for i in (1, 2, 3)),
)  # fmt: skip
MANO16_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
# Right-hand vertices taken as fingertips, thumb to pinky. 445 (not 444) is what the official
# regressor really uses for the middle finger (`_mano.py`, `middletip_onehot`).
MANO_FINGERTIPS = (745, 317, 445, 556, 673)


def index_map(target: Sequence[str], source: Sequence[str]) -> tuple[int, ...]:
    """Positions in ``source`` of every name in ``target``.

    Args:
        target: Wanted names, in the wanted order.
        source: Names to pick from.

    Returns:
        ``len(target)`` indices so that ``source[index[i]] == target[i]``.

    Raises:
        ValueError: If a name is not in ``source``.
    """
    positions = {name: i for i, name in enumerate(source)}
    missing = [name for name in target if name not in positions]
    if missing:
        raise ConfigError(f'no joint named {", ".join(missing)} among {", ".join(source)}')
    return tuple(positions[name] for name in target)


def mirror_name(name: str) -> str:
    """Name of the joint on the other side of the body (the same name for a middle joint)."""
    if name.startswith('L_'):
        return 'R_' + name[2:]
    if name.startswith('R_'):
        return 'L_' + name[2:]
    return name


def flip_permutation(names: Sequence[str]) -> tuple[int, ...]:
    """Index of the mirrored joint for every joint of a set."""
    return index_map([mirror_name(name) for name in names], names)


def flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) index pairs of a joint set."""
    mirrored = flip_permutation(names)
    return tuple((i, mirrored[i]) for i, name in enumerate(names) if name.startswith('L_'))


J24_TO_J14 = index_map(J14, J24)
H36M17_TO_J14 = index_map(J14, H36M17)
# Rows of concat(SMPL24, EXTRA14) that make J24: a regressed row wins where both have the name
# (hips, neck, pelvis, head), as in the official JOINTS_IDX.
SMPL_EXTRA_TO_J24 = tuple(
    len(SMPL24) + EXTRA14.index(name) if name in EXTRA14 else SMPL24.index(name) for name in J24
)
# Rows of concat(MANO16, five tips) that make HAND21.
MANO_TIPS_TO_HAND21 = index_map(HAND21, (*MANO16, *(f'{finger}_4' for finger in FINGERS)))

J24_FLIP = flip_permutation(J24)
J14_FLIP = flip_permutation(J14)
H36M17_FLIP = flip_permutation(H36M17)
SMPL24_FLIP = flip_permutation(SMPL24)
# A mirrored right hand is a left hand with the same joint order.
HAND21_FLIP = tuple(range(len(HAND21)))

# Joints whose mean is the origin of predictions and of MPJPE (J14) and the root of the labels.
J14_HIPS = index_map(('R_Hip', 'L_Hip'), J14)
J24_PELVIS = J24.index('Pelvis')
H36M17_PELVIS = H36M17.index('Pelvis')
HAND21_WRIST = HAND21.index('Wrist')

# SPDX-License-Identifier: Apache-2.0
"""The 24 body joints in SMPL's order and which MakeHuman bones each one takes over."""

import numpy as np

BODY_JOINTS = (
    'pelvis',
    'l_hip',
    'r_hip',
    'spine1',
    'l_knee',
    'r_knee',
    'spine2',
    'l_ankle',
    'r_ankle',
    'spine3',
    'l_foot',
    'r_foot',
    'neck',
    'l_collar',
    'r_collar',
    'head',
    'l_shoulder',
    'r_shoulder',
    'l_elbow',
    'r_elbow',
    'l_wrist',
    'r_wrist',
    'l_hand',
    'r_hand',
)
BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# Joint -> (bones whose heads average to the joint, prefixes of the bones whose skin it moves).
# '.L'/'.R' is added for limbs. The thumb stays with the wrist: the hand joint bends the four
# fingers about the knuckles.
_CENTRE = {
    'pelvis': (('root',), ('root', 'pelvis', 'spine05')),
    'spine1': (('spine04',), ('spine04', 'spine03')),
    'spine2': (('spine02',), ('spine02',)),
    'spine3': (('spine01',), ('spine01',)),
    'neck': (('neck01',), ('neck01', 'neck02')),
    'head': (('neck03',), ('neck03', 'head', 'eye')),
}
_LIMB = {
    'hip': (('upperleg01',), ('upperleg',)),
    'knee': (('lowerleg01',), ('lowerleg',)),
    'ankle': (('foot',), ('foot',)),
    'foot': (('toe1-1', 'toe2-1', 'toe3-1', 'toe4-1'), ('toe',)),
    'collar': (('clavicle',), ('clavicle', 'shoulder')),
    'shoulder': (('upperarm01',), ('upperarm',)),
    'elbow': (('lowerarm01',), ('lowerarm',)),
    'wrist': (('wrist',), ('wrist', 'metacarpal', 'finger1')),
    'hand': (
        ('finger2-1', 'finger3-1', 'finger4-1', 'finger5-1'),
        ('finger2', 'finger3', 'finger4', 'finger5'),
    ),
}


def mirror_joints(names: tuple[str, ...] = BODY_JOINTS) -> np.ndarray:
    """Number of each joint's left-right partner."""
    swap = {'l': 'r', 'r': 'l'}
    return np.array([names.index(swap[n[0]] + n[1:] if n[1] == '_' else n) for n in names])


def joint_positions(bone_heads: np.ndarray, bones: list[str]) -> np.ndarray:
    """(S, B, 3) bone heads to (S, 24, 3) joints."""
    return np.stack(
        [
            bone_heads[:, [bones.index(b) for b in _sources(name)[0]]].mean(axis=1)
            for name in BODY_JOINTS
        ],
        axis=1,
    )


def merge_weights(weights: np.ndarray, bones: list[str]) -> np.ndarray:
    """(V, B) bone weights to (V, 24) joint weights; every bone goes to exactly one joint."""
    merged = np.zeros((len(weights), len(BODY_JOINTS)))
    for column, bone in enumerate(bones):
        merged[:, _joint_of(bone)] += weights[:, column]
    return merged


def keep_strongest(weights: np.ndarray, count: int = 4) -> np.ndarray:
    """Keep at most ``count`` entries of each row, the largest, and make it sum to 1.

    Entries that tie with the first one left out go too: on the midline that keeps the left and
    right joints equal.
    """
    limit = np.sort(weights, axis=1)[:, -count - 1][:, None]
    kept = np.where((weights > limit * (1 + 1e-6)) & (weights > 1e-4), weights, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)


def _sources(name: str) -> tuple[list[str], list[str], str]:
    if name in _CENTRE:
        heads, prefixes = _CENTRE[name]
        return list(heads), list(prefixes), ''
    heads, prefixes = _LIMB[name[2:]]
    side = '.' + name[0].upper()
    return [h + side for h in heads], list(prefixes), side


def _joint_of(bone: str) -> int:
    for i, name in enumerate(BODY_JOINTS):
        _, prefixes, side = _sources(name)
        if bone.endswith(side) and any(bone.startswith(p) for p in prefixes):
            return i
    raise ValueError(f'anny bone {bone!r}: no joint takes it; add it to the tables in skeleton.py')

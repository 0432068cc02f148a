# SPDX-License-Identifier: Apache-2.0
"""Families of everyday postures of a standing, moving or sitting person.

Every family sets the angles that make it what it is; then a little noise goes over all angles,
one side may be exchanged for the other, and everything is moved inside the joint limits.
"""

from collections.abc import Callable

import numpy as np

from fastmetro_mm.synthetic.anatomy import LIMITS, Posture, clamp_posture

Family = Callable[[np.random.Generator], Posture]

# Noise of every angle, radians (standard deviation); the first matching end of the name counts.
_NOISE = {
    'root_turn': 0.0, 'root_bend': 0.03, 'root_lean': 0.03,
    'hip_flex': 0.07, 'hip_spread': 0.05, 'hip_twist': 0.08,
    'knee_flex': 0.08, 'knee_twist': 0.03, 'ankle_lift': 0.06, 'ankle_roll': 0.05,
    'toes_lift': 0.04, 'collar_lift': 0.05, 'collar_forward': 0.05,
    'shoulder_raise': 0.10, 'shoulder_plane': 0.15, 'shoulder_twist': 0.18,
    'elbow_flex': 0.15, 'elbow_roll': 0.25, 'wrist_flex': 0.20, 'wrist_side': 0.10,
    'fingers_curl': 0.12, '_bend': 0.05, '_lean': 0.04, '_turn': 0.05,
}  # fmt: skip


def _noise_scale(name: str) -> float:
    return next(scale for end, scale in _NOISE.items() if name.endswith(end))


_NAMES = tuple(LIMITS)
_SCALES = np.array([_noise_scale(name) for name in _NAMES])


def _arm(side: str, raise_: float, plane: float, elbow: float, twist: float = 0.0) -> Posture:
    return {
        f'{side}_shoulder_raise': raise_,
        f'{side}_shoulder_plane': plane,
        f'{side}_elbow_flex': elbow,
        f'{side}_shoulder_twist': twist,
        f'{side}_collar_lift': max(0.0, (raise_ - 1.0) * 0.22),
    }


def _leg(side: str, flex: float, knee: float, lift: float, spread: float = 0.06) -> Posture:
    return {
        f'{side}_hip_flex': flex,
        f'{side}_knee_flex': knee,
        f'{side}_ankle_lift': lift,
        f'{side}_hip_spread': spread,
    }


def _spine(bend: float = 0.0, lean: float = 0.0, turn: float = 0.0) -> Posture:
    """Shares a whole bend, lean and turn of the back over its three joints."""
    share = {'spine1': 0.38, 'spine2': 0.34, 'spine3': 0.28}
    posture = {}
    for part, part_share in share.items():
        posture[f'{part}_bend'] = bend * part_share
        posture[f'{part}_lean'] = lean * part_share
        posture[f'{part}_turn'] = turn * part_share
    return posture


def _look(rng: np.random.Generator, bend: float = 0.0, spread: float = 0.35) -> Posture:
    """Turns neck and head together towards a random direction."""
    turn, nod = rng.normal(0.0, spread), bend + rng.normal(0.0, 0.15)
    return {
        'neck_turn': 0.5 * turn,
        'head_turn': 0.5 * turn,
        'neck_bend': 0.5 * nod,
        'head_bend': 0.5 * nod,
    }


def _idle_arm(rng: np.random.Generator, side: str) -> Posture:
    """One arm at rest: hanging, on the hip, before the body, at the face, or in a pocket."""
    mode = rng.choice(5, p=[0.50, 0.15, 0.16, 0.11, 0.08])
    if mode == 0:
        plane, elbow = rng.uniform(-0.3, 0.6), rng.uniform(0.1, 0.5)
        return _arm(side, rng.uniform(0.12, 0.35), plane, elbow, 0.2)
    if mode == 1:
        return _arm(side, rng.uniform(0.65, 0.9), -0.25, rng.uniform(1.3, 1.7), 1.0)
    if mode == 2:
        elbow, twist = rng.uniform(1.1, 1.8), rng.uniform(0.1, 0.7)
        return _arm(side, rng.uniform(0.3, 0.7), 1.3, elbow, twist)
    if mode == 3:
        return _arm(side, rng.uniform(0.7, 1.2), 1.4, rng.uniform(1.9, 2.4), 0.1)
    return _arm(side, 0.35, -0.6, rng.uniform(0.6, 0.9), 0.3)


def _stand_legs(rng: np.random.Generator) -> Posture:
    spread = rng.uniform(-0.06, 0.18) if rng.random() < 0.75 else rng.uniform(0.18, 0.42)
    posture = {}
    for side in 'lr':
        knee = abs(rng.normal(0.0, 0.15))
        flex = 0.5 * knee + rng.normal(0.0, 0.06)
        posture |= _leg(side, flex, knee, flex - knee + 0.5 * knee, spread * rng.uniform(0.7, 1.0))
        posture[f'{side}_hip_twist'] = rng.uniform(0.0, 0.3)
    return posture


def standing(rng: np.random.Generator) -> Posture:
    """Standing at ease; the arms do one of several idle things."""
    lean = rng.normal(0.0, 0.08)
    return (
        _stand_legs(rng) | _idle_arm(rng, 'l') | _idle_arm(rng, 'r') | _look(rng)
        | _spine(rng.normal(0.02, 0.06), lean, rng.normal(0.0, 0.1))
    )  # fmt: skip


def turning(rng: np.random.Generator) -> Posture:
    """Standing with the upper body and the head turned to one side."""
    turn = rng.uniform(0.35, 0.80)
    posture = standing(rng) | _spine(rng.normal(0.03, 0.06), rng.normal(0.0, 0.1), turn)
    posture |= {'neck_turn': rng.uniform(0.1, 0.5), 'head_turn': rng.uniform(0.1, 0.45)}
    return posture


def _stride(rng: np.random.Generator, size: float, bounce: float, elbow: float) -> Posture:
    """A moment of a gait: legs half a period apart, each arm with the opposite leg."""
    phase = rng.uniform(0.0, 2.0 * np.pi)
    posture: Posture = {}
    for side, other, shift in (('l', 'r', 0.0), ('r', 'l', np.pi)):
        swing = np.sin(phase + shift)
        # The knee folds while the leg travels forward (between its hindmost and foremost place).
        fold = max(0.0, np.cos(phase + shift))
        flex = 0.12 + size * swing + 0.35 * bounce * fold
        knee = 0.12 + bounce * fold + 0.35 * size * max(0.0, -swing)
        posture |= _leg(side, flex, knee, 0.1 - 0.4 * size * max(0.0, -swing), 0.03)
        posture[f'{side}_toes_lift'] = 0.6 * size * max(0.0, -swing)
        forward = 0.9 * size * swing
        # The opposite arm goes forward with this leg.
        plane = np.pi / 2 - 0.25 if forward >= 0 else -np.pi / 2 + 0.35
        posture |= _arm(other, abs(forward) + 0.12, plane, elbow * rng.uniform(0.8, 1.2), 0.1)
    turn = 0.18 * size * np.sin(phase)
    return posture | _spine(0.05, 0.0, turn) | {'root_turn': -turn}


def walking(rng: np.random.Generator) -> Posture:
    """A step of a walk, slow or brisk."""
    return _stride(rng, rng.uniform(0.22, 0.50), rng.uniform(0.5, 0.9), 0.35) | _look(rng)


def running(rng: np.random.Generator) -> Posture:
    """A step of a run, leaning forward with bent elbows."""
    posture = _stride(rng, rng.uniform(0.50, 0.85), rng.uniform(1.1, 1.8), 1.45)
    return posture | _look(rng, -0.1, 0.2) | {'root_bend': rng.uniform(0.08, 0.28)}


def sitting(rng: np.random.Generator) -> Posture:
    """On a chair, upright or leaning, hands on the thighs or busy; sometimes legs stretched."""
    back, curl = rng.uniform(-0.25, 0.35), rng.uniform(0.0, 0.45)
    posture = {'root_bend': back} | _spine(curl) | _look(rng, -0.1)
    spread = rng.uniform(0.05, 0.35)
    for side in 'lr':
        flex = min(2.05, 1.5 + back + rng.normal(0.0, 0.08))
        knee = rng.uniform(1.2, 1.75) if rng.random() < 0.8 else rng.uniform(0.2, 0.8)
        posture |= _leg(side, flex, knee, rng.normal(0.0, 0.15), spread)
        if rng.random() < 0.6:  # hand on the thigh, whichever way the trunk leans
            raise_ = max(0.15, rng.uniform(0.45, 0.65) + 0.9 * (back + curl))
            posture |= _arm(side, raise_, 1.40, rng.uniform(0.75, 1.05), 0.15)
        else:
            posture |= _idle_arm(rng, side)
    return posture


def squatting(rng: np.random.Generator) -> Posture:
    """Knees bent, from a half crouch to a deep squat, the trunk forward for balance."""
    depth = rng.uniform(0.45, 1.0)
    bend = 0.25 + 0.45 * depth
    posture = {'root_bend': bend} | _spine(0.25 * depth) | _look(rng, -0.4)
    for side in 'lr':
        spread = rng.uniform(0.1, 0.45)
        posture |= _leg(side, 0.85 * depth + bend, 2.05 * depth, 0.45 * depth, spread)
        posture[f'{side}_hip_twist'] = rng.uniform(0.05, 0.4)
        plane, elbow = rng.uniform(1.2, 1.6), rng.uniform(0.1, 1.3)
        posture |= _arm(side, rng.uniform(0.7, 1.4), plane, elbow, 0.1)
    return posture


def lunging(rng: np.random.Generator) -> Posture:
    """A long step: the front knee bent, the back leg stretched behind."""
    bend = rng.uniform(0.0, 0.35)
    posture = _leg('l', rng.uniform(0.9, 1.4) + bend, rng.uniform(1.0, 1.5), 0.1)
    posture |= _leg('r', -0.35 + bend * 0.5, rng.uniform(0.1, 0.9), -0.2)
    posture |= {'r_toes_lift': 0.5, 'root_bend': bend} | _spine(rng.uniform(0.0, 0.2)) | _look(rng)
    for side in 'lr':
        posture |= _idle_arm(rng, side) if rng.random() < 0.5 else _free_arm(rng, side)
    return posture


def _free_arm(rng: np.random.Generator, side: str) -> Posture:
    """An arm stretched or bent towards anywhere in front of or beside the body."""
    return _arm(
        side, rng.uniform(0.5, 2.4), rng.uniform(0.0, 1.7), abs(rng.normal(0.2, 0.6)),
        rng.uniform(-0.3, 0.5),
    )  # fmt: skip


def reaching(rng: np.random.Generator) -> Posture:
    """One arm stretched towards something in front, beside or above; the body follows a little."""
    raise_, plane = rng.uniform(0.9, 2.5), rng.uniform(0.2, 1.7)
    posture = _stand_legs(rng) | _idle_arm(rng, 'r')
    posture |= _spine(rng.uniform(-0.05, 0.3), rng.normal(0.0, 0.12), -rng.uniform(0.0, 0.45))
    posture |= _arm('l', raise_, plane, rng.uniform(0.0, 0.5), rng.uniform(-0.2, 0.3))
    if rng.random() < 0.3:
        posture |= _arm('r', raise_ + rng.normal(0.0, 0.2), plane, rng.uniform(0.0, 0.5))
    return posture | _look(rng, 0.3 - 0.35 * (raise_ - 0.9))


def arms_up(rng: np.random.Generator) -> Posture:
    """Both arms above the shoulders: a V, straight up, hands behind the head, or a flex."""
    mode = rng.integers(4)
    posture = _stand_legs(rng) | _look(rng, -0.1) | _spine(rng.normal(-0.05, 0.1))
    for side in 'lr':
        if mode == 0:
            posture |= _arm(side, rng.uniform(2.0, 2.5), 0.2, rng.uniform(0.0, 0.3))
        elif mode == 1:
            posture |= _arm(side, rng.uniform(2.6, 2.9), 0.6, rng.uniform(0.0, 0.4))
        elif mode == 2:
            posture |= _arm(side, rng.uniform(1.7, 2.0), 0.15, rng.uniform(2.0, 2.3), -1.2)
        else:
            posture |= _arm(side, rng.uniform(1.4, 1.65), 0.15, rng.uniform(1.3, 1.8), -1.35)
    return posture


def arms_out(rng: np.random.Generator) -> Posture:
    """Arms stretched to the sides or to the front, as when balancing or presenting."""
    plane = rng.uniform(0.0, 1.5)
    posture = _stand_legs(rng) | _look(rng) | _spine(rng.normal(0.0, 0.1), rng.normal(0.0, 0.1))
    for side in 'lr':
        posture |= _arm(side, rng.uniform(1.0, 1.75), plane, rng.uniform(0.0, 0.5), 0.0)
    return posture


def bending(rng: np.random.Generator) -> Posture:
    """Bending forward from the hips, arms hanging towards the floor or resting on the knees."""
    bend, curl = rng.uniform(0.5, 1.4), rng.uniform(0.2, 0.7)
    posture = {'root_bend': bend} | _spine(curl) | _look(rng, -0.3)
    hang = bend + curl  # this far forward of the trunk, the arm hangs straight down
    for side in 'lr':
        knee = rng.uniform(0.0, 0.5)
        posture |= _leg(side, bend + 0.4 * knee, knee, 0.1, rng.uniform(0.02, 0.3))
        posture |= _arm(side, hang * rng.uniform(0.6, 1.0), np.pi / 2, rng.uniform(0.0, 0.6), 0.1)
    return posture


def waving(rng: np.random.Generator) -> Posture:
    """One hand waves beside the head, the other arm is idle."""
    posture = standing(rng)
    return posture | _arm(
        'l', rng.uniform(1.0, 1.9), rng.uniform(0.0, 0.5), rng.uniform(0.8, 2.1), -1.25
    )


def kicking(rng: np.random.Generator) -> Posture:
    """One leg kicks forward, the arms balance, the trunk leans back a little."""
    flex = rng.uniform(0.6, 1.55)
    posture = _leg('l', flex, rng.uniform(0.0, 0.7), -0.3, rng.uniform(0.0, 0.3))
    posture |= _leg('r', rng.uniform(0.0, 0.2), rng.uniform(0.05, 0.45), 0.1)
    posture |= {'root_bend': -rng.uniform(0.0, 0.25)} | _spine(0.1) | _look(rng, 0.2)
    posture |= _arm('r', rng.uniform(0.5, 1.3), rng.uniform(0.4, 1.4), rng.uniform(0.1, 0.9))
    return posture | _arm('l', rng.uniform(0.4, 1.2), rng.uniform(-0.1, 0.3), rng.uniform(0.1, 0.9))


def jumping(rng: np.random.Generator) -> Posture:
    """In the air: a star, or the knees drawn up, with the arms out or up."""
    posture = _look(rng) | _spine(rng.normal(0.05, 0.12))
    star = rng.random() < 0.5
    for side in 'lr':
        if star:
            posture |= _leg(side, 0.1, rng.uniform(0.0, 0.4), -0.5, rng.uniform(0.3, 0.65))
        else:
            posture |= _leg(side, rng.uniform(0.5, 1.6), rng.uniform(0.9, 2.2), -0.4, 0.15)
        posture |= _arm(side, rng.uniform(1.0, 2.6), rng.uniform(0.0, 1.2), rng.uniform(0.0, 1.0))
    return posture


FAMILIES: dict[str, tuple[Family, float]] = {
    'standing': (standing, 0.20),
    'walking': (walking, 0.14),
    'running': (running, 0.08),
    'sitting': (sitting, 0.11),
    'squatting': (squatting, 0.06),
    'lunging': (lunging, 0.05),
    'reaching': (reaching, 0.09),
    'arms_up': (arms_up, 0.06),
    'arms_out': (arms_out, 0.05),
    'bending': (bending, 0.05),
    'waving': (waving, 0.05),
    'kicking': (kicking, 0.05),
    'turning': (turning, 0.06),
    'jumping': (jumping, 0.05),
}
"""Name to family and share of the data set."""


def mirror_posture(posture: Posture) -> Posture:
    """Exchanges left and right, and reverses the turns and leans of the middle line."""
    swap = {'l_': 'r_', 'r_': 'l_'}
    mirrored = {}
    for name, value in posture.items():
        if name[:2] in swap:
            mirrored[swap[name[:2]] + name[2:]] = value
        else:
            mirrored[name] = -value if name.endswith(('_lean', '_turn')) else value
    return mirrored


def sample_posture(rng: np.random.Generator, family: str | None = None) -> tuple[str, Posture]:
    """Draws a posture inside the joint limits.

    Args:
        rng: Source of all randomness.
        family: One of :data:`FAMILIES`; None draws one by its share.

    Returns:
        The family's name and the posture.
    """
    if family is None:
        shares = np.array([share for _, share in FAMILIES.values()])
        family = str(rng.choice(list(FAMILIES), p=shares / shares.sum()))
    posture = {'l_fingers_curl': rng.uniform(0, 0.4), 'r_fingers_curl': rng.uniform(0, 0.4)}
    posture |= FAMILIES[family][0](rng)
    if rng.random() < 0.5:
        posture = mirror_posture(posture)
    noise = np.clip(rng.standard_normal(len(_NAMES)), -2.0, 2.0) * _SCALES
    noisy = {name: posture.get(name, 0.0) + jog for name, jog in zip(_NAMES, noise, strict=True)}
    return family, clamp_posture(noisy)

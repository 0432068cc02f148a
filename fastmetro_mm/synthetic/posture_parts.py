# SPDX-License-Identifier: Apache-2.0
"""Building blocks of postures: arms, legs, back and head, a mirror, and noise over everything."""

import numpy as np

from fastmetro_mm.synthetic.anatomy import LIMITS, Posture, clamp_posture

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


def arm(side: str, raise_: float, plane: float, elbow: float, twist: float = 0.0) -> Posture:
    """One arm: how high, in which plane, elbow and twist in radians; the collar follows."""
    return {
        f'{side}_shoulder_raise': raise_,
        f'{side}_shoulder_plane': plane,
        f'{side}_elbow_flex': elbow,
        f'{side}_shoulder_twist': twist,
        f'{side}_collar_lift': max(0.0, (raise_ - 1.0) * 0.22),
    }


def leg(side: str, flex: float, knee: float, lift: float, spread: float = 0.06) -> Posture:
    """One leg: hip, knee, ankle and spread, radians."""
    return {
        f'{side}_hip_flex': flex,
        f'{side}_knee_flex': knee,
        f'{side}_ankle_lift': lift,
        f'{side}_hip_spread': spread,
    }


def spine(bend: float = 0.0, lean: float = 0.0, turn: float = 0.0) -> Posture:
    """Shares a whole bend, lean and turn of the back over its three joints."""
    share = {'spine1': 0.38, 'spine2': 0.34, 'spine3': 0.28}
    posture = {}
    for part, part_share in share.items():
        posture[f'{part}_bend'] = bend * part_share
        posture[f'{part}_lean'] = lean * part_share
        posture[f'{part}_turn'] = turn * part_share
    return posture


def look(rng: np.random.Generator, bend: float = 0.0, spread: float = 0.35) -> Posture:
    """Turns neck and head together towards a random direction."""
    turn, nod = rng.normal(0.0, spread), bend + rng.normal(0.0, 0.15)
    return {
        'neck_turn': 0.5 * turn,
        'head_turn': 0.5 * turn,
        'neck_bend': 0.5 * nod,
        'head_bend': 0.5 * nod,
    }


def idle_arm(rng: np.random.Generator, side: str) -> Posture:
    """One arm at rest: hanging, on the hip, before the body, at the face, or in a pocket."""
    mode = rng.choice(5, p=[0.50, 0.15, 0.16, 0.11, 0.08])
    if mode == 0:
        plane, elbow = rng.uniform(-0.3, 0.6), rng.uniform(0.1, 0.5)
        return arm(side, rng.uniform(0.12, 0.35), plane, elbow, 0.2)
    if mode == 1:
        return arm(side, rng.uniform(0.65, 0.9), -0.25, rng.uniform(1.3, 1.7), 1.0)
    if mode == 2:
        elbow, twist = rng.uniform(1.1, 1.8), rng.uniform(0.1, 0.7)
        return arm(side, rng.uniform(0.3, 0.7), 1.3, elbow, twist)
    if mode == 3:
        return arm(side, rng.uniform(0.7, 1.2), 1.4, rng.uniform(1.9, 2.4), 0.1)
    return arm(side, 0.35, -0.6, rng.uniform(0.6, 0.9), 0.3)


def free_arm(rng: np.random.Generator, side: str) -> Posture:
    """An arm stretched or bent towards anywhere in front of or beside the body."""
    return arm(
        side, rng.uniform(0.5, 2.4), rng.uniform(0.0, 1.7), abs(rng.normal(0.2, 0.6)),
        rng.uniform(-0.3, 0.5),
    )  # fmt: skip


def stand_legs(rng: np.random.Generator) -> Posture:
    """Standing on both legs, narrow or wide, knees a little bent."""
    spread = rng.uniform(-0.06, 0.18) if rng.random() < 0.75 else rng.uniform(0.18, 0.42)
    posture = {}
    for side in 'lr':
        knee = abs(rng.normal(0.0, 0.15))
        flex = 0.5 * knee + rng.normal(0.0, 0.06)
        posture |= leg(side, flex, knee, flex - knee + 0.5 * knee, spread * rng.uniform(0.7, 1.0))
        posture[f'{side}_hip_twist'] = rng.uniform(0.0, 0.3)
    return posture


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


def add_noise(rng: np.random.Generator, posture: Posture) -> Posture:
    """Adds a little noise to every angle, and moves everything inside the joint limits."""
    noise = np.clip(rng.standard_normal(len(_NAMES)), -2.0, 2.0) * _SCALES
    return clamp_posture(
        {name: posture.get(name, 0.0) + jog for name, jog in zip(_NAMES, noise, strict=True)}
    )

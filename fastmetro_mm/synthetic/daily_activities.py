# SPDX-License-Identifier: Apache-2.0
"""Postures of daily life, as photographs show them: hands with something to do.

They complement :mod:`fastmetro_mm.synthetic.pose_families`. Where a hand belongs somewhere (on a
hip, at an ear, on a table) it is sent there by a
:class:`~fastmetro_mm.synthetic.kinematics.Reach` instead of by angles.
"""

import numpy as np

from fastmetro_mm.synthetic.activity import CHEST, HEAD, PELVIS, Activity, hand, sign
from fastmetro_mm.synthetic.anatomy import Posture
from fastmetro_mm.synthetic.pose_families import sitting, standing, walking
from fastmetro_mm.synthetic.posture_parts import arm, free_arm, idle_arm, leg, look, spine
from fastmetro_mm.synthetic.rotations import rotate_about

_X, _Y, _Z = np.eye(3)


def _some_legs(rng: np.random.Generator) -> Posture:
    """Standing, sometimes walking or sitting: what the arms do does not depend on it."""
    draw = rng.random()
    if draw < 0.62:
        return standing(rng)
    return walking(rng) if draw < 0.75 else sitting(rng)


def arms_crossed(rng: np.random.Generator) -> Activity:
    """Forearms before the chest, or one hand at the other elbow."""
    low, fore = rng.uniform(-0.16, -0.04), rng.uniform(0.15, 0.18)
    pole = (1.0, -0.9, 0.2)
    return Activity(
        _some_legs(rng) | look(rng),
        (
            hand('l', CHEST, -rng.uniform(0.02, 0.09), low + 0.02, fore, pole),
            hand('r', CHEST, -rng.uniform(0.0, 0.07), low - 0.02, fore + 0.08, pole),
        ),
    )


def hands_on_hips(rng: np.random.Generator) -> Activity:
    """One or both hands on the hips, fists or fingers forward."""
    goals = []
    for side in 'lr' if rng.random() < 0.6 else 'l':
        out, up, fore = rng.uniform(0.21, 0.25), rng.uniform(0.08, 0.17), rng.uniform(-0.09, 0.06)
        goals.append(hand(side, PELVIS, out, up, fore, (1.0, 0.3, -rng.uniform(0.2, 0.8))))
    return Activity(standing(rng), tuple(goals))


def hands_low(rng: np.random.Generator) -> Activity:
    """Hands in the pockets, clasped before the body, or behind the back."""
    mode = rng.choice(3, p=[0.45, 0.35, 0.20])
    goals = []
    for side in 'lr' if mode or rng.random() < 0.7 else 'l':
        if mode == 0:
            goals.append(hand(side, PELVIS, 0.205, rng.uniform(-0.02, 0.06),
                               rng.uniform(0.0, 0.08), (0.8, 0.2, -1.0)))  # fmt: skip
        elif mode == 1:
            goals.append(
                hand(side, PELVIS, 0.055, rng.uniform(-0.06, 0.05), 0.20, (1.0, -0.2, -0.4))
            )
        else:
            goals.append(hand(side, PELVIS, 0.075, rng.uniform(0.0, 0.1), -0.19, (1.0, 0.2, -0.7)))
    legs = standing(rng) if rng.random() < 0.8 else walking(rng)
    return Activity(legs, tuple(goals))


def phoning(rng: np.random.Generator) -> Activity:
    """A hand at the ear, or one or two hands with something to look at."""
    posture = _some_legs(rng)
    mode = rng.choice(3, p=[0.4, 0.35, 0.25])
    if mode == 0:
        goal = hand('l', HEAD, rng.uniform(0.11, 0.14), rng.uniform(-0.05, 0.02),
                     rng.uniform(0.02, 0.08), (0.8, -1.0, 0.4))  # fmt: skip
        return Activity(posture | look(rng, 0.0, 0.2), (goal,))
    goals = []
    down, fore = rng.uniform(-0.16, 0.12), rng.uniform(0.26, 0.36)
    for side in 'lr' if mode == 2 else 'l':
        goals.append(hand(side, CHEST, 0.065, down, fore, (1.0, -1.2, 0.0)))
    nod = rng.uniform(0.3, 0.7) if down < 0.05 else 0.1
    return Activity(posture | look(rng, nod, 0.12), tuple(goals))


def at_the_face(rng: np.random.Generator) -> Activity:
    """A hand at the chin, the mouth, the glasses or the hair; eating, drinking, thinking."""
    goals = []
    for side in 'lr' if rng.random() < 0.25 else 'l':
        up, fore = rng.uniform(-0.12, 0.12), rng.uniform(0.08, 0.20)
        if rng.random() < 0.25:
            up, fore = rng.uniform(0.15, 0.22), rng.uniform(-0.1, 0.1)
        goals.append(hand(side, HEAD, rng.uniform(0.05, 0.13), up, fore, (1.0, -0.8, 0.3)))
    return Activity(_some_legs(rng), tuple(goals))


def holding(rng: np.random.Generator) -> Activity:
    """Both hands around something in front: a box, a child, a tray, a camera, a steering wheel."""
    wide, up = rng.uniform(0.06, 0.24), rng.uniform(-0.26, 0.24)
    fore = rng.uniform(0.24, 0.42)
    pole = (1.0, -rng.uniform(0.4, 1.4), -0.2)
    goals = tuple(
        hand(side, CHEST, wide, up + rng.normal(0, 0.03), fore + rng.normal(0, 0.03), pole)
        for side in 'lr'
    )
    return Activity(_some_legs(rng), goals)


def at_a_table(rng: np.random.Generator) -> Activity:
    """Sitting (or standing bent) with hands or forearms on a table."""
    if rng.random() < 0.75:
        posture, height = sitting(rng), rng.uniform(0.15, 0.28)
    else:
        posture = standing(rng) | {'root_bend': rng.uniform(0.1, 0.5)}
        height = rng.uniform(-0.05, 0.15)
    goals = []
    for side in 'lr':
        if rng.random() < 0.85:
            fore = rng.uniform(0.30, 0.48)
            goals.append(hand(side, -1, rng.uniform(0.02, 0.26), height, fore, (1.0, -0.6, -0.4)))
    return Activity(posture | look(rng, 0.2), tuple(goals))


def floor_sitting(rng: np.random.Generator) -> Activity:
    """On the floor: cross-legged, legs stretched, knees drawn up, or legs to one side."""
    mode, back = rng.choice(4, p=[0.35, 0.2, 0.3, 0.15]), rng.uniform(-0.3, 0.25)
    posture = spine(rng.uniform(0.1, 0.6), rng.normal(0, 0.08)) | look(rng)
    posture |= {'root_bend': back}
    for side in 'lr':
        if mode == 0:
            posture |= leg(side, 1.5 + back, rng.uniform(2.0, 2.35), -0.3, 0.75)
            posture[f'{side}_hip_twist'] = 0.8
        elif mode == 1:
            posture |= leg(side, 1.5 + back, rng.uniform(0.0, 0.5), -0.2, rng.uniform(0.0, 0.4))
        elif mode == 2:
            knee = rng.uniform(1.6, 2.4)
            posture |= leg(side, min(2.1, 1.0 + 0.5 * knee + back), knee, -0.2, 0.12)
        else:
            posture |= leg(side, 1.45 + back, rng.uniform(1.6, 2.2), -0.4, 0.2)
            posture[f'{side}_hip_twist'] = 0.75 * sign(side)
    goals = []
    for side in 'lr':
        draw = rng.random()
        if draw < 0.35:
            goals.append(hand(side, 4 if side == 'l' else 5, 0.0, rng.uniform(-0.05, 0.12), 0.085,
                               (1.0, -0.3, -0.3)))  # fmt: skip
        elif draw < 0.6:
            goals.append(hand(side, -1, rng.uniform(0.2, 0.35), -0.05, rng.uniform(-0.35, -0.1),
                               (0.6, 0.2, -1.0)))  # fmt: skip
        elif draw < 0.85:
            goals.append(hand(side, PELVIS, 0.06, 0.12, 0.24, (1.0, -0.5, -0.3)))
        else:
            posture |= free_arm(rng, side)
    return Activity(posture, tuple(goals))


def kneeling(rng: np.random.Generator) -> Activity:
    """On both knees, on the heels, or on one knee."""
    mode, bend = rng.choice(3, p=[0.3, 0.3, 0.4]), rng.uniform(-0.05, 0.45)
    posture = {'root_bend': bend} | spine(rng.uniform(0.0, 0.3)) | look(rng)
    for side in 'lr':
        if mode == 0:
            posture |= leg(side, bend + rng.uniform(-0.1, 0.3), 1.6, -0.7, 0.12)
        elif mode == 1:
            posture |= leg(side, 1.6 + bend, 2.45, -0.75, rng.uniform(0.05, 0.3))
        elif side == 'l':
            posture |= leg(side, 1.45 + bend, rng.uniform(1.3, 1.7), 0.1, 0.15)
        else:
            posture |= leg(side, bend - 0.1, 1.6, -0.2, 0.05) | {'r_toes_lift': 0.5}
    goals = []
    for side in 'lr':
        if rng.random() < 0.4:
            joint = 4 if side == 'l' else 5
            goals.append(hand(side, joint, 0.0, rng.uniform(0.05, 0.2), 0.1, (1.0, 0.0, -0.5)))
        else:
            posture |= idle_arm(rng, side) if rng.random() < 0.5 else free_arm(rng, side)
    return Activity(posture, tuple(goals))


def lying(rng: np.random.Generator) -> Activity:
    """On the back, the belly or a side, stretched or curled up."""
    curl = rng.uniform(0.0, 1.0) ** 1.5
    posture = spine(rng.uniform(-0.2, 0.5), rng.normal(0, 0.12), rng.normal(0, 0.15)) | look(rng)
    for side in 'lr':
        own = np.clip(curl + rng.normal(0, 0.25), 0.0, 1.0)
        posture |= leg(side, 1.4 * own, 1.8 * own, -0.5, rng.uniform(0.0, 0.35))
        posture |= free_arm(rng, side) if rng.random() < 0.6 else idle_arm(rng, side)
    over = rng.choice([-np.pi / 2, np.pi / 2]) + rng.normal(0, 0.25)
    roll = rng.normal(0.0, 0.3) if rng.random() < 0.65 else rng.choice([-1.5, 1.5])
    return Activity(posture, (), rotate_about(_X, over) @ rotate_about(_Y, roll))


def together(rng: np.random.Generator) -> Activity:
    """An arm around somebody's shoulder or waist, or a hand held: people who pose together."""
    posture = standing(rng) if rng.random() < 0.7 else sitting(rng)
    raise_ = rng.uniform(0.3, 1.6)
    posture |= arm('l', raise_, rng.uniform(-0.1, 0.9), rng.uniform(0.1, 1.2), 0.3)
    if rng.random() < 0.4:
        posture |= arm('r', rng.uniform(0.3, 1.6), rng.uniform(-0.1, 0.9), rng.uniform(0.1, 1.2))
    posture |= spine(rng.uniform(-0.05, 0.2), rng.normal(0.0, 0.15))
    return Activity(posture)

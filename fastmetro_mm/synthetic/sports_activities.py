# SPDX-License-Identifier: Apache-2.0
"""Postures of sports and dance: riding, throwing, swinging, fencing, climbing, upside down."""

import numpy as np

from fastmetro_mm.synthetic.activity import CHEST, Activity, hand, sign
from fastmetro_mm.synthetic.anatomy import Posture
from fastmetro_mm.synthetic.kinematics import Reach
from fastmetro_mm.synthetic.posture_parts import arm, free_arm, leg, look, spine
from fastmetro_mm.synthetic.rotations import rotate_about

_X, _Y, _Z = np.eye(3)


def riding_stance(rng: np.random.Generator) -> Activity:
    """Knees and hips bent for speed or balance: skiing, surfing, skating, waiting for a ball."""
    depth, bend = rng.uniform(0.3, 1.15), rng.uniform(0.1, 0.9)
    posture = {'root_bend': bend, 'root_lean': rng.normal(0, 0.15)}
    posture |= spine(rng.uniform(0, 0.4), rng.normal(0, 0.15), rng.normal(0, 0.25))
    posture |= look(rng, -0.45 * bend)
    side_on = rng.random() < 0.4
    for side in 'lr':
        own = depth * rng.uniform(0.8, 1.2)
        spread = rng.uniform(0.3, 0.65) if side_on else rng.uniform(-0.02, 0.3)
        posture |= leg(side, 0.6 * own + bend, 1.3 * own, 0.4 * own, spread)
        if rng.random() < 0.7:  # hands forward, or out for balance
            posture |= arm(side, rng.uniform(0.3, 1.1), rng.uniform(0.6, 1.4),
                            rng.uniform(0.3, 1.5), rng.uniform(-0.1, 0.5))  # fmt: skip
        else:
            posture |= arm(
                side, rng.uniform(0.6, 1.7), rng.uniform(-0.2, 0.5), rng.uniform(0.0, 0.8)
            )
    return Activity(posture)


def cycling(rng: np.random.Generator) -> Activity:
    """On a bicycle, a motorcycle or a horse."""
    bend, phase = rng.uniform(0.1, 0.95), rng.uniform(0, 2 * np.pi)
    posture = {'root_bend': bend} | spine(rng.uniform(0.1, 0.5)) | look(rng, -0.5 * bend, 0.2)
    pedals = rng.random() < 0.7
    for side, shift in (('l', 0.0), ('r', np.pi)):
        turn = np.cos(phase + shift) if pedals else 0.3
        posture |= leg(side, 0.75 + 0.42 * turn + bend * 0.9, 1.15 + 0.62 * turn, 0.1,
                        0.05 if pedals else rng.uniform(0.2, 0.45))  # fmt: skip
    up, fore = rng.uniform(-0.02, 0.28), rng.uniform(0.42, 0.60)
    wide = rng.uniform(0.10, 0.30)
    goals = tuple(hand(side, -1, wide, up, fore, (1.0, -0.8, 0.0)) for side in 'lr')
    return Activity(posture, goals if rng.random() < 0.85 else goals[:1])


def _athletic_legs(rng: np.random.Generator) -> Posture:
    """A wide or striding stand with soft knees."""
    stride = rng.normal(0.0, 0.45)
    posture: Posture = {}
    for side, way in (('l', stride), ('r', -stride)):
        knee = rng.uniform(0.1, 0.9)
        posture |= leg(side, way + 0.5 * knee, knee, 0.3 * knee - 0.2 * way, rng.uniform(0, 0.45))
        posture[f'{side}_hip_twist'] = rng.uniform(-0.1, 0.5)
    return posture


def throwing(rng: np.random.Generator) -> Activity:
    """Throwing, bowling, punching or serving: the arm behind, above, or after the throw."""
    moment = rng.choice(3)
    turn = (-0.5, 0.0, 0.6)[moment] + rng.normal(0, 0.15)
    posture = _athletic_legs(rng) | spine(rng.uniform(-0.1, 0.35), rng.normal(0, 0.15), turn)
    posture |= look(rng, 0.0, 0.25) | {'root_bend': rng.uniform(-0.15, 0.4)}
    if moment == 0:
        posture |= arm(
            'r', rng.uniform(1.1, 1.7), rng.uniform(-0.35, 0.1), rng.uniform(0.8, 1.9), -1.3
        )
    elif moment == 1:
        posture |= arm(
            'r', rng.uniform(2.0, 2.8), rng.uniform(0.2, 1.0), rng.uniform(0.1, 0.9), -0.5
        )
    else:
        posture |= arm(
            'r', rng.uniform(0.8, 1.5), rng.uniform(1.5, 2.2), rng.uniform(0.1, 0.6), 0.3
        )
    return Activity(posture | free_arm(rng, 'l'))


def swinging(rng: np.random.Generator) -> Activity:
    """One or two hands swing a racket, a bat, a club, a stick or a tool."""
    across, height = rng.uniform(-1.5, 1.5), rng.uniform(-1.0, 1.1)
    posture = _athletic_legs(rng) | look(rng)
    posture |= spine(rng.uniform(0.0, 0.45), rng.normal(0, 0.15), 0.45 * across)
    posture |= {'root_bend': rng.uniform(-0.05, 0.6)}
    way = np.array(
        [np.sin(across) * np.cos(height), np.sin(height), np.cos(across) * np.cos(height)]
    )
    if rng.random() < 0.5:  # both hands on one grip
        way[2] = abs(way[2]) + 0.35
        middle = rng.uniform(0.34, 0.46) * way / np.linalg.norm(way) + (0.0, 0.08, 0.0)
        goals = [
            Reach(s, CHEST, middle + np.array([0.03, 0.04, 0.0]) * sign(s), (sign(s), -0.8, -0.2))
            for s in 'lr'
        ]
    else:
        start = np.array([-0.15, 0.10, 0.0])
        place = start + rng.uniform(0.34, 0.49) * way
        goals = [Reach('r', CHEST, place, (-0.8, -0.8, -0.4))]
        posture |= free_arm(rng, 'l')
    return Activity(posture, tuple(goals))


def fencing(rng: np.random.Generator) -> Activity:
    """Side-on with one arm forward and the other behind: on guard, in a lunge, or drawing a bow."""
    lunge, turn = rng.uniform(0.0, 1.0), rng.uniform(0.2, 0.6)
    posture = leg('l', 0.45 + 0.8 * lunge, 0.6 + 0.55 * lunge, 0.1, rng.uniform(0.2, 0.5))
    posture |= leg('r', 0.35 - 0.55 * lunge, 0.75 - 0.7 * lunge, 0.1, rng.uniform(0.35, 0.75))
    posture |= {'l_hip_twist': 0.4, 'r_hip_twist': 0.6, 'root_bend': rng.uniform(-0.1, 0.3)}
    posture |= spine(rng.uniform(0.0, 0.2), rng.uniform(-0.1, 0.3), -turn)
    posture |= {'neck_turn': 0.5 * turn + 0.2, 'head_turn': 0.5 * turn}
    posture |= arm('l', rng.uniform(1.0, 1.7), rng.uniform(0.3, 1.2), rng.uniform(0.0, 0.9))
    posture |= arm('r', rng.uniform(0.8, 1.9), rng.uniform(-0.4, 0.5), rng.uniform(0.2, 2.0),
                    rng.uniform(-1.0, 0.5))  # fmt: skip
    return Activity(posture)


def climbing(rng: np.random.Generator) -> Activity:
    """Both arms at different heights, one leg high: climbing, pulling up, hanging."""
    posture = spine(rng.normal(0.0, 0.12), rng.normal(0, 0.15)) | look(rng, -0.35)
    for side in 'lr':
        knee = rng.uniform(0.0, 1.9)
        posture |= leg(side, rng.uniform(0.2, 0.95) * knee, knee, 0.0, rng.uniform(0.05, 0.75))
        posture[f'{side}_hip_twist'] = rng.uniform(0.0, 0.7)
        posture |= arm(side, rng.uniform(1.6, 2.9), rng.uniform(0.0, 1.2), rng.uniform(0.0, 1.5))
    return Activity(posture)


def on_all_fours(rng: np.random.Generator) -> Activity:
    """On hands and knees, or on hands and feet."""
    bend = rng.uniform(1.1, 1.6)
    posture = {'root_bend': bend} | spine(rng.uniform(-0.2, 0.4)) | look(rng, -0.4)
    on_feet = rng.random() < 0.35
    for side in 'lr':
        if on_feet:
            posture |= leg(side, rng.uniform(0.1, 1.9), rng.uniform(0.05, 1.2), 0.2, 0.1)
        else:
            posture |= leg(side, bend + rng.normal(0, 0.3), 1.55, -0.6, rng.uniform(0.0, 0.2))
        posture |= arm(side, bend + rng.normal(0, 0.25), 1.5, abs(rng.normal(0.1, 0.4)))
    return Activity(posture)


def inverted(rng: np.random.Generator) -> Activity:
    """Handstand, dive, somersault, cartwheel: the body at any angle in the air or on the hands."""
    mode = rng.integers(3)
    posture = spine(rng.normal(0.0, 0.15), rng.normal(0, 0.1)) | look(rng, -0.2)
    for side in 'lr':
        if mode == 2:  # a tuck or a pike
            knee = rng.uniform(0.0, 2.2)
            posture |= leg(side, rng.uniform(1.3, 2.05), knee, -0.5, 0.1)
            posture |= arm(side, rng.uniform(0.6, 2.0), 1.4, rng.uniform(0.0, 1.2))
        else:
            knee = rng.uniform(0.0, 0.4) if rng.random() < 0.7 else rng.uniform(0.4, 1.8)
            posture |= leg(side, rng.normal(0.1, 0.45), knee, -0.6, rng.uniform(0.0, 0.7))
            posture |= arm(side, rng.uniform(2.3, 2.9), rng.uniform(0.2, 1.0), 0.15)
    over = np.pi + rng.normal(0, 0.25) if mode == 0 else rng.uniform(0.9, 4.5)
    lean = rng.normal(0.0, 0.2) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    return Activity(posture, (), rotate_about(_Z, lean) @ rotate_about(_X, over))


def acrobatics(rng: np.random.Generator) -> Activity:
    """Dance, yoga, gymnastics: a leg high in any direction, the trunk bent, arms anywhere."""
    posture = spine(rng.normal(0.1, 0.4), rng.normal(0, 0.3), rng.normal(0, 0.35)) | look(rng)
    posture |= {'root_bend': rng.normal(0.1, 0.4), 'root_lean': rng.normal(0.0, 0.25)}
    knee = rng.uniform(0.0, 0.5) if rng.random() < 0.6 else rng.uniform(0.5, 2.2)
    posture |= leg('l', rng.uniform(-0.4, 1.9), knee, -0.5, rng.uniform(0.0, 0.85))
    posture |= leg('r', rng.uniform(0.0, 0.5), rng.uniform(0.0, 0.6), 0.1)
    posture['l_hip_twist'] = rng.uniform(-0.3, 0.8)
    for side in 'lr':
        posture |= arm(side, rng.uniform(0.3, 2.9), rng.uniform(0.0, 1.6),
                        abs(rng.normal(0.2, 0.5)), rng.uniform(-0.8, 0.5))  # fmt: skip
    return Activity(posture)

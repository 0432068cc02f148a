# SPDX-License-Identifier: Apache-2.0
"""Postures of daily life and sports, as photographs show them: hands with something to do.

They complement :mod:`fastmetro_mm.synthetic.pose_families`. Where a hand belongs somewhere (on a
hip, at an ear, on a handlebar) it is sent there by a
:class:`~fastmetro_mm.synthetic.kinematics.Reach` instead of by angles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastmetro_mm.synthetic.anatomy import Posture
from fastmetro_mm.synthetic.kinematics import Reach
from fastmetro_mm.synthetic.pose_families import sitting, standing, walking
from fastmetro_mm.synthetic.posture_parts import arm, free_arm, idle_arm, leg, look, spine
from fastmetro_mm.synthetic.rotations import rotate_about

_X, _Y, _Z = np.eye(3)
_PELVIS, _CHEST, _HEAD = 0, 9, 15


@dataclass(frozen=True)
class Activity:
    """A posture, what the hands reach for, and how the whole body is tilted."""

    posture: Posture
    reaches: tuple[Reach, ...] = ()
    tilt: np.ndarray = field(default_factory=lambda: np.eye(3))


def _sign(side: str) -> float:
    return 1.0 if side == 'l' else -1.0


def _hand(
    side: str, joint: int, x: float, y: float, z: float, pole: tuple[float, float, float]
) -> Reach:
    """A goal written for the left hand."""
    s = _sign(side)
    return Reach(side, joint, (s * x, y, z), (s * pole[0], *pole[1:]))


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
            _hand('l', _CHEST, -rng.uniform(0.02, 0.09), low + 0.02, fore, pole),
            _hand('r', _CHEST, -rng.uniform(0.0, 0.07), low - 0.02, fore + 0.08, pole),
        ),
    )


def hands_on_hips(rng: np.random.Generator) -> Activity:
    """One or both hands on the hips, fists or fingers forward."""
    goals = []
    for side in 'lr' if rng.random() < 0.6 else 'l':
        out, up, fore = rng.uniform(0.21, 0.25), rng.uniform(0.08, 0.17), rng.uniform(-0.09, 0.06)
        goals.append(_hand(side, _PELVIS, out, up, fore, (1.0, 0.3, -rng.uniform(0.2, 0.8))))
    return Activity(standing(rng), tuple(goals))


def hands_low(rng: np.random.Generator) -> Activity:
    """Hands in the pockets, clasped before the body, or behind the back."""
    mode = rng.choice(3, p=[0.45, 0.35, 0.20])
    goals = []
    for side in 'lr' if mode or rng.random() < 0.7 else 'l':
        if mode == 0:
            goals.append(_hand(side, _PELVIS, 0.205, rng.uniform(-0.02, 0.06),
                               rng.uniform(0.0, 0.08), (0.8, 0.2, -1.0)))  # fmt: skip
        elif mode == 1:
            goals.append(_hand(side, _PELVIS, 0.055, rng.uniform(-0.06, 0.05), 0.20,
                               (1.0, -0.2, -0.4)))  # fmt: skip
        else:
            goals.append(_hand(side, _PELVIS, 0.075, rng.uniform(0.0, 0.1), -0.19,
                               (1.0, 0.2, -0.7)))  # fmt: skip
    legs = standing(rng) if rng.random() < 0.8 else walking(rng)
    return Activity(legs, tuple(goals))


def phoning(rng: np.random.Generator) -> Activity:
    """A hand at the ear, or one or two hands with something to look at."""
    posture = _some_legs(rng)
    mode = rng.choice(3, p=[0.4, 0.35, 0.25])
    if mode == 0:
        goal = _hand('l', _HEAD, rng.uniform(0.11, 0.14), rng.uniform(-0.05, 0.02),
                     rng.uniform(0.02, 0.08), (0.8, -1.0, 0.4))  # fmt: skip
        return Activity(posture | look(rng, 0.0, 0.2), (goal,))
    goals = []
    down, fore = rng.uniform(-0.16, 0.12), rng.uniform(0.26, 0.36)
    for side in 'lr' if mode == 2 else 'l':
        goals.append(_hand(side, _CHEST, 0.065, down, fore, (1.0, -1.2, 0.0)))
    nod = rng.uniform(0.3, 0.7) if down < 0.05 else 0.1
    return Activity(posture | look(rng, nod, 0.12), tuple(goals))


def at_the_face(rng: np.random.Generator) -> Activity:
    """A hand at the chin, the mouth, the glasses or the hair; eating, drinking, thinking."""
    goals = []
    for side in 'lr' if rng.random() < 0.25 else 'l':
        up, fore = rng.uniform(-0.12, 0.12), rng.uniform(0.08, 0.20)
        if rng.random() < 0.25:
            up, fore = rng.uniform(0.15, 0.22), rng.uniform(-0.1, 0.1)
        goals.append(_hand(side, _HEAD, rng.uniform(0.05, 0.13), up, fore, (1.0, -0.8, 0.3)))
    return Activity(_some_legs(rng), tuple(goals))


def holding(rng: np.random.Generator) -> Activity:
    """Both hands around something in front: a box, a child, a tray, a camera, a steering wheel."""
    wide, up = rng.uniform(0.06, 0.24), rng.uniform(-0.26, 0.24)
    fore = rng.uniform(0.24, 0.42)
    pole = (1.0, -rng.uniform(0.4, 1.4), -0.2)
    goals = tuple(
        _hand(side, _CHEST, wide, up + rng.normal(0, 0.03), fore + rng.normal(0, 0.03), pole)
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
            goals.append(_hand(side, -1, rng.uniform(0.02, 0.26), height, fore, (1.0, -0.6, -0.4)))
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
            posture[f'{side}_hip_twist'] = 0.75 * _sign(side)
    goals = []
    for side in 'lr':
        draw = rng.random()
        if draw < 0.35:
            goals.append(_hand(side, 4 if side == 'l' else 5, 0.0, rng.uniform(-0.05, 0.12), 0.085,
                               (1.0, -0.3, -0.3)))  # fmt: skip
        elif draw < 0.6:
            goals.append(_hand(side, -1, rng.uniform(0.2, 0.35), -0.05, rng.uniform(-0.35, -0.1),
                               (0.6, 0.2, -1.0)))  # fmt: skip
        elif draw < 0.85:
            goals.append(_hand(side, _PELVIS, 0.06, 0.12, 0.24, (1.0, -0.5, -0.3)))
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
            goals.append(_hand(side, joint, 0.0, rng.uniform(0.05, 0.2), 0.1, (1.0, 0.0, -0.5)))
        else:
            posture |= idle_arm(rng, side) if rng.random() < 0.5 else free_arm(rng, side)
    return Activity(posture, tuple(goals))


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
            posture |= arm(side, rng.uniform(0.6, 1.7), rng.uniform(-0.2, 0.5),
                            rng.uniform(0.0, 0.8))  # fmt: skip
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
    goals = tuple(_hand(side, -1, wide, up, fore, (1.0, -0.8, 0.0)) for side in 'lr')
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
        posture |= arm('r', rng.uniform(1.1, 1.7), rng.uniform(-0.35, 0.1), rng.uniform(0.8, 1.9),
                        -1.3)  # fmt: skip
    elif moment == 1:
        posture |= arm('r', rng.uniform(2.0, 2.8), rng.uniform(0.2, 1.0), rng.uniform(0.1, 0.9),
                        -0.5)  # fmt: skip
    else:
        posture |= arm('r', rng.uniform(0.8, 1.5), rng.uniform(1.5, 2.2), rng.uniform(0.1, 0.6),
                        0.3)  # fmt: skip
    return Activity(posture | free_arm(rng, 'l'))


def swinging(rng: np.random.Generator) -> Activity:
    """One or two hands swing a racket, a bat, a club, a stick or a tool."""
    across, height = rng.uniform(-1.5, 1.5), rng.uniform(-1.0, 1.1)
    posture = _athletic_legs(rng) | look(rng)
    posture |= spine(rng.uniform(0.0, 0.45), rng.normal(0, 0.15), 0.45 * across)
    posture |= {'root_bend': rng.uniform(-0.05, 0.6)}
    way = np.array([np.sin(across) * np.cos(height), np.sin(height),
                    np.cos(across) * np.cos(height)])  # fmt: skip
    if rng.random() < 0.5:  # both hands on one grip
        way[2] = abs(way[2]) + 0.35
        middle = rng.uniform(0.34, 0.46) * way / np.linalg.norm(way) + (0.0, 0.08, 0.0)
        goals = [
            Reach(
                s, _CHEST, middle + np.array([0.03, 0.04, 0.0]) * _sign(s), (_sign(s), -0.8, -0.2)
            )
            for s in 'lr'
        ]
    else:
        start = np.array([-0.15, 0.10, 0.0])
        place = start + rng.uniform(0.34, 0.49) * way
        goals = [Reach('r', _CHEST, place, (-0.8, -0.8, -0.4))]
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


def together(rng: np.random.Generator) -> Activity:
    """An arm around somebody's shoulder or waist, or a hand held: people who pose together."""
    posture = standing(rng) if rng.random() < 0.7 else sitting(rng)
    raise_ = rng.uniform(0.3, 1.6)
    posture |= arm('l', raise_, rng.uniform(-0.1, 0.9), rng.uniform(0.1, 1.2), 0.3)
    if rng.random() < 0.4:
        posture |= arm('r', rng.uniform(0.3, 1.6), rng.uniform(-0.1, 0.9), rng.uniform(0.1, 1.2))
    posture |= spine(rng.uniform(-0.05, 0.2), rng.normal(0.0, 0.15))
    return Activity(posture)


ACTIVITIES: dict[str, tuple[Callable[[np.random.Generator], Activity], float]] = {
    'arms_crossed': (arms_crossed, 0.05),
    'hands_on_hips': (hands_on_hips, 0.05),
    'hands_low': (hands_low, 0.07),
    'phoning': (phoning, 0.06),
    'at_the_face': (at_the_face, 0.05),
    'holding': (holding, 0.08),
    'at_a_table': (at_a_table, 0.07),
    'floor_sitting': (floor_sitting, 0.06),
    'kneeling': (kneeling, 0.04),
    'riding_stance': (riding_stance, 0.09),
    'cycling': (cycling, 0.05),
    'throwing': (throwing, 0.06),
    'swinging': (swinging, 0.07),
    'fencing': (fencing, 0.04),
    'climbing': (climbing, 0.03),
    'on_all_fours': (on_all_fours, 0.02),
    'lying': (lying, 0.03),
    'inverted': (inverted, 0.02),
    'acrobatics': (acrobatics, 0.03),
    'together': (together, 0.05),
}
"""Name to activity and share among the activities."""

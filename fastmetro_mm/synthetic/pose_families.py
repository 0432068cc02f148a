# SPDX-License-Identifier: Apache-2.0
"""Families of everyday postures of a standing, moving or sitting person.

Every family sets the angles that make it what it is; then a little noise goes over all angles,
one side may be exchanged for the other, and everything is moved inside the joint limits.
"""

from collections.abc import Callable

import numpy as np

from fastmetro_mm.synthetic.anatomy import Posture
from fastmetro_mm.synthetic.posture_parts import (
    add_noise,
    arm,
    free_arm,
    idle_arm,
    leg,
    look,
    mirror_posture,
    spine,
    stand_legs,
)

Family = Callable[[np.random.Generator], Posture]


def standing(rng: np.random.Generator) -> Posture:
    """Standing at ease; the arms do one of several idle things."""
    lean = rng.normal(0.0, 0.08)
    return (
        stand_legs(rng) | idle_arm(rng, 'l') | idle_arm(rng, 'r') | look(rng)
        | spine(rng.normal(0.02, 0.06), lean, rng.normal(0.0, 0.1))
    )  # fmt: skip


def turning(rng: np.random.Generator) -> Posture:
    """Standing with the upper body and the head turned to one side."""
    turn = rng.uniform(0.35, 0.80)
    posture = standing(rng) | spine(rng.normal(0.03, 0.06), rng.normal(0.0, 0.1), turn)
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
        posture |= leg(side, flex, knee, 0.1 - 0.4 * size * max(0.0, -swing), 0.03)
        posture[f'{side}_toes_lift'] = 0.6 * size * max(0.0, -swing)
        forward = 0.9 * size * swing
        # The opposite arm goes forward with this leg.
        plane = np.pi / 2 - 0.25 if forward >= 0 else -np.pi / 2 + 0.35
        posture |= arm(other, abs(forward) + 0.12, plane, elbow * rng.uniform(0.8, 1.2), 0.1)
    turn = 0.18 * size * np.sin(phase)
    return posture | spine(0.05, 0.0, turn) | {'root_turn': -turn}


def walking(rng: np.random.Generator) -> Posture:
    """A step of a walk, slow or brisk."""
    return _stride(rng, rng.uniform(0.22, 0.50), rng.uniform(0.5, 0.9), 0.35) | look(rng)


def running(rng: np.random.Generator) -> Posture:
    """A step of a run, leaning forward with bent elbows."""
    posture = _stride(rng, rng.uniform(0.50, 0.85), rng.uniform(1.1, 1.8), 1.45)
    return posture | look(rng, -0.1, 0.2) | {'root_bend': rng.uniform(0.08, 0.28)}


def sitting(rng: np.random.Generator) -> Posture:
    """On a chair, upright or leaning, hands on the thighs or busy; sometimes legs stretched."""
    back, curl = rng.uniform(-0.25, 0.35), rng.uniform(0.0, 0.45)
    posture = {'root_bend': back} | spine(curl) | look(rng, -0.1)
    spread = rng.uniform(0.05, 0.35)
    for side in 'lr':
        flex = min(2.05, 1.5 + back + rng.normal(0.0, 0.08))
        knee = rng.uniform(1.2, 1.75) if rng.random() < 0.8 else rng.uniform(0.2, 0.8)
        posture |= leg(side, flex, knee, rng.normal(0.0, 0.15), spread)
        if rng.random() < 0.6:  # hand on the thigh, whichever way the trunk leans
            raise_ = max(0.15, rng.uniform(0.45, 0.65) + 0.9 * (back + curl))
            posture |= arm(side, raise_, 1.40, rng.uniform(0.75, 1.05), 0.15)
        else:
            posture |= idle_arm(rng, side)
    return posture


def squatting(rng: np.random.Generator) -> Posture:
    """Knees bent, from a half crouch to a deep squat, the trunk forward for balance."""
    depth = rng.uniform(0.45, 1.0)
    bend = 0.25 + 0.45 * depth
    posture = {'root_bend': bend} | spine(0.25 * depth) | look(rng, -0.4)
    for side in 'lr':
        spread = rng.uniform(0.1, 0.45)
        posture |= leg(side, 0.85 * depth + bend, 2.05 * depth, 0.45 * depth, spread)
        posture[f'{side}_hip_twist'] = rng.uniform(0.05, 0.4)
        plane, elbow = rng.uniform(1.2, 1.6), rng.uniform(0.1, 1.3)
        posture |= arm(side, rng.uniform(0.7, 1.4), plane, elbow, 0.1)
    return posture


def lunging(rng: np.random.Generator) -> Posture:
    """A long step: the front knee bent, the back leg stretched behind."""
    bend = rng.uniform(0.0, 0.35)
    posture = leg('l', rng.uniform(0.9, 1.4) + bend, rng.uniform(1.0, 1.5), 0.1)
    posture |= leg('r', -0.35 + bend * 0.5, rng.uniform(0.1, 0.9), -0.2)
    posture |= {'r_toes_lift': 0.5, 'root_bend': bend} | spine(rng.uniform(0.0, 0.2)) | look(rng)
    for side in 'lr':
        posture |= idle_arm(rng, side) if rng.random() < 0.5 else free_arm(rng, side)
    return posture


def reaching(rng: np.random.Generator) -> Posture:
    """One arm stretched towards something in front, beside or above; the body follows a little."""
    raise_, plane = rng.uniform(0.9, 2.5), rng.uniform(0.2, 1.7)
    posture = stand_legs(rng) | idle_arm(rng, 'r')
    posture |= spine(rng.uniform(-0.05, 0.3), rng.normal(0.0, 0.12), -rng.uniform(0.0, 0.45))
    posture |= arm('l', raise_, plane, rng.uniform(0.0, 0.5), rng.uniform(-0.2, 0.3))
    if rng.random() < 0.3:
        posture |= arm('r', raise_ + rng.normal(0.0, 0.2), plane, rng.uniform(0.0, 0.5))
    return posture | look(rng, 0.3 - 0.35 * (raise_ - 0.9))


def arms_up(rng: np.random.Generator) -> Posture:
    """Both arms above the shoulders: a V, straight up, hands behind the head, or a flex."""
    mode = rng.integers(4)
    posture = stand_legs(rng) | look(rng, -0.1) | spine(rng.normal(-0.05, 0.1))
    for side in 'lr':
        if mode == 0:
            posture |= arm(side, rng.uniform(2.0, 2.5), 0.2, rng.uniform(0.0, 0.3))
        elif mode == 1:
            posture |= arm(side, rng.uniform(2.6, 2.9), 0.6, rng.uniform(0.0, 0.4))
        elif mode == 2:
            posture |= arm(side, rng.uniform(1.7, 2.0), 0.15, rng.uniform(2.0, 2.3), -1.2)
        else:
            posture |= arm(side, rng.uniform(1.4, 1.65), 0.15, rng.uniform(1.3, 1.8), -1.35)
    return posture


def arms_out(rng: np.random.Generator) -> Posture:
    """Arms stretched to the sides or to the front, as when balancing or presenting."""
    plane = rng.uniform(0.0, 1.5)
    posture = stand_legs(rng) | look(rng) | spine(rng.normal(0.0, 0.1), rng.normal(0.0, 0.1))
    for side in 'lr':
        posture |= arm(side, rng.uniform(1.0, 1.75), plane, rng.uniform(0.0, 0.5), 0.0)
    return posture


def bending(rng: np.random.Generator) -> Posture:
    """Bending forward from the hips, arms hanging towards the floor or resting on the knees."""
    bend, curl = rng.uniform(0.5, 1.4), rng.uniform(0.2, 0.7)
    posture = {'root_bend': bend} | spine(curl) | look(rng, -0.3)
    hang = bend + curl  # this far forward of the trunk, the arm hangs straight down
    for side in 'lr':
        knee = rng.uniform(0.0, 0.5)
        posture |= leg(side, bend + 0.4 * knee, knee, 0.1, rng.uniform(0.02, 0.3))
        posture |= arm(side, hang * rng.uniform(0.6, 1.0), np.pi / 2, rng.uniform(0.0, 0.6), 0.1)
    return posture


def waving(rng: np.random.Generator) -> Posture:
    """One hand waves beside the head, the other arm is idle."""
    posture = standing(rng)
    return posture | arm(
        'l', rng.uniform(1.0, 1.9), rng.uniform(0.0, 0.5), rng.uniform(0.8, 2.1), -1.25
    )


def kicking(rng: np.random.Generator) -> Posture:
    """One leg kicks forward, the arms balance, the trunk leans back a little."""
    flex = rng.uniform(0.6, 1.55)
    posture = leg('l', flex, rng.uniform(0.0, 0.7), -0.3, rng.uniform(0.0, 0.3))
    posture |= leg('r', rng.uniform(0.0, 0.2), rng.uniform(0.05, 0.45), 0.1)
    posture |= {'root_bend': -rng.uniform(0.0, 0.25)} | spine(0.1) | look(rng, 0.2)
    posture |= arm('r', rng.uniform(0.5, 1.3), rng.uniform(0.4, 1.4), rng.uniform(0.1, 0.9))
    return posture | arm('l', rng.uniform(0.4, 1.2), rng.uniform(-0.1, 0.3), rng.uniform(0.1, 0.9))


def jumping(rng: np.random.Generator) -> Posture:
    """In the air: a star, or the knees drawn up, with the arms out or up."""
    posture = look(rng) | spine(rng.normal(0.05, 0.12))
    star = rng.random() < 0.5
    for side in 'lr':
        if star:
            posture |= leg(side, 0.1, rng.uniform(0.0, 0.4), -0.5, rng.uniform(0.3, 0.65))
        else:
            posture |= leg(side, rng.uniform(0.5, 1.6), rng.uniform(0.9, 2.2), -0.4, 0.15)
        posture |= arm(side, rng.uniform(1.0, 2.6), rng.uniform(0.0, 1.2), rng.uniform(0.0, 1.0))
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
    return family, add_noise(rng, posture)

# SPDX-License-Identifier: Apache-2.0
"""Linear blend skinning in numpy, random poses for fitting, named poses for the contact sheet."""

import numpy as np
from scipy.spatial.transform import Rotation

from projects.open_body.skeleton import BODY_JOINTS, BODY_PARENTS


def skin(
    vertices: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    pose: np.ndarray,
    parents: tuple[int, ...] = BODY_PARENTS,
) -> tuple[np.ndarray, np.ndarray]:
    """Pose a rest mesh.

    Args:
        vertices: (V, 3).
        joints: (J, 3).
        weights: (V, J).
        pose: (J, 3) axis-angle relative to the parent, radians.
        parents: parent numbers, -1 for the root.

    Returns:
        vertices (V, 3), joints (J, 3).
    """
    local = Rotation.from_rotvec(pose).as_matrix()
    world, posed = local.copy(), joints.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            world[j] = world[parent] @ local[j]
            posed[j] = posed[parent] + world[parent] @ (joints[j] - joints[parent])
    shift = posed - np.einsum('jab,jb->ja', world, joints)
    blended = np.tensordot(weights, np.concatenate([world, shift[:, :, None]], axis=2), axes=1)
    return np.einsum('vab,vb->va', blended[:, :, :3], vertices) + blended[:, :, 3], posed


def body_pose(**degrees: tuple[float, float, float]) -> np.ndarray:
    """(24, 3) radians from joint names and axis-angle in degrees, e.g. ``l_knee=(60, 0, 0)``."""
    pose = np.zeros((len(BODY_JOINTS), 3))
    for name, value in degrees.items():
        pose[BODY_JOINTS.index(name)] = np.radians(value)
    return pose


def random_body_pose(rng: np.random.Generator) -> np.ndarray:
    """A plausible random pose: hinges bend the right way, arms lowered on average."""

    def draw(mean: float, spread: float) -> float:
        return float(rng.normal(mean, spread))

    pose = {}
    for side, sign in (('l', 1), ('r', -1)):
        pose[f'{side}_hip'] = (draw(-30, 30), draw(0, 12), sign * draw(6, 10))
        pose[f'{side}_knee'] = (abs(draw(0, 45)), 0, 0)
        pose[f'{side}_ankle'] = (draw(0, 12), 0, draw(0, 8))
        pose[f'{side}_shoulder'] = (draw(0, 20), -sign * draw(20, 30), -sign * draw(45, 35))
        pose[f'{side}_elbow'] = (0, -sign * abs(draw(0, 55)), 0)
        pose[f'{side}_wrist'] = (draw(0, 15), draw(0, 12), draw(0, 20))
        pose[f'{side}_collar'] = (0, draw(0, 5), draw(0, 5))
    for name in ('spine1', 'spine2', 'spine3', 'neck', 'head'):
        pose[name] = (draw(3, 8), draw(0, 8), draw(0, 6))
    return body_pose(**pose)


NAMED_POSES = {
    'standing': body_pose(
        l_shoulder=(0, -8, -74), r_shoulder=(0, 8, 74), l_elbow=(0, -15, 0), r_elbow=(0, 15, 0)
    ),
    'walking': body_pose(
        l_hip=(-28, 0, 0),
        r_hip=(18, 0, 0),
        l_knee=(10, 0, 0),
        r_knee=(30, 0, 0),
        r_ankle=(10, 0, 0),
        l_shoulder=(25, 0, -70),
        r_shoulder=(-25, 0, 70),
        l_elbow=(0, -25, 0),
        r_elbow=(0, 40, 0),
    ),
    'running': body_pose(
        spine1=(10, 0, 0),
        l_hip=(-65, 0, 0),
        r_hip=(20, 0, 0),
        l_knee=(80, 0, 0),
        r_knee=(70, 0, 0),
        l_shoulder=(45, 0, -65),
        r_shoulder=(-40, 0, 65),
        l_elbow=(0, -90, 0),
        r_elbow=(0, 95, 0),
    ),
    'sitting': body_pose(
        l_hip=(-85, 0, 6),
        r_hip=(-85, 0, -6),
        l_knee=(85, 0, 0),
        r_knee=(85, 0, 0),
        l_shoulder=(-15, -15, -65),
        r_shoulder=(-15, 15, 65),
        l_elbow=(0, -55, 0),
        r_elbow=(0, 55, 0),
    ),
    'reaching': body_pose(
        spine1=(12, 0, 0),
        l_shoulder=(0, -80, 0),
        r_shoulder=(0, 8, 68),
        l_elbow=(0, -10, 0),
        r_elbow=(0, 15, 0),
        head=(-8, 10, 0),
    ),
    'arms up': body_pose(
        l_collar=(0, 0, 20),
        r_collar=(0, 0, -20),
        l_shoulder=(0, 0, 55),
        r_shoulder=(0, 0, -55),
        l_elbow=(0, 0, 10),
        r_elbow=(0, 0, -10),
    ),
    'hands on hips': body_pose(
        l_shoulder=(35, 15, -45),
        r_shoulder=(35, -15, 45),
        l_elbow=(0, -95, -45),
        r_elbow=(0, 95, 45),
        l_wrist=(0, 0, 20),
        r_wrist=(0, 0, -20),
    ),
    'squat': body_pose(
        pelvis=(25, 0, 0),
        spine2=(10, 0, 0),
        l_hip=(-110, 15, 15),
        r_hip=(-110, -15, -15),
        l_knee=(115, 0, 0),
        r_knee=(115, 0, 0),
        l_ankle=(-25, 0, 0),
        r_ankle=(-25, 0, 0),
        l_shoulder=(0, -80, -10),
        r_shoulder=(0, 80, 10),
    ),
    'waving': body_pose(
        l_shoulder=(0, -8, -68),
        l_elbow=(0, -15, 0),
        r_collar=(0, 0, -8),
        r_shoulder=(-20, 0, -15),
        r_elbow=(0, 20, -85),
        head=(0, -10, -6),
    ),
    'bending': body_pose(
        pelvis=(30, 0, 0),
        spine1=(25, 0, 0),
        spine2=(15, 0, 0),
        spine3=(10, 0, 0),
        l_hip=(-35, 0, 0),
        r_hip=(-35, 0, 0),
        l_shoulder=(0, -70, -20),
        r_shoulder=(0, 70, 20),
    ),
    'lunge': body_pose(
        l_hip=(-75, 0, 3),
        l_knee=(75, 0, 0),
        r_hip=(20, 0, -3),
        r_knee=(55, 0, 0),
        r_ankle=(20, 0, 0),
        l_shoulder=(0, -10, -60),
        r_shoulder=(0, 10, 60),
        l_elbow=(0, -60, 0),
        r_elbow=(0, 60, 0),
    ),
    'twist': body_pose(
        spine1=(0, 15, 0),
        spine2=(0, 15, 0),
        spine3=(0, 15, 0),
        head=(0, 25, 0),
        l_shoulder=(0, -40, -50),
        r_shoulder=(0, 40, 50),
        l_elbow=(0, -70, 0),
        r_elbow=(0, 70, 0),
    ),
}

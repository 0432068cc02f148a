# SPDX-License-Identifier: Apache-2.0
"""Reading DeepMimic motion files (JSON rows of quaternions and hinge angles)."""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from projects.free_model.motions.bvh import Motion

# Joint, parent, and how many numbers of a row it takes: quaternion w x y z, or a hinge angle.
_JOINTS = (
    ('root', -1, 4), ('chest', 0, 4), ('neck', 1, 4),
    ('right_hip', 0, 4), ('right_knee', 3, 1), ('right_ankle', 4, 4),
    ('right_shoulder', 1, 4), ('right_elbow', 6, 1),
    ('left_hip', 0, 4), ('left_knee', 8, 1), ('left_ankle', 9, 4),
    ('left_shoulder', 1, 4), ('left_elbow', 11, 1),
)  # fmt: skip
# The humanoid looks along x with z to its right; the columns are its axes in ours (x left, y up,
# z forward).
_AXES = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def read_deepmimic(path: Path) -> Motion:
    """Reads a motion; the rest pose is a stand with hanging arms.

    Raises:
        ValueError: A row does not hold 44 numbers.
    """
    rows = np.array(json.loads(path.read_text())['Frames'], dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 44:
        raise ValueError(f'{path}: frames of shape {rows.shape}, expected 44 numbers in a row')
    turns = np.empty((len(rows), len(_JOINTS), 3, 3))
    column = 4  # after the time and the place of the root
    for joint, (_, parent, width) in enumerate(_JOINTS):
        values = rows[:, column : column + width]
        column += width
        if width == 4:
            local = Rotation.from_quat(values[:, [1, 2, 3, 0]]).as_matrix()
        else:
            local = Rotation.from_rotvec(values * (0.0, 0.0, 1.0)).as_matrix()
        local = _AXES @ local @ _AXES.T
        turns[:, joint] = local if parent < 0 else turns[:, parent] @ local
    names = tuple(name for name, _, _ in _JOINTS)
    parents = tuple(parent for _, parent, _ in _JOINTS)
    # The files hold no offsets; all that is known, and enough, is that arms and legs hang.
    return Motion(names, parents, np.zeros((len(_JOINTS), 3)), turns, float(np.median(rows[:, 0])))

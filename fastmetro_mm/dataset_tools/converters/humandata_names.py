# SPDX-License-Identifier: Apache-2.0
"""Where the label joints lie among the 190 of mmhuman3d's ``human_data`` convention.

Order: mmhuman3d ``core/conventions/keypoints_mapping/human_data.py``. Joints of SMPL's skeleton
come first, those of ``J_regressor_extra`` have names that end in ``_extra``.
"""

from fastmetro_mm.body.joint_sets import J24

NUM_JOINTS = 190
_FIRST = {
    # 0 to 21 are SMPL's skeleton
    'R_Ankle': 8, 'R_Knee': 5, 'L_Knee': 4, 'L_Ankle': 7, 'R_Wrist': 21, 'R_Elbow': 19,
    'R_Shoulder': 17, 'L_Shoulder': 16, 'L_Elbow': 18, 'L_Wrist': 20,
    # surface points of the face
    'Nose': 55, 'R_Eye': 56, 'L_Eye': 57, 'R_Ear': 58, 'L_Ear': 59,
    # the rows of J_regressor_extra, in its order
    'R_Hip': 144, 'L_Hip': 145, 'Neck': 146, 'Top_of_Head': 147, 'Pelvis': 148, 'Thorax': 149,
    'Spine': 150, 'Jaw': 151, 'Head': 152,
}  # fmt: skip
J24_IN_HUMANDATA = tuple(_FIRST[name] for name in J24)
# Taken with confidence 0 where the regressed pelvis is missing, so that a centre is there.
SKELETON_PELVIS = 0

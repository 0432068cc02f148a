# SPDX-License-Identifier: Apache-2.0
"""Skeleton links, colours and mmpose metainfo of the predicted keypoints."""

from typing import Any

from fastmetro_mm.body.joint_sets import FINGERS, HAND21, J14, mirror_name
from fastmetro_mm.errors import ConfigError

RIGHT_COLOR = (255, 128, 0)
LEFT_COLOR = (0, 180, 60)
MIDDLE_COLOR = (51, 153, 255)
FINGER_COLORS = {
    'Wrist': (200, 200, 200), 'Thumb': (255, 128, 0), 'Index': (255, 102, 204),
    'Middle': (80, 160, 255), 'Ring': (230, 60, 60), 'Pinky': (0, 190, 80),
}  # fmt: skip

J14_LINKS = (
    ('R_Ankle', 'R_Knee'), ('R_Knee', 'R_Hip'), ('R_Hip', 'L_Hip'),
    ('L_Hip', 'L_Knee'), ('L_Knee', 'L_Ankle'),
    ('R_Wrist', 'R_Elbow'), ('R_Elbow', 'R_Shoulder'), ('R_Shoulder', 'Neck'),
    ('L_Wrist', 'L_Elbow'), ('L_Elbow', 'L_Shoulder'), ('L_Shoulder', 'Neck'),
    ('R_Shoulder', 'R_Hip'), ('L_Shoulder', 'L_Hip'), ('Neck', 'Head'),
)  # fmt: skip
HAND21_LINKS = tuple(
    link
    for finger in FINGERS
    for link in (
        ('Wrist', f'{finger}_1'),
        *((f'{finger}_{i}', f'{finger}_{i + 1}') for i in (1, 2, 3)),
    )
)
J14_SKELETON = tuple((J14.index(a), J14.index(b)) for a, b in J14_LINKS)
HAND21_SKELETON = tuple((HAND21.index(a), HAND21.index(b)) for a, b in HAND21_LINKS)

# Object-keypoint-similarity widths. Body: those COCO gives for the same limbs, with the hip's
# for the neck and the ear's for the head, which COCO lacks. Hand: COCO-WholeBody's largest.
_J14_SIGMAS = {
    'Ankle': 0.089, 'Knee': 0.087, 'Hip': 0.107, 'Wrist': 0.062, 'Elbow': 0.072,
    'Shoulder': 0.079, 'Neck': 0.107, 'Head': 0.035,
}  # fmt: skip
_HAND_SIGMA = 0.035
_LOWER_BODY = ('Ankle', 'Knee', 'Hip')


def _side_color(*names: str) -> tuple[int, int, int]:
    if all(name.startswith('R_') for name in names):
        return RIGHT_COLOR
    if all(name.startswith('L_') for name in names):
        return LEFT_COLOR
    # A link from one side to a middle joint keeps the colour of the side.
    sides = {name[:2] for name in names if name[:2] in ('L_', 'R_')}
    if len(sides) == 1:
        return RIGHT_COLOR if 'R_' in sides else LEFT_COLOR
    return MIDDLE_COLOR


def _body_keypoint(index: int, name: str) -> dict[str, Any]:
    swap = mirror_name(name)
    return dict(
        name=name,
        id=index,
        color=list(_side_color(name)),
        type='lower' if name.endswith(_LOWER_BODY) else 'upper',
        swap='' if swap == name else swap,
    )


def keypoint_metainfo(joint_set: str) -> dict[str, Any]:
    """Metainfo of the predicted keypoints in mmpose's dataset-file form.

    Args:
        joint_set: ``'j14'`` (bodies) or ``'hand21'`` (hands).

    Returns:
        A dict with ``dataset_name``, ``paper_info``, ``keypoint_info``, ``skeleton_info``,
        ``joint_weights`` and ``sigmas``, as ``mmpose.datasets.datasets.utils
        .parse_pose_metainfo`` expects it.

    Raises:
        ValueError: For another joint set.
    """
    if joint_set == 'j14':
        keypoints = {i: _body_keypoint(i, name) for i, name in enumerate(J14)}
        links = J14_LINKS
        link_colors = [_side_color(*link) for link in links]
        sigmas = [_J14_SIGMAS[name.split('_')[-1]] for name in J14]
        title = 'fastmetro_body'
    elif joint_set == 'hand21':
        keypoints = {
            i: dict(
                name=name, id=i, color=list(FINGER_COLORS[name.split('_')[0]]), type='', swap=''
            )
            for i, name in enumerate(HAND21)
        }
        links = HAND21_LINKS
        link_colors = [FINGER_COLORS[link[1].split('_')[0]] for link in links]
        sigmas = [_HAND_SIGMA] * len(HAND21)
        title = 'fastmetro_hand'
    else:
        raise ConfigError(f"joint set '{joint_set}' has no metainfo; use 'j14' or 'hand21'")
    return dict(
        dataset_name=title,
        paper_info=dict(
            author='Cho, Junhyeong and Youwang, Kim and Oh, Tae-Hyun',
            title='Cross-Attention of Disentangled Modalities for 3D Human Mesh Recovery '
            'with Transformers',
            container='European Conference on Computer Vision (ECCV)',
            year='2022',
            homepage='https://github.com/postech-ami/FastMETRO',
        ),
        keypoint_info=keypoints,
        skeleton_info={
            i: dict(link=link, id=i, color=list(color))
            for i, (link, color) in enumerate(zip(links, link_colors, strict=True))
        },
        joint_weights=[1.0] * len(keypoints),
        sigmas=sigmas,
    )

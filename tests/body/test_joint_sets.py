# SPDX-License-Identifier: Apache-2.0
"""Index maps computed from names equal the lists of the official code."""

import pytest

from fastmetro_mm.body import joint_sets, skeletons

OFFICIAL_POSE_FLIP = [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11, 15, 16, 17, 12, 13, 14, 18, 19, 20,
                      24, 25, 26, 21, 22, 23, 27, 28, 29, 33, 34, 35, 30, 31, 32, 36, 37, 38, 42,
                      43, 44, 39, 40, 41, 45, 46, 47, 51, 52, 53, 48, 49, 50, 57, 58, 59, 54, 55,
                      56, 63, 64, 65, 60, 61, 62, 69, 70, 71, 66, 67, 68]  # fmt: skip


def test_maps_equal_the_official_lists():
    assert joint_sets.J24_TO_J14 == (*range(13), 18)
    assert joint_sets.H36M17_TO_J14 == (3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10)
    assert joint_sets.SMPL_EXTRA_TO_J24 == (
        8, 5, 29, 30, 4, 7, 21, 19, 17, 16, 18, 20, 31, 32, 33, 34, 35, 36, 37, 24, 26, 25, 28, 27,
    )  # fmt: skip
    assert joint_sets.MANO_TIPS_TO_HAND21 == (
        0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20,
    )  # fmt: skip
    assert joint_sets.J14_HIPS == (2, 3)
    assert joint_sets.J24_PELVIS == 14


def test_flips_equal_the_official_lists():
    assert joint_sets.J24_FLIP == (
        5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13, 14, 15, 16, 17, 18, 19, 21, 20, 23, 22,
    )  # fmt: skip
    pose_flip = [3 * joint + axis for joint in joint_sets.SMPL24_FLIP for axis in range(3)]
    assert pose_flip == OFFICIAL_POSE_FLIP
    assert joint_sets.flip_pairs(joint_sets.J14) == (
        (3, 2),
        (4, 1),
        (5, 0),
        (9, 8),
        (10, 7),
        (11, 6),
    )
    assert joint_sets.HAND21_FLIP == tuple(range(21))


def test_unknown_name_is_reported():
    with pytest.raises(ValueError, match='no joint named Tail'):
        joint_sets.index_map(['Tail'], joint_sets.J14)


@pytest.mark.parametrize(('joint_set', 'count', 'links'), [('j14', 14, 14), ('hand21', 21, 20)])
def test_mmpose_parses_the_metainfo(joint_set, count, links):
    utils = pytest.importorskip('mmpose.datasets.datasets.utils')
    info = utils.parse_pose_metainfo(skeletons.keypoint_metainfo(joint_set))
    assert info['num_keypoints'] == count
    assert len(info['skeleton_links']) == links == len(info['skeleton_link_colors'])
    if joint_set == 'j14':
        assert tuple(info['flip_indices']) == joint_sets.J14_FLIP
        assert info['keypoint_id2name'][13] == 'Head'
        assert info['lower_body_ids'] == [0, 1, 2, 3, 4, 5]
    else:
        assert info['keypoint_id2name'][4] == 'Thumb_4'


def test_metainfo_of_another_set():
    with pytest.raises(ValueError, match='j24'):
        skeletons.keypoint_metainfo('j24')

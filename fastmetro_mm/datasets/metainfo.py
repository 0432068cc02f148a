# SPDX-License-Identifier: Apache-2.0
"""Metainfo (mmpose form) of the keypoints that are predicted for each kind of body."""

from fastmetro_mm.body.skeletons import keypoint_metainfo

BODY14_METAINFO = keypoint_metainfo('j14')
HAND21_METAINFO = keypoint_metainfo('hand21')
METAINFO = {'smpl': BODY14_METAINFO, 'hand': HAND21_METAINFO}

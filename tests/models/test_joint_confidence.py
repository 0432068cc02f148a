# SPDX-License-Identifier: Apache-2.0
"""Confidences of joints: from which key points, by which curve, and mirrored with their joints."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.joint_sets import J14, J14_FLIP
from fastmetro_mm.body.mesh_body import build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.heads.joint_confidence import JointConfidence, joint_scores
from fastmetro_mm.models.heads.keypoint_fit import COCO17
from fastmetro_mm.models.views import ViewMerger
from fastmetro_mm.structures import MeshPrediction


def keypoints(**scores):
    """All well seen but those."""
    found = torch.full((1, 17, 3), 0.9)
    for name, score in scores.items():
        found[0, COCO17.index(name), 2] = score
    return found


def scores_of(**scores):
    return dict(zip(J14, joint_scores(keypoints(**scores))[0].tolist(), strict=True))


def test_a_limb_is_no_better_known_than_what_it_hangs_on():
    found = scores_of(L_Elbow=0.2)
    low = {name for name, score in found.items() if score < 0.5}
    assert low == {'L_Elbow', 'L_Wrist'} and found['R_Wrist'] == pytest.approx(0.9)
    assert {n for n, s in scores_of(R_Hip=0.1).items() if s < 0.5} == {'R_Hip', 'R_Knee', 'R_Ankle'}
    assert scores_of(L_Shoulder=0.1)['Neck'] == pytest.approx(0.5)
    face = dict.fromkeys(('Nose', 'L_Eye', 'R_Eye', 'L_Ear'), 0.0)
    assert scores_of(**face)['Head'] == pytest.approx(0.9)  # from behind an ear is seen


def test_confidence_is_the_curve_of_each_joint():
    bias = np.linspace(-1, 1, 14).tolist()
    found = JointConfidence(0.5, bias)(keypoints())[0].numpy()
    odds = 0.5 * np.log(0.9 / 0.1) + np.array(bias)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-odds)), rtol=1e-5)
    sure = JointConfidence(1.0, [0.0] * 14)(torch.ones(1, 17, 3))
    torch.testing.assert_close(sure, torch.full((1, 14), 0.99))  # never all or nothing
    with pytest.raises(ConfigError, match='13 numbers, expected 14'):
        JointConfidence(1.0, [0.0] * 13)


def test_confidences_are_mirrored_with_their_joints():
    body = build_body('open_body')
    nothing = [torch.zeros(1, 14, 3)] * 2
    one, other = (
        MeshPrediction(torch.zeros(1, 3), *nothing, torch.zeros(1, 6890, 3), joint_confidence=value)
        for value in (torch.linspace(0, 1, 14)[None], torch.linspace(0, 1, 14)[None, J14_FLIP])
    )
    merger = ViewMerger(body)
    back = merger.back(other, torch.tensor([True]), torch.zeros(1))
    torch.testing.assert_close(back.joint_confidence, one.joint_confidence)
    merged = merger([one, back], torch.zeros(1, 3), posed=False)
    torch.testing.assert_close(merged.joint_confidence, one.joint_confidence)

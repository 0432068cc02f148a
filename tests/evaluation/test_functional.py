# SPDX-License-Identifier: Apache-2.0
"""Error measures against official numbers, invariances and hand-made cases."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from fastmetro_mm.evaluation.functional import (
    acceleration_error,
    auc,
    freihand_scores,
    mpjpe,
    mpvpe,
    pa_mpjpe,
    pa_mpvpe,
    pck,
    pck_curve,
)
from fastmetro_mm.evaluation.functional.freihand import f_scores


@pytest.fixture
def joints():
    generator = np.random.default_rng(4)
    gt = 0.3 * generator.normal(size=(5, 14, 3))
    return gt + 0.05 * generator.normal(size=gt.shape), gt


def test_official_metrics(shared_dir):
    golden = json.loads((shared_dir / 'golden/metrics.json').read_text())['seed31_B5']
    generator = torch.Generator().manual_seed(31)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    gt = 0.3 * normal(5, 14, 3)
    pred = gt + 0.05 * normal(5, 14, 3)
    pred[0, :, 0] *= -1
    vertices_gt = 0.3 * normal(5, 6890, 3)
    vertices_pred = vertices_gt + 0.04 * normal(5, 6890, 3)
    assert np.abs(mpjpe(pred, gt) - golden['mpjpe']).max() < 1e-7
    assert np.abs(pa_mpjpe(pred.numpy(), gt.numpy()) - golden['pampjpe']).max() < 1e-7
    assert np.abs(mpvpe(vertices_pred, vertices_gt) - golden['mpvpe']).max() < 1e-7


def test_official_freihand_scores(shared_dir):
    golden = json.loads((shared_dir / 'golden/freihand_scores.json').read_text())
    with np.load(shared_dir / 'golden/freihand_predictions.npz') as arrays:
        scores = freihand_scores(**arrays)
    assert set(scores) == set(golden)
    for name, value in golden.items():
        assert scores[name] == pytest.approx(value, abs=1e-9), name


def test_translation_does_not_change_mpjpe(joints):
    pred, gt = joints
    assert np.allclose(mpjpe(np.add(pred, [1, -2, 3]), gt - 5), mpjpe(pred, gt), atol=1e-12)


def test_mpjpe_is_centred_on_the_hips_or_the_wrist():
    gt = np.zeros((1, 14, 3))
    pred = gt.copy()
    pred[0, 2, 0], pred[0, 3, 0] = 0.1, 0.3  # both hips off: everything else shifts by 0.2
    expected = (12 * 0.2 + 0.1 + 0.1) / 14
    assert mpjpe(pred, gt) == pytest.approx([expected])
    assert mpjpe(pred, gt, root=()) == pytest.approx([0.4 / 14])
    hand = np.zeros((1, 21, 3))
    moved = hand.copy()
    moved[0, 0, 1] = 0.21
    assert mpjpe(moved, hand) == pytest.approx([20 * 0.21 / 21])
    with pytest.raises(ValueError, match='no official root for a set of 17 joints'):
        mpjpe(np.zeros((1, 17, 3)), np.zeros((1, 17, 3)))


def test_a_similarity_does_not_change_pa_errors_but_a_mirror_does(joints):
    pred, gt = joints
    turned = 1.7 * pred @ Rotation.from_rotvec([0.4, 1.0, -2.0]).as_matrix() + [3, 2, 1]
    assert np.allclose(pa_mpjpe(turned, gt), pa_mpjpe(pred, gt), atol=1e-12)
    assert np.allclose(pa_mpvpe(turned, gt), pa_mpvpe(pred, gt), atol=1e-12)
    assert (pa_mpjpe(pred * [-1, 1, 1], gt) > 3 * pa_mpjpe(pred, gt)).all()


def test_a_mirror_does_not_change_aligned_freihand_scores():
    generator = np.random.default_rng(5)
    xyz, verts = generator.normal(size=(3, 21, 3)) / 20, generator.normal(size=(3, 778, 3)) / 20
    pred_xyz = xyz + 0.004 * generator.normal(size=xyz.shape)
    pred_verts = verts + 0.004 * generator.normal(size=verts.shape)
    plain = freihand_scores(pred_xyz, pred_verts, xyz, verts)
    mirrored = freihand_scores(pred_xyz * [-1, 1, 1], pred_verts * [-1, 1, 1], xyz, verts)
    for name, value in plain.items():
        if '_al_' in name:
            assert mirrored[name] == pytest.approx(value, abs=1e-9), name
    assert mirrored['xyz_mean3d_cm'] > 2 * plain['xyz_mean3d_cm']


def test_not_finite_samples_stay_alone(joints):
    pred, gt = joints
    pred[2, 0, 0] = np.nan
    assert np.isnan(pa_mpjpe(pred, gt)).tolist() == [False, False, True, False, False]


def test_f_score_by_hand():
    gt = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    # 4 mm off, 10 mm off, and a point far from everything
    pred = np.array([[0.004, 0, 0], [1.010, 0, 0], [9.0, 0, 0]])
    at_5, at_15 = f_scores(pred, gt)
    assert at_5 == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert at_15 == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert f_scores(pred + 50, gt).tolist() == [0.0, 0.0]


def test_perfect_hands():
    generator = np.random.default_rng(6)
    xyz, verts = generator.normal(size=(2, 21, 3)), generator.normal(size=(2, 778, 3))
    scores = freihand_scores(xyz, verts, xyz, verts)
    assert scores['xyz_auc3d'] == scores['mesh_auc3d'] == 1.0
    assert scores['f_score_5'] == scores['f_al_score_5'] == 1.0
    assert scores['mesh_al_mean3d_cm'] == pytest.approx(0.0, abs=1e-5)


def test_pck_and_auc_by_hand():
    distances = np.array([[0.0], [0.025], [0.05], [0.2]])
    assert pck(distances, 0.05) == 0.75
    assert np.isnan(pck(np.zeros(0), 1.0))
    thresholds, curves = pck_curve(distances, 0.05, 3)
    assert thresholds.tolist() == [0.0, 0.025, 0.05]
    assert curves.tolist() == [[0.25, 0.5, 0.75]]
    assert auc(distances, 0.05, 3) == pytest.approx(0.5)
    with pytest.raises(ValueError, match='B > 0'):
        auc(np.zeros((0, 21)))


def test_acceleration_error():
    frames = np.arange(6.0)[:, None, None]
    gt = np.broadcast_to(frames * [1.0, 0, 0], (6, 4, 3))
    assert acceleration_error(gt * 2 + 1, gt) == pytest.approx(np.zeros(4))
    bent = gt + 0.5 * frames**2 * [0, 0, 0.3]
    assert acceleration_error(bent, gt) == pytest.approx(np.full(4, 0.3))
    assert acceleration_error(bent, gt, fps=30) == pytest.approx(np.full(4, 270.0))
    assert acceleration_error(bent[:2], gt[:2]).shape == (0,)


@pytest.mark.parametrize('measure', [mpjpe, pa_mpjpe, mpvpe, pa_mpvpe])
def test_bad_shapes(measure):
    with pytest.raises(ValueError, match='must have the same shape'):
        measure(np.zeros((2, 14, 3)), np.zeros((2, 13, 3)))
    with pytest.raises(ValueError, match=r'pred: expected points of shape \(B, N, 3\)'):
        measure(np.zeros((14, 3)), np.zeros((14, 3)))


def test_bad_hands():
    xyz, verts = np.zeros((2, 21, 3)), np.zeros((2, 778, 3))
    with pytest.raises(ValueError, match='one mesh for each of the 2 hands'):
        freihand_scores(xyz, verts[:1], xyz, verts[:1])
    broken = verts.copy()
    broken[1, 5, 0] = np.nan
    with pytest.raises(ValueError, match='pred_verts: hand 1'):
        freihand_scores(xyz, broken, xyz, verts)

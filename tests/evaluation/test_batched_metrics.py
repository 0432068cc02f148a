# SPDX-License-Identifier: Apache-2.0
"""A batch computed at once: the numbers of its samples alone, and the name of a bad one."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from fastmetro_mm.body.assets import BodyAssets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.evaluation import FreiHANDMetric, MeshJointMetric, MeshVertexMetric
from fastmetro_mm.evaluation.functional import auc, mpvpe
from fastmetro_mm.evaluation.functional.curves import auc_by_sample
from fastmetro_mm.evaluation.ground_truth_mesh import GroundTruthMesh
from fastmetro_mm.models.heads import FastMETROHead
from fastmetro_mm.structures import MeshDataSample, MeshPrediction

sys.path.insert(0, str(Path(__file__).parent))
from samples import body_sample, hand_sample

OPEN_BODY = dict(name='open_body')


def posed_sample(index: int) -> dict:
    """A body whose true mesh is to be posed."""
    sample = body_sample(index)
    generator = torch.Generator().manual_seed(index)
    labels = sample['gt_instance_labels']
    del labels['vertices']
    labels |= dict(
        pose=0.3 * torch.randn(1, 72, generator=generator),
        betas=torch.randn(1, 10, generator=generator),
    )
    return sample


def errors_of(metric, batches):
    for batch in batches:
        metric.process(None, batch)
        metric.compute_waiting()
    return [entry['errors'] for entry in metric.results]


def assert_same_alone(make, samples, tolerance):
    together = errors_of(make(), [samples])
    alone = errors_of(make(), [[sample] for sample in samples])
    assert [one is None for one in together] == [one is None for one in alone]
    assert any(one is not None for one in together)
    for first, second in zip(together, alone, strict=True):
        if first is not None:
            assert list(first) == list(second)
            assert first == pytest.approx(second, abs=tolerance, nan_ok=True)


def test_joints_in_a_batch():
    samples = [body_sample(i) for i in range(8)]
    samples[2]['pred_instances']['joints_3d'][0, 4] = np.nan
    for group in ('pred_instances', 'gt_instance_labels'):  # tensors beside arrays
        samples[4][group]['joints_3d'] = torch.as_tensor(samples[4][group]['joints_3d'])
    samples.insert(3, hand_sample(0))  # other shapes in between
    assert_same_alone(lambda: MeshJointMetric(pck_mm=(50, 150)), samples, 1e-10)
    row = errors_of(MeshJointMetric(pck_mm=(150,)), [samples])[2]
    assert np.isnan(row['MPJPE']) and np.isnan(row['PA-MPJPE'])
    assert row['PCK@150mm'] <= 100 * 13 / 14 and np.isfinite(row['AUC@150mm'])


@pytest.mark.parametrize('make', [MeshJointMetric, lambda: MeshVertexMetric(OPEN_BODY)])
def test_samples_that_wait_are_not_lost(make, monkeypatch):
    """Computed when enough wait, and the rest at the end, each for its own entry."""
    samples = [posed_sample(i) if i % 2 else body_sample(i) for i in range(11)]
    expected = make()
    expected.process(None, samples)
    seen = []
    metric = make()
    monkeypatch.setattr(metric, 'at_once', 4)
    for start in range(0, 11, 2):
        metric.process(None, samples[start : start + 2])
        waiting = sum(len(part) for parts in metric._waiting.values() for part, _ in parts)
        done = sum(entry['errors'] is not None for entry in metric.results)
        seen.append((waiting, done))
    assert any(done for _, done in seen) and seen[-1][0] > 0
    assert sum(seen[-1]) == sum(i % (3 if make is MeshJointMetric else 4) != 0 for i in range(11))
    expected.compute_waiting()
    metric.compute_waiting()
    for first, second in zip(metric.results, expected.results, strict=True):
        assert first['key'] == second['key']
        if first['errors'] is None:
            assert second['errors'] is None
        else:
            assert first['errors'] == pytest.approx(second['errors'], abs=1e-4)
    assert metric.evaluate(11) == pytest.approx(expected.evaluate(11), abs=1e-4)


def test_vertices_in_a_batch():
    samples = [posed_sample(i) if i % 2 else body_sample(i) for i in range(7)]
    for sample, gender in zip(samples, 'mfmnfmf', strict=True):
        sample['gender'] = gender
    samples[5]['pred_instances']['vertices'][0, 9] = np.nan
    for gendered in (False, True):
        assert_same_alone(
            lambda: MeshVertexMetric(OPEN_BODY, procrustes=True, gendered=gendered),  # noqa: B023
            samples,
            1e-4,
        )


def test_a_network_that_is_right_has_no_error():
    model = build_body_model('open_body', dtype=torch.float64)
    samples = [posed_sample(i) for i in (1, 2, 3)]
    for sample in samples:
        labels = sample['gt_instance_labels']
        vertices = model(labels['pose'], labels['betas']).vertices
        sample['pred_instances']['vertices'] = vertices.float().numpy()
    for row in errors_of(MeshVertexMetric(OPEN_BODY, procrustes=True), [samples]):
        assert row == pytest.approx({'MPVPE': 0, 'PA-MPVPE': 0}, abs=5e-4)


def test_single_precision_costs_no_accuracy():
    """Against everything in double, on the posed body."""
    samples = [posed_sample(i) for i in (1, 2, 3, 5, 6, 7)]
    truths = GroundTruthMesh(OPEN_BODY, device='cpu')
    rows = errors_of(MeshVertexMetric(OPEN_BODY), [samples])
    model = build_body_model('open_body', dtype=torch.float64)
    for sample, row in zip(samples, rows, strict=True):
        labels = sample['gt_instance_labels']
        truth = model(labels['pose'], labels['betas']).vertices
        pred = torch.as_tensor(sample['pred_instances']['vertices']).double()
        exact = mpvpe(pred - truths.origin(pred), truth - truths.origin(truth))
        assert row['MPVPE'] == pytest.approx(1000 * exact[0], abs=1e-4)  # 1e-7 m


def test_a_centred_mesh_is_not_centred_again(monkeypatch):
    """The official regressor's pelvis row does not sum to one."""
    sample = posed_sample(1)
    metric = MeshVertexMetric(OPEN_BODY, device='cpu')
    row = np.zeros(6890)
    row[[5, 900]] = 0.49995
    monkeypatch.setattr(
        BodyAssets, 'J_regressor_h36m', property(lambda self: np.tile(row, (17, 1)))
    )
    raw = torch.as_tensor(sample['pred_instances']['vertices']).double() + 0.5
    centred = raw - metric.ground_truth.origin(raw)
    assert 1e-5 < metric.ground_truth.origin(centred).norm() < 2e-4
    truth = metric.ground_truth([sample]).double()
    once = 1000 * mpvpe(centred, truth)[0]
    sample['pred_instances']['vertices'] = centred
    (found,) = errors_of(metric, [[sample]])
    assert found['MPVPE'] == pytest.approx(once, abs=1e-6)
    sample['pred_instances']['vertices'] = raw  # of a head that leaves it to the metric
    metric.results.clear()
    (found,) = errors_of(metric, [[sample]])
    assert found['MPVPE'] == pytest.approx(once, abs=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_the_gpu_says_the_same():
    samples = [posed_sample(1), body_sample(2)]
    rows = [
        errors_of(MeshVertexMetric(OPEN_BODY, device=device), [samples])
        for device in ('cpu', 'cuda')
    ]
    for first, second in zip(*rows, strict=True):
        assert first == pytest.approx(second, abs=1e-4)


def test_half_precision_predictions_are_compared_in_single():
    sample = body_sample(1)
    vertices = torch.as_tensor(sample['pred_instances']['vertices']).half()
    sample['pred_instances']['vertices'] = vertices
    (row,) = errors_of(MeshVertexMetric(OPEN_BODY), [[sample]])
    sample['pred_instances']['vertices'] = vertices.double()
    (exact,) = errors_of(MeshVertexMetric(OPEN_BODY), [[sample]])
    assert row == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize(
    ('group', 'name', 'value', 'message'),
    [
        ('pred_instances', 'vertices', np.zeros((1, 778, 3)), r'\(778, 3\) and the true mesh'),
        ('pred_instances', 'vertices', np.zeros((2, 6890, 3)), 'must hold one instance'),
        ('pred_instances', 'vertices', None, 'pred_instances.vertices is missing'),
        (
            'gt_instance_labels',
            'pose',
            torch.zeros(1, 48),
            r'pose must be \(1, 72\), got \(1, 48\)',
        ),
        ('gt_instance_labels', 'betas', None, 'gt_instance_labels.betas is missing'),
        ('gt_instance_labels', 'vertices', np.zeros((1, 9, 3)), r'vertices must be \(1, 6890, 3\)'),
    ],
)
def test_a_bad_mesh_in_a_batch_is_named(group, name, value, message):
    samples = [posed_sample(i) for i in (1, 2, 3)]
    samples[2][group][name] = value
    with pytest.raises(ValueError, match=rf'^00000003\.jpg: .*{message}'):
        MeshVertexMetric(OPEN_BODY).process(None, samples)


@pytest.mark.parametrize(
    ('group', 'value', 'message'),
    [
        ('pred_instances', np.zeros((1, 24, 3)), 'does not fit'),
        ('pred_instances', np.zeros((1, 14, 2)), 'does not fit'),
        ('gt_instance_labels', np.zeros((1, 17, 4)), 'does not fit'),
        ('gt_instance_labels', np.zeros((1, 24)), 'does not fit'),
        ('gt_instance_labels', None, 'is missing'),
    ],
)
def test_bad_joints_in_a_batch_are_named(group, value, message):
    samples = [body_sample(i) for i in (1, 2, 4)]
    samples[1][group]['joints_3d'] = value
    with pytest.raises(ValueError, match=rf'^00000002\.jpg: .*{message}'):
        MeshJointMetric().process(None, samples)


def test_area_of_single_points():
    distances = np.array([[0.0, 0.025, 0.05, 0.2], [0.01, np.nan, np.inf, 0.0499]])
    values = auc_by_sample(distances, 0.05, 3)
    # full; half of one of two intervals and nothing more; a half of the last; nothing
    assert values[0] == pytest.approx((1 + 0.75 + 0.25 + 0) / 4)
    many = np.random.default_rng(1).uniform(0, 0.08, size=(50, 14))
    each = [auc(row[None]) for row in many]
    np.testing.assert_allclose(auc_by_sample(many), each, atol=1e-12)
    nan_as_far = auc_by_sample(np.where(np.isnan(distances), 1.0, distances))
    np.testing.assert_array_equal(auc_by_sample(distances), nan_as_far)


def test_hands_are_posed_together():
    samples = [hand_sample(i) for i in range(4)]
    for index, sample in enumerate(samples[:3]):
        labels = sample['gt_instance_labels']
        del labels['vertices']
        labels |= dict(pose=0.1 * (index + 1) * torch.ones(1, 48), betas=torch.zeros(1, 10))
    samples[1]['gt_instance_labels']['has_3d'] = np.zeros(1)
    results = []
    for batches in ([samples], [[sample] for sample in samples]):
        metric = FreiHANDMetric(body=dict(name='open_hand'))
        for batch in batches:
            metric.process(None, batch)
        results.append(metric.results)
    assert [entry['gt_verts'] is None for entry in results[0]] == [False, True, False, False]
    for first, second in zip(*results, strict=True):
        for name in ('gt_xyz', 'gt_verts', 'xyz', 'verts'):
            if first[name] is not None:
                np.testing.assert_allclose(first[name], second[name], atol=1e-6)
    wrist = GroundTruthMesh(dict(name='open_hand'), device='cpu')([samples[2]])
    np.testing.assert_allclose(results[0][2]['gt_verts'], wrist[0], atol=1e-6)


def test_predictions_of_a_batch_are_those_of_its_samples():
    head = FastMETROHead(OPEN_BODY)
    generator = torch.Generator().manual_seed(2)
    raw = MeshPrediction(
        pred_cam=torch.rand(3, 3, generator=generator),
        joints=None,
        vertices_coarse=None,
        vertices=0.3 * torch.randn(3, 6890, 3, generator=generator),
    )
    samples = [
        MeshDataSample(
            metainfo=dict(
                input_size=(size, size),
                crop_to_image=np.array([[2.0, 0.1 * size, 5], [0.3, size, 9]], np.float32),
            )
        )
        for size in (224, 192, 256)
    ]
    together = head.predict(raw, samples)
    for index, (sample, found) in enumerate(zip(samples, together, strict=True)):
        one = copy.copy(raw)
        one.pred_cam, one.vertices = (x[index : index + 1] for x in (raw.pred_cam, raw.vertices))
        (alone,) = head.predict(one, [sample])
        assert isinstance(alone, InstanceData) and set(alone.keys()) == set(found.keys())
        for name in found.keys():
            assert found[name].dtype == np.float32 and found[name].shape[0] == 1
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-5, atol=1e-5)
        s, tx, ty = found.pred_cam[0]
        on_crop = (s * (found.joints_3d[0, :, :2] + [tx, ty]) + 1) / 2 * sample.input_size[0]
        matrix = sample.crop_to_image
        np.testing.assert_allclose(
            found.keypoints[0], on_crop @ matrix[:, :2].T + matrix[:, 2], rtol=1e-4, atol=1e-2
        )

# SPDX-License-Identifier: Apache-2.0
"""Joint and vertex metrics on data samples."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.registry import METRICS

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.evaluation import MeshJointMetric, MeshVertexMetric
from fastmetro_mm.evaluation.functional import mpjpe, pa_mpjpe
from fastmetro_mm.structures import MeshDataSample

sys.path.insert(0, str(Path(__file__).parent))
from samples import body_sample, hand_sample

OPEN_BODY = dict(name='open_body')


def run(metric, samples):
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_joint_metric_averages_labelled_samples(tmp_path):
    samples = [body_sample(i) for i in range(7)]
    path = tmp_path / 'errors/joints.json'
    values = run(MeshJointMetric(per_sample_file=path), samples)
    labelled = [i for i in range(7) if i % 3]
    pred = np.concatenate([samples[i]['pred_instances']['joints_3d'] for i in labelled])
    gt = np.concatenate([samples[i]['gt_instance_labels']['joints_3d'] for i in labelled])
    gt = gt[:, [*range(13), 18], :3]
    assert values['MPJPE'] == pytest.approx(1000 * mpjpe(pred, gt).mean(), rel=1e-9)
    assert values['PA-MPJPE'] == pytest.approx(1000 * pa_mpjpe(pred, gt).mean(), rel=1e-9)
    rows = json.loads(path.read_text())
    assert sorted(row['sample_idx'] for row in rows) == labelled
    errors = [row['PA-MPJPE'] for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert {'img_key', 'MPJPE'} < set(rows[0])
    assert [name.name for name in path.parent.iterdir()] == ['joints.json']


def test_joint_metric_with_an_offset_of_ten_millimetres():
    sample = body_sample(1)
    truth = sample['gt_instance_labels']['joints_3d'][:, [*range(13), 18], :3].copy()
    truth[:, [0, 1]] += [0.01, 0, 0]
    sample['pred_instances']['joints_3d'] = np.add(truth, 5.0)
    values = run(MeshJointMetric(pck_mm=(5, 50)), [sample])
    assert values['MPJPE'] == pytest.approx(10 * 2 / 14, rel=1e-3)
    assert values['PCK@5mm'] == pytest.approx(100 * 12 / 14)
    assert values['PCK@50mm'] == 100.0
    assert values['AUC@50mm'] == pytest.approx(100 * (12 + 2 * 0.8) / 14, abs=0.6)


def test_hand_joints_are_centred_on_the_wrist():
    sample = hand_sample(3)
    sample['pred_instances']['joints_3d'] = sample['gt_instance_labels']['joints_3d'][..., :3] + 0.7
    assert run(MeshJointMetric(), [sample])['MPJPE'] == pytest.approx(0.0, abs=1e-9)


def test_objects_and_tensors_through_the_evaluator():
    """The path of mmengine's loops: MeshDataSample -> to_dict -> metric."""
    plain = [body_sample(i) for i in (1, 2)]
    samples = []
    for one in plain:
        sample = MeshDataSample(metainfo=dict(img_key=one['img_key']))
        for group, target in (
            ('pred_instances', InstanceData()),
            ('gt_instance_labels', InstanceData()),
        ):
            for name, value in one[group].items():
                target[name] = torch.from_numpy(np.asarray(value)).float()
            setattr(sample, group, target)
        samples.append(sample)
    metrics = [MeshJointMetric(), MeshVertexMetric(OPEN_BODY, prefix='body')]
    evaluator = Evaluator(metrics)
    evaluator.process(samples, None)
    values = evaluator.evaluate(2)
    expected = run(MeshJointMetric(), plain)
    expected |= run(MeshVertexMetric(OPEN_BODY, prefix='body'), plain)
    assert values == pytest.approx(expected, rel=1e-5)
    direct = MeshJointMetric()
    assert run(direct, samples) == pytest.approx(run(MeshJointMetric(), plain), rel=1e-5)


def test_no_labels_give_nan_and_no_exception():
    values = run(MeshJointMetric(), [body_sample(0)]) | run(
        MeshVertexMetric(dict(name='smpl')), [body_sample(4)]
    )
    assert set(values) == {'MPJPE', 'PA-MPJPE', 'MPVPE'}
    assert all(math.isnan(value) for value in values.values())


def test_nan_predictions_are_not_hidden(tmp_path):
    samples = [body_sample(1), body_sample(2)]
    samples[0]['pred_instances']['joints_3d'][0, 3] = np.nan
    path = tmp_path / 'errors.json'
    values = run(MeshJointMetric(per_sample_file=path), samples)
    assert math.isnan(values['PA-MPJPE'])
    rows = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert rows[0]['sample_idx'] == 1 and rows[0]['MPJPE'] is None


def test_vertex_metric_poses_the_body_model():
    pose = torch.zeros(2, 72)
    pose[0, 5], pose[1, 40] = 0.7, -0.4
    betas = torch.linspace(-1, 1, 20).reshape(2, 10)
    model = build_body_model('open_body')
    truth = model(pose, betas).vertices.numpy()
    regressor = load_body_assets('open_body').J_regressor_h36m
    samples = []
    for i in range(2):
        shifted = truth[i] + [0.1, 0.2, 4.0]
        shifted[0] += [0.0, 0.6890, 0.0]
        samples.append(
            dict(
                img_key=str(i),
                gt_instance_labels=dict(
                    pose=pose[i : i + 1], betas=betas[i : i + 1], has_smpl=torch.ones(1)
                ),
                pred_instances=dict(vertices=shifted[None]),
            )
        )
    values = run(MeshVertexMetric(OPEN_BODY, procrustes=True), samples)
    # one vertex of 6890 is off by 689 mm; the pelvis moves with its weight
    moved = 689.0 * regressor[0, 0]
    expected = (abs(689.0 - moved) + 6889 * abs(moved)) / 6890
    assert values['MPVPE'] == pytest.approx(expected, rel=1e-3)
    assert values['PA-MPVPE'] < 1.0


def test_gendered_protocol_has_its_own_name():
    values = run(MeshVertexMetric(OPEN_BODY, gendered=True), [body_sample(1)])
    assert set(values) == {'MPVPE-gendered'}


def test_head_fields_and_prefix():
    sample = body_sample(1)
    sample['pred_instances']['smpl_joints_3d'] = sample['pred_instances'].pop('joints_3d')
    values = run(MeshJointMetric(field='smpl_joints_3d', prefix='smpl'), [sample])
    assert set(values) == {'smpl/MPJPE', 'smpl/PA-MPJPE'}
    with pytest.raises(ValueError, match=r'00000001\.jpg: pred_instances.joints_3d is missing'):
        MeshJointMetric().process(None, [sample])


def test_repeated_samples_count_once():
    once = run(MeshJointMetric(), [body_sample(i) for i in (1, 2, 4)])
    metric = MeshJointMetric()
    metric.process(None, [body_sample(i) for i in (4, 1, 2, 1, 4)])
    assert metric.evaluate(3) == once


def test_registered_and_reading_nothing_when_built():
    config = dict(type='MeshVertexMetric', body=dict(name='smpl', body_data_root='nowhere'))
    assert isinstance(METRICS.build(config), MeshVertexMetric)


def test_missing_body_files_give_one_clear_error(tmp_path):
    sample = body_sample(1)
    sample['gt_instance_labels'].pop('vertices')
    sample['gt_instance_labels'] |= dict(pose=np.zeros((1, 72)), betas=np.zeros((1, 10)))
    metric = MeshVertexMetric(dict(name='smpl', body_data_root=str(tmp_path)))
    with pytest.raises(FileNotFoundError):
        metric.process(None, [sample])


def test_bad_shapes_name_the_sample():
    sample = body_sample(1)
    sample['pred_instances']['joints_3d'] = np.zeros((1, 24, 3))
    with pytest.raises(ValueError, match=r'00000001\.jpg: .* does not fit'):
        MeshJointMetric().process(None, [sample])
    sample['pred_instances']['vertices'] = np.zeros((1, 778, 3))
    with pytest.raises(ValueError, match=r'00000001\.jpg: .* must have the same shape'):
        MeshVertexMetric(OPEN_BODY).process(None, [sample])
    sample['pred_instances'] = SimpleNamespace(joints_3d=np.zeros((2, 14, 3)))
    with pytest.raises(ValueError, match='must hold one instance'):
        MeshJointMetric().process(None, [sample])

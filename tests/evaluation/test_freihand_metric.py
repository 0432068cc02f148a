# SPDX-License-Identifier: Apache-2.0
"""FreiHAND scores from data samples and the files around them."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.evaluation import FreiHANDMetric

sys.path.insert(0, str(Path(__file__).parent))
from samples import hand_sample


def run(metric, samples):
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def golden_samples(arrays):
    """Samples without labels, as the official test set gives them."""
    return [
        dict(
            img_key=f'{i:08d}.jpg',
            pred_instances=dict(
                joints_3d=arrays['pred_xyz'][i : i + 1], vertices=arrays['pred_verts'][i : i + 1]
            ),
        )
        for i in range(6)
    ]


def test_official_scores_from_released_files(shared_dir, tmp_path):
    golden = json.loads((shared_dir / 'golden/freihand_scores.json').read_text())
    with np.load(shared_dir / 'golden/freihand_predictions.npz') as archive:
        arrays = dict(archive)
    for name in ('xyz', 'verts'):
        (tmp_path / f'evaluation_{name}.json').write_text(json.dumps(arrays[name].tolist()))
    metric = FreiHANDMetric(
        xyz_file=tmp_path / 'evaluation_xyz.json',
        verts_file=tmp_path / 'evaluation_verts.json',
        pred_file=tmp_path / 'out/pred.json',
        expected=6,
        curve_file=tmp_path / 'out/pck.png',
        per_sample_file=tmp_path / 'out/errors.json',
    )
    values = run(metric, golden_samples(arrays)[::-1])
    for name, value in golden.items():
        assert values[f'{name}'] == pytest.approx(value, abs=1e-5), name
    assert values['PA-MPJPE'] == pytest.approx(10 * golden['xyz_al_mean3d_cm'], abs=1e-4)
    xyz, verts = json.loads((tmp_path / 'out/pred.json').read_text())
    assert np.abs(np.array(xyz) - arrays['pred_xyz']).max() < 1e-7
    assert np.abs(np.array(verts) - arrays['pred_verts']).max() < 1e-7
    with zipfile.ZipFile(tmp_path / 'out/pred.zip') as archive:
        assert archive.namelist() == ['pred.json']
        assert archive.read('pred.json') == (tmp_path / 'out/pred.json').read_bytes()
    errors = json.loads((tmp_path / 'out/errors.json').read_text())
    assert len(errors['joints_mm']) == 21 and len(errors['images']) == 6
    assert (tmp_path / 'out/pck.png').read_bytes()[:4] == b'\x89PNG'
    assert not [name for name in (tmp_path / 'out').iterdir() if '.tmp' in name.name]


def test_truth_from_labels():
    values = run(FreiHANDMetric(), [hand_sample(i) for i in range(3)])
    assert 5 < values['PA-MPJPE'] < 20
    assert values['xyz_mean3d_cm'] > values['xyz_al_mean3d_cm']


def test_truth_from_the_posed_hand():
    sample = hand_sample(1)
    labels = sample['gt_instance_labels']
    labels.pop('vertices')
    labels |= dict(pose=np.zeros((1, 48)), betas=np.zeros((1, 10)))
    metric = FreiHANDMetric(body=dict(name='open_hand'))
    sample['pred_instances']['vertices'] = 2.0 * metric.ground_truth([sample])[0][None]
    assert run(metric, [sample])['PA-MPVPE'] == pytest.approx(0.0, abs=1e-3)


def test_without_truth_only_the_file_is_written(tmp_path):
    samples = [hand_sample(i) for i in range(2)]
    for sample in samples:
        del sample['gt_instance_labels']
    assert run(FreiHANDMetric(pred_file=tmp_path / 'pred.json'), samples) == {}
    assert (tmp_path / 'pred.zip').is_file()


def test_a_wrong_count_writes_nothing(tmp_path):
    metric = FreiHANDMetric(pred_file=tmp_path / 'pred.json', expected=3960)
    with pytest.raises(ValueError, match='expected predictions for 3960 images, got 2 sets'):
        run(metric, [hand_sample(i) for i in range(2)])
    assert not list(tmp_path.iterdir())


def test_bad_predictions_write_nothing(tmp_path):
    sample = hand_sample(0)
    sample['pred_instances']['vertices'][0, 7] = np.nan
    with pytest.raises(ValueError, match='vertices of image 0 must be finite'):
        run(FreiHANDMetric(pred_file=tmp_path / 'pred.json'), [sample])
    assert not list(tmp_path.iterdir())


def test_released_files_are_checked(tmp_path):
    with pytest.raises(ValueError, match='give both'):
        FreiHANDMetric(xyz_file='a.json')
    good = tmp_path / 'xyz.json'
    good.write_text(json.dumps(np.zeros((2, 21, 3)).tolist()))
    bad = tmp_path / 'verts.json'
    with pytest.raises(FileNotFoundError, match=r'verts\.json: no such file'):
        run(FreiHANDMetric(xyz_file=good, verts_file=bad), [hand_sample(0)])
    for text in ('[[1, 2], [3]]', '{"a": 1}', 'no json', '[[[0, 0, 0]]]'):
        bad.write_text(text)
        with pytest.raises(ValueError, match=r'verts\.json: expected'):
            run(FreiHANDMetric(xyz_file=good, verts_file=bad), [hand_sample(0)])
    bad.write_text(json.dumps(np.zeros((2, 778, 3)).tolist()))
    with pytest.raises(ValueError, match=r'00000005\.jpg: the image name must be a number below 2'):
        run(FreiHANDMetric(xyz_file=good, verts_file=bad), [hand_sample(5)])

# SPDX-License-Identifier: Apache-2.0
"""Numbers of the official code that lie in the repository: parity without licensed files.

``projects/golden`` made them, see ``tests/data/golden/README.md``.
"""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.datasets import LoadMeshImage, MeshAugment, MeshCrop, MeshTSVDataset
from fastmetro_mm.evaluation.functional import freihand_scores, mpjpe, mpvpe, pa_mpjpe
from fastmetro_mm.models.losses import FastMETROLoss
from fastmetro_mm.models.official_checkpoint import to_official, to_ours
from projects.golden import inputs
from tests.conftest import golden_entry

OPEN_BODY = dict(name='open_body')


@pytest.fixture(scope='module')
def folder(repo_dir):
    return repo_dir / 'tests' / 'data' / 'golden'


@pytest.fixture(scope='module')
def numbers(folder):
    return json.loads((folder / 'numbers.json').read_text())


@pytest.fixture(scope='module')
def arrays(folder):
    with np.load(folder / 'forward.npz') as file:
        return dict(file)


def test_loss_terms_and_gradients(numbers):
    batch = inputs.loss_batch()
    terms = FastMETROLoss(body=OPEN_BODY)(**batch)
    terms['total'].backward()
    expected = numbers['losses']['terms']
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5), name
    for name, value in numbers['losses']['grad_norms'].items():
        assert batch[name].grad.norm().item() == pytest.approx(value, rel=1e-5), name


def test_body_metrics(numbers):
    predicted, true, vertices, true_vertices = inputs.metric_points()
    expected = numbers['metrics']
    assert np.abs(mpjpe(predicted, true) - expected['mpjpe']).max() < 1e-7
    assert np.abs(pa_mpjpe(predicted, true) - expected['pa_mpjpe']).max() < 1e-7
    assert np.abs(mpvpe(vertices, true_vertices) - expected['mpvpe']).max() < 1e-7
    assert expected['mpjpe'][0] > 0.3  # the mirrored one


def test_freihand_scores(folder, numbers):
    with np.load(folder / 'freihand.npz') as file:
        scores = freihand_scores(**file)
    assert scores == pytest.approx(numbers['freihand'], abs=1e-9)


def test_transformers_and_up_sampling(repo_dir, arrays):
    config = Config.fromfile(repo_dir / 'configs' / 'fastmetro_s_r50_h36m.py').model
    network = torch.nn.Module()
    network.neck = MODELS.build(dict(config.neck, body=OPEN_BODY))
    network.head = MODELS.build(dict(config.head, body=OPEN_BODY, criterion=None))
    official = to_official(network.state_dict())
    filled = {name: golden_entry(name, value.shape) for name, value in official.items()}
    network.load_state_dict(to_ours(filled)[0])
    with torch.no_grad():
        out = network.eval().head(network.neck(inputs.feature_map()))
    found = dict(
        pred_cam=out.pred_cam,
        pred_joints=out.joints,
        pred_coarse=out.vertices_coarse,
        pred_mid=out.vertices_mid[:, :: inputs.EVERY],
        pred_fine=out.vertices[:, :: inputs.EVERY],
    )
    for name, value in found.items():
        assert np.abs(value.numpy() - arrays[name]).max() <= 2e-5, name
    assert np.std(arrays['pred_fine']) > 0.1


def test_posed_vertices(arrays):
    posed = build_body_model('open_body')(*inputs.poses()).vertices
    assert np.abs(posed[:, :: inputs.EVERY].numpy() - arrays['posed']).max() < 2e-6


@pytest.mark.parametrize('number', range(len(inputs.AUGMENTATIONS)))
def test_loader_and_augmentation(folder, number, tmp_path):
    pipeline = [
        LoadMeshImage(),
        MeshAugment(fixed=inputs.AUGMENTATIONS[number]),
        MeshCrop(size=224, mode='official'),
    ]
    dataset = MeshTSVDataset(str(folder / 'people' / 'train.yaml'), pipeline, on_error='raise')
    with np.load(folder / 'samples.npz') as file:
        for index in range(len(dataset)):
            sample = dataset[index]
            crop = sample['img'].transpose(2, 0, 1)[:, :: inputs.EVERY_PIXEL, :: inputs.EVERY_PIXEL]
            difference = np.abs(crop.astype(int) - file[f'{number}/{index}/image'])
            assert difference.mean() < 1 and difference.max() <= 3
            for name in ('joints_2d', 'joints_3d', 'pose'):
                expected = file[f'{number}/{index}/{name}']
                np.testing.assert_allclose(sample[name], expected, atol=1e-5, err_msg=name)

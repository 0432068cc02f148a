# SPDX-License-Identifier: Apache-2.0
"""The body criterion against official numbers and against a plain second implementation."""

import json

import numpy as np
import pytest
import torch

from fastmetro_mm.models.losses import FastMETROLoss

OFFICIAL_WEIGHTS = dict(
    j3d_token=1000,
    j3d_mesh=1000,
    v_coarse=25,
    v_mid=50,
    v_fine=25,
    edge_gt=500,
    edge_self=0.01,
    normal=10,
    j2d_token=100,
    j2d_mesh=100,
)
J24_TO_J14 = [*range(13), 18]
H36M17_TO_J14 = [3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10]
PREDICTIONS = ('pred_cam', 'pred_joints', 'pred_coarse', 'pred_mid', 'pred_fine')


def make_batch(seed, size, levels, dtype=torch.float32):
    """The recipe of the golden batch, for any mesh size."""
    generator = torch.Generator().manual_seed(seed)
    fine, mid, coarse = levels

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    batch = dict(gt_vertices=0.3 * normal(size, fine, 3))
    batch['joints_3d'] = torch.cat(
        [0.3 * normal(size, 24, 3), (uniform(size, 24, 1) > 0.2).float()], -1
    )
    batch['joints_2d'] = torch.cat(
        [0.5 * normal(size, 24, 2), (uniform(size, 24, 1) > 0.3).float()], -1
    )
    batch['has_3d'] = (uniform(size) > 0.3).float()
    batch['has_smpl'] = (uniform(size) > 0.3).float()
    batch['has_2d'] = torch.ones(size)
    batch['pred_cam'] = normal(size, 3)
    batch['pred_joints'] = 0.3 * normal(size, 14, 3)
    batch['pred_coarse'] = 0.3 * normal(size, coarse, 3)
    batch['pred_mid'] = 0.3 * normal(size, mid, 3)
    batch['pred_fine'] = 0.3 * normal(size, fine, 3)
    batch = {name: value.to(dtype) for name, value in batch.items()}
    for name in PREDICTIONS:
        batch[name].requires_grad_()
    return batch


def plain_terms(batch, body):
    """The same terms in numpy float64, one labelled sample after the other."""
    b = {name: value.detach().double().numpy() for name, value in batch.items()}
    regressor = body.J_regressor_h36m
    j3, j2 = b['joints_3d'][:, J24_TO_J14], b['joints_2d'][:, J24_TO_J14]
    terms = {name: [] for name in OFFICIAL_WEIGHTS}
    for i in range(len(j3)):
        joints = regressor @ b['pred_fine'][i]
        pelvis, joints = joints[0], joints[H36M17_TO_J14] - joints[0]
        tokens = b['pred_joints'][i] - b['pred_joints'][i, 2:4].mean(0)
        scale, shift = b['pred_cam'][i, 0], b['pred_cam'][i, 1:]
        for tag, points in (('token', tokens), ('mesh', joints)):
            flat = scale * (points[:, :2] + shift)
            terms[f'j2d_{tag}'].append((j2[i, :, 2:] * abs(flat - j2[i, :, :2])).mean())
            if b['has_3d'][i] == 1:
                true = j3[i, :, :3] - j3[i, 2:4, :3].mean(0)
                error = abs(points - points[2:4].mean(0) - true)
                terms[f'j3d_{tag}'].append((j3[i, :, 3:] * error).mean())
        if b['has_smpl'][i] == 1:
            true = [b['gt_vertices'][i]]
            for matrix in body.down:
                true.append(matrix @ true[-1])
            true = [level - regressor[0] @ true[0] for level in true]
            pred = [b[f'pred_{name}'][i] - pelvis for name in ('fine', 'mid', 'coarse')]
            for name, one, other in zip(('v_fine', 'v_mid', 'v_coarse'), pred, true, strict=True):
                terms[name].append(abs(one - other).mean())
            first, second = body.loss_edges.T
            lengths = [
                np.sqrt(((mesh[first] - mesh[second]) ** 2).sum(-1) + 1e-8)
                for mesh in (pred[1], true[1])
            ]
            terms['edge_gt'].append(abs(lengths[0] - lengths[1]).mean())
            terms['edge_self'].append(lengths[0].mean())
            a, b_, c = (true[1][body.loss_faces[:, k]] for k in range(3))
            normals = np.cross(b_ - a, c - a)
            normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
            a, b_, c = (pred[1][body.loss_faces[:, k]] for k in range(3))
            sides = np.stack([b_ - a, c - a, c - b_])
            sides /= np.linalg.norm(sides, axis=-1, keepdims=True)
            terms['normal'].append(abs((sides * normals).sum(-1)).mean())
    terms = {name: float(np.mean(values)) if values else 0.0 for name, values in terms.items()}
    terms['total'] = sum(OFFICIAL_WEIGHTS[name] * value for name, value in terms.items())
    return terms


def test_official_values_and_gradients(shared_dir):
    golden = json.loads((shared_dir / 'golden/losses_body.json').read_text())['seed11_B4']
    criterion = FastMETROLoss(body=dict(name='smpl', body_data_root=str(shared_dir / 'data/metro')))
    batch = make_batch(11, 4, (6890, 1723, 431))
    terms = criterion(**batch)
    terms['total'].backward()
    norms = golden.pop('grad_norms')
    assert set(terms) == set(golden)
    for name, value in golden.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5), name
    for name, value in norms.items():
        assert batch[name].grad.norm().item() == pytest.approx(value, rel=1e-5), name


def test_default_body_comes_from_the_environment(shared_dir, monkeypatch):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data/metro'))
    criterion = FastMETROLoss()
    assert criterion.edge_gt.edges.shape == (5163, 2)
    assert not criterion.state_dict()


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_equals_plain_implementation(tiny_body, seed):
    batch = make_batch(seed, 5, tiny_body.num_vertices)
    terms = FastMETROLoss(body=tiny_body)(**batch)
    for name, value in plain_terms(batch, tiny_body).items():
        assert terms[name].item() == pytest.approx(value, rel=2e-6), name


@pytest.mark.parametrize(
    'flag, names',
    [
        ('has_3d', ('j3d_token', 'j3d_mesh')),
        ('has_smpl', ('v_coarse', 'v_mid', 'v_fine', 'edge_gt', 'edge_self', 'normal')),
    ],
)
def test_no_labelled_sample_gives_zero_and_finite_gradients(tiny_body, flag, names):
    batch = make_batch(4, 3, tiny_body.num_vertices)
    batch[flag] = torch.zeros(3)
    terms = FastMETROLoss(body=tiny_body)(**batch)
    terms['total'].backward()
    assert all(terms[name].item() == 0 for name in names)
    assert terms['total'].item() == pytest.approx(plain_terms(batch, tiny_body)['total'], rel=2e-6)
    for name in PREDICTIONS:
        assert torch.isfinite(batch[name].grad).all(), name


def test_unlabelled_rows_may_hold_anything(tiny_body):
    batch = make_batch(5, 4, tiny_body.num_vertices)
    batch['has_smpl'] = torch.tensor([1.0, 0.0, 1.0, 0.0])
    batch['has_3d'] = torch.tensor([0.0, 1.0, 1.0, 1.0])
    criterion = FastMETROLoss(body=tiny_body)
    clean = criterion(**batch)['total']
    batch['gt_vertices'][1] = float('nan')
    batch['joints_3d'][0] = float('inf')
    spoiled = criterion(**batch)['total']
    spoiled.backward()
    assert spoiled.item() == clean.item()
    assert all(torch.isfinite(batch[name].grad).all() for name in PREDICTIONS)


def test_mean_over_samples_equals_one_large_batch(tiny_body):
    """Two ranks with B labelled samples each agree with one rank of 2B."""
    batch = make_batch(6, 4, tiny_body.num_vertices)
    batch['has_smpl'] = batch['has_3d'] = torch.ones(4)
    criterion = FastMETROLoss(body=tiny_body)
    whole = criterion(**batch)['total']
    halves = [
        criterion(**{name: value[part] for name, value in batch.items()})['total']
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert whole.item() == pytest.approx(sum(halves).item() / 2, rel=1e-6)


def test_autocast_and_half_inputs_are_judged_in_float32(tiny_body):
    batch = make_batch(7, 4, tiny_body.num_vertices)
    criterion = FastMETROLoss(body=tiny_body)
    expected = criterion(**batch)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        terms = criterion(**batch)
    assert all(value.dtype == torch.float32 for value in terms.values())
    assert all(terms[name].item() == expected[name].item() for name in terms)
    halves = {name: value.bfloat16() for name, value in batch.items() if name in PREDICTIONS}
    rounded = {name: value.float() for name, value in halves.items()}
    assert (
        criterion(**{**batch, **halves})['total'].item()
        == criterion(**{**batch, **rounded})['total'].item()
    )


def test_gradients(tiny_body):
    batch = make_batch(8, 2, tiny_body.num_vertices, torch.float64)
    batch['has_3d'] = batch['has_smpl'] = torch.ones(2)
    criterion = FastMETROLoss(body=tiny_body)

    def total(*predictions):
        return criterion(**{**batch, **dict(zip(PREDICTIONS, predictions, strict=True))})['total']

    assert torch.autograd.gradcheck(total, [batch[name] for name in PREDICTIONS], atol=1e-4)


def test_translation_of_prediction_and_truth_changes_no_3d_term(tiny_body):
    batch = make_batch(9, 3, tiny_body.num_vertices)
    criterion = FastMETROLoss(body=tiny_body)
    before = criterion(**batch)
    for name in ('pred_coarse', 'pred_mid', 'pred_fine', 'pred_joints'):
        batch[name] = batch[name] + torch.tensor([0.3, -0.2, 0.1])
    batch['gt_vertices'] = batch['gt_vertices'] - 0.4
    after = criterion(**batch)
    for name in before:
        assert after[name].item() == pytest.approx(before[name].item(), rel=1e-5), name


def test_nothing_depends_on_values(tiny_body):
    """On the meta device any boolean index or host synchronisation is an error."""
    batch = make_batch(13, 3, tiny_body.num_vertices)
    on_meta = {name: value.detach().to('meta') for name, value in batch.items()}
    terms = FastMETROLoss(body=tiny_body).to('meta')(**on_meta)
    assert all(value.is_meta and value.shape == () for value in terms.values())


def test_weights_are_arguments(tiny_body):
    batch = make_batch(10, 3, tiny_body.num_vertices)
    terms = FastMETROLoss(
        body=tiny_body,
        edge_normal_weight=0,
        joints_2d_weight=0,
        vertices_weight=0,
        joints_3d_weight=7,
    )(**batch)
    expected = 7 * (terms['j3d_token'] + terms['j3d_mesh'])
    assert terms['total'].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    'name, shape, message',
    [
        ('pred_fine', (3, 9, 3), r'pred_fine: expected shape \(B, 8, 3\)'),
        ('pred_mid', (3, 8, 3), r'pred_mid: expected shape \(B, 6, 3\)'),
        ('gt_vertices', (3, 8, 2), 'gt_vertices: expected shape'),
        ('joints_3d', (3, 14, 4), 'joints_3d: expected shape .B, 24, 4.'),
        ('joints_2d', (3, 24, 2), 'joints_2d: expected shape .B, 24, 3.'),
        ('pred_joints', (3, 24, 3), 'joints_3d: targets must have shape'),
        ('has_smpl', (2,), 'has_smpl: expected one flag for each of the 3 samples'),
    ],
)
def test_bad_shapes_give_one_clear_error(tiny_body, name, shape, message):
    batch = make_batch(12, 3, tiny_body.num_vertices)
    batch[name] = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        FastMETROLoss(body=tiny_body)(**batch)


def test_bad_body_gives_one_clear_error(tiny_hand):
    with pytest.raises(ValueError, match='is a hand'):
        FastMETROLoss(body=tiny_hand)
    with pytest.raises(ValueError, match='unknown keys'):
        FastMETROLoss(body=dict(name='smpl', root='x'))
    with pytest.raises(ValueError, match='expected a name'):
        FastMETROLoss(body=3)

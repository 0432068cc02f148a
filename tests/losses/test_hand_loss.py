# SPDX-License-Identifier: Apache-2.0
"""The hand criterion against a plain second implementation."""

import numpy as np
import pytest
import torch

from fastmetro_mm.models.losses import HandMeshLoss


def make_batch(seed, size=4):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    batch = dict(
        pred_cam=normal(size, 3),
        pred_joints=normal(size, 21, 3),
        pred_mesh_joints=normal(size, 21, 3),
        pred_coarse=normal(size, 5, 3),
        pred_fine=normal(size, 8, 3),
        gt_vertices=normal(size, 8, 3),
        gt_joints=normal(size, 21, 3),
        joints_2d=normal(size, 21, 3),
        has_smpl=torch.tensor([1.0, 0.0, 1.0, 1.0])[:size],
    )
    batch['joints_2d'][..., 2] = (batch['joints_2d'][..., 2] > 0).float()
    return batch


def plain_total(batch, hand):
    b = {name: value.double().numpy() for name, value in batch.items()}
    terms = {name: [] for name in ('j3d', 'v', 'edge', 'normal', 'j2d')}
    for i in range(len(b['has_smpl'])):
        wrist = b['pred_mesh_joints'][i, 0]
        joints = [b['pred_joints'][i] - b['pred_joints'][i, 0], b['pred_mesh_joints'][i] - wrist]
        label = b['joints_2d'][i]
        terms['j2d'].append(
            sum(
                (
                    label[:, 2:]
                    * abs(b['pred_cam'][i, 0] * (one[:, :2] + b['pred_cam'][i, 1:]) - label[:, :2])
                ).mean()
                for one in joints
            )
        )
        if b['has_smpl'][i] != 1:
            continue
        root = b['gt_joints'][i, 0]
        terms['j3d'].append(sum(abs(one - (b['gt_joints'][i] - root)).mean() for one in joints))
        fine, true = b['pred_fine'][i] - wrist, b['gt_vertices'][i] - root
        coarse, true_coarse = b['pred_coarse'][i] - wrist, hand.down[0] @ b['gt_vertices'][i] - root
        terms['v'].append(0.5 * abs(coarse - true_coarse).mean() + 0.5 * abs(fine - true).mean())
        sides = [(0, 1), (0, 2), (1, 2)]
        faces = hand.loss_faces
        lengths = [
            np.stack(
                [
                    np.sqrt(((mesh[faces[:, p]] - mesh[faces[:, q]]) ** 2).sum(-1) + 1e-8)
                    for p, q in sides
                ]
            )
            for mesh in (fine, true)
        ]
        terms['edge'].append(abs(lengths[0] - lengths[1]).mean())
        normals = np.cross(
            true[faces[:, 1]] - true[faces[:, 0]], true[faces[:, 2]] - true[faces[:, 0]]
        )
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        units = np.stack([fine[faces[:, q]] - fine[faces[:, p]] for p, q in sides])
        units /= np.linalg.norm(units, axis=-1, keepdims=True)
        terms['normal'].append(abs((units * normals).sum(-1)).mean())
    mean = {name: float(np.mean(values)) for name, values in terms.items()}
    return (
        1000 * mean['j3d']
        + 100 * mean['v']
        + 100 * (mean['edge'] + 0.1 * mean['normal'])
        + 100 * mean['j2d']
    )


@pytest.mark.parametrize('seed', [1, 2])
def test_equals_plain_implementation(tiny_hand, seed):
    batch = make_batch(seed)
    terms = HandMeshLoss(body=tiny_hand)(**batch)
    assert set(terms) == {
        'j3d_token',
        'j3d_mesh',
        'v_coarse',
        'v_fine',
        'edge_gt',
        'normal',
        'j2d_token',
        'j2d_mesh',
        'total',
    }
    assert terms['total'].item() == pytest.approx(plain_total(batch, tiny_hand), rel=2e-6)


def test_without_labels_only_2d_is_left(tiny_hand):
    batch = make_batch(3)
    batch['has_smpl'] = torch.zeros(4)
    terms = HandMeshLoss(body=tiny_hand)(**batch)
    expected = 100 * (terms['j2d_token'] + terms['j2d_mesh'])
    assert terms['total'].item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms['j2d_token'].item() > 0


def test_nothing_depends_on_values(tiny_hand):
    on_meta = {name: value.to('meta') for name, value in make_batch(5).items()}
    assert HandMeshLoss(body=tiny_hand).to('meta')(**on_meta)['total'].shape == ()


def test_official_hand_matrices(shared_dir):
    criterion = HandMeshLoss(body=dict(name='mano', body_data_root=str(shared_dir / 'data/metro')))
    assert criterion.body.num_vertices == (778, 195)
    assert criterion.normal.faces.shape == (1538, 3)
    assert criterion.edge_gt.edges.shape == (3 * 1538, 2)


def test_bodies_and_bad_shapes_are_refused(tiny_body, tiny_hand):
    with pytest.raises(ValueError, match='is not a hand'):
        HandMeshLoss(body=tiny_body)
    batch = make_batch(4)
    batch['gt_joints'] = torch.zeros(4, 16, 3)
    with pytest.raises(ValueError, match=r'gt_joints: expected shape \(B, 21, 3\)'):
        HandMeshLoss(body=tiny_hand)(**batch)

# SPDX-License-Identifier: Apache-2.0
"""The estimator on the open body: attention mask, kept attention, sizes, weights at the start."""

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmpose.registry import MODELS

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.errors import ConfigError
from tests.models.small_estimator import SIZE, build, config, crops, sample


def test_attention_mask_lets_vertices_see_joints_neighbours_and_themselves_only():
    model = build()
    mask = model.neck.attention_mask
    adjacency = load_body_assets('open_body').adjacency[-1].toarray().astype(bool)
    assert mask.shape == (445, 445)
    assert mask[:14].all()
    assert mask[:, :14].all()
    wanted = torch.from_numpy(adjacency | np.eye(431, dtype=bool))
    assert torch.equal(mask[14:, 14:], wanted)
    assert not mask[14:, 14:].all()
    # a buffer that moves with the module but is not part of checkpoints
    assert 'neck.attention_mask' in dict(model.named_buffers())
    assert not any('attention_mask' in key or 'position' in key for key in model.state_dict())


def test_a_token_outside_the_mask_has_no_influence():
    layer = build().neck.transformer_1.decoder.layers[0].eval()
    tokens = torch.randn(1, 3, 32)
    mask = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    changed = tokens.clone()
    changed[:, 2] += 1
    before, after = layer.attend_self(tokens, mask), layer.attend_self(changed, mask)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_kept_first_attention_is_exact_and_forgotten_when_weights_change():
    model = build().eval()
    with torch.no_grad():
        kept_once = model(crops(), None, mode='tensor').vertices
        kept_twice = model(crops(), None, mode='tensor').vertices
    assert model.neck._first_attention is not None
    with_gradient = model(crops(), None, mode='tensor').vertices
    torch.testing.assert_close(kept_once, with_gradient, atol=1e-6, rtol=0)
    assert torch.equal(kept_once, kept_twice)

    state = {key: value.clone() for key, value in model.state_dict().items()}
    change = torch.randn(431, 32, generator=torch.Generator().manual_seed(2))
    state['neck.vertex_token_embed.weight'] += change
    model.load_state_dict(state)
    with torch.no_grad():
        loaded = model(crops(), None, mode='tensor').vertices
    assert not torch.allclose(kept_once, loaded, atol=1e-4)

    # changed in place while it evaluates: by version
    with torch.no_grad():
        moves = torch.randn(14, 32, generator=torch.Generator().manual_seed(3))
        model.neck.joint_token_embed.weight.add_(moves)
        moved = model(crops(), None, mode='tensor').vertices
        model.neck.joint_token_embed.weight.sub_(moves)
        restored = model(crops(), None, mode='tensor').vertices
    assert not torch.allclose(moved, loaded, atol=1e-4)
    torch.testing.assert_close(restored, loaded, atol=1e-5, rtol=0)
    # weights changed in place, without a word to the network
    with torch.no_grad():
        model.neck.vertex_token_embed.weight -= change
        back = model(crops(), None, mode='tensor').vertices
    torch.testing.assert_close(back, kept_once, atol=1e-5, rtol=0)
    # and through .data, as EMA does, which goes past the counters; eval() is called then
    model.neck.vertex_token_embed.weight.data += change
    model.eval()
    with torch.no_grad():
        again = model(crops(), None, mode='tensor').vertices
    torch.testing.assert_close(again, loaded, atol=1e-5, rtol=0)
    # moved to another type and back: other numbers at other addresses
    kept = model.neck._first_attention[1]
    with torch.no_grad():
        model.neck.to(torch.bfloat16).float()
        model(crops(), None, mode='tensor')
    assert not torch.equal(model.neck._first_attention[1], kept)


def test_number_of_joint_tokens_is_checked_when_the_network_is_built():
    cfg = config()
    cfg['neck']['num_joints'] = 17
    with pytest.raises(ConfigError, match=r'model\.neck\.num_joints=17: .*14 joint tokens'):
        MODELS.build(cfg)


def test_map_larger_than_expected_is_said_once(caplog):
    model = build().eval()
    MMLogger.get_instance('larger_map').addHandler(caplog.handler)
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(1, 3, 96, 96), None, mode='tensor')
    said = [r.getMessage() for r in caplog.records if 'feature_size' in r.getMessage()]
    assert len(said) == 1 and 'It has 9 cells' in said[0] and 'feature_size=(2, 2) has 4' in said[0]
    with pytest.raises(ConfigError, match=r'in_channels .* 3136 cells.*FusedHRNet, width=32'):
        model.neck(torch.zeros(1, 32, 56, 56))


def test_other_crop_sizes_work_without_touching_weights():
    model = build().eval()
    keys = set(model.state_dict())
    with torch.no_grad():
        out = model(torch.randn(1, 3, 96, 64), None, mode='tensor')
    assert out.vertices.shape == (1, 6890, 3)
    assert set(model.state_dict()) == keys


def test_wrong_backbone_width_is_one_clear_error():
    cfg = config()
    cfg['neck']['in_channels'] = 2048
    model = MODELS.build(cfg)
    with pytest.raises(ValueError, match=r'set neck\.in_channels'):
        model(crops(), None, mode='tensor')


def test_prediction_is_centred_and_projected_into_the_image():
    model = build().eval()
    with torch.no_grad():
        raw = model(crops(1), None, mode='tensor')
        (result,) = model(crops(1), [sample()], mode='predict')
    predicted = result.pred_instances
    assert predicted.vertices.shape == (1, 6890, 3)
    assert predicted.keypoints.shape == (1, 14, 2)
    regressor = load_body_assets('open_body').J_regressor_h36m
    pelvis = regressor[0] @ raw.vertices[0].numpy()
    np.testing.assert_allclose(predicted.vertices[0], raw.vertices[0].numpy() - pelvis, atol=1e-5)
    # xy = s (XY + t) on the crop in [-1, 1]; then pixels; then x' = 2 x + 10, y' = 2 y + 20
    s, tx, ty = predicted.pred_cam[0]
    on_crop = s * (predicted.joints_3d[0, :, :2] + [tx, ty])
    wanted = (on_crop + 1) / 2 * SIZE * 2 + [10, 20]
    np.testing.assert_allclose(predicted.keypoints[0], wanted, atol=1e-3)
    np.testing.assert_array_equal(predicted.bboxes, [[10, 20, 110, 120]])


def test_smpl_prediction_is_the_posed_body():
    model = build(smpl_head=dict(type='SMPLRegressorHead', hidden_dim=32)).eval()
    with torch.no_grad():
        (result,) = model(crops(1), [sample()], mode='predict')
    predicted = result.pred_instances
    rotations = np.concatenate([predicted.global_orient[:, None], predicted.body_pose], axis=1)
    posed = build_body_model('open_body')(
        torch.from_numpy(rotations), torch.from_numpy(predicted.betas)
    )
    vertices = posed.vertices[0].numpy()
    pelvis = load_body_assets('open_body').J_regressor_h36m[0] @ vertices
    np.testing.assert_allclose(predicted.smpl_vertices[0], vertices - pelvis, atol=1e-4)


def test_hand_target_joints_are_skeleton_and_fingertips_in_label_order():
    model = build(body='open_hand')
    targets = model.build_targets([sample(True)], torch.device('cpu'))
    body = build_body_model('open_hand')
    posed = body(targets.pose, targets.betas)
    assert targets.joints.shape == (1, 21, 3)
    # wrist, then Thumb_1 = joint 13 of MANO's order, Pinky_1 = joint 7
    torch.testing.assert_close(targets.joints[:, 0], posed.joints[:, 0])
    torch.testing.assert_close(targets.joints[:, 1], posed.joints[:, 13])
    torch.testing.assert_close(targets.joints[:, 17], posed.joints[:, 7])
    tips = model.body.fingertips
    torch.testing.assert_close(targets.joints[:, 4], posed.vertices[:, tips[0]])
    torch.testing.assert_close(targets.joints[:, 20], posed.vertices[:, tips[4]])


def test_partial_checkpoints_are_taken_only_on_request():
    model = build()
    state = model.state_dict()
    state['neck.joint_token_embed.weight'] = torch.zeros(17, 32)
    with pytest.raises(ValueError, match='partial_checkpoint=True'):
        model.check_weights(state)
    relaxed = build(partial_checkpoint=True)
    relaxed.check_weights(state)


def test_imagenet_weights_of_both_naming_schemes_fill_the_fused_hrnet():
    backbone = MODELS.build(dict(type='FusedHRNet', width=18))
    own = {key: torch.randn_like(v) if v.is_floating_point() else v
           for key, v in backbone.state_dict().items()}  # fmt: skip
    # HRNet authors and timm: the same names, and a classifier
    backbone.load_state_dict({**own, 'classifier.weight': torch.zeros(1000, 2048)})
    # OpenMMLab: backbone, and the trunk as a neck of ConvModules
    renamed = {}
    for key, value in own.items():
        if key.startswith('incre_modules.'):
            key = key.replace('incre_modules.', 'neck.increase_layers.')
        elif key.startswith('downsamp_modules.'):
            key = key.replace('downsamp_modules.', 'neck.downsample_layers.')
            index, layer, rest = key.removeprefix('neck.downsample_layers.').split('.', 2)
            part = {'0': 'conv', '1': 'bn'}[layer]
            key = f'neck.downsample_layers.{index}.{part}.{rest}'
        elif key.startswith('final_layer.'):
            _, layer, rest = key.split('.', 2)
            key = f'neck.final_layer.{ {"0": "conv", "1": "bn"}[layer] }.{rest}'
        else:
            key = f'backbone.{key}'
        renamed[key] = value
    renamed['head.fc.weight'] = torch.zeros(1000, 2048)
    fresh = MODELS.build(dict(type='FusedHRNet', width=18))
    fresh.load_state_dict(renamed)
    assert all(torch.equal(fresh.state_dict()[key], own[key]) for key in own)


def test_pretrained_resnet_keeps_its_last_norms(tmp_path):
    """When init_cfg.type is a class, mmpose zeroes bn3 after loading; the string works."""
    resnet = MODELS.build(dict(type='ResNet', depth=50))
    state = resnet.state_dict()
    for key in state:
        if key.endswith('bn3.weight'):
            state[key].fill_(0.7)
    torch.save(state, tmp_path / 'resnet.pth')
    loaded = MODELS.build(
        dict(
            type='ResNet',
            depth=50,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth')),
        )
    )
    loaded.init_weights()
    assert loaded.state_dict()['layer1.0.bn3.weight'].eq(0.7).all()


def test_informed_start_upsamples_like_the_fixed_matrix_and_is_off_by_default():
    cfg = config()
    cfg['head']['informed_start'] = True
    head = MODELS.build(cfg).head
    assets = load_body_assets('open_body')
    coarse = torch.randn(1, 431, 3)
    mid = head.coarse2intermediate_upsample(coarse.transpose(1, 2)).transpose(1, 2)
    wanted = assets.up[1] @ coarse[0].numpy()
    np.testing.assert_allclose(mid[0].detach().numpy(), wanted, atol=1e-5)
    assert head.cam_predictor.bias.tolist() == [1, 0, 0]
    hand = MODELS.build(
        dict(type='FastMETROHead', body=dict(name='open_hand'), in_channels=16, informed_start=True)
    )
    assert hand.cam_predictor.bias.tolist() == [8, 0, 0]
    plain = MODELS.build(config()).head
    assert not torch.equal(plain.coarse2intermediate_upsample.bias, torch.zeros(1723))


@pytest.mark.parametrize('body', ['open_body', 'open_hand'])
def test_a_batch_of_nobody_gives_no_meshes(body):
    model = build(body=body).eval()
    with torch.no_grad():
        found = model(torch.zeros(0, 3, SIZE, SIZE), None, mode='tensor')
        one = model(torch.zeros(1, 3, SIZE, SIZE), None, mode='tensor')
    for name, part in vars(one).items():
        assert (part is None) == (getattr(found, name) is None)
        if part is not None:
            assert getattr(found, name).shape == (0, *part.shape[1:])

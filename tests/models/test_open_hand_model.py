# SPDX-License-Identifier: Apache-2.0
"""The shipped hand model, and landmarks of hands held any way up."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from fastmetro_mm.config_files import config_path
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.backbones import HandLandmark
from fastmetro_mm.synthetic.scene import Studio


@pytest.fixture(scope='module')
def network():
    from mmpose.registry import MODELS

    network = MODELS.build(Config.fromfile(config_path('open_hand')).model)
    network.load_state_dict(load_weights('open_hand'))
    return network.eval()


@pytest.fixture(scope='module')
def hands():
    """24 drawn hands with their palms to the camera: crops (N, 3, 224, 224), 3D joints."""
    studio, rng = Studio('hand', (224, 224), 'studio'), np.random.default_rng(3)
    plans = [studio.plan(rng) for _ in range(24)]
    images, joints = [], []
    for plan, posed in zip(plans, studio.pose(plans), strict=True):
        sample = studio.draw(rng, plan, posed)
        image = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_COLOR)
        images.append(image[..., ::-1].transpose(2, 0, 1) / 255)
        joints.append(np.array(sample.label['3d_joints'])[:, :3])
    return torch.from_numpy(np.array(images, np.float32)), np.array(joints)


@torch.inference_mode()
def test_drawn_hands_are_found(network, hands):
    images, joints = hands
    prediction = network(images, None, mode='tensor')
    assert prediction.vertices.shape == (24, 778, 3)
    error = 1000 * pa_mpjpe(prediction.joints.numpy(), joints)
    mean_hand = np.broadcast_to(joints.mean(0), joints.shape).copy()
    assert np.median(error) < 15
    assert np.median(error) < 0.7 * np.median(1000 * pa_mpjpe(mean_hand, joints))


@torch.inference_mode()
def test_a_turned_crop_gives_turned_keypoints(hands):
    network = HandLandmark(parts=(), with_keypoints=True, weights='hand_landmark')
    network.init_weights()
    network.eval()
    images = hands[0][:6]
    upright = network(images)[0]
    assert upright.shape == (6, 21, 3)
    # a quarter turn against the clock takes (x, y) to (y, -x); the same four looks are compared
    turned = network(images.rot90(1, (2, 3)))[0]
    expected = torch.stack((upright[..., 1], -upright[..., 0], upright[..., 2]), -1)
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)

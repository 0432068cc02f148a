# SPDX-License-Identifier: Apache-2.0
"""The shipped model finds the bodies that were drawn, and keeps them whole."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from fastmetro_mm.config_files import config_path
from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.evaluation.functional import pa_mpjpe
from fastmetro_mm.geometry.camera import weak_perspective_project
from fastmetro_mm.model_zoo import load_weights
from fastmetro_mm.models.backbones.movenet import INPUT_MEAN
from fastmetro_mm.models.network_kind import model_kind
from fastmetro_mm.synthetic.crops import draw_crops
from fastmetro_mm.synthetic.scene import Studio

SHOULDERS, HIPS = (8, 9), (2, 3)  # of the 14 joints


@pytest.fixture(scope='module')
def network():
    from mmpose.registry import MODELS

    config = Config.fromfile(config_path('open_body'))
    network = MODELS.build(config.model)
    network.load_state_dict(load_weights('open_body'))
    return network.eval()


@pytest.fixture(scope='module')
def people():
    studio = Studio('body', (256, 256), 'photo')
    return draw_crops(studio, [np.random.default_rng((7, index)) for index in range(48)])


@torch.inference_mode()
def test_drawn_people_are_found(network, people):
    images = torch.from_numpy(people.images).permute(0, 3, 1, 2).float()
    prediction = network((images - INPUT_MEAN) / INPUT_MEAN, None, mode='tensor')
    vertices = torch.from_numpy(people.vertices)
    _, truth = network.body.centre(vertices)
    error = 1000 * pa_mpjpe(prediction.joints.numpy(), truth.numpy())
    mean_body = 1000 * pa_mpjpe(
        np.broadcast_to(truth.mean(0).numpy(), truth.shape).copy(), truth.numpy()
    )
    assert np.median(error) < 95 < np.median(mean_body)

    # and where the crop shows them: torso lengths off, joints inside the crop only
    places = weak_perspective_project(prediction.joints, prediction.pred_cam).numpy()
    roots = vertices[:, :1] - network.body.centre(vertices)[0][:, :1]
    drawn = people.project((truth + roots).numpy()) / 128 - 1
    torso = np.linalg.norm(drawn[:, SHOULDERS].mean(1) - drawn[:, HIPS].mean(1), axis=-1)[:, None]
    inside = (np.abs(drawn) < 1).all(-1) & (torso > 0.1)
    close = np.linalg.norm(places - drawn, axis=-1) < 0.2 * torso
    assert close[inside].mean() > 0.7  # MoveNet itself: about three quarters


@torch.inference_mode()
def test_meshes_are_whole(network, people):
    """Edges keep their length: a body posed by rotations cannot be torn."""
    images = torch.from_numpy(people.images[:8]).permute(0, 3, 1, 2).float()
    prediction = network((images - INPUT_MEAN) / INPUT_MEAN, None, mode='tensor')
    faces = torch.as_tensor(np.asarray(network.body.faces).astype(np.int64))
    edges = torch.cat((faces[:, [0, 1]], faces[:, [1, 2]]))

    def lengths(vertices):
        return (vertices[:, edges[:, 0]] - vertices[:, edges[:, 1]]).norm(dim=-1)

    rest = network.body.pose(torch.zeros(8, 72), prediction.betas).vertices
    ratio = lengths(prediction.vertices) / lengths(rest).clamp(min=1e-3)
    assert float((ratio > 4).float().mean()) < 0.002
    posed = network.body.pose(prediction.rotmat, prediction.betas).vertices
    torch.testing.assert_close(network.body.centre(posed)[0], prediction.vertices)


def test_file_is_within_its_budget_and_frozen_parts_are_shared():
    from fastmetro_mm.model_zoo import weight_file

    assert weight_file('open_body').stat().st_size <= 25e6
    backbone, whole = load_weights('movenet_thunder'), load_weights('open_body')
    assert set(backbone) and all(
        torch.equal(value, whole[f'backbone.net.{name}']) for name, value in backbone.items()
    )


@pytest.mark.parametrize('name', ['open_body', 'open_hand'])
def test_weights_of_networks_that_are_no_fastmetro_are_checked_like_all_others(name):
    """The check compares kinds of FastMETRO, which the shipped networks are none of."""
    from mmpose.registry import MODELS

    model = MODELS.build(Config.fromfile(config_path(name)).model)
    weights = load_weights(name)
    assert model_kind(model) is None
    assert set(model.check_weights(weights)) == set(weights)
    partial = {key: value for key, value in weights.items() if 'rotation' not in key}
    with pytest.raises(CheckpointError, match='entries are missing'):
        model.check_weights(partial)


@torch.inference_mode()
def test_a_mirrored_image_gives_the_mirrored_person(network, people):
    """As the config's flip test makes sure; one look alone does not."""
    images = torch.from_numpy(people.images[:3]).permute(0, 3, 1, 2).float()
    inputs = (images - INPUT_MEAN) / INPUT_MEAN
    flip = list(range(14))
    for left, right in network.body.flip_pairs:
        flip[left], flip[right] = right, left

    def off(**options):
        seen, mirrored = (
            network.body.centre(network.infer(x, **options).vertices)[1]
            for x in (inputs, inputs.flip(-1))
        )
        return (mirrored[:, flip] * torch.tensor([-1.0, 1.0, 1.0]) - seen).norm(dim=-1).max()

    assert off() < 1e-4 < 5e-3 < off(flip_test=False)


def test_fast_and_views_of_ones_own_leave_the_mirror_image_out():
    from fastmetro_mm.apis import MeshInferencer

    photo, box = np.full((64, 64, 3), 128, np.uint8), [[8, 8, 56, 56]]
    for options, looks in (({}, 2), ({'tta': 'flip'}, 2), ({'speed': 'fast'}, 1)):
        inferencer, seen = MeshInferencer(detector='none', **options), []
        inferencer.network.head.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        list(inferencer(photo, bboxes=box))
        assert len(seen) == looks, options

# SPDX-License-Identifier: Apache-2.0
"""Images that are crops, cut as the official demo does, and left hands."""

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.errors import InputError
from tests.apis.conftest import BOX, SIDE


def test_a_mirrored_image_gives_the_mirrored_hand_exactly(hand_config, shared_dir):
    torch.manual_seed(0)
    hands = MeshInferencer(hand_config)
    with torch.no_grad():
        hands.network.head.cam_predictor.bias.copy_(torch.tensor([1.2, 0.05, -0.1]))
    image = cv2.imread(str(shared_dir / 'data/images/freihand_sample1.jpg'))
    width = image.shape[1]
    for box in ([31, 20, 203, 190.0], [-20, 15, 130.5, 170.25]):
        mirrored_box = [width - box[2], box[1], width - box[0], box[3]]
        (right,) = hands(image, bboxes=[dict(bbox=box, is_right=True)])
        (left,) = hands(image[:, ::-1], bboxes=[mirrored_box], is_right=False)
        right, left = right.people[0], left.people[0]
        assert right.is_right is True and left.is_right is False
        assert left.vertices.shape == (778, 3) and left.joints_3d.shape == (21, 3)
        flip = np.array([-1, 1, 1], np.float32)
        assert np.array_equal(left.vertices, right.vertices * flip)
        assert np.array_equal(left.joints_3d, right.joints_3d * flip)
        assert np.array_equal(left.keypoints[:, 1], right.keypoints[:, 1])
        assert np.allclose(left.keypoints[:, 0], width - right.keypoints[:, 0], atol=1e-4)
        assert np.allclose(left.translation, right.translation * flip, atol=1e-4)
        # and everything about the left one is of its own image
        assert (
            np.abs(left.image_camera((width, width)).project(left.joints_3d) - left.keypoints).max()
            < 0.01
        )


@pytest.mark.parametrize('size', [(224, 224), (300, 451), (451, 300), (640, 425), (97, 333)])
def test_an_image_that_is_a_crop_is_cut_as_the_official_demo_does(size):
    from PIL import Image
    from torchvision import transforms

    from fastmetro_mm.apis.crops import middle_crop

    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    official = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224)])
    crop, to_image = middle_crop(pixels, 224)
    assert np.array_equal(crop, np.asarray(official(Image.fromarray(pixels))))
    middle = to_image @ [112, 112, 1]
    assert middle == pytest.approx(np.array(size) / 2, abs=max(size) / 224)


@pytest.mark.parametrize(
    'name, config',
    [('3dpw_test4.jpg', 'body'), ('freihand_sample1.jpg', 'hand'), ('000000000785.jpg', 'body')],
)
def test_the_mesh_of_a_crop_is_that_of_the_official_demo(
    name, config, weights_file, hand_config, shared_dir
):
    """The official demo's own transform before the same network gives the same mesh."""
    from PIL import Image
    from torchvision import transforms

    torch.manual_seed(0)
    taken = (
        MeshInferencer(hand_config, detector='none')
        if config == 'hand'
        else MeshInferencer('quickstart', weights_file, detector='none')
    )
    path = shared_dir / 'data/images' / name
    official = transforms.Compose(
        [
            transforms.Resize(SIDE),
            transforms.CenterCrop(SIDE),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with torch.no_grad():
        expected = taken.network(official(Image.open(path))[None], None, mode='tensor')
    (frame,) = taken(path)
    (person,) = frame.people
    vertices = expected.vertices[0].numpy()
    shift = (person.vertices - vertices).mean(axis=0)  # ours are centred on the pelvis or wrist
    assert np.abs(person.vertices - shift - vertices).max() < 1e-4 * np.ptp(vertices)
    assert person.pred_cam == pytest.approx(expected.pred_cam[0].numpy(), abs=1e-5)
    width, height = frame.image_size
    side = min(width, height)
    corners = person.crop_to_image @ np.array([[0, 0, 1], [SIDE, SIDE, 1]]).T
    assert corners.T == pytest.approx(
        np.array(
            [[(width - side) / 2, (height - side) / 2], [(width + side) / 2, (height + side) / 2]]
        ),
        abs=0.02 * side,
    )
    # a left hand: the official demo is given the mirrored image
    if config == 'hand':
        flipped = np.ascontiguousarray(cv2.imread(str(path))[:, ::-1])
        left = next(taken(flipped, is_right=np.False_)).people[0]
        assert np.array_equal(left.vertices, person.vertices * np.array([-1, 1, 1], np.float32))


def test_padding_a_crop_is_for_those_who_ask_for_it(weights_file, photo):
    (frame,) = MeshInferencer('quickstart', weights_file, box_padding=1.2, detector=None)(photo)
    assert frame.people[0].crop_to_image[0, 0] * SIDE == pytest.approx(1.2 * 640, abs=1)


def test_a_whole_image_taken_as_a_crop_is_said(inferencer, photo, monkeypatch):
    from fastmetro_mm.apis import people_finding

    said = []
    monkeypatch.setattr(people_finding, 'notice', said.append)
    list(inferencer([photo, photo]))
    assert len(said) == 1 and 'its middle 425x425 of 640x425' in said[0]


@pytest.mark.parametrize('left', [np.False_, 0, 0.0, np.int64(0), 'left', False])
def test_left_hands_however_they_are_written(hand_config, shared_dir, left):
    torch.manual_seed(0)
    hands = MeshInferencer(hand_config)
    path = shared_dir / 'data/images/freihand_sample1.jpg'
    box = [31, 20, 203, 190]
    (expected,) = next(hands(path, bboxes=[dict(bbox=box, is_right=False)])).people
    (right,) = next(hands(path, bboxes=[dict(bbox=box, is_right=True)])).people
    assert not np.allclose(expected.vertices, right.vertices)
    for found in (
        hands(path, bboxes=[dict(bbox=box, is_right=left)]),
        hands(path, bboxes=[box], is_right=left),
    ):
        (person,) = next(found).people
        assert np.array_equal(person.vertices, expected.vertices) and person.is_right is False
    with pytest.raises(InputError, match='is_right must be true or false'):
        next(hands(path, bboxes=[dict(bbox=box, is_right='false')]))
    with pytest.raises(InputError, match='is_right must be true or false'):
        hands(path, is_right=2)


def test_sides_are_for_hands(inferencer, photo):
    errors = []
    (frame,) = inferencer(
        photo, bboxes=[BOX, dict(bbox=BOX, is_right=False)], on_error=errors.append
    )
    assert len(frame.people) == 1 and 'this network is for bodies' in str(errors[0])

# SPDX-License-Identifier: Apache-2.0
"""MoveNet MultiPose: equal to the source graph and to stored numbers; decodes more than six."""

import os
from pathlib import Path

import cv2
import pytest
import torch

from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, INPUT_STD
from fastmetro_mm.models.multipose import MultiPose, decode_people
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph

# on the image of `people`, float32 on a CPU; another JPEG decoder may move the last digits
SCORES = [0.671, 0.565, 0.242]
BOXES = [
    [16.58, 106.75, 84.33, 274.02],
    [96.41, 65.74, 150.49, 177.20],
    [66.51, 51.74, 79.50, 103.59],
]
LEFT_HIPS = [[63.32, 183.40, 0.859], [133.48, 115.89, 0.781], [73.44, 76.62, 0.442]]


@pytest.fixture(scope='module')
def people(repo_dir) -> torch.Tensor:
    """A synthetic image of three people, 0 to 255 (1, 3, 288, 384)."""
    image = cv2.imread(str(repo_dir / 'tests' / 'data' / 'free_model' / 'several_people.jpg'))
    return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()


def normalised(image: torch.Tensor) -> torch.Tensor:
    return (image - INPUT_MEAN) / INPUT_STD


@pytest.mark.parametrize(('height', 'width'), [(288, 320), (288, 384)])
def test_equals_the_source_graph(people, height, width):
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    source = Path(os.environ['FREE_MODEL_SOURCE'])
    network = MultiPose(weights=None)
    network.net.load_state_dict(convert('movenet_multipose', source))
    image = people[..., :height, :width]
    graph = TfjsGraph(source / 'movenet-multipose.json')
    (expected,) = graph.run({'input': image.permute(0, 2, 3, 1).int()}, ['Identity'])
    boxes, keypoints, scores = network(normalised(image), max_people=6)
    size = torch.tensor([height, width])
    places = expected[0, :, :51].view(6, 17, 3)
    # scores of the three true people; the source's others borrow theirs, see `decode_people`
    true = expected[0, :, 55] > 0.3
    assert true.sum() >= 2
    torch.testing.assert_close(scores[true], expected[0, true, 55], rtol=0, atol=1e-4)
    torch.testing.assert_close(keypoints[true, :, 2], places[true, :, 2], rtol=0, atol=1e-4)
    torch.testing.assert_close(
        keypoints[..., :2], places[..., :2].mul(size).flip(-1), rtol=0, atol=2e-3
    )
    corners = expected[0, :, 51:55].view(6, 2, 2).mul(size).flip(-1).flatten(1)
    torch.testing.assert_close(boxes, corners, rtol=0, atol=2e-3)


def test_shipped_weights_give_the_stored_numbers(people):
    boxes, keypoints, scores = MultiPose()(normalised(people), max_people=6)
    best = scores.argsort(descending=True)[:3]
    torch.testing.assert_close(scores[best], torch.tensor(SCORES), rtol=0, atol=0.01)
    torch.testing.assert_close(boxes[best], torch.tensor(BOXES), rtol=0, atol=0.5)
    torch.testing.assert_close(keypoints[best][:, 11], torch.tensor(LEFT_HIPS), rtol=0, atol=0.5)


def test_people_below_the_least_score_are_left_out(people):
    network = MultiPose()
    scores = network(normalised(people))[2]
    likely = network(normalised(people), least_score=0.2)[2]
    assert len(likely) < len(scores) == 20
    torch.testing.assert_close(likely[likely > 0.2], scores[scores > 0.2])


def test_decodes_more_than_six_people_each_with_its_own_keypoints():
    height, width = 24, 60
    centers = torch.full((1, height, width), -8.0)
    heatmaps = torch.full((17, height, width), -6.0)
    box_scales = torch.zeros(2, height, width)
    regressions = torch.zeros(34, height, width)
    columns = range(3, 57, 6)
    for column in columns:
        centers[:, 12, column] = 2.0
        box_scales[:, 12, column] = torch.tensor([20.0, 6.0])
        heatmaps[:, 5, column + 1] = 3.0
        regressions[0::2, 12, column] = -7.0
    zeros = torch.zeros(34, height, width)
    boxes, keypoints, scores = decode_people(
        centers, box_scales, zeros[:2], heatmaps, regressions, zeros, max_people=20
    )
    order = boxes[:9, 0].argsort()
    assert (scores[:9] > 0.5).all() and (scores[9:] < 0.05).all()
    expected = torch.tensor([[4.0 * (c - 3), 8.0, 4.0 * (c + 3), 88.0] for c in columns])
    torch.testing.assert_close(boxes[:9][order], expected)
    torch.testing.assert_close(
        keypoints[:9][order][:, 4, :2], torch.tensor([[4.0 * (c + 1), 20.0] for c in columns])
    )

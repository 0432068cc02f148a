# SPDX-License-Identifier: Apache-2.0
"""MoveNet MultiPose: equal to the source graph and to stored numbers; decodes more than six."""

import os
from pathlib import Path

import pytest
import torch

from fastmetro_mm.models.backbones.movenet import INPUT_MEAN, INPUT_STD
from fastmetro_mm.models.multipose import MultiPose, decode_people
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph


def drawn_people(height: int, width: int) -> torch.Tensor:
    """Two upright figures of skin- and cloth-coloured boxes on a grey slope (1, 3, H, W)."""
    image = torch.linspace(90, 160, width).round().expand(3, height, width).clone()
    for left in (width // 8, width // 2):
        for x1, y1, x2, y2, color in (
            (22, 20, 42, 46, (220, 170, 140)),
            (14, 46, 50, 110, (180, 40, 40)),
            (4, 48, 14, 104, (220, 170, 140)),
            (50, 48, 60, 104, (220, 170, 140)),
            (16, 110, 30, 190, (40, 40, 120)),
            (34, 110, 48, 190, (40, 40, 120)),
        ):
            image[:, y1:y2, left + x1 : left + x2] = torch.tensor(color).view(3, 1, 1).float()
    return image[None]


def normalised(image: torch.Tensor) -> torch.Tensor:
    return (image - INPUT_MEAN) / INPUT_STD


@pytest.mark.parametrize(('height', 'width'), [(256, 256), (224, 352)])
def test_equals_the_source_graph(height, width):
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    source = Path(os.environ['FREE_MODEL_SOURCE'])
    network = MultiPose(weights=None)
    network.net.load_state_dict(convert('movenet_multipose', source))
    image = drawn_people(height, width)
    graph = TfjsGraph(source / 'movenet-multipose.json')
    (expected,) = graph.run({'input': image.permute(0, 2, 3, 1).int()}, ['Identity'])
    boxes, keypoints, scores = network(normalised(image), max_people=6)
    size = torch.tensor([height, width])
    places = expected[0, :, :51].view(6, 17, 3)
    torch.testing.assert_close(scores, expected[0, :, 55], rtol=0, atol=1e-4)
    torch.testing.assert_close(keypoints[..., 2], places[..., 2], rtol=0, atol=1e-4)
    torch.testing.assert_close(
        keypoints[..., :2], places[..., :2].mul(size).flip(-1), rtol=0, atol=2e-3
    )
    corners = expected[0, :, 51:55].view(6, 2, 2).mul(size).flip(-1).flatten(1)
    torch.testing.assert_close(boxes, corners, rtol=0, atol=2e-3)


def test_shipped_weights_give_the_stored_numbers():
    boxes, keypoints, scores = MultiPose()(normalised(drawn_people(256, 256)), max_people=6)
    best = scores.argsort(descending=True)[:2]
    torch.testing.assert_close(scores[best], torch.tensor(SCORES), rtol=0, atol=1e-3)
    torch.testing.assert_close(boxes[best], torch.tensor(BOXES), rtol=0, atol=0.1)
    torch.testing.assert_close(keypoints[best][:, 11], torch.tensor(LEFT_HIPS), rtol=0, atol=0.1)


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

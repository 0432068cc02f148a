# SPDX-License-Identifier: Apache-2.0
"""NanoDet: equal to the source graph and to stored numbers; boxes from bins of known places."""

import os
from pathlib import Path

import cv2
import pytest
import torch

from fastmetro_mm.apis.overlap import keep_separate
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.nanodet import (
    BINS,
    INPUT_MEAN,
    INPUT_STD,
    NanoDet,
    NanoDetNet,
    decode_boxes,
)
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph

# of the image below, float32 on a CPU; another JPEG decoder may move the last digits
SCORES = [0.7277, 0.7273, 0.7273]
BOXES = [[66.1, 49.6, 78.9, 103.2], [98.3, 67.6, 148.8, 176.6], [15.4, 107.6, 85.1, 275.9]]


@pytest.fixture(scope='module')
def image(repo_dir) -> torch.Tensor:
    """A synthetic image of three people, normalised RGB in a square of 416 px."""
    people = cv2.imread(str(repo_dir / 'tests' / 'data' / 'free_model' / 'several_people.jpg'))
    pixels = torch.from_numpy(people[..., ::-1].copy()).float()
    pixels = (pixels - torch.tensor(INPUT_MEAN)) / torch.tensor(INPUT_STD)
    canvas = torch.zeros(1, 3, 416, 416)
    canvas[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels.permute(2, 0, 1)
    return canvas


def test_equals_the_source_graph(image):
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    source = Path(os.environ['FREE_MODEL_SOURCE'])
    network = NanoDetNet().eval()
    network.load_state_dict(convert('nanodet', source))
    bgr = image.flip(1)
    outputs = ['Identity', *(f'Identity_{number}' for number in range(1, 6))]
    expected = TfjsGraph(source / 'nanodet.json').run({'input_1': bgr}, outputs)
    with torch.no_grad():
        maps = network(bgr)
    for values, scores, bins in zip(maps, expected[:3], expected[3:], strict=True):
        cells = values[0].flatten(1).T
        torch.testing.assert_close(cells[:, 0].sigmoid(), scores[0, :, 0], rtol=0, atol=1e-4)
        torch.testing.assert_close(cells[:, 1:], bins[0], rtol=0, atol=1e-4)
    assert max(float(scores[..., 0].max()) for scores in expected[:3]) > 0.3


def test_shipped_weights_give_the_stored_numbers(image):
    boxes, scores = NanoDet()(image)
    assert (scores[:-1] >= scores[1:]).all() and scores[-1] >= 0.3
    best = keep_separate(boxes.numpy(), scores.numpy(), 0.5)
    rows = sorted(best, key=lambda row: boxes[row, 1])
    torch.testing.assert_close(boxes[rows], torch.tensor(BOXES), rtol=0, atol=0.5)
    torch.testing.assert_close(scores[rows], torch.tensor(SCORES), rtol=0, atol=0.01)


def test_sides_lie_where_their_bins_expect_them():
    maps = [torch.full((1 + 4 * BINS, 32 // s * 3, 32 // s * 4), -9.0) for s in (8, 16, 32)]
    sure = 30.0
    middle = maps[1][:, 2, 3]  # stride 16, its cell's middle is 55.5, 39.5
    middle[0] = 2.0
    middle[1 + 0 * BINS + 2] = sure  # left: 2 strides
    middle[1 + 1 * BINS + 1] = middle[1 + 1 * BINS + 2] = sure  # above: 1.5
    middle[1 + 2 * BINS + 0] = sure  # right: 0
    middle[1 + 3 * BINS + 10] = sure  # below: 10
    fine = maps[0][:, 11, 0]  # stride 8: 3.5, 91.5; every bin alike: 5 strides to every side
    fine[0] = 3.0
    boxes, scores = decode_boxes(maps, least_score=0.5)
    expected = torch.tensor([[-36.5, 51.5, 43.5, 131.5], [23.5, 15.5, 55.5, 199.5]])
    torch.testing.assert_close(boxes, expected)
    torch.testing.assert_close(scores, torch.tensor([3.0, 2.0]).sigmoid())
    boxes, scores = decode_boxes(maps, least_score=0.99)
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_other_sizes_are_refused():
    with pytest.raises(ConfigError, match='416x400 px: NanoDet takes multiples of 32'):
        NanoDet(weights=None)(torch.zeros(1, 3, 400, 416))

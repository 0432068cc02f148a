# SPDX-License-Identifier: Apache-2.0
"""The hand landmark network: equal to the source graph, and well-behaved as a backbone."""

import os
from pathlib import Path

import pytest
import torch
from mmpose.registry import MODELS

from fastmetro_mm.models.backbones.hand_landmark import HandLandmark
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph

# on `drawn_image(224)`, float32 on a CPU
PRESENCE = 0.02926
LANDMARKS = [  # wrist, index finger's and little finger's tip
    [101.748, 167.762, 0.0],
    [125.871, 77.451, 4.683],
    [85.564, 84.794, 4.510],
]


def drawn_image(size: int) -> torch.Tensor:
    """Edges of every direction, 0 to 1 (1, 3, H, W)."""
    rows = torch.arange(size).view(-1, 1)
    columns = torch.arange(size).view(1, -1)
    planes = [rows * columns // 61, (rows - columns) ** 2 // 53, (rows + 2 * columns) * 3]
    return torch.stack(planes).remainder(256).float()[None] / 255


def test_equals_the_source_graph():
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    source = Path(os.environ['FREE_MODEL_SOURCE'])
    network = HandLandmark().eval()
    network.net.load_state_dict(convert('hand_landmark', source))
    image = drawn_image(224)
    graph = TfjsGraph(source / 'handlandmark-full.json')
    names = {
        'landmarks': 'Identity',
        'presence': 'Identity_1',
        'handedness': 'Identity_2',
        'world_landmarks': 'Identity_3',
    }
    expected = graph.run({'input_1': image.permute(0, 2, 3, 1)}, list(names.values()))
    found = network.landmarks(image)
    for name, value in zip(names, expected, strict=True):
        torch.testing.assert_close(
            found[name].flatten(), value.flatten(), rtol=1e-5, atol=1e-4, msg=name
        )


def test_shipped_weights_give_the_stored_numbers():
    network = HandLandmark(weights='hand_landmark').eval()
    network.init_weights()
    found = network.landmarks(drawn_image(224))
    assert found['presence'].item() == pytest.approx(PRESENCE, abs=1e-4)
    torch.testing.assert_close(
        found['landmarks'][0, [0, 8, 20]], torch.tensor(LANDMARKS), rtol=0, atol=0.01
    )


def test_backbone_gives_deep_and_middle_maps_on_one_grid():
    backbone = MODELS.build(dict(type='HandLandmark')).eval()
    image = drawn_image(64)
    with torch.no_grad():
        middle, deep = backbone.net.maps(image)
        (grid,) = backbone(image)
    assert grid.shape == (1, backbone.out_channels, 2, 2) and backbone.out_channels == 1600
    torch.testing.assert_close(grid[:, :1152], deep)
    torch.testing.assert_close(grid[0, 1152 + 4 * 5 + 2 * 1 + 0, 0, 1], middle[0, 5, 1, 2])
    assert HandLandmark(parts=['deep'])(image)[0].shape[1] == 1152


def test_frozen_network_gives_no_gradients_and_others_some():
    assert not HandLandmark(frozen_stages=16)(drawn_image(64))[0].requires_grad
    partly = HandLandmark(frozen_stages=3)
    partly(drawn_image(64))[0].sum().backward()
    assert partly.net.blocks[2].project.weight.grad is None
    assert partly.net.blocks[3].project.weight.grad is not None


def test_odd_sizes_and_unknown_parts_are_refused():
    with pytest.raises(ValueError, match=r'100x100 px.*multiples of 32'):
        HandLandmark()(drawn_image(100))
    with pytest.raises(ValueError, match=r'expected some of.*deep'):
        HandLandmark(parts=['deeper'])

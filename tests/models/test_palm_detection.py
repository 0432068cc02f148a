# SPDX-License-Identifier: Apache-2.0
"""The palm detector: equal to the source graph; boxes and keypoints in pixels."""

import os
from pathlib import Path

import pytest
import torch

from fastmetro_mm.models.palm_detection import PalmDetection, PalmNet
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph


def test_equals_the_source_graph():
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    source = Path(os.environ['FREE_MODEL_SOURCE'])
    network = PalmNet().eval()
    network.load_state_dict(convert('palm_detection', source))
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    graph = TfjsGraph(source / 'handdetect.json')
    (expected,) = graph.run({'input': image.permute(0, 2, 3, 1)}, ['Identity'])
    with torch.no_grad():
        logits, values = network(image)
    # the scale of the transposed convolutions is folded and rounded to half precision
    torch.testing.assert_close(logits, expected[..., 0], rtol=1e-3, atol=5e-3)
    torch.testing.assert_close(logits.sigmoid(), expected[..., 0].sigmoid(), rtol=0, atol=1e-4)
    torch.testing.assert_close(values, expected[..., 1:], rtol=1e-3, atol=0.01)


def test_decodes_from_the_middle_of_each_cell():
    network = PalmDetection(weights=None)

    class Fixed(torch.nn.Module):
        def forward(self, x):
            logits = torch.full((1, 2944), -9.0)
            values = torch.zeros(1, 2944, 18)
            # the second anchor of row 3, column 5 at stride 16; the first one at stride 8
            for anchor, logit in ((2048 + 2 * (3 * 16 + 5) + 1, 2.0), (0, 1.0)):
                logits[0, anchor] = logit
                values[0, anchor, :4] = torch.tensor([2.0, -4.0, 30.0, 20.0])
                values[0, anchor, 4:6] = torch.tensor([1.0, 3.0])
            return logits, values

    network.net = Fixed()
    boxes, keypoints, scores = network(torch.zeros(1, 3, 256, 256))
    expected = torch.tensor([[75.0, 42.0, 105.0, 62.0], [-9.0, -10.0, 21.0, 10.0]])
    torch.testing.assert_close(boxes, expected)
    torch.testing.assert_close(keypoints[:, 0], torch.tensor([[89.0, 59.0], [5.0, 7.0]]))
    torch.testing.assert_close(keypoints[0, 1], torch.tensor([88.0, 56.0]))
    torch.testing.assert_close(scores, torch.tensor([2.0, 1.0]).sigmoid())

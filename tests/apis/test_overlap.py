# SPDX-License-Identifier: Apache-2.0
"""Overlap of boxes, and which of near doubles stay."""

import numpy as np
import pytest
import torch

from fastmetro_mm.apis.overlap import keep_separate, pairwise_iou


def test_iou_of_known_boxes():
    first = np.array([[0, 0, 2, 2.0]])
    second = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 3, 3], [0, 0, 1, 1.0]])
    assert pairwise_iou(first, second)[0] == pytest.approx([1, 1 / 3, 0, 1 / 4])


def test_boxes_without_an_area_overlap_nothing():
    assert pairwise_iou([[1, 1, 1, 5]], [[1, 1, 1, 5], [0, 0, 9, 9]]).tolist() == [[0, 0]]
    assert pairwise_iou(np.empty((0, 4)), np.empty((3, 4))).shape == (0, 3)


def test_doubles_are_dropped():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [40, 0, 50, 10], [0, 0, 10, 5.0]])
    assert keep_separate(boxes, np.array([0.5, 0.9, 0.7, 0.6]), 0.6) == [1, 2, 3]
    assert keep_separate(np.empty((0, 4)), np.empty(0), 0.6) == []


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.6])
def test_both_agree_with_torchvision(threshold):
    ops = pytest.importorskip('torchvision.ops')
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 60, (80, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (80, 2))], axis=1)
    boxes, scores = boxes.astype(np.float32), rng.uniform(size=80).astype(np.float32)
    tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
    expected = ops.box_iou(tensors[0], tensors[0][:7]).numpy()
    assert pairwise_iou(boxes, boxes[:7]) == pytest.approx(expected, abs=1e-6)
    assert keep_separate(boxes, scores, threshold) == ops.nms(*tensors, threshold).tolist()

# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression: known answers worked out by hand."""

import numpy as np
import pytest
import torch

from fastmetro_mm.compat.nms import batched_nms, nms
from fastmetro_mm.compat.placeholders import FullMMCVRequiredError

# a: 10 x 10. b: shifted by 2, IoU 80/120. c: far away. d: shifted by 5, IoU with a 50/150.
BOXES = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [100, 100, 110, 110], [5, 0, 15, 10]])
SCORES = torch.tensor([0.8, 0.9, 0.3, 0.5])


def test_better_box_suppresses_and_result_is_sorted():
    dets, inds = nms(BOXES, SCORES, 0.5)
    # b first; a and d (IoU with b 7/13) go; c stays
    assert inds.tolist() == [1, 2]
    assert torch.equal(dets, torch.cat([BOXES[inds], SCORES[inds, None]], 1))
    assert nms(BOXES, SCORES, 0.6)[1].tolist() == [1, 3, 2]
    assert nms(BOXES, SCORES, 0.7)[1].tolist() == [1, 0, 3, 2]


def test_iou_equal_to_the_threshold_stays():
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]])
    assert nms(boxes, torch.tensor([1.0, 0.5]), 0.5)[1].tolist() == [0, 1]


def test_offset_counts_pixels():
    # widths 2 and 2, overlap 1: IoU 1/3; counted in pixels 3, 3 and 2: IoU 6/12
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2]])
    scores = torch.tensor([1.0, 0.5])
    assert nms(boxes, scores, 0.4)[1].tolist() == [0, 1]
    dets, inds = nms(boxes, scores, 0.4, offset=1)
    assert inds.tolist() == [0]
    assert dets.tolist() == [[0, 0, 2, 2, 1]]


def test_score_threshold_and_max_num_keep_input_indices():
    assert nms(BOXES, SCORES, 0.7, score_threshold=0.5)[1].tolist() == [1, 0]
    assert nms(BOXES, SCORES, 0.7, max_num=3)[1].tolist() == [1, 0, 3]


def test_numpy_in_numpy_out():
    dets, inds = nms(BOXES.numpy(), SCORES.numpy(), 0.5)
    assert isinstance(dets, np.ndarray) and isinstance(inds, np.ndarray)
    assert inds.tolist() == [1, 2]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r'boxes \(N, 4\)'):
        nms(torch.zeros(3, 5), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match='offset must be 0 or 1'):
        nms(BOXES, SCORES, 0.5, offset=2)


@pytest.mark.parametrize('split_thr', [10000, 2])
def test_classes_do_not_suppress_each_other(split_thr):
    classes = torch.tensor([0, 1, 0, 1])
    dets, keep = batched_nms(
        BOXES, SCORES, classes, dict(type='nms', iou_threshold=0.5, split_thr=split_thr)
    )
    # b suppresses d (same class), not a
    assert keep.tolist() == [1, 0, 2]
    assert torch.equal(dets, torch.cat([BOXES[keep], SCORES[keep, None]], 1))


def test_options_of_batched_nms():
    classes = torch.tensor([0, 1, 0, 1])
    config = dict(type='nms', iou_threshold=0.5, class_agnostic=True)
    assert batched_nms(BOXES, SCORES, classes, config)[1].tolist() == [1, 2]
    assert config == dict(type='nms', iou_threshold=0.5, class_agnostic=True)
    config = dict(iou_threshold=0.5, max_num=2, score_threshold=0.4, split_thr=2)
    assert batched_nms(BOXES, SCORES, classes, config)[1].tolist() == [1, 0]
    assert batched_nms(BOXES, SCORES, classes, None)[1].tolist() == [1, 0, 3, 2]


def test_no_boxes():
    empty = torch.zeros(0, 4)
    dets, keep = batched_nms(empty, torch.zeros(0), torch.zeros(0), dict(iou_threshold=0.5))
    assert dets.shape == (0, 5) and keep.shape == (0,) and keep.dtype == torch.long


def test_other_kinds_need_full_mmcv():
    with pytest.raises(FullMMCVRequiredError, match='soft_nms'):
        batched_nms(BOXES, SCORES, torch.zeros(4), dict(type='soft_nms', iou_threshold=0.5))
    with pytest.raises(FullMMCVRequiredError, match='nms_rotated'):
        batched_nms(torch.zeros(4, 5), SCORES, torch.zeros(4), dict(iou_threshold=0.5))

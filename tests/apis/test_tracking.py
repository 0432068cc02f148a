# SPDX-License-Identifier: Apache-2.0
"""Numbers of people stay with them."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.sparse_detection import carried_boxes
from fastmetro_mm.apis.tracking import BoxTracker


def box(x, y=0.0, width=40.0, height=100.0, is_right=None, track_id=None):
    return PersonBox(np.array([x, y, x + width, y + height]), is_right=is_right, track_id=track_id)


@pytest.mark.parametrize('gone', [set(), set(range(18, 23))])
def test_two_people_cross(gone):
    """They walk through each other; in the second run one is hidden while they do."""
    tracker, rng = BoxTracker(), np.random.default_rng(0)
    for frame in range(40):
        jitter = rng.normal(0, 1.0, 4)
        boxes = [
            box(10 + 5 * frame + jitter[0], jitter[1]),
            box(210 - 5 * frame + jitter[2], 10 + jitter[3]),
        ]
        if frame % 2:
            boxes.reverse()
        expected = [2, 1] if frame % 2 else [1, 2]
        if frame in gone:
            boxes, expected = ([boxes[1]], [1]) if frame % 2 else ([boxes[0]], [1])
        assert [found.track_id for found in tracker.update(boxes)] == expected


def test_new_people_get_new_numbers_and_old_ones_are_forgotten():
    tracker = BoxTracker(max_unseen=2)
    assert tracker.update([box(0)])[0].track_id == 1
    assert tracker.update([box(500)])[0].track_id == 2
    for _ in range(4):
        tracker.update([])
    assert tracker.update([box(0)])[0].track_id == 3


def test_left_and_right_hands_do_not_mix():
    tracker = BoxTracker()
    tracker.update([box(0, is_right=True), box(4, is_right=False)])
    found = tracker.update([box(2, is_right=False), box(3, is_right=True)])
    assert [hand.track_id for hand in found] == [2, 1]


def test_given_and_automatic_numbers_never_meet():
    tracker = BoxTracker()
    assert [b.track_id for b in tracker.update([box(0, track_id=1), box(500)])] == [1, 2]
    tracker = BoxTracker(reserved=[2, 3])
    assert [b.track_id for b in tracker.update([box(0), box(500)])] == [1, 4]
    # a number nobody reserved goes to the one it was given to
    tracker = BoxTracker()
    tracker.update([box(0)])
    found = tracker.update([box(2), box(500, track_id=1)])
    assert found[1].track_id == 1 and found[0].track_id == 2
    assert tracker.update([box(4)])[0].track_id == 2


def walk(every, is_live, width=500):
    """One who walks 8 pixels a frame, another who is gone from frame 6 on; looks of a detector."""
    looked = []

    def find(image):
        number = image.index
        looked.append(number)
        return [box(8 * number), *([box(400)] if number < 6 else [])]

    tracker = BoxTracker(stride=every)
    images = [SimpleNamespace(index=number, size=(width, 500)) for number in range(14)]
    found = carried_boxes(images, find, tracker, every, is_live)
    return [(image.index, boxes) for image, boxes in found], looked


def test_boxes_between_two_looks_lie_on_the_way():
    frames, looked = walk(4, is_live=False)
    assert looked == [0, 4, 8, 12, 13] and [number for number, _ in frames] == list(range(14))
    for number, boxes in frames:
        first = boxes[0]
        assert first.track_id == 1 and first.bbox == pytest.approx(box(8 * number).bbox)
    # gone at the look of frame 8: the first half of the way since that of frame 4
    assert [len(boxes) for _, boxes in frames] == [2] * 7 + [1] * 7


def test_cameras_do_not_wait_for_the_next_look():
    frames, looked = walk(4, is_live=True)
    assert looked == [0, 4, 8, 12]
    for number, boxes in frames:
        assert boxes[0].track_id == 1
        # the velocity is known from the second look on
        expected = 8 * number if number >= 4 else 0
        assert boxes[0].bbox == pytest.approx(box(expected).bbox)
    assert len(frames[7][1]) == 2 and len(frames[8][1]) == 1


def test_who_walks_out_of_a_camera_s_image_is_gone():
    frames = dict(walk(4, is_live=True, width=100)[0])
    assert [part.bbox[0] for part in frames[11]] == [88] and frames[13] == []  # would be at 104


def test_a_look_in_every_frame_is_plain_tracking():
    frames, looked = walk(1, is_live=False)
    assert looked == list(range(14)) and all(boxes[0].track_id == 1 for _, boxes in frames)

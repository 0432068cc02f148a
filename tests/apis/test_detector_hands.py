# SPDX-License-Identifier: Apache-2.0
"""The hand detector inside the package: real hands of known side, and its geometry."""

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector_hands import (
    CROP,
    FreeHandDetector,
    hand_windows,
    is_too_large,
    landmark_boxes,
    upright_crops,
)

# rough boxes of the right hands in the FreiHAND samples, read off by eye
SAMPLES = {1: [62, 70, 176, 164], 2: [75, 45, 158, 178], 3: [65, 55, 182, 165]}


@pytest.fixture(scope='module')
def detector():
    """The detector."""
    return FreeHandDetector()


@pytest.mark.parametrize('number', SAMPLES)
def test_real_hands_are_found_and_their_side_is_known(detector, shared_dir, number):
    path = shared_dir / 'data' / 'images' / f'freihand_sample{number}.jpg'
    image = cv2.imread(str(path))[..., ::-1].copy()
    (right,) = detector(image)
    assert right.is_right is True and right.keypoints.shape == (21, 3)
    assert right.bbox == pytest.approx(SAMPLES[number], abs=16)
    (left,) = detector(image[:, ::-1].copy())
    assert left.is_right is False


def test_no_hand_where_none_is(detector):
    for size in ((100, 150), (2, 1500), (1500, 1), (1, 1)):
        assert detector(np.full((*size, 3), 120, np.uint8)) == []


def test_crops_have_the_fingers_up():
    # a palm that points to the right: wrist at (10, 50), knuckle at (30, 50)
    keypoints = np.zeros((1, 7, 2))
    keypoints[0, 0], keypoints[0, 2] = [10, 50], [30, 50]
    (to_image,) = upright_crops(np.array([[10, 40, 30, 60.0]]), keypoints)
    middle = to_image @ [CROP / 2, CROP / 2, 1]
    assert middle == pytest.approx([30, 50])  # half a palm towards the fingers
    assert to_image @ [CROP / 2, 0, 1] == pytest.approx([30 + 26, 50])  # up is right
    assert to_image @ [CROP, CROP / 2, 1] == pytest.approx([30, 50 + 26])


def test_windows_lie_beyond_the_wrists_that_are_seen():
    keypoints = np.zeros((17, 3))
    keypoints[7], keypoints[9] = [100, 100, 0.9], [150, 100, 0.9]
    keypoints[8], keypoints[10] = [10, 10, 0.9], [20, 20, 0.1]
    ((left, top, side),) = hand_windows(
        PersonBox(np.array([0, 0, 100, 200.0]), keypoints=keypoints)
    )
    assert side == 80  # 1.6 forearms
    assert (left + side / 2, top + side / 2) == (165, 100)


def test_boxes_hold_flesh_around_the_landmarks_and_the_end_of_the_forearm():
    places = np.full((1, 21, 2), 50.0)
    places[0, 0], places[0, 9], places[0, 12] = [50, 100], [50, 50], [50, 0]
    # from the finger's tip to 0.3 palms below the wrist, and 0.04 of that on every side
    assert landmark_boxes(places) == pytest.approx(np.array([[45.4, -4.6, 54.6, 119.6]]))


def test_a_crouching_person_is_no_hand():
    person = PersonBox(np.array([0, 0, 100, 200.0]))
    assert is_too_large(PersonBox(np.array([10, 40, 90, 160.0])), person)
    assert not is_too_large(PersonBox(np.array([10, 40, 40, 80.0])), person)
    assert not is_too_large(PersonBox(np.array([150, 0, 300, 200.0])), person)


def test_networks_for_hands_use_it(hand_config, shared_dir):
    (frame,) = MeshInferencer(hand_config)(shared_dir / 'data/images/freihand_sample3.jpg')
    (hand,) = frame.people
    assert hand.is_right is True and hand.bbox == pytest.approx(SAMPLES[3], abs=16)
    assert hand.detected_keypoints.shape == (21, 3)

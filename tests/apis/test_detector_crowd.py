# SPDX-License-Identifier: Apache-2.0
"""NanoDet's boxes join MultiPose's people where nobody was found, with keypoints if there are."""

import numpy as np
import pytest
import torch

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector_crowd import CrowdDetector
from fastmetro_mm.apis.detector_hands import hand_windows
from fastmetro_mm.apis.found_people import FoundPeople
from fastmetro_mm.apis.letterbox import letterbox
from fastmetro_mm.apis.overlap import shared_parts

IMAGE = np.zeros((400, 600, 3), np.uint8)


def people(*boxes: list[float], score: float = 0.6) -> FoundPeople:
    """People whose sure keypoints lie on the diagonals of their boxes."""
    corners = np.array(boxes, float).reshape(-1, 4)
    steps = np.linspace(0.1, 0.9, 17)[:, None]
    places = corners[:, None, :2] + steps * (corners[:, None, 2:] - corners[:, None, :2])
    keypoints = np.concatenate([places, np.full((len(corners), 17, 1), 0.9)], axis=2)
    return FoundPeople(corners, keypoints, np.full(len(corners), score))


class Look:
    """Stands for MultiPose: everybody of a list who lies wholly in the part that is looked at."""

    def __init__(self, *boxes: list[float]) -> None:
        self.everybody, self.crops = people(*boxes, score=0.4), []

    def __call__(self, crop: np.ndarray, size: int) -> FoundPeople:
        # IMAGE tells by its strides where the crop lies
        offset = crop.__array_interface__['data'][0] - IMAGE.__array_interface__['data'][0]
        top, left = divmod(offset // 3, IMAGE.shape[1])
        self.crops.append((left, top, left + crop.shape[1], top + crop.shape[0]))
        boxes = self.everybody.boxes - np.tile([left, top], 2)
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= crop.shape[1::-1]).all(1)
        keypoints = self.everybody.keypoints - [left, top, 0]
        return FoundPeople(boxes, keypoints, self.everybody.scores).of(inside)


def added(look: Look, found: FoundPeople, *outlines: tuple) -> FoundPeople:
    """The people after outlines (x1, y1, x2, y2, score) were seen."""
    crowds = CrowdDetector(torch.device('cpu'), look)
    rows = np.array(outlines, float).reshape(-1, 5)
    crowds.outlines = lambda image, longer: (rows[:, :4], rows[:, 4])
    return crowds(IMAGE, found)


def test_people_who_are_known_are_left_as_they_are():
    found, look = people([100, 100, 200, 300]), Look()
    after = added(look, found, (104, 98, 203, 296, 0.9))
    assert look.crops == [] and len(after.scores) == 1
    assert np.array_equal(after.boxes, found.boxes)
    assert np.array_equal(after.keypoints, found.keypoints)


def test_an_outline_gets_the_keypoints_and_the_box_of_whom_a_close_look_sees():
    seen, neighbour = [302, 98, 344, 202], [360, 90, 390, 200]
    look = Look(neighbour, seen)
    found = people([100, 100, 200, 300])
    after = added(look, found, (300, 100, 340, 200, 0.35), (301, 101, 341, 199, 0.3))
    assert look.crops == [(195, 25, 445, 275)]  # once for both: 2.5 times 100 around 320, 150
    assert after.boxes.tolist() == [[100, 100, 200, 300], seen]
    np.testing.assert_allclose(after.keypoints[1], look.everybody.keypoints[1])
    assert after.scores.tolist() == [0.6, 0.4]


def test_an_outline_alone_stays_if_it_is_sure_and_no_part_of_anybody():
    found = people([100, 100, 200, 300])
    sure, unsure = (400, 50, 440, 150, 0.7), (500, 50, 540, 150, 0.45)
    part, beside = (110, 100, 160, 180, 0.9), (170, 150, 230, 300, 0.52)
    after = added(Look(), found, part, sure, beside, unsure)
    assert after.boxes.tolist() == [[100, 100, 200, 300], list(sure[:4]), list(beside[:4])]
    np.testing.assert_allclose(after.scores, [0.6, 0.35, 0.26])
    assert not after.keypoints[1:].any()


def test_the_image_is_looked_at_finer_and_whole_where_nobody_was_seen():
    crowds = CrowdDetector(torch.device('cpu'), Look())
    sizes = []

    def outlines(image, longer):
        sizes.append(longer)
        return np.zeros((0, 4)), np.zeros(0)

    crowds.outlines = outlines
    assert len(crowds(IMAGE, people()).scores) == 0
    assert len(crowds(IMAGE, people([100, 100, 200, 300])).scores) == 1
    crowds(np.zeros((900, 2000, 3), np.uint8), people([100, 100, 200, 300]))
    crowds(np.zeros((90, 120, 3), np.uint8), people())
    assert sizes == [416, 780, 780, 1536, 416]


def test_outlines_come_back_in_pixels_of_the_image(monkeypatch):
    crowds = CrowdDetector(torch.device('cpu'), Look())

    class Net(torch.nn.Module):
        def forward(self, x, least_score):
            assert x.shape == (1, 3, 288, 416)  # 600 x 400 at 416: 416 x 277
            boxes = torch.tensor([[208.0, 138.5, 416.0, 288.0], [5.0, 5.0, 6.0, 50.0]])
            return boxes, torch.tensor([0.8, 0.7])

    crowds._network = Net()
    boxes, scores = crowds.outlines(IMAGE, 416)
    np.testing.assert_allclose(boxes, [[300, 200, 600, 400]], atol=1e-3)  # and not the sliver
    np.testing.assert_allclose(scores, [0.8])


@pytest.mark.parametrize(('shape', 'longer'), [((100, 300), 416), ((700, 500), 256), ((1, 1), 64)])
def test_letterbox_goes_there_and_back(shape, longer):
    image = np.full((*shape, 3), (10, 20, 30), np.uint8)
    height, width = shape
    image[height // 2 :, width // 2 :] = 250
    canvas, back = letterbox(image, longer, (10, 20, 30), (1, 2, 4))
    assert canvas.shape[2] % 32 == canvas.shape[3] % 32 == 0
    bright = torch.nonzero(canvas[0, 0] > 120).numpy()[:, ::-1]
    np.testing.assert_allclose(bright.min(0) * back, [width // 2, height // 2], atol=back.max())
    np.testing.assert_allclose((bright.max(0) + 1) * back, [width, height], atol=1e-3)
    assert canvas[0, :, -1, -1].tolist() == ([0, 0, 0] if shape != (1, 1) else [240, 115, 55])


def test_a_part_is_measured_by_its_own_area():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 20], [3, 3, 3, 9.0]])
    shares = shared_parts(boxes, boxes[:2])
    np.testing.assert_allclose(shares, [[1, 0.5], [0.25, 1], [0, 0]])


def test_keypoints_of_zeros_point_to_no_hands():
    alone = PersonBox(np.array([10, 10, 60, 150.0]), 0.3, keypoints=np.zeros((17, 3)))
    assert hand_windows(alone) == []

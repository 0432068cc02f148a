# SPDX-License-Identifier: Apache-2.0
"""The person detector inside the package: on an image with known boxes, and its way to results."""

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis import MeshInferencer, load_npz, people_finding
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.detector_free import FreeDetector
from fastmetro_mm.apis.found_people import FoundPeople, person_boxes, separate
from fastmetro_mm.apis.overlap import pairwise_iou

# boxes of the three meshes in the test image, as they were drawn
MESH_BOXES = 0.6 * np.array(
    [
        [109.50, 82.39, 131.32, 173.21],
        [163.13, 111.02, 247.03, 295.36],
        [26.61, 180.06, 138.76, 456.45],
    ]
)


@pytest.fixture(scope='module')
def path(repo_dir):
    """A synthetic image of three people, 384 x 288."""
    return repo_dir / 'tests' / 'data' / 'free_model' / 'several_people.jpg'


@pytest.fixture(scope='module')
def image(path):
    """Its pixels, RGB."""
    return cv2.imread(str(path))[..., ::-1].copy()


@pytest.fixture(scope='module')
def detector():
    """The detector."""
    return FreeDetector()


def test_finds_each_person_once_in_the_box_of_the_mesh(detector, image):
    people = detector(image)
    assert len(people) == 3
    overlaps = pairwise_iou(np.array([person.bbox for person in people]), MESH_BOXES)
    assert sorted(overlaps.argmax(axis=1)) == [0, 1, 2] and (overlaps.max(axis=1) > 0.75).all()
    scores = [person.score for person in people]
    assert scores == sorted(scores, reverse=True)
    nearest = people[int(overlaps[:, 2].argmax())]
    x1, y1, x2, y2 = nearest.bbox
    inside = (nearest.keypoints[:, :2] > [x1, y1]) & (nearest.keypoints[:, :2] < [x2, y2])
    assert inside.all() and nearest.keypoints.shape == (17, 3)
    assert nearest.keypoints[0, 1] < nearest.keypoints[11, 1] < nearest.keypoints[15, 1]


def test_small_people_of_a_large_image_are_found_in_another_look(detector, image, monkeypatch):
    large = np.full((900, 1200, 3), 128, np.uint8)
    large[500:644, 700:892] = cv2.resize(image, (192, 144), interpolation=cv2.INTER_AREA)
    sizes = []
    look = detector.look
    monkeypatch.setattr(detector, 'look', lambda crop, size: sizes.append(size) or look(crop, size))
    people = detector(large)
    assert sizes == [256, 384, 768, 1536]
    expected = MESH_BOXES / 2 + [700, 500, 700, 500]
    overlaps = pairwise_iou(expected, np.array([person.bbox for person in people]))
    assert (overlaps.max(axis=1) > 0.5).all()


def test_a_crowd_is_found_whole(detector, image, monkeypatch):
    small = cv2.resize(image, (192, 144), interpolation=cv2.INTER_AREA)
    crowd = np.tile(small, (3, 3, 1))  # 27 people of 27 to 83 pixels
    corners = [(192 * column, 144 * row) for row in range(3) for column in range(3)]
    true = np.concatenate([MESH_BOXES / 2 + np.tile(corner, 2) for corner in corners])

    alone = []
    crowds = detector.crowds
    monkeypatch.setattr(
        detector, 'crowds', lambda image, found: alone.append(found) or crowds(image, found)
    )
    people = detector(crowd)
    overlaps = pairwise_iou(true, np.array([person.bbox for person in people]))
    assert (overlaps.max(axis=0) > 0.5).all()  # nobody who is not there
    overlaps_alone = pairwise_iou(true, person_boxes(alone[0]))
    everybody, before = ((rows.max(axis=1) > 0.5).sum() for rows in (overlaps, overlaps_alone))
    assert before < everybody and everybody >= 25


def test_no_more_than_asked_for_are_given(image):
    best = FreeDetector(max_people=2)(image)
    assert len(best) == 2 and best[0].score >= best[1].score > 0.5


def test_somebody_who_fills_the_image_costs_two_looks(detector, image, monkeypatch):
    monkeypatch.setattr(detector, 'crowds', None)  # would fail
    assert len(detector(image[100:, :100])) == 1


def test_nobody_is_found_where_nobody_is(detector):
    for shape in ((200, 300, 3), (1, 1, 3), (40, 2000, 3)):
        assert detector(np.full(shape, 90, np.uint8)) == []


def found(*people: tuple) -> FoundPeople:
    """People from boxes, scores and the shift of keypoints that stand on the first box."""
    boxes, scores, shifts = zip(*people, strict=True)
    first = np.array(boxes[0], float)
    steps = np.linspace(0.05, 0.95, 17)[:, None]
    places = first[:2] + steps * (first[2:] - first[:2])
    keypoints = np.array([np.column_stack([places + shift, np.full(17, 0.9)]) for shift in shifts])
    return FoundPeople(np.array(boxes, float), keypoints, np.array(scores))


def test_doubles_and_parts_go_and_neighbours_stay():
    whole, again, part = [0, 0, 100, 200], [4, 2, 101, 196], [0, 0, 100, 90]
    neighbour = [40, 0, 140, 200]
    people = separate(
        found((whole, 0.5, 0), (again, 0.6, 1), (part, 0.4, 0.5), (neighbour, 0.3, 40))
    )
    assert people.boxes.tolist() == [again, neighbour]
    assert people.scores.tolist() == [0.6, 0.3]


def test_boxes_reach_to_sure_keypoints():
    people = found(([10, 10, 30, 50], 0.5, 0))
    people.keypoints[0, 3] = [8, 60, 0.9]
    people.keypoints[0, 4] = [90, 5, 0.1]
    assert person_boxes(people).tolist() == [[8, 10, 30, 60]]


def test_it_is_the_default_and_its_keypoints_reach_the_files(weights_file, path, tmp_path):
    inferencer = MeshInferencer('quickstart', weights_file)
    (frame,) = inferencer(path)
    assert len(frame.people) == 3
    overlaps = pairwise_iou(np.array([person.bbox for person in frame.people]), MESH_BOXES)
    assert (overlaps.max(axis=0) > 0.75).all()
    back = load_npz(frame.save_npz(tmp_path / 'people.npz'))
    for person, loaded in zip(frame.people, back.people, strict=True):
        assert person.detected_keypoints.shape == (17, 3)
        assert np.array_equal(loaded.detected_keypoints, person.detected_keypoints)
    assert len(frame.to_dict()['people'][0]['detected_keypoints']) == 17
    (frame,) = inferencer(path, bboxes=[MESH_BOXES[0]])
    assert frame.people[0].detected_keypoints is None


def test_that_nobody_was_found_is_said(weights_file, monkeypatch):
    said = []
    monkeypatch.setattr(people_finding, 'notice', said.append)
    (frame,) = MeshInferencer('quickstart', weights_file)(np.full((99, 120, 3), 90, np.uint8))
    assert frame.people == [] and 'found nobody' in said[0] and '--detector none' in said[0]


def test_a_reduced_image_gives_full_pixels():
    keypoints = np.arange(51.0).reshape(17, 3)
    box = PersonBox(np.array([1, 2, 3, 4.0]), 0.5, keypoints=keypoints)
    scaled = box.scaled(np.array([2.0, 3.0]))
    assert scaled.bbox.tolist() == [2, 6, 6, 12] and scaled.score == 0.5
    assert np.array_equal(scaled.keypoints, keypoints * [2, 3, 1])

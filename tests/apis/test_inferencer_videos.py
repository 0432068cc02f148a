# SPDX-License-Identifier: Apache-2.0
"""Videos: numbers that last, detectors that look now and then, stages that overlap."""

import itertools
import threading

import numpy as np
import pytest

from fastmetro_mm.apis import MeshInferencer, mesh_inferencer, stages
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.errors import InputError
from tests.apis.conftest import BOX


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """40 frames, two boxes that cross; and the boxes, left walker first on even frames."""
    path = tmp_path_factory.mktemp('video') / 'crossing.mp4'
    boxes = {}
    with VideoWriter(path, 20) as writer:
        for frame in range(40):
            image = np.full((120, 320, 3), 90, np.uint8)
            both = [
                [10 + 6 * frame, 20, 40 + 6 * frame, 100],
                [270 - 6 * frame, 30, 300 - 6 * frame, 110],
            ]
            for (x1, y1, x2, y2), color in zip(both, ((220, 60, 40), (40, 80, 220)), strict=True):
                image[y1:y2, x1:x2] = color
            writer.write(image)
            boxes[frame] = both[::-1] if frame % 2 else both
    return path, boxes


def test_ids_are_stable_while_two_people_cross(inferencer, clip):
    path, boxes = clip
    frames = list(inferencer(path, bboxes=boxes, batch_size=7, keep_images=False))
    assert [frame.frame_index for frame in frames] == list(range(40))
    for frame in frames:
        ids = [person.track_id for person in frame.people]
        assert ids == ([2, 1] if frame.frame_index % 2 else [1, 2])
        assert frame.image is None
    untracked = next(inferencer(path, bboxes=boxes, track=False))
    assert untracked.people[0].track_id is None


class ColorDetector:
    """Finds the two walkers of the clip by their colours, in no order; counts its looks."""

    def __init__(self):
        self.looks = 0

    def __call__(self, image):
        self.looks += 1
        found = []
        for channel in (0, 2)[:: 1 if self.looks % 2 else -1]:
            colors = image.astype(int)
            ys, xs = np.nonzero(colors[..., channel] > colors[..., 2 - channel] + 80)
            if len(xs) > 50:
                found.append(PersonBox([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], 0.9))
        return found


def test_detector_in_every_fifth_frame(weights_file, clip):
    """Both keep their numbers while they cross; boxes between the looks lie where they walk."""
    path, truth = clip
    every, sparse = ColorDetector(), ColorDetector()
    both = [
        list(MeshInferencer('quickstart', weights_file, detector=detector)(
            path, detect_every=step, keep_images=False))
        for detector, step in ((every, 1), (sparse, 5))
    ]  # fmt: skip
    assert every.looks == 40 and sparse.looks == 9  # frames 0, 5 ... 35 and the last
    assert [len(frame.people) for frame in both[1]] == [2] * 40
    first = {bool(person.bbox[0] < 100): person.track_id for person in both[1][0].people}
    away = []
    for frame in both[1]:
        boxes = {person.track_id: person.bbox for person in frame.people}
        walked = 6 * frame.frame_index
        away.append(np.abs(boxes[first[True]] - [10 + walked, 20, 40 + walked, 100]).max())
        away.append(np.abs(boxes[first[False]] - [270 - walked, 30, 300 - walked, 110]).max())
    # while they hide each other (frames 17 to 26) half of a walker is seen
    assert np.max(away[: 2 * 15] + away[2 * 31 :]) < 4 and np.max(away) < 40
    with pytest.raises(InputError, match='needs a video, a detector'):
        MeshInferencer('quickstart', weights_file, detector=sparse)(path, truth, detect_every=5)
    with pytest.raises(InputError, match='whole number, 1 or more, got 0'):
        MeshInferencer('quickstart', weights_file, detector=sparse)(path, detect_every=0)


def test_smoothing_a_video(inferencer, clip):
    path, boxes = clip
    rough = list(itertools.islice(inferencer(path, bboxes=boxes), 12))
    calm = list(itertools.islice(inferencer(path, bboxes=boxes, smooth=True), 12))
    assert np.array_equal(rough[0].people[0].vertices, calm[0].people[0].vertices)
    assert not np.array_equal(rough[-1].people[0].vertices, calm[-1].people[0].vertices)
    with pytest.raises(InputError, match='needs a video'):
        inferencer([np.zeros((9, 9, 3), np.uint8)], smooth=True)


@pytest.mark.parametrize('cores', [2, 8])
def test_overlapping_stages_give_the_same_results(inferencer, clip, photo, monkeypatch, cores):
    monkeypatch.setattr(mesh_inferencer, 'cores', lambda: cores)
    path, boxes = clip
    one_by_one, at_once = (
        list(inferencer(path, bboxes=boxes, batch_size=8, overlap=overlap))
        for overlap in (False, True)
    )
    assert [frame.frame_index for frame in at_once] == list(range(40))
    for expected, found in zip(one_by_one, at_once, strict=True):
        for first, second in zip(expected.people, found.people, strict=True):
            assert np.abs(first.vertices - second.vertices).max() < 1e-5
            assert first.track_id == second.track_id
    errors: list[Exception] = []
    photos = [photo, 'missing.jpg', photo]
    given = dict(bboxes=[[BOX]] * 3, overlap=True)
    found = list(inferencer(photos, on_error=errors.append, **given))
    assert [frame.frame_index for frame in found] == [0, 2] and 'missing.jpg' in str(errors[0])
    results = inferencer(photos, batch_size=1, **given)
    assert next(results).frame_index == 0
    with pytest.raises(FileNotFoundError, match='missing'):
        next(results)


@pytest.mark.parametrize(('cores', 'alone'), [(1, True), (2, True), (3, False)])
def test_network_that_fills_the_cores_runs_alone(inferencer, clip, monkeypatch, cores, alone):
    monkeypatch.setattr(mesh_inferencer, 'cores', lambda: cores)
    path, boxes = clip
    run, seen = inferencer.run_crops, set()

    def run_crops(queue):
        here = threading.current_thread() is threading.main_thread()
        seen.add((here, not stages.PAUSE.is_on))
        run(queue)

    monkeypatch.setattr(inferencer, 'run_crops', run_crops)
    assert len(list(inferencer(path, bboxes=boxes, batch_size=8, overlap=True))) == 40
    assert seen == {(alone, not alone)}
    seen.clear()
    next(inferencer(path, bboxes=boxes, batch_size=8))
    assert seen == {(True, True)}


def test_boxes_for_frames_one_by_one_and_ids_that_were_given(inferencer, clip):
    path, boxes = clip
    listed = [boxes[number] for number in range(40)]
    frames = list(inferencer(path, bboxes=listed, keep_images=False))
    assert [len(frame.people) for frame in frames] == [2] * 40
    assert frames[7].people[0].bbox.tolist() == boxes[7][0]
    with pytest.raises(InputError, match='all of them in each, or one in each'):
        inferencer(path, bboxes=[pair[0] for pair in listed])
    given = {number: [dict(bbox=pair[0], track_id=1), pair[1]] for number, pair in boxes.items()}
    frames = list(inferencer(path, bboxes=given, keep_images=False))
    assert all(frame.people[0].track_id == 1 for frame in frames)
    assert all(frame.people[1].track_id != 1 for frame in frames)
    with pytest.raises(InputError, match='track_id 3 comes twice'):
        list(inferencer(path, bboxes=[dict(bbox=BOX, track_id=3), dict(bbox=BOX, track_id=3)]))


def test_boxes_nobody_asked_for_are_told(inferencer, photo, clip):
    with pytest.raises(InputError, match=r"1 of 2 keys fit no image or frame: 'other\.jpg'"):
        inferencer(photo, bboxes={photo.name: [BOX], 'other.jpg': [BOX]})
    errors = []
    frames = list(
        inferencer(clip[0], bboxes={0: [[5, 5, 90, 90]], 99: [BOX]}, on_error=errors.append)
    )
    assert len(frames) == 40 and "'99'" in str(errors[0])

# SPDX-License-Identifier: Apache-2.0
"""Looking for people in some frames of a video only; the tracker carries them in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.apis.tracking import BoxTracker

Frame = tuple[SourceImage, list[PersonBox]]


def carried_boxes(
    frames: Iterable[SourceImage],
    find: Callable[[SourceImage], Sequence[PersonBox]],
    tracker: BoxTracker,
    every: int,
    is_live: bool,
) -> Iterator[Frame]:
    """Boxes of every frame, of which each ``every``-th is looked at.

    In a file the frames between wait for the next look, and people who are seen in both get boxes
    on the straight way between; one who is gone by then stays for the first half of the way. A
    camera cannot wait: there people move on with the velocity that they had, and out of sight.

    Args:
        frames: The frames, in order.
        find: Looks for people in one.
        tracker: Numbers them; built with ``stride=every``.
        every: Frames from one look to the next.
        is_live: Whether frames come from a camera.

    Yields:
        Every frame with numbered boxes, in order.
    """
    waiting: list[SourceImage] = []
    before: list[PersonBox] = []
    for number, frame in enumerate(frames):
        if number % every:
            if is_live:
                moved = tracker.moved_on((number % every) / every)
                yield frame, [box for box in moved if _is_in_sight(box, frame)]
            else:
                waiting.append(frame)
            continue
        now = tracker.update(find(frame))
        yield from _between(waiting, before, now, every)
        yield frame, now
        waiting, before = [], now
    if waiting:  # the end of the video is looked at, too
        *waiting, last = waiting
        now = tracker.update(find(last))
        yield from _between(waiting, before, now, len(waiting) + 1)
        yield last, now


def _is_in_sight(box: PersonBox, frame: SourceImage) -> bool:
    x1, y1, x2, y2 = box.bbox
    return x2 > 0 and y2 > 0 and x1 < frame.size[0] and y1 < frame.size[1]


def _between(
    frames: Sequence[SourceImage],
    before: Sequence[PersonBox],
    after: Sequence[PersonBox],
    steps: int,
) -> Iterator[Frame]:
    later = {box.track_id: box for box in after}
    for step, frame in enumerate(frames, 1):
        share, boxes = step / steps, []
        for box in before:
            next_box = later.get(box.track_id)
            if next_box is not None:
                place = (1 - share) * box.bbox + share * next_box.bbox
                score = min(box.score, next_box.score)
                boxes.append(replace(box, bbox=place, score=score, keypoints=None))
            elif share <= 0.5:
                boxes.append(replace(box, keypoints=None))
        yield frame, boxes

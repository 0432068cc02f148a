# SPDX-License-Identifier: Apache-2.0
"""Batches across images: people of several images go through the network together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from fastmetro_mm.apis.crops import Crop, PendingImage
from fastmetro_mm.apis.guarding import ErrorHandler, guarded
from fastmetro_mm.apis.smoothing import MeshSmoother
from fastmetro_mm.structures.results import FrameResult


def in_batches(
    found: Iterator[PendingImage],
    run_crops: Callable[[Sequence[tuple[PendingImage, Crop]]], None],
    place: Callable[[PendingImage], FrameResult],
    gather: int,
    batch_size: int,
    on_error: ErrorHandler,
) -> Iterator[FrameResult]:
    """Run the network whenever enough people have gathered.

    Args:
        found: Images with the crops of their people.
        run_crops: Takes a batch through the network.
        place: Makes the result of an image that is complete.
        gather: People to wait for; 0 answers every image before the next.
        batch_size: People that go through the network at once.
        on_error: Called with the error of an image.

    Yields:
        Results, in the order of the images.
    """
    waiting: deque[PendingImage] = deque()
    queue: list[tuple[PendingImage, Crop]] = []

    def run() -> None:
        for start in range(0, len(queue), batch_size):
            run_crops(queue[start : start + batch_size])
        queue.clear()

    def complete(everything: bool) -> Iterator[FrameResult]:
        while waiting and (everything or waiting[0].is_complete):
            pending, result = waiting.popleft(), None
            with guarded(pending.image.where, on_error):
                result = place(pending)
            if result is not None:
                yield result

    for pending in found:
        waiting.append(pending)
        queue.extend((pending, crop) for crop in pending.crops)
        # Images without people must not pile up either.
        if len(queue) >= gather or len(waiting) >= 2 * batch_size:
            run()
        yield from complete(everything=False)
    run()
    yield from complete(everything=True)


def finished(
    results: Iterator[FrameResult], smoother: MeshSmoother | None, keep_images: bool
) -> Iterator[FrameResult]:
    """Results smoothed, and without their image where it is not to be kept."""
    for result in results:
        if smoother is not None:
            smoother.update(result)
        if not keep_images:
            result.image = None
        yield result

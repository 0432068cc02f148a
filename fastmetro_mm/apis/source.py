# SPDX-License-Identifier: Apache-2.0
"""What every kind of input becomes: images one after another, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fastmetro_mm.apis.image_reading import SourceImage


@dataclass
class Source:
    """Images of one input, read while they are used.

    Args:
        images: Yields them.
        name: The input as it was given, for messages; empty for arrays and bytes.
        names: The images' paths as far as they are known beforehand, None for arrays and bytes;
            empty for videos.
        is_video: Whether they are frames of one scene, so that people can be tracked.
        is_live: Whether each must be answered at once (webcam).
        in_list: Whether the user gave a list, so that boxes come as a list too.
        length: How many there are, None if unknown.
        fps: Frames a second of a video, on average; frames carry their own times.
        count: Counts the frames where ``length`` is unknown; takes as long as reading the file.
    """

    images: Iterator[SourceImage]
    name: str = ''
    names: list[str | None] = field(default_factory=list)
    is_video: bool = False
    is_live: bool = False
    in_list: bool = False
    length: int | None = None
    fps: float = 25.0
    count: Callable[[], int] | None = None

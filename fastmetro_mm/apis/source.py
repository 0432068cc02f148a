# SPDX-License-Identifier: Apache-2.0
"""What every kind of input becomes: images one after another, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fastmetro_mm.apis.image_reading import SourceImage


@dataclass
class Source:
    """Images of one input, read while they are used."""

    images: Iterator[SourceImage]  # yields them
    name: str = ''  # the input as it was given, for messages; empty for arrays and bytes
    # the images' paths as far as they are known beforehand, None for arrays and bytes; empty for
    # videos
    names: list[str | None] = field(default_factory=list)
    is_video: bool = False  # whether they are frames of one scene, so that people can be tracked
    is_live: bool = False  # whether each must be answered at once (webcam)
    in_list: bool = False  # whether the user gave a list, so that boxes come as a list too
    length: int | None = None  # how many there are, None if unknown
    fps: float = 25.0  # frames a second of a video, on average; frames carry their own times
    # counts the frames where ``length`` is unknown; takes as long as reading the file
    count: Callable[[], int] | None = None

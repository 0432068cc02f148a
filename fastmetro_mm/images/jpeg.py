# SPDX-License-Identifier: Apache-2.0
"""The segments of a JPEG file, walked one by one.

Markers must not be sought in the whole file: thumbnails inside of it, and the video that phones
append to "motion photos", hold markers of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START_OF_SCAN, _END_OF_IMAGE, _EXIF, _COMMENT = 0xDA, 0xD9, 0xE1, 0xFE
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Inside a scan 0xFF is followed by 0x00 (it is a data byte) or by a restart marker.
_AFTER_SCAN = re.compile(rb'\xff+[\x01-\xcf\xd8-\xfe]')


@dataclass(frozen=True)
class JpegHeader:
    """What the segments tell without decoding."""

    # width and height, pixels, before the EXIF orientation; None if there is no header
    size: tuple[int, int] | None
    components: int  # colour components: 1 grey, 3 colour, 4 CMYK
    exif: bytes | None  # content of the EXIF segment, beginning with ``Exif``, or None
    end: int | None  # where the end marker begins; None if the file is cut off before it


def read_header(data: bytes) -> JpegHeader:
    """Walk through all segments of the (first) image of a JPEG file.

    Args:
        data: The file; anything may follow the image.

    Returns:
        What was found.
    """
    size, components, exif, end = None, 0, None, None
    for marker, start, stop in _segments(data):
        if marker in _FRAME_HEADERS and size is None and stop - start >= 6:
            height = int.from_bytes(data[start + 1 : start + 3], 'big')
            width = int.from_bytes(data[start + 3 : start + 5], 'big')
            size, components = (width, height), data[start + 5]
        elif marker == _EXIF and exif is None and data[start : start + 6] == b'Exif\0\0':
            exif = data[start:stop]
        elif marker == _END_OF_IMAGE:
            end = start
    return JpegHeader(size, components, exif, end)


def with_comment(data: bytes, text: str) -> bytes:
    """The file with a comment segment behind its first segment.

    Args:
        data: A JPEG file.
        text: At most 60,000 characters of ASCII.

    Returns:
        The longer file.
    """
    _, _, stop = next(_segments(data))
    content = text.encode('ascii')
    segment = b'\xff\xfe' + (len(content) + 2).to_bytes(2, 'big') + content
    return data[:stop] + segment + data[stop:]


def comment(start: bytes) -> str:
    """The comment that :func:`with_comment` wrote.

    Args:
        start: The first bytes of the file, as far as the comment.

    Returns:
        The text; empty if there is none, or no JPEG.
    """
    if start[:2] == b'\xff\xd8':
        for marker, first, stop in _segments(start):
            if marker == _COMMENT:
                return start[first:stop].decode('ascii', 'replace')
    return ''


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's content; of the end marker, its own place twice."""
    place = 2
    while (place := data.find(b'\xff', place)) >= 0:
        first = place
        while data[place : place + 1] == b'\xff':
            place += 1
        if place >= len(data):
            return
        marker, place = data[place], place + 1
        if marker == _END_OF_IMAGE:
            yield marker, first, first
            return
        if marker in _WITHOUT_LENGTH:
            continue
        stop = place + int.from_bytes(data[place : place + 2], 'big')
        yield marker, place + 2, min(stop, len(data))
        place = stop
        if marker == _START_OF_SCAN:
            following = _AFTER_SCAN.search(data, stop)
            if following is None:
                return
            place = following.start()

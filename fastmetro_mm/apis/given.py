# SPDX-License-Identifier: Apache-2.0
"""Boxes or keypoints a user gives for one image, for many alike, or for each of many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.apis.boxes import PersonBox, shown
from fastmetro_mm.apis.image_names import ImageNames, number_of
from fastmetro_mm.apis.source import Source
from fastmetro_mm.errors import InputError, MissingFileError

BOX, KEYPOINTS = 1, 2
"""What one person has: a row of numbers, or an array of points."""

FORMS = 'a list with a list for each image, or a dict from image name or frame number to its list'


class Given:
    """What was given for the images of one or several inputs.

    Shapes say what is meant, and a shape that fits two meanings is refused: with d dimensions for
    one person, d + 1 are the people of one image (or of every image alike) and d + 2 hold an
    entry for each image. Keys of a dict are matched with the images as whole path, end of a path,
    name, stem or number, and those that match nothing are told.

    Args:
        value: Boxes or keypoints: of one person; a list of people; a list with a list for each
            image or frame; or a dict from name or number to one of these.
        dimensions: :data:`BOX` or :data:`KEYPOINTS`.
        name: What it is, or the file it came from, for messages.

    Raises:
        InputError: If the value has none of these forms; what is wrong with the people of one
            image is told when its turn comes.
    """

    def __init__(self, value: Any, dimensions: int = BOX, name: str = 'boxes') -> None:
        self.name = name
        self.dimensions = dimensions
        self._used: set[Any] = set()
        self._by_key = isinstance(value, Mapping) and 'bbox' not in value
        self._value = value
        if not self._by_key:
            self.depth(value, name)

    def for_source(self, source: Source) -> GivenForSource:
        """What belongs to the images of one input.

        Returns:
            It, image by image.

        Raises:
            InputError: If the shape fits two meanings or another number of images, or a key fits
                several images.
        """
        if not self._by_key:
            return GivenForSource(self, self._value, source)
        if not source.is_video:
            return GivenForSource(self, self._by_image(source), source)
        names = ImageNames([source.name])
        keys = [key for key in self._value if names.by_path(key)]
        if len(keys) > 1:
            raise InputError(
                f'{self.name}: {keys[0]!r} and {keys[1]!r} both fit {source.name}: keep one'
            )
        if keys:
            self._used.add(keys[0])
            return GivenForSource(self, self._value[keys[0]], source)
        return GivenForSource(self, self._value, source, self._used)

    def left_over(self) -> InputError | None:
        """The keys that fitted no image so far, as an error; None if there is none."""
        if not self._by_key:
            return None
        keys = [str(key) for key in self._value if key not in self._used]
        if not keys:
            return None
        some = ', '.join(repr(key) for key in keys[:5]) + (', ...' if len(keys) > 5 else '')
        return InputError(
            f'{self.name}: {len(keys)} of {len(self._value)} keys fit no image or frame: {some}; '
            'keys are the path of an image or the end of it, its name with or without the ending, '
            'or the number of a frame counted from 0'
        )

    def _by_image(self, source: Source) -> dict[int, Any]:
        """Entries by the number of the image; names go before numbers."""
        names = ImageNames(source.names)
        found: dict[int, Any] = {}
        chosen: dict[int, Any] = {}
        for key in self._value:
            for place in names.places(key, self.name):
                if place in chosen:
                    raise InputError(
                        f'{self.name}: {chosen[place]!r} and {key!r} both fit '
                        f'{source.names[place] or f"image {place}"}: keep one'
                    )
                chosen[place], found[place] = key, self._value[key]
                self._used.add(key)
        return found

    def depth(self, value: Any, where: str) -> int:
        """Dimensions of nested lists; a dict or box of one person counts as such.

        Args:
            value: Boxes or keypoints.
            where: Their name for the message.

        Returns:
            The number of dimensions.

        Raises:
            InputError: If parts of the value have different numbers of them, or it is no list.
        """
        if isinstance(value, (PersonBox, Mapping)):
            return self.dimensions
        if hasattr(value, 'ndim'):
            return value.ndim
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise InputError(f'{where}: expected {FORMS}, got {shown(value)}')
        depths = {
            0 if _is_leaf(item) else self.depth(item, where)
            for item in value
            if not _is_empty(item)
        }
        if len(depths) > 1:
            depths.discard(0)  # a bad one among good ones gets its own message
        if len(depths) > 1:
            raise InputError(f'{where}: expected {FORMS}, got a mixture of these: {shown(value)}')
        if not depths:  # nobody, perhaps in each of several images
            return self.dimensions + (2 if len(value) else 1)
        return 1 + depths.pop()


class GivenForSource:
    """What belongs to the images of one input.

    Args:
        given: Where it comes from.
        value: For all images alike, for each in a list, or by number.
        source: The input.
        used: Keys that were used; numbers of frames are added.
    """

    def __init__(
        self, given: Given, value: Any, source: Source, used: set[Any] | None = None
    ) -> None:
        self._name, self._dimensions, self._used = given.name, given.dimensions, used
        self._entries: Mapping[int, Any] | None = None  # by number; None: all images alike
        self._keys: dict[int, Any] = {}
        self._listed: int | None = None  # length of a list with an entry for each frame
        self._end = -1  # number of the last image that came by
        self._is_video = source.is_video
        if isinstance(value, Mapping) and 'bbox' not in value:
            self._keys = {number: key for key in value if (number := number_of(key)) is not None}
            self._entries = {number: value[key] for number, key in self._keys.items()}
            if used is None and len(self._keys) < len(value):
                raise InputError(
                    f'{self._name}: {set(value) - set(self._keys.values())}: expected '
                    'the numbers of frames, each once'
                )
            return
        depth = given.depth(value, given.name) - self._dimensions
        if depth > 2:
            raise InputError(f'{self._name}: too many brackets: give {FORMS}')
        if source.in_list and depth == 0:
            raise InputError(
                f'{self._name}: one person for {source.length} images: give a list '
                'with an entry for each image'
            )
        if depth == 2 or (depth == 1 and source.in_list):
            self._take_list(value, source)
        else:
            self._alike = [value] if depth == 0 else list(value)
            if len(self._alike) > 1:
                self._refuse_two_readings(len(self._alike), source)

    def people(self, index: int) -> list[Any]:
        """What was given for one image, one entry a person, unparsed.

        Args:
            index: Number of the image or frame.

        Returns:
            The people; none if a dict has no entry for it.

        Raises:
            InputError: Once, if a list has no entry for it.
        """
        self._end = max(self._end, index)
        if self._entries is None:
            return self._alike
        if index == self._listed:
            raise InputError(
                f'{self._name}: {self._listed} entries, but there are more images or '
                'frames; give one for each'
            )
        if self._used is not None and index in self._keys:
            self._used.add(self._keys[index])
        entry = self._entries.get(index, ())
        if isinstance(entry, (Mapping, PersonBox)):
            return [entry]
        if _is_leaf(entry) or not hasattr(entry, '__len__'):
            raise InputError(f'expected the people of this image, got {shown(entry)}')
        if len(entry) and _depth_of(entry, self._dimensions) == self._dimensions:
            return [entry]
        return list(entry)

    def beyond_the_end(self) -> InputError | None:
        """Frames of a video that never came, as an error; None if all did."""
        late = sorted(number for number in self._entries or () if number > self._end)
        if not late or not self._is_video or self._used is not None:
            return None
        return InputError(
            f'{self._name}: there are entries up to number {late[-1]}, but only '
            f'{self._end + 1} frames'
        )

    def track_ids(self) -> Iterator[int]:
        """All track ids that were given, as far as they can be read."""
        entries = self._entries.values() if self._entries is not None else [self._alike]
        for entry in entries:
            people = [entry] if isinstance(entry, (Mapping, PersonBox)) else entry
            for item in people if isinstance(people, Sequence) else ():
                number = (
                    item.get('track_id')
                    if isinstance(item, Mapping)
                    else getattr(item, 'track_id', None)
                )
                if isinstance(number, (int, np.integer)):
                    yield int(number)

    def _take_list(self, value: Any, source: Source) -> None:
        length = source.length
        if length is not None and length != len(value) and source.count is not None:
            length = source.count()  # headers may be wrong
        if length is not None and length != len(value):
            raise InputError(
                f'{self._name}: {len(value)} entries for {length} images or frames: '
                'give one for each'
            )
        self._entries, self._listed = dict(enumerate(value)), len(value)

    def _refuse_two_readings(self, count: int, source: Source) -> None:
        length = source.length
        if length is None and source.count is not None:
            length = source.count()
        if length == count:
            raise InputError(
                f'{self._name}: {count} people for {count} images or frames may mean all of them '
                'in each, or one in each: give a list with a list for each ([[box], [box], ...]), '
                'or a dict by name or number'
            )


def read_boxes(path: str | Path) -> Given:
    """Read boxes from a JSON file.

    Args:
        path: Boxes in any form of :class:`Given`, as JSON.

    Returns:
        The boxes, checked for their form.

    Raises:
        MissingFileError: If there is no such file.
        InputError: If it does not hold boxes.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file of boxes: check the path')
    doubles: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        doubles.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f'{path}: not JSON ({error}): write {{"photo.jpg": [[x1, y1, x2, y2]]}}'
        ) from None
    if doubles:
        raise InputError(f'{path}: the key {doubles[0]!r} comes twice: keep one')
    return Given(content, name=str(path))


def _is_leaf(value: Any) -> bool:
    """Whether it is neither a person nor a list of anything."""
    return isinstance(value, (str, bytes)) or not (
        isinstance(value, PersonBox) or hasattr(value, '__len__')
    )


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and not len(value)


def _depth_of(value: Any, person: int) -> int:
    """Dimensions of the people of one image; odd ones among them do not count."""
    if isinstance(value, (Mapping, PersonBox)):
        return person
    if hasattr(value, 'ndim'):
        return value.ndim
    return 0 if _is_leaf(value) else 1 + max((_depth_of(item, person) for item in value), default=0)

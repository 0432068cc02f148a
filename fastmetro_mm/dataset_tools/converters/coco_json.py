# SPDX-License-Identifier: Apache-2.0
"""Reading COCO-style json: ``images``, ``annotations`` and ``categories`` that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmetro_mm.dataset_tools.converters.files import read_json
from fastmetro_mm.dataset_tools.converters.foreign_paths import key_of
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.errors import DataSetError


def read_id(value: Any, what: str) -> str:
    """An id as text, so that 7, 7.0 and "7" are one.

    Raises:
        ValueError: Not an id.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f'{what} is {str(value)[:20]!r}, expected a number or text')
    return str(value)


class CocoFile:
    """One json, every annotation a row; what is wrong with one annotation is told by its row.

    Args:
        path: The json.
        fix: What to do where it is missing, for the message.

    Attributes:
        annotations: As in the file.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not of that form, or two images (or categories) share an id.
    """

    def __init__(self, path: str | Path, fix: str) -> None:
        self.path = Path(path)
        content = read_json(path, fix)
        try:
            self._images = self._by_id(content['images'], 'image')
            self.annotations: list[Any] = list(content['annotations'])
            categories = self._by_id(content.get('categories') or [], 'category')
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataSetError(
                f'{path} is not a COCO-style json (images, annotations): '
                f'{type(error).__name__} {error}'
            ) from None
        self._names = {key: self._keypoint_names(category) for key, category in categories.items()}
        self._titles = {key: str(category.get('name', key)) for key, category in categories.items()}

    @staticmethod
    def _by_id(entries: list[dict], what: str) -> dict[str, dict]:
        found: dict[str, dict] = {}
        for entry in entries:
            key = read_id(entry['id'], f'id of {what}')
            if found.setdefault(key, entry) is not entry and found[key] != entry:
                raise ValueError(f'two entries have the {what} id {key}')
        return found

    def _keypoint_names(self, category: dict) -> tuple[str, ...] | None:
        names = category.get('keypoints')
        if not names:
            return None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataSetError(
                f'{self.path}: keypoints of category {category["id"]} are not a '
                'list of names: correct the json'
            )
        return tuple(names)

    def __len__(self) -> int:
        return len(self.annotations)

    def annotation(self, index: int) -> dict:
        """One annotation.

        Raises:
            SkipRow: Not an object, or a crowd.
        """
        entry = self.annotations[index]
        if not isinstance(entry, dict):
            raise SkipRow('the annotation is not an object')
        if entry.get('iscrowd'):
            raise SkipRow('a crowd, not one person')
        return entry

    def image(self, index: int) -> dict:
        """Entry of the image of an annotation.

        Raises:
            SkipRow: There is none.
        """
        try:
            return self._images[read_id(self.annotations[index]['image_id'], 'image_id')]
        except (KeyError, TypeError, ValueError):
            raise SkipRow('image_id is not among the images') from None

    def file_name(self, index: int) -> Any:
        """``file_name`` of the image, behind its ``sequence`` where it has one (Pose2Mesh).

        Raises:
            SkipRow: No image, no file name.
        """
        info = self.image(index)
        name, sequence = info.get('file_name'), info.get('sequence')
        if not isinstance(name, str) or not isinstance(sequence or '', str):
            raise SkipRow('file_name of the image is not text')
        return f'{sequence}/{name}' if sequence else name

    def key(self, index: int) -> str:
        """Name of an annotation's image for messages."""
        try:
            return key_of(self.file_name(index))
        except SkipRow:
            return f'annotation {index}'

    def keypoint_names(self, annotation: dict) -> Sequence[str] | None:
        """Names of the keypoints of one person, by their own category.

        Returns:
            The names; None where the file names none.

        Raises:
            SkipRow: An unknown category, or none where categories differ.
        """
        if not self._names:
            return None
        if annotation.get('category_id') is None:
            different = {names for names in self._names.values() if names}
            if len(different) > 1:
                raise SkipRow('no category_id, and the categories name different keypoints')
            return next(iter(different), None)
        return self._names[self._category(annotation)]

    def require_person(self, annotation: dict) -> None:
        """Refuse other things where the file tells people from them.

        Raises:
            SkipRow: The category is another one than ``person``, without named keypoints.
        """
        if annotation.get('category_id') is None or 'person' not in self._titles.values():
            return
        key = self._category(annotation)
        if self._titles[key] != 'person' and not self._names[key]:
            raise SkipRow(f'category {self._titles[key]} is not person')

    def _category(self, annotation: dict) -> str:
        try:
            key = read_id(annotation['category_id'], 'category_id')
        except ValueError as error:
            raise SkipRow(str(error)) from None
        if key not in self._names:
            raise SkipRow('category_id is not among the categories')
        return key

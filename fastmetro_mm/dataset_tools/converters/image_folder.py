# SPDX-License-Identifier: Apache-2.0
"""A folder of images, with or without a COCO-style json of boxes and keypoints, as a row source.

The json: ``images`` (``id``, ``file_name``), ``annotations`` (``image_id``, ``bbox`` x, y, w, h
px, and where there are ``keypoints`` x, y, v, ... and ``id``) and optionally ``categories`` with
the keypoint names. Without names 17 keypoints are taken as COCO's, 21 as a hand's. Names are
matched without regard to case and to "left"/"L"; joints that the json lacks get visibility 0.
"""

from __future__ import annotations

import json
from pathlib import Path

from fastmetro_mm.body.joint_sets import HAND21, J24
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.run import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError, MissingFileError

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


class ImageFolderSource:
    """Rows from a folder of images.

    Args:
        images: Folder.
        annotations: COCO-style json; without it every image is one row, boxed as a whole.
        body: ``'smpl'`` or ``'hand'``.
        padding: Factor from the longer side of a box to the side of the crop.

    Raises:
        FileNotFoundError: No such folder or json.
        DataSetError: The json is not of that form.
    """

    def __init__(self, images: str | Path, annotations: str | Path | None = None,
                 body: str = 'smpl', padding: float = 1.2) -> None:
        self.images = Path(images)
        self.annotations = None if annotations is None else Path(annotations)
        self.body, self.padding = body, padding
        self._names = HAND21 if body == 'hand' else J24
        if not self.images.is_dir():
            raise MissingFileError(f'image folder {images} not found: give it with --in')
        self._keypoint_names: list[str] | None = None
        if self.annotations is None:
            self._entries = [(path.relative_to(self.images).as_posix(), {})
                             for path in sorted(self.images.rglob('*'))
                             if path.suffix.lower() in _SUFFIXES]
        else:
            self._entries = self._read_json(self.annotations)

    def _read_json(self, path: Path) -> list[tuple[str, dict]]:
        if not path.is_file():
            raise MissingFileError(f'{path} not found: give the json with --annotations')
        try:
            content = json.loads(path.read_text())
            names = {image['id']: image['file_name'] for image in content['images']}
            entries = [(names[a['image_id']], a) for a in content['annotations']]
            for category in content.get('categories', []):
                self._keypoint_names = category.get('keypoints') or self._keypoint_names
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataSetError(f'{path} is not a COCO-style json (images, annotations): '
                               f'{type(error).__name__} {error}') from None
        return entries

    def __len__(self) -> int:
        return len(self._entries)

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'images', 'images': self.images.name, 'body': self.body,
                'annotations': self.annotations and self.annotations.name,
                'padding': self.padding}

    def key(self, index: int) -> str:
        """Name of the image."""
        return self._entries[index][0]

    def row(self, index: int) -> TSVRow:
        """One person (or hand).

        Raises:
            SkipRow: Image missing, no box with an area, a crowd, keypoints not as named.
        """
        name, annotation = self._entries[index]
        path = self.images / name
        if not path.is_file():
            raise SkipRow('image not found')
        if annotation.get('iscrowd'):
            raise SkipRow('a crowd, not one person')
        image = path.read_bytes()
        box = annotation.get('bbox')
        if self.annotations is None:
            row = TSVRow(name, image)
            height, width = row.image_size()
            box = (0, 0, width, height)
        try:
            x, y, width, height = (float(v) for v in box)
        except (TypeError, ValueError):
            raise SkipRow('no box') from None
        if not (width > 0 and height > 0):
            raise SkipRow('the box has no area')
        label = make_label((x + width / 2, y + height / 2),
                           self.padding * max(width, height) / 200,
                           reorder_keypoints(annotation.get('keypoints'), self._keypoint_names,
                                             self._names), body=self.body)
        return TSVRow(name, image, label)

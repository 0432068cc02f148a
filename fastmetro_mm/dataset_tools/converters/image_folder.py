# SPDX-License-Identifier: Apache-2.0
"""A folder of images, with or without a COCO-style json of boxes and keypoints, as a row source.

The json: ``images`` (``id``, ``file_name``), ``annotations`` (``image_id``, ``bbox`` x, y, w, h
px, and where there are ``keypoints`` x, y, v, ... and ``id``) and optionally ``categories`` with
the keypoint names; every person has those of their own ``category_id``. Without names 17 keypoints
are taken as COCO's, 21 as a hand's. Names are matched without regard to case and to "left"/"L";
joints that the json lacks get visibility 0.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fastmetro_mm.body.joint_sets import HAND21, J24
from fastmetro_mm.dataset_tools.converters.coco_json import CocoFile
from fastmetro_mm.dataset_tools.converters.files import require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import files_below, find_image, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import positive, shaped
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.placement import square_box
from fastmetro_mm.dataset_tools.converters.resume import digest
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError
from fastmetro_mm.images.formats import IMAGE_ENDINGS


class ImageFolderSource(FileSource):
    """Rows from a folder of images.

    Args:
        images: Folder; linked folders below it are read too.
        annotations: COCO-style json; without it every image is one row, boxed as a whole.
        body: ``'smpl'`` or ``'hand'``.
        padding: Factor from the longer side of a box to the side of the crop.

    Raises:
        FileNotFoundError: No such folder or json.
        DataSetError: The json is not of that form, or there is no image or annotation.
    """

    KIND = 'images'

    def __init__(
        self,
        images: str | Path,
        annotations: str | Path | None = None,
        body: str = 'smpl',
        padding: float = 1.2,
    ) -> None:
        self.images = require_folder(images, 'image folder', 'give it with --in')
        self.body, self.padding = body, positive(padding, 'padding')
        self._names = HAND21 if body == 'hand' else J24
        self.paths, self.options = [], dict(images=self.images, body=body, padding=self.padding)
        self._json: CocoFile | None = None
        self._images: list[Path] = []
        self._others: Counter = Counter()
        if annotations is not None:
            self._json = CocoFile(annotations, 'give the json with --annotations')
            if not len(self._json):
                raise DataSetError(f'{annotations} holds no annotation')
            self.paths = [self._json.path]
            self.options |= dict(annotations=self._json.path, names=None)
            return
        for path in files_below(self.images):
            if path.suffix.lower() in IMAGE_ENDINGS:
                self._images.append(path)
            else:
                self._others[path.suffix.lower() or 'without ending'] += 1
        if not self._images:
            raise DataSetError(
                f'{images} holds no image ({" ".join(IMAGE_ENDINGS)}){self._left_out()}'
            )
        self.options |= dict(annotations=None, names=digest([str(path) for path in self._images]))

    def _left_out(self) -> str:
        kinds = ', '.join(f'{count} {ending}' for ending, count in self._others.most_common(5))
        return f'; files of other kinds are left out: {kinds}' if kinds else ''

    @property
    def note(self) -> str:
        """What the labels hold."""
        if self._json is not None:
            return 'boxes, and the 2D keypoints of the annotations where they have some'
        return f'none: the box is the whole image{self._left_out()}'

    def __len__(self) -> int:
        return len(self._images) if self._json is None else len(self._json)

    def key(self, index: int) -> str:
        """Name of the image."""
        if self._json is not None:
            return self._json.key(index)
        return self._images[index].relative_to(self.images).as_posix()

    def _path(self, index: int) -> Path:
        if self._json is None:
            return self._images[index]
        return find_image(self.images, self._json.file_name(index))

    def row(self, index: int) -> TSVRow:
        """One person (or hand).

        Raises:
            SkipRow: Image missing, no box with an area, a crowd, keypoints not as named.
        """
        key = self.key(index)
        if self._json is None:
            row = TSVRow(key, read_image(self._path(index)))
            height, width = row.image_size()
            row.label = make_label(*square_box(0, 0, width, height, self.padding), body=self.body)
            return row
        annotation = self._json.annotation(index)
        if self.body == 'smpl':
            self._json.require_person(annotation)
        image = read_image(self._path(index))
        if annotation.get('bbox') is None:
            raise SkipRow('no box')
        box = square_box(*shaped(annotation['bbox'], 'bbox', (4,)), padding=self.padding)
        points = None
        if annotation.get('keypoints'):
            points = reorder_keypoints(
                annotation['keypoints'], self._json.keypoint_names(annotation), self._names
            )
        return TSVRow(key, image, make_label(*box, points, body=self.body))

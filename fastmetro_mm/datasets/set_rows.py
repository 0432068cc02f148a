# SPDX-License-Identifier: Apache-2.0
"""The files of a set in the TSV layout, and what one row of them says."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.datasets.labels import LabelLayout, parse_label
from fastmetro_mm.datasets.set_yaml import SetYaml
from fastmetro_mm.datasets.tsv import CompositeTSV, TSVFile, read_int_table
from fastmetro_mm.errors import DataRowError, DataSetError


class SetRows:
    """The parts of a set, opened and compared.

    Args:
        ann_file: Path of the yaml.
        layout: What labels look like.
        check_rows: Require that the parts have equally many rows and equal keys.
        on_stale: For a ``.lineidx`` that does not fit: ``'rebuild'`` or ``'raise'``.

    Raises:
        FileNotFoundError: The yaml or a part is missing.
        DataSetError: There are no images, or the parts do not fit together.
    """

    def __init__(
        self, ann_file: Path, layout: LabelLayout, check_rows: bool, on_stale: str
    ) -> None:
        self.ann_file, self.check_rows, self.on_stale = ann_file, check_rows, on_stale
        self._layout = layout
        self._yaml = SetYaml(ann_file)
        image = self._open('img')
        if image is None:
            raise DataSetError(f'{ann_file} has no "img" entry: name the img.tsv there')
        self._img = image
        self._label = self._open('label')
        self._hw = self._open('hw')
        if check_rows:
            self._check_counts()

    @property
    def has_labels(self) -> bool:
        """Whether there is a label part."""
        return self._label is not None

    def _open(self, part: str) -> TSVFile | CompositeTSV | None:
        paths = self._yaml.files(part)
        if paths is None:
            return None
        sources = [TSVFile(path, self.on_stale) for path in paths]
        if not self._yaml.composite:
            return sources[0]
        linelist = self._yaml.linelist
        assert linelist is not None  # SetYaml asks a composite set for one
        return CompositeTSV(sources, read_int_table(linelist, 2), linelist)

    def _check_counts(self) -> None:
        for part, file in (('label', self._label), ('hw', self._hw)):
            if file is None:
                continue
            images, others = _sources(self._img), _sources(file)
            if len(images) != len(others):
                raise DataSetError(
                    f'{self.ann_file}: {len(images)} img files but '
                    f'{len(others)} {part} files: list them in pairs'
                )
            for img, other in zip(images, others, strict=True):
                if len(img) != len(other):
                    raise DataSetError(
                        f'{other.path} has {len(other)} rows but {img.path} has {len(img)}: use '
                        'files of one release, or set check_rows=False if this is meant'
                    )

    def lines(self) -> np.ndarray:
        """Rows that the linelist picks, all where there is none."""
        path = self._yaml.linelist
        if self._yaml.composite or path is None:  # a composite linelist picked the rows already
            return np.arange(len(self._img))
        lines = read_int_table(path, 1)[:, 0]
        limit = min(len(f) for f in (self._img, self._label, self._hw) if f is not None)
        bad = np.flatnonzero((lines < 0) | (lines >= limit))
        if len(bad):
            raise DataSetError(
                f'{path} line {bad[0] + 1}: row {lines[bad[0]]} does not exist, '
                f'the files have {limit}: use the linelist of these files'
            )
        return lines

    def source_files(self) -> list[Path]:
        """The yaml and all files of the set."""
        files = [path for paths in self.part_files().values() for path in paths]
        return [self.ann_file, *files, *filter(None, [self._yaml.linelist])]

    def part_files(self) -> dict[str, list[Path]]:
        """TSV files of the parts ``img``, ``hw`` and ``label`` that the set has."""
        parts = {'img': self._img, 'hw': self._hw, 'label': self._label}
        return {
            name: [file.path for file in _sources(part)]
            for name, part in parts.items()
            if part is not None
        }

    def where(self, line: int) -> str:
        """File and row of an image as text."""
        return self._img.where(line)

    def error(self, line: int, reason: str) -> DataRowError:
        """What to raise about a row; it names file and row."""
        return self._error(self._img, line, reason)

    def read(self, line: int) -> dict[str, Any]:
        """``img_key``, ``img_bytes``, and ``ori_shape`` and the label's fields where there are.

        Raises:
            DataRowError: The row cannot be used; names file and row.
        """
        image = self._columns(self._img, line)
        info: dict[str, Any] = {'img_key': self._key(self._img, line, image)}
        try:
            info['img_bytes'] = base64.b64decode(image[-1], validate=True)
        except binascii.Error:
            raise self._error(self._img, line, 'the image column is not base64') from None
        if self._hw is not None:
            columns = self._columns(self._hw, line)
            self._compare_keys(self._hw, line, columns, info['img_key'])
            info['img_key'] = self._key(self._hw, line, columns)  # as in the official loader
            info['ori_shape'] = self._parse_size(columns[1], line)
        if self._label is not None:
            columns = self._columns(self._label, line)
            self._compare_keys(self._label, line, columns, info['img_key'])
            try:
                info.update(parse_label(columns[1], self._layout))
            except DataRowError as error:
                raise self._error(self._label, line, str(error)) from None
        return info

    def _columns(self, file: TSVFile | CompositeTSV, line: int) -> list[bytes]:
        columns = file.row(line)
        if len(columns) < 2 or not columns[0]:
            raise self._error(file, line, 'expected a key, a tab and a value (cut off?)')
        return columns

    def _key(self, file: TSVFile | CompositeTSV, line: int, columns: list[bytes]) -> str:
        try:
            return columns[0].decode()
        except UnicodeDecodeError:
            raise self._error(file, line, 'the key is not UTF-8 text') from None

    def _compare_keys(
        self, file: TSVFile | CompositeTSV, line: int, columns: list[bytes], key: str
    ) -> None:
        if self.check_rows and columns[0] != key.encode():
            raise self._error(
                file,
                line,
                f'key {columns[0][:60]!r} but the image is {key!r} '
                '(set check_rows=False if this is meant)',
            )

    def _parse_size(self, text: bytes, line: int) -> tuple[int, int]:
        try:
            content = json.loads(text)[0]
            height, width = content['height'], content['width']
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            parts = text.split(b' ')  # old form "H W"
            height, width = parts if len(parts) == 2 else (0, 0)
        try:
            size = int(height), int(width)
        except (TypeError, ValueError, OverflowError):
            size = (0, 0)
        if min(size) <= 0:
            assert self._hw is not None  # the text is its own
            raise self._error(self._hw, line, 'does not hold a height and width')
        return size

    @staticmethod
    def _error(file: TSVFile | CompositeTSV, line: int, reason: str) -> DataRowError:
        return DataRowError(
            f'{file.where(line)}: {reason}; fix the row or take it out of the linelist'
        )


def _sources(part: TSVFile | CompositeTSV) -> Sequence[TSVFile]:
    """The files of a part."""
    return [part] if isinstance(part, TSVFile) else part.sources

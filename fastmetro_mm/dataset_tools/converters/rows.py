# SPDX-License-Identifier: Apache-2.0
"""What every converter offers: the rows of a source by number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from fastmetro_mm.datasets.tsv_writer import TSVRow


class SkipRow(ValueError):
    """A row of the source that cannot be converted, with the reason."""


class RowSource(Protocol):
    """Rows by number. Must be picklable for worker processes.

    ``row`` raises `SkipRow` (or ValueError) for a row that is to be left out and counted. Optional
    are ``note``, one line about the labels for the user, and what tells a conversion that goes on
    whether the source is still the same:

    * ``inputs() -> Sequence[Path]``: files that all rows depend on (annotations, body model);
      finished parts are made again where one of them has changed;
    * ``files(index) -> Sequence[Path]``: files of one row, such as its image; may raise `SkipRow`.
    """

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """Name of one row, for messages; never raises."""
        ...

    def row(self, index: int) -> TSVRow:
        """One row.

        Raises:
            ValueError: It cannot be used; a ``SkipRow`` where the source says so itself.
        """
        ...

    def describe(self) -> dict:
        """Options that the rows depend on; other ones are another job."""
        ...


class FileSource:
    """What the sources of this package share: files and options that their rows depend on."""

    KIND: ClassVar[str]
    options: dict[str, Any]  # what tells one source of its kind from another
    paths: list[Path]  # files that all rows depend on
    mesh: Any = None  # `MeshJoints` that derives joints, where some are

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        options = {
            name: str(value.absolute()) if isinstance(value, Path) else value
            for name, value in self.options.items()
        }
        return {'source': self.KIND, **options, **({'mesh': self.mesh.body} if self.mesh else {})}

    def inputs(self) -> Sequence[Path]:
        """Files that all rows depend on."""
        return [*self.paths, *(self.mesh.files if self.mesh else ())]

    def files(self, index: int) -> Sequence[Path]:
        """The image of one row."""
        return [self._path(index)]

    def _path(self, index: int) -> Path:
        raise NotImplementedError


def row_inputs(source: RowSource) -> Sequence[Path]:
    """Files that all rows depend on."""
    inputs = getattr(source, 'inputs', None)
    return inputs() if inputs else ()


def row_files(source: RowSource, index: int) -> Sequence[Path]:
    """Files of one row; none where the source cannot name them."""
    try:
        files = getattr(source, 'files', None)
        return files(index) if files else ()
    except SkipRow:
        return ()

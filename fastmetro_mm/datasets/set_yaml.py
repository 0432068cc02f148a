# SPDX-License-Identifier: Apache-2.0
"""The yaml of a data set, and the files that it names."""

from __future__ import annotations

from pathlib import Path

import yaml

from fastmetro_mm.datasets.set_files import refuse_half_placed
from fastmetro_mm.errors import DataSetError, MissingFileError

_LONGEST_LIST = 1 << 20  # bytes; a list of file names is far shorter


class SetYaml:
    """Content of the yaml.

    Args:
        path: The file; it may be a link.

    Attributes:
        path: The file.
        composite: Whether parts are lists of files.
        linelist: Path of the linelist, None where the yaml names none.

    Raises:
        FileNotFoundError: No such file.
        DataSetError: Not the yaml of a set, or a set that is just being put in place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_half_placed(path)
        if not path.is_file():
            raise MissingFileError(
                f'data set {path} not found: set ann_file and data_root in the config '
                'to a yaml of the TSV layout, or make one with `fastmetro convert`'
            )
        try:
            config = yaml.safe_load(path.read_bytes())  # bytes: finds BOM and UTF-16
        except (yaml.YAMLError, ValueError, RecursionError):
            raise DataSetError(f'{path} is not a yaml file: correct it') from None
        if not isinstance(config, dict) or not config.get('img'):
            raise DataSetError(f'{path} has no "img" entry: name the img.tsv there')
        if not isinstance(config.get('linelist') or '', str):
            raise DataSetError(f'{path}: "linelist" must be one path')
        self._config = config
        self.composite = bool(config.get('composite', False))
        self.linelist = self._resolve(config['linelist']) if config.get('linelist') else None
        if self.composite and self.linelist is None:
            raise DataSetError(
                f'{path}: a composite set needs a "linelist" of source<TAB>row lines'
            )

    def _resolve(self, name: str) -> Path:
        """A named file: beside the yaml, beside what the yaml is a link to, or as it is."""
        names = [name, name.replace('\\', '/')] if '\\' in name else [name]
        places = [self.path.parent, self.path.resolve().parent, Path()]
        found = (place / each for place in places for each in names)
        return next((path for path in found if path.is_file()), self.path.parent / name)

    def files(self, part: str) -> list[Path] | None:
        """Files of a part: one, or those of a composite set; None where the set lacks it.

        Raises:
            FileNotFoundError: A list of files is missing.
            DataSetError: Not one path, or not a list of paths in a composite set.
        """
        names = self._config.get(part)
        if not names:
            return None
        if not self.composite:
            if not isinstance(names, str):
                raise DataSetError(
                    f'{self.path}: "{part}" must be one path (lists of files need composite: true)'
                )
            return [self._resolve(names)]
        if isinstance(names, str):
            list_file = self._resolve(names)
            if not list_file.is_file():
                raise MissingFileError(f'{self.path}: list {list_file} of "{part}" not found')
            names = _read_name_list(list_file)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataSetError(f'{self.path}: "{part}" must be a list of paths')
        return [self._resolve(name) for name in names]


def _read_name_list(path: Path) -> list[str]:
    with open(path, 'rb') as file:
        lines = file.read(_LONGEST_LIST).splitlines()
    if not lines or any(b'\t' in line for line in lines):
        raise DataSetError(
            f'{path} is not a list of file names, one per line (as a composite '
            'set needs it): list the files in the yaml'
        )
    try:
        return [line.strip().decode('utf-8-sig') for line in lines if line.strip()]
    except UnicodeDecodeError:
        raise DataSetError(f'{path} is not UTF-8 text: list the files in the yaml') from None

# SPDX-License-Identifier: Apache-2.0
"""Where body files lie: the body-data folder, the open body inside the package."""

import os
from collections.abc import Sequence
from pathlib import Path

from fastmetro_mm.errors import MissingBodyFileError

ENVIRONMENT_VARIABLE = 'FASTMETRO_BODY_DATA'
DEFAULT_ROOT = Path('data/body_models')
SUBFOLDERS = ('', 'smpl', 'mano', 'models', 'models/smpl', 'models/mano')
OPEN_BODY_FOLDER = Path(__file__).resolve().parent / 'open_body'
PREPARE_HINT = 'fastmetro prepare --from CHECKOUT'


def resolve_body_data_root(body_data_root: str | os.PathLike | None = None) -> Path:
    """Folder with the official body files.

    Args:
        body_data_root: Folder named by the config; ``None`` means ``data/body_models``.

    Returns:
        The folder in ``FASTMETRO_BODY_DATA`` if that is set (it wins over the config), else
        the given one, as an absolute path. It need not exist.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE) or body_data_root or DEFAULT_ROOT
    return Path(chosen).expanduser().resolve()


def existing_body_file(root: Path, names: Sequence[str]) -> Path | None:
    """First existing file of several names in a folder and its usual subfolders, or ``None``."""
    candidates = (root / folder / name for name in names for folder in SUBFOLDERS)
    return next((path for path in candidates if path.is_file()), None)


def find_body_file(root: Path, names: Sequence[str], what: str, fix: str | None = None) -> Path:
    """First existing file of several names in the body-data folder and its usual subfolders.

    Args:
        root: Folder to search.
        names: File names in the order of preference.
        what: What the file is, for the message.
        fix: What to do where it is missing; by default how to import official data.

    Returns:
        Path of the file.

    Raises:
        MissingBodyFileError: None of them is there. The message is one line.
    """
    path = existing_body_file(root, names)
    if path is not None:
        return path
    raise MissingBodyFileError(
        f'{what} not found: no {" or ".join(names)} in {root}; '
        + (
            fix
            or f'run `{PREPARE_HINT}` with a FastMETRO or METRO checkout, '
            f'or set {ENVIRONMENT_VARIABLE} (or body_data_root) to the folder that holds it'
        )
    )

# SPDX-License-Identifier: Apache-2.0
"""Finds the shipped configs, in a checkout and in an installed wheel alike."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from fastmetro_mm.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

_PACKAGE = Path(__file__).resolve().parent


def config_root() -> Path:
    """Folder with the shipped configs.

    Returns:
        ``configs/`` beside the package in a checkout, else the copy inside the installed package
        (``fastmetro_mm/.mim/configs``, where mim and mmengine look too).

    Raises:
        FileNotFoundError: Neither is there.
    """
    checkout = _PACKAGE.parent
    # setup.py tells our checkout from some other folder `configs` in site-packages
    if (checkout / 'setup.py').is_file() and (checkout / 'configs').is_dir():
        return checkout / 'configs'
    installed = _PACKAGE / '.mim' / 'configs'
    if installed.is_dir():
        return installed
    raise FileNotFoundError(
        f'no configs beside or inside {_PACKAGE}; the installation is incomplete, '
        'install fastmetro_mm again'
    )


def config_names() -> list[str]:
    """Names that :func:`config_path` takes, without the bases in folders named ``_base_``."""
    root = config_root()
    names = (path.relative_to(root) for path in root.rglob('*.py'))
    return sorted(
        name.with_suffix('').as_posix()
        for name in names
        if not any(part.startswith('_') for part in name.parts)
    )


def config_path(name: str) -> str:
    """Path of a shipped config.

    Args:
        name: File name without folder ``configs``, with or without ``.py``, for instance
            ``'fastmetro_l_h64_h36m'``.

    Returns:
        Absolute path, for ``mmengine.Config.fromfile`` or ``mmpose.apis.init_model``.

    Raises:
        FileNotFoundError: There is no such config; the message names similar ones.
    """
    stem = name.removesuffix('.py')
    path = config_root() / f'{stem}.py'
    if not path.is_file():
        names = config_names()
        similar = difflib.get_close_matches(stem, names, n=3, cutoff=0.4) or names
        raise FileNotFoundError(
            f'no shipped config {name!r} in {config_root()}; did you mean {" or ".join(similar)}?'
        )
    return str(path)


def read_config(path: str | Path) -> Config:
    """Read any config, and import what its ``custom_imports`` names.

    mmengine imports it for configs of text only, and an import of Python configs happens when the
    thing is built: what registers something would never run.

    Raises:
        ConfigError: One of the modules cannot be imported.
    """
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    config = Config.fromfile(path, import_custom_modules=False)
    wanted = config.get('custom_imports')
    if wanted:
        try:
            import_modules_from_strings(**wanted)
        except (ImportError, TypeError) as error:
            raise ConfigError(
                f'{path}: custom_imports={wanted}: {error.__context__ or error}: expected '
                "dict(imports=['module']); run `python -m fastmetro_mm ...` in the folder that "
                'holds the module, or name that folder in PYTHONPATH'
            ) from None
    return config

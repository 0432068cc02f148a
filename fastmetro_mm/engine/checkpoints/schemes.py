# SPDX-License-Identifier: Apache-2.0
"""Our readers in place of mmengine's loaders, for as long as weights of ours are initialised.

``init_cfg=dict(type='Pretrained', checkpoint=...)`` reads through loaders that belong to the whole
process. Other people's models must load as they do without this package, so ours are registered
while our runner initialises its model, and not longer.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader, get_torchvision_models

from fastmetro_mm.engine.checkpoints.loading import read_from
from fastmetro_mm.errors import CheckpointError


def load_from_anywhere(filename: str, map_location: Any = None) -> dict:
    """Loader of files and of http(s) addresses: :func:`read_from`."""
    return read_from(filename)


def load_from_torchvision(filename: str, map_location: Any = None) -> dict:
    """Loader of ``torchvision://NAME``: the address that mmengine knows for it.

    Raises:
        CheckpointError: There are no weights of that name, or they cannot be had.
    """
    name, known = filename.partition('://')[2], get_torchvision_models()
    if name not in known:
        alike = difflib.get_close_matches(name, known, n=3)
        raise CheckpointError(
            f'{filename}: torchvision has no weights of that name: '
            f'{"did you mean " + " or ".join(alike) if alike else "check it"}?'
        )
    return read_from(known[name])


@contextmanager
def our_loaders() -> Iterator[None]:
    """Read checkpoints of any model through our readers inside the ``with`` block."""
    before = CheckpointLoader._schemes
    try:
        # registering replaces the table, so the old one stays as it is
        CheckpointLoader._schemes = dict(before)
        register = CheckpointLoader.register_scheme
        register(('', 'http://', 'https://'), load_from_anywhere, force=True)
        register(('torchvision://', 'modelzoo://'), load_from_torchvision, force=True)
        yield
    finally:
        CheckpointLoader._schemes = before

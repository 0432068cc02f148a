# SPDX-License-Identifier: Apache-2.0
"""Names of the files of a saved network, and the folder where networks are kept."""

import os
from pathlib import Path

CACHE_VARIABLE = 'FASTMETRO_CACHE'
CONFIG_FILE, WEIGHTS_FILE = 'config.json', 'model.safetensors'


def cache_folder() -> Path:
    """Folder of kept networks: ``$FASTMETRO_CACHE``, else ``fastmetro_mm`` in the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'fastmetro_mm'

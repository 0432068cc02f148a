# SPDX-License-Identifier: Apache-2.0
"""Networks of a model hub: downloaded once into the cache, never unless named."""

import os
from pathlib import Path

from fastmetro_mm.errors import ModelHubError
from fastmetro_mm.fileio import cache_folder
from fastmetro_mm.model_zoo.files import CONFIG_FILE, WEIGHTS_FILE

OFFLINE_VARIABLE = 'FASTMETRO_OFFLINE'


def is_offline() -> bool:
    """Whether the user forbids the network (``FASTMETRO_OFFLINE=1``, or ``HF_HUB_OFFLINE=1``)."""
    return any(
        os.environ.get(name, '').lower() in ('1', 'true', 'yes', 'on')
        for name in (OFFLINE_VARIABLE, 'HF_HUB_OFFLINE')
    )


def download(name: str, revision: str | None = None) -> Path:
    """Folder of a hub's network in the cache; asks the hub for it unless offline.

    Args:
        name: ``OWNER/NAME``.
        revision: Branch, tag or commit.

    Returns:
        Folder with the config and the weights.

    Raises:
        ModelHubError: huggingface_hub is not installed, the hub did not give it, or the
            repository holds no network of this package. One line.
    """
    try:
        import huggingface_hub  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError:
        raise ModelHubError(
            f'{name}: no such folder here, and a hub is asked only with huggingface_hub '
            "installed: pip install 'fastmetro_mm[hub]'"
        ) from None
    offline = is_offline()
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                name,
                revision=revision,
                cache_dir=cache_folder() / 'hub',
                local_files_only=offline,
                allow_patterns=[CONFIG_FILE, WEIGHTS_FILE, 'README.md'],
            )
        )
    except (OSError, ValueError) as error:  # its errors derive from these
        reason = ' '.join(str(error).split())[:200]
        place = (
            'it is not in the cache, and the network is switched off '
            f'({OFFLINE_VARIABLE} or HF_HUB_OFFLINE)'
            if offline
            else f'the hub did not give it ({reason}): check the name and the connection'
        )
        raise ModelHubError(f'{name}: {place}') from error
    missing = [file for file in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / file).is_file()]
    if missing:
        raise ModelHubError(f'{name}: holds no network of fastmetro_mm: {missing[0]} is missing')
    return folder

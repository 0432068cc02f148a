# SPDX-License-Identifier: Apache-2.0
"""Networks as folders in the form that model hubs use: config, safetensors, model card.

``config.json`` is data, not a program: it names classes, and only those of this package, of
mmpose's networks and of torch's layers are built from it. So others' folders can be opened.
"""

import json
import re
from pathlib import Path
from typing import Any

from fastmetro_mm.errors import CheckpointError, ConfigError
from fastmetro_mm.fileio import sha256_of, write_atomically
from fastmetro_mm.model_zoo.files import CONFIG_FILE, WEIGHTS_FILE

LIBRARY = 'fastmetro_mm'
CARD_FILE = 'README.md'
# Where the classes of a saved config may come from (classes: a function would be called); names
# without a dot are layers by their short names ('BN', 'ReLU'), which mmengine keeps in a table.
_ALLOWED = re.compile(
    r'(?:(?:fastmetro_mm\.(?:models|datasets\.transforms)|mmpose\.models|torch\.nn)'
    r'(?:\.[a-z_]\w*)*\.[A-Z]\w*|\w+)'
)
_CARD = """---
library_name: fastmetro_mm
pipeline_tag: image-to-3d
tags: [human-mesh-recovery, fastmetro]
license: {licence}
---
# {title}

{text}

```python
from fastmetro_mm.apis import MeshInferencer

for frame in MeshInferencer('{title}')('photo.jpg'):
    frame.save_npz('photo.npz')
```
"""


def _plain(value: Any, where: str) -> Any:
    """A config's value as JSON: classes become their full names."""
    if isinstance(value, dict):
        return {
            str(key): _plain(entry, f'{where}.{key}')
            for key, entry in value.items()
            if key != 'init_cfg'
        }  # ImageNet weights have been overwritten by now
    if isinstance(value, (list, tuple)):
        return [_plain(entry, f'{where}[{number}]') for number, entry in enumerate(value)]
    if isinstance(value, type) or callable(value):
        return f'{value.__module__}.{value.__qualname__}'
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ConfigError(
        f'{where} holds a {type(value).__name__}, which a saved config cannot: '
        'give it as numbers, text, lists or dicts'
    )


def check_types(value: Any, file: Path, where: str = '') -> None:
    """Refuse a config that names a class from anywhere else.

    Raises:
        ConfigError: It does; the message names the entry.
    """
    if isinstance(value, dict):
        kind = value.get('type')
        if kind is not None and not (isinstance(kind, str) and _ALLOWED.fullmatch(kind)):
            raise ConfigError(
                f'{file}: {where or "config"} asks for {kind!r}: only classes of '
                'fastmetro_mm, mmpose.models and torch.nn are built from a file'
            )
        for key, entry in value.items():
            check_types(entry, file, f'{where}.{key}'.lstrip('.'))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            check_types(entry, file, f'{where}[{number}]')


def save_pretrained(
    network: Any, folder: str | Path, card: str = '', licence: str = 'other'
) -> Path:
    """Save a network, its config and a card.

    Args:
        network: From `from_pretrained`, ``mmpose.apis.init_model`` or ``MeshInferencer.network``
            with ``speed='exact'``; its ``cfg`` says how it is built and how crops are cut.
        folder: New or empty folder; its name becomes the title of the card.
        card: Text of the model card: what it was trained on, what it can and cannot.
        licence: For the head of the card, e.g. ``'cc0-1.0'``.

    Returns:
        The folder.

    Raises:
        ConfigError: The folder holds files already, or the config something that is no data.
    """
    from safetensors.torch import save_file

    from fastmetro_mm import __version__

    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f'{folder}: is not empty: choose another folder')
    config = dict(
        model=_plain(network.cfg.model.to_dict(), 'model'),
        pipeline=_plain(network.cfg.test_dataloader.dataset.pipeline, 'pipeline'),
    )
    state = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    save_file(state, weights, metadata=dict(format='pt', library=LIBRARY))
    content = dict(library=LIBRARY, version=__version__, sha256=sha256_of([weights]), **config)
    check_types(content, folder / CONFIG_FILE)
    text = _CARD.format(licence=licence, title=folder.name, text=card or 'No text was given.')
    write_atomically(folder / CARD_FILE, text.encode())
    # last: a folder without its config is not taken for a network
    write_atomically(folder / CONFIG_FILE, json.dumps(content, indent=2).encode())
    return folder


def read_saved_config(path: str | Path) -> Any:
    """The ``mmengine.Config`` of a saved network, its weights' hash checked.

    Raises:
        ConfigError: The file is no config of this package, or names foreign classes.
        CheckpointError: The weights beside it are not those that were saved.
    """
    from mmengine.config import Config

    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        sections = dict(model=dict(content['model']), pipeline=list(content['pipeline']))
        expected = content['sha256']
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f'{path}: not the config of a network saved by fastmetro_mm '
            f'({type(error).__name__}: {error})'
        ) from error
    check_types(sections, path)
    weights = path.with_name(WEIGHTS_FILE)
    found = sha256_of([weights])
    if found != expected:
        raise CheckpointError(
            f'{weights}: is not the file that was saved (sha256 {found[:12]}, '
            f'{path.name} says {str(expected)[:12]}): download it again'
        )
    return Config(
        dict(
            model=sections['model'],
            test_dataloader=dict(dataset=dict(pipeline=sections['pipeline'])),
        )
    )

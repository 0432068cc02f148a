# SPDX-License-Identifier: Apache-2.0
"""Weights in safetensors files, stored in half precision."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fastmetro_mm.errors import ConfigError, MissingFileError

SHIPPED = Path(__file__).resolve().parents[1] / 'model_zoo' / 'weights'
INSIDE = {
    'hand_landmark': ('open_hand', 'backbone.net.'),
    'movenet_thunder': ('open_body', 'backbone.net.'),
}
"""Shipped backbones that lie inside another network's file, so that they are there once: the file,
and what stands before the names of their entries."""


def weight_file(name: str | Path) -> Path:
    """The file of a network.

    Args:
        name: The name of a shipped network, e.g. ``'movenet_thunder'``, or a path.

    Returns:
        The safetensors file.

    Raises:
        MissingFileError: Neither is there.
    """
    shipped = SHIPPED / f'{INSIDE.get(str(name), (name,))[0]}.safetensors'
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    names = ', '.join(sorted({path.stem for path in SHIPPED.glob('*.safetensors')} | set(INSIDE)))
    raise MissingFileError(f'{name}: neither a file nor a shipped network (these are: {names})')


def load_weights(name: str | Path) -> dict[str, Tensor]:
    """Read a network's weights.

    Args:
        name: See ``weight_file``.

    Returns:
        The entries, floating-point ones as float32.

    Raises:
        MissingFileError: See ``weight_file``.
        ConfigError: The file is not a whole safetensors file.
    """
    path = weight_file(name)
    try:
        entries = load_file(path)
    except SafetensorError as error:
        raise ConfigError(
            f'{path}: not a whole safetensors file ({error}): fetch or convert it again'
        ) from error
    if path.parent == SHIPPED and str(name) in INSIDE:
        prefix = INSIDE[str(name)][1]
        entries = {
            key.removeprefix(prefix): value
            for key, value in entries.items()
            if key.startswith(prefix)
        }
    return {
        key: value.to(torch.float32) if value.is_floating_point() else value
        for key, value in entries.items()
    }

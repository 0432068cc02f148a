# SPDX-License-Identifier: Apache-2.0
"""Which config and which weights a user means."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from fastmetro_mm.errors import MissingFileError
from fastmetro_mm.model_zoo.lookup import DEFAULT_MODEL, configs_beside, find_model
from fastmetro_mm.model_zoo.released import find_released

Model = str | Path | Config
_TRAINED_HERE = 'quickstart'


def _is_address(text: str) -> bool:
    return '://' in text


def choose_weights(weights: str | Path) -> str:
    """Path of the weights; a released file is found in its folder by name too.

    Raises:
        MissingFileError: There is no such file; the line says how to get it.
    """
    text = str(weights)
    if _is_address(text) or Path(text).is_file():
        return text
    released = find_released(text)
    if released is not None and released.path.is_file():
        return str(released.path)
    advice = (
        released.advice
        if released
        else ('check the path (trained ones lie in work_dirs/<config>/)')
    )
    raise MissingFileError(f'{text}: no such weights file: {advice}')


def choose_model(model: Model | None, weights: str | Path | None) -> tuple[Model, str | None]:
    """Complete what a user said about a network.

    Args:
        model: Name of a network (see `fastmetro_mm.model_zoo.find_model`), path of a config, or a
            config. None: the default network, or the config that released weights belong to or
            that lies beside trained ones.
        weights: Path, address, or name of a released file; None takes those of the name.

    Returns:
        Config (path, name or object) and weights; these are None for a config without any.

    Raises:
        MissingFileError: Something named is not here; the line says how to get it.
        UserError: A hub did not give a network.
    """
    if weights is not None:
        if model is None:
            released = find_released(weights)
            beside = configs_beside(Path(weights).parent)
            trained = beside[0] if len(beside) == 1 else _TRAINED_HERE
            model = released.config if released else trained
        return model, choose_weights(weights)
    model = DEFAULT_MODEL if model is None else model
    # a config object, or a file: the user knows what is in it
    if isinstance(model, Config) or Path(model).is_file():
        return model, None
    found = find_model(str(model))
    return found.config, found.weights

# SPDX-License-Identifier: Apache-2.0
"""From a name to the config and the weights of a network."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from fastmetro_mm.config_files import config_names, config_path
from fastmetro_mm.errors import MissingFileError
from fastmetro_mm.fileio import cache_folder
from fastmetro_mm.model_zoo.files import CONFIG_FILE, WEIGHTS_FILE
from fastmetro_mm.model_zoo.hub import download
from fastmetro_mm.model_zoo.released import find_released

DEFAULT_MODEL = 'open_body'
"""What `MeshInferencer()` and `fastmetro demo` run: trained here, free of licences."""

_SHIPPED = Path(__file__).resolve().parent / 'weights'


@dataclass(frozen=True)
class ZooModel:
    """A network that has been found.

    Attributes:
        name: As asked for.
        config: Path of a config (``.py``), or of the ``config.json`` of a saved network.
        weights: File with its weights; None if only the config is known.
        origin: ``shipped``, ``saved``, ``cached``, ``released``, ``trained``, ``hub`` or
            ``config`` (no weights).
    """

    name: str
    config: str
    weights: str | None
    origin: str


def shipped_models() -> list[str]:
    """Names of the networks whose weights lie in the package (backbones alone are not named)."""
    return sorted({path.stem for path in _SHIPPED.glob('*.safetensors')} & set(config_names()))


def _saved(folder: Path) -> tuple[str, str] | None:
    """Config and weights of a folder that `save_pretrained` wrote, if it is one."""
    files = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    return (str(files[0]), str(files[1])) if all(file.is_file() for file in files) else None


def kept_models() -> list[str]:
    """Names of the networks in the cache folder."""
    return sorted(folder.name for folder in cache_folder().glob('*') if _saved(folder))


def configs_beside(folder: Path) -> list[str]:
    """Names of the shipped configs that trainings in this folder wrote into it."""
    return sorted({path.stem for path in folder.glob('*.py')} & set(config_names()))


def trained_weights(name: str) -> str | None:
    """Best, else newest checkpoint that training wrote for this config in ``work_dirs``."""
    folder = Path('work_dirs') / name
    if name not in (configs_beside(folder) or [name]):
        return None  # named like this config, but another one was trained there
    for pattern in ('best_*.pth', 'epoch_*.pth', 'iter_*.pth'):
        files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
        if files:
            return str(files[-1])
    return None


def _unknown(name: str) -> MissingFileError:
    names = sorted({*shipped_models(), *config_names()})
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    meant = f'did you mean {" or ".join(similar)}? ' if similar else ''
    return MissingFileError(
        f'{name}: no network of that name, no folder of a saved one and no config file; {meant}'
        '(`fastmetro models` lists the names)'
    )


def find_model(name: str, revision: str | None = None) -> ZooModel:
    """Find a network; downloads only what is named ``OWNER/NAME`` and is no local folder.

    Args:
        name: Shipped network (``open_body``), folder of a saved one, name in the cache, released
            file (``FastMETRO-L-H64_3dpw``), shipped config, or hub id (``OWNER/NAME``).
        revision: Branch, tag or commit of a hub id.

    Returns:
        Where config and weights are. Weights are None for a config that has none here.

    Raises:
        MissingFileError: There is no such network, or a released file is not in its place.
        ModelHubError: The hub did not give it.
    """
    saved = _saved(Path(name).expanduser())
    if saved is not None:
        return ZooModel(name, *saved, 'saved')
    if '/' not in name:
        if name in shipped_models():
            weights = _SHIPPED / f'{name}.safetensors'
            return ZooModel(name, config_path(name), str(weights), 'shipped')
        saved = _saved(cache_folder() / name)
        if saved is not None:
            return ZooModel(name, *saved, 'cached')
        released = find_released(name)
        if released is not None:
            config = config_path(released.config)
            if released.path.is_file():
                return ZooModel(name, config, str(released.path), 'released')
            trained = trained_weights(name) if name == released.config else None
            if trained is None:
                raise MissingFileError(f'{name}: its weights are not here: {released.advice}')
            return ZooModel(name, config, trained, 'trained')
        if name.removesuffix('.py') in config_names():
            trained = trained_weights(name.removesuffix('.py'))
            return ZooModel(name, config_path(name), trained, 'trained' if trained else 'config')
    elif name.count('/') == 1 and not name.startswith(('.', '/', '~')):
        saved = _saved(download(name, revision))
        assert saved is not None  # or `download` has raised
        return ZooModel(name, *saved, 'hub')
    raise _unknown(name)

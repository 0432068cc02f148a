# SPDX-License-Identifier: Apache-2.0
"""A network ready for inference from a config's name and a weights file."""

from __future__ import annotations

import copy
import logging
import threading
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from fastmetro_mm.config_files import config_path, read_config
from fastmetro_mm.errors import InputError, MissingFileError
from fastmetro_mm.model_zoo.files import CONFIG_FILE
from fastmetro_mm.model_zoo.lookup import find_model
from fastmetro_mm.model_zoo.network_building import build_network
from fastmetro_mm.model_zoo.pretrained import read_saved_config
from fastmetro_mm.models.heads import ParametricMeshHead

# mmengine swaps the import machinery while it reads a config, and registries are filled while a
# network is built: two threads must not do so at once.
_BUILDING = threading.RLock()


def resolve_config(model: str | Path | Config) -> Config:
    """The config a user means.

    Args:
        model: Name of a shipped config, path of any config, or a config.

    Raises:
        FileNotFoundError: If there is none.
    """
    if isinstance(model, Config):
        return model
    if Path(model).name == CONFIG_FILE:
        return read_saved_config(model)
    if not Path(model).is_file():
        if Path(model).name != str(model):
            raise MissingFileError(
                f'{model}: no such config file: check the path, or give the '
                'name of a shipped config'
            )
        model = config_path(str(model))
    with _BUILDING:
        return read_config(model)


def check_device(device: str | torch.device) -> torch.device:
    """The device a user means, if it can be used here.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1``...
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError) as error:  # torch's words are ten lines
        raise InputError(
            f'device {str(device)!r} is not available here: use cpu, or cuda or cuda:N where '
            'torch sees a GPU (fastmetro doctor tells)'
        ) from error
    return found


def load_network(model: str | Path | Config, weights: str | Path | None, device: str) -> nn.Module:
    """Build the network through mmpose and load its weights.

    Args:
        model: See :func:`resolve_config`.
        weights: Checkpoint of this package or a released ``.bin``; None leaves the network
            untrained, which is good for trying things out only.
        device: ``cpu``, ``cuda``, ``cuda:1``...

    Returns:
        The network in evaluation mode, with ``cfg`` and ``dataset_meta``.

    Raises:
        CheckpointError: If the weights are damaged or those of another model.
    """
    check_device(device)
    if weights is None:
        print_log(
            'No weights were given: the network is untrained and its meshes mean nothing.',
            logger='current',
            level=logging.WARNING,
        )
    elif not Path(weights).is_file() and '://' not in str(weights):
        raise MissingFileError(
            f'{weights}: no such weights file: check the path (trained ones '
            'lie in work_dirs/<config>/)'
        )
    with _BUILDING:
        config = copy.deepcopy(resolve_config(model))
        # Names of released files are recognised, and weights of another network refused, by the
        # estimator's own loading hook.
        network = build_network(config, None if weights is None else str(weights), str(device))
    if weights is not None and not smpl_head_is_trained(network) and has_smpl_head(network):
        print_log(
            f'{weights} holds no SMPL head: the mesh is right, but there are no SMPL parameters '
            '(open_body gives those of the open body).',
            logger='current',
            level=logging.WARNING,
        )
    return network


def from_pretrained(
    name: str = 'open_body', device: str = 'cpu', revision: str | None = None
) -> nn.Module:
    """A network by name, ready for inference.

    Args:
        name: See `find_model`.
        device: ``cpu``, ``cuda``, ``cuda:1``...
        revision: Branch, tag or commit of a hub's network.

    Returns:
        ``TopdownMeshEstimator`` in evaluation mode, with ``cfg`` and ``dataset_meta``.

    Raises:
        MissingFileError: There is no such network, or it has no weights here.
        UserError: Its files are damaged or not those of this package.
    """
    found = find_model(name, revision)
    if found.weights is None:
        raise MissingFileError(
            f'{name}: has no weights here: train it first, `fastmetro train {name}`'
        )
    return load_network(resolve_config(found.config), found.weights, device)


def has_smpl_head(network: nn.Module) -> bool:
    """Whether a network has the SMPL parameter head."""
    return getattr(network, 'smpl_head', None) is not None


def smpl_head_is_trained(network: nn.Module) -> bool:
    """Whether a network has the SMPL parameter head, and weights for it were loaded."""
    return has_smpl_head(network) and getattr(network, 'smpl_head_loaded', True)


def gives_parameters(network: nn.Module) -> bool:
    """Whether rotations and shape in its answers mean something: all but an untrained SMPL head."""
    if has_smpl_head(network):
        return smpl_head_is_trained(network)
    return isinstance(network.head, ParametricMeshHead)

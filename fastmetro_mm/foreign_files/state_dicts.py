# SPDX-License-Identifier: Apache-2.0
"""Find the weights in a checkpoint, whatever project wrote it.

Projects keep their state dict under one of a dozen names, inside wrappers that lengthen the names
of its entries, as torch tensors or NumPy arrays. What is unambiguous is undone here; the rest is
refused in one sentence that follows the name of the file.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.foreign_files.damage import one_line

# Parts of a checkpoint that hold tensors but no weights.
_NO_WEIGHTS = re.compile(
    r'optim|sched|scaler|meta|message_hub|rng|random|loop|callback|history|'
    r'official_unused|config|hyper|args'
)
_WRAPPERS = ('module', '_orig_mod')  # data parallel and torch.compile, at any depth
_HOLDERS = ('model', 'net', 'network', 'module', 'estimator', 'generator')  # in front of all names
_DEPTH = 4
_LARGEST_SPARSE = 1 << 28  # numbers; beyond that it is no weight


def find_weights(content: Mapping[str, Any]) -> dict[str, Tensor | np.ndarray]:
    """The state dict of a checkpoint.

    Args:
        content: What a file holds: a state dict, or a dict with one under ``state_dict``,
            ``model``, ``params``... at any depth down to four. ``state_dict`` wins over others
            beside it, such as averaged weights; otherwise there must be one only.

    Returns:
        Its tensors and arrays by name; other entries are left out.

    Raises:
        CheckpointError: There is none, or several.
    """
    return _find(content, _DEPTH, '')


def _find(content: Mapping, depth: int, where: str) -> dict[str, Tensor | np.ndarray]:
    entries = {
        key: value for key, value in content.items() if isinstance(key, str) and _is_tensor(value)
    }
    parts = {
        key: value
        for key, value in content.items()
        if isinstance(key, str)
        and isinstance(value, Mapping)
        and not _NO_WEIGHTS.search(key.lower())
        and depth
        and _count(value, depth - 1)
    }
    if 'state_dict' in parts:
        parts = {'state_dict': parts['state_dict']}
    biggest = max((_count(part, depth - 1) for part in parts.values()), default=0)
    if entries and len(entries) >= biggest:
        return entries
    if not parts:
        raise CheckpointError(f'holds no weights{where}: give a checkpoint written by training')
    if len(parts) > 1:
        names = one_line(', '.join(sorted(parts)))
        raise CheckpointError(
            f'holds several sets of weights{where} ({names}): save the one you mean alone, with '
            "torch.save({'state_dict': torch.load(FILE)[NAME]}, NEW_FILE)"
        )
    ((name, part),) = parts.items()
    return _find(part, depth - 1, f' in {name!r}')


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind != 'O')


def _count(content: Mapping, depth: int) -> int:
    """Tensors in a dict and the dicts in it."""
    return sum(
        1
        if _is_tensor(value)
        else _count(value, depth - 1)
        if isinstance(value, Mapping) and depth > 0
        else 0
        for key, value in content.items()
        if isinstance(key, str)
    )


def strip_prefixes(weights: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    """Names without what wrappers put in front of or into them.

    Args:
        weights: Entries by name.
        wanted: Names that the network (or its official counterpart) has.

    Returns:
        The entries under the names with the most matches; unchanged if nothing matches better.

    Raises:
        CheckpointError: Two entries would get the same name.
    """
    wanted = set(wanted)

    def matches(names: Collection[str]) -> int:
        return len(wanted.intersection(names))

    best = dict(weights)
    bare = {
        key: '.'.join(part for part in key.split('.') if part not in _WRAPPERS) for key in weights
    }
    if matches(bare.values()) > matches(best):
        if len(set(bare.values())) < len(bare):
            raise CheckpointError(
                'holds entries that are the same without "module." and '
                '"_orig_mod.": save one of the two sets alone'
            )
        best = {bare[key]: value for key, value in weights.items()}
    for _ in range(_DEPTH):
        # never a part of weights whose names fit already
        inner = {
            holder: {
                key.removeprefix(f'{holder}.'): value
                for key, value in best.items()
                if key.startswith(f'{holder}.')
            }
            for holder in _HOLDERS
        }
        holder = max(inner, key=lambda name: (matches(inner[name]), len(inner[name])))
        if matches(best) or not inner[holder]:
            break
        best = inner[holder]
    return best if matches(best) else dict(weights)


def as_tensor(name: str, value: Tensor | np.ndarray, own: Tensor | None) -> Tensor:
    """One entry as a dense tensor of numbers that a parameter can take.

    Args:
        name: Its name, for the message.
        value: What the file holds.
        own: The parameter, with the same shape; None for any of them.

    Raises:
        CheckpointError: It holds no numbers, numbers of another nature, or NaN or infinity.
    """
    shown = one_line(name)
    if isinstance(value, np.ndarray):
        try:
            value = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder('=')))
        except TypeError:
            raise CheckpointError(
                f'{shown} is an array of {value.dtype}, expected numbers'
            ) from None
    if value.is_meta:
        raise CheckpointError(
            f'{shown} is a meta tensor, without numbers: save the weights of the '
            'trained network, not of its outline'
        )
    if value.layout != torch.strided:
        if own is None and value.numel() > _LARGEST_SPARSE:
            raise CheckpointError(
                f'{shown} is a sparse tensor of {tuple(value.shape)}: save it dense'
            )
        value = value.to_dense()
    if own is not None and _nature(value) != _nature(own):
        raise CheckpointError(
            f'{shown} holds {value.dtype}, expected {own.dtype}: save the '
            'weights of the network as it was trained'
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise CheckpointError(
            f'{shown} holds NaN or infinity: the training diverged; take an earlier checkpoint'
        )
    return value.detach()


def _nature(tensor: Tensor) -> str:
    if tensor.is_complex():
        return 'complex'
    if tensor.is_floating_point():
        return 'float'
    return 'bool' if tensor.dtype == torch.bool else 'integer'

# SPDX-License-Identifier: Apache-2.0
"""Load weights into the estimator and prove that they arrived.

mmengine only warns about entries that are missing, of another shape or that cannot be copied, and
a test then runs with random weights. So everything is compared before loading, whatever the names
and wrappers in the file, and every entry of the network is compared with the file afterwards.
"""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from fastmetro_mm.errors import CheckpointError
from fastmetro_mm.foreign_files.damage import one_line
from fastmetro_mm.foreign_files.state_dicts import as_tensor, find_weights, strip_prefixes
from fastmetro_mm.models.network_kind import kind_of, model_kind
from fastmetro_mm.models.official_checkpoint import foreign_model, is_official, to_official, to_ours

THIS = 'this checkpoint '
"""What messages begin with where the loader does not say which file it reads."""

_COUNTERS = 'num_batches_tracked'  # absent in old files, and without influence on a prediction
_SMPL_HEAD = 'smpl_head.'


def prepare_weights(
    model: Any, state_dict: dict, prefix: str, local_metadata: dict, *args: Any
) -> None:
    """Load hook of the estimator, see :func:`fit_to_model`; arguments are PyTorch's."""
    if not prefix:  # parts of larger models are none of our business
        try:
            model.expected_weights = fit_to_model(model, state_dict)
        except CheckpointError as error:
            raise CheckpointError(f'{THIS}{error}') from None
        state_dict.clear()
        state_dict.update(model.expected_weights)


def prove_weights(model: Any, incompatible_keys: Any) -> None:
    """Hook after loading: compare every entry of the network with what was to be loaded.

    Raises:
        CheckpointError: An entry of the file is not in the network now.
    """
    expected, model.expected_weights = model.expected_weights, None
    if expected is None:
        return
    own = model.state_dict()
    wrong = [
        name
        for name, value in expected.items()
        if name in own and not torch.equal(own[name], value.to(own[name].device, own[name].dtype))
    ]
    if wrong:
        raise CheckpointError(
            f'{len(wrong)} of {len(own)} entries were not taken over from the checkpoint, e.g. '
            f'{wrong[0]}: build the network anew before loading (an accelerated or exported one '
            'takes no weights)'
        )


def fit_to_model(model: nn.Module, content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint under the names of a network, all of them checked.

    Args:
        model: The estimator they are meant for.
        content: A state dict with our or the official names, or a checkpoint that holds one; left
            as it is.

    Returns:
        New state dict. Entries that the network does not have are kept, for the loader to name.

    Raises:
        CheckpointError: It belongs to another network, lacks entries, or holds NaN. One sentence
            about the file; it names the right config where there is one.
    """
    own = model.state_dict()
    weights = strip_prefixes(find_weights(content), {*own, *_official_names(own)})
    foreign = foreign_model(weights)
    if foreign is not None:
        raise CheckpointError(
            f'is a {foreign} network, not FastMETRO: use a '
            'FastMETRO-*_state_dict.bin or a checkpoint trained here'
        )
    if is_official(weights):
        weights, unused = to_ours(weights)
        if unused:
            print_log(
                'Left out the unused ImageNet classifier of the official file: '
                f'{", ".join(sorted(unused))}'
            )
    wrong = [
        name
        for name in own
        if name in weights and tuple(weights[name].shape) != tuple(own[name].shape)
    ]
    missing = [name for name in own if name not in weights and _COUNTERS not in name]
    if model.freeze_mesh and not any(name.startswith(_SMPL_HEAD) for name in weights):
        print_log(
            'The checkpoint has no SMPL head: it starts from random weights',
            'current',
            level=logging.WARNING,
        )
        missing = [name for name in missing if not name.startswith(_SMPL_HEAD)]
    if model.partial_checkpoint:
        weights = {name: value for name, value in weights.items() if name not in wrong}
        _say_share(own, weights)
    elif wrong or missing or _is_larger(model, weights):
        raise CheckpointError(_misfit(model, own, weights, wrong, missing))
    return {
        name: as_tensor(name, value, own[name]) if name in own else value
        for name, value in weights.items()
    }


def _official_names(own: Mapping[str, Tensor]) -> set[str]:
    """Names of the network's entries in official files; none for a network of its own kind."""
    try:
        return set(to_official(own))
    except CheckpointError:
        return set()


def _is_larger(model: nn.Module, weights: Mapping[str, Any]) -> bool:
    """Whether a file that has all entries is of a larger network: more layers, more blocks.

    An SMPL head that the network does not have changes nothing about its mesh.
    """
    found, wanted = kind_of(weights), model_kind(model)
    return (
        found is not None
        and wanted is not None
        and (dataclasses.replace(found, has_smpl_head=wanted.has_smpl_head) != wanted)
    )


def _say_share(own: Mapping[str, Tensor], weights: Mapping[str, Any]) -> None:
    """Say which part of the network a partial checkpoint fills; refuse none."""
    taken = [name for name in own if name in weights and _COUNTERS not in name]
    entries = [name for name in own if _COUNTERS not in name]
    numbers, total = (sum(own[name].numel() for name in names) for names in (taken, entries))
    share = (
        f'{len(taken)} of {len(entries)} entries of this network '
        f'({100 * numbers / max(total, 1):.0f} % of its numbers)'
    )
    if not taken:
        raise CheckpointError(
            f'fills {share}: it belongs to another network, and '
            'partial_checkpoint=True would start from nothing of it'
        )
    print_log(
        f'Partial checkpoint: it fills {share}; the others start from their initial values',
        'current',
        level=logging.WARNING,
    )


def _misfit(
    model: nn.Module,
    own: Mapping[str, Tensor],
    weights: Mapping[str, Any],
    wrong: list[str],
    missing: list[str],
) -> str:
    found, wanted = kind_of(weights), model_kind(model)
    text = 'does not fit the config: '
    if found is not None and wanted is not None and found != wanted:
        text = f'is {found} but the config describes {wanted}: '
    if wrong:
        name = wrong[0]
        text += (
            f'{name} is {tuple(weights[name].shape)} in the file but '
            f'{tuple(own[name].shape)} in the network ({len(wrong)} such entries)'
        )
    elif missing:
        text += f'{len(missing)} of {len(own)} entries are missing, e.g. {missing[0]}'
    else:
        extra = [name for name in weights if name not in own]
        text += f'{len(extra)} entries have no place in it, e.g. {one_line(extra[0])}'
    config = None if found is None or found == wanted else found.config
    text += (
        f'; use {config} or another config of that network'
        if config
        else ('; use the config it was trained with')
    )
    if 0 < len(wrong) + len(missing) <= len(own) / 2:
        text += (
            '. To start a training (not a test) from the part that fits: '
            '--cfg-options model.partial_checkpoint=True'
        )
    return text

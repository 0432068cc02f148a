# SPDX-License-Identifier: Apache-2.0
"""Convert released FastMETRO weights to a checkpoint of this package, and back.

Examples:
    fastmetro convert weights FastMETRO-L-H64_3dpw_state_dict.bin fastmetro_l_h64_3dpw.pth
    fastmetro convert weights --to-official fastmetro_l_h64_3dpw.pth back.bin

A target that ends in ``.safetensors`` is written in that format, which nothing can hide code in.
Conversion is optional: ``fastmetro test`` and ``init_model`` take official files as they are.
"""

import argparse
import io
import os
from pathlib import Path

import torch

from fastmetro_mm.engine.checkpoints.loading import read_checkpoint
from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.errors import CheckpointError, CliError
from fastmetro_mm.fileio import check_target, write_atomically
from fastmetro_mm.foreign_files.damage import naming
from fastmetro_mm.foreign_files.safetensors_files import write_safetensors
from fastmetro_mm.foreign_files.state_dicts import as_tensor, find_weights, strip_prefixes
from fastmetro_mm.models.network_kind import kind_of
from fastmetro_mm.models.official_checkpoint import (
    MARKS,
    OUR_MARKS,
    foreign_model,
    is_official,
    to_official,
    to_ours,
)


def load(path: Path) -> tuple[dict, dict]:
    """Read a checkpoint without running any code that a pickle may carry.

    Returns:
        Its weights, checked to be numbers, and the ImageNet classifier set aside by an earlier
        conversion.

    Raises:
        CheckpointError: It is no checkpoint, or holds NaN.
    """
    content = read_checkpoint(path)
    with naming(path):
        weights = strip_prefixes(find_weights(content), (*MARKS, *OUR_MARKS))
        unused = content.get('official_unused')
        return (
            {name: as_tensor(name, value, None) for name, value in weights.items()},
            dict(unused) if isinstance(unused, dict) else {},
        )


def save(path: Path, weights: dict, unused: dict | None = None, meta: dict | None = None) -> None:
    """Write weights in one step, as the ending of the name says.

    Without ``meta`` the file is a bare state dict, as the official ones.
    """
    if path.suffix == '.safetensors':
        write_safetensors(path, weights, unused, meta)
        return
    content = dict(weights)
    if meta is not None:
        content = {'state_dict': weights, 'official_unused': unused or {}, 'meta': meta}
    buffer = io.BytesIO()  # torch's own writer turns a full disk into a message about its insides
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def convert(source: Path, target: Path) -> str:
    """Official to ours. Returns one line that says what was done."""
    official, _ = load(source)
    with naming(source):
        foreign = foreign_model(official)
        if foreign is not None:
            raise CheckpointError(f'is a {foreign} network, not FastMETRO; it cannot be converted')
        if not is_official(official):
            raise CheckpointError(
                'has none of the official FastMETRO names (e.g. '
                'cam_token_embed.weight); is it converted already?'
            )
        ours, unused = to_ours(official)
        kind = kind_of(ours)
        if kind is None:
            raise CheckpointError(
                'lacks the tokens or layers of a FastMETRO network; download it again'
            )
    save(target, ours, unused, {'official_kind': str(kind)})
    line = f'{kind}: {len(ours)} entries written to {target}'
    if kind.config:
        line += f'; use it with {kind.config}'
    if unused:
        line += f'; kept aside: {", ".join(sorted(unused))} (the unused ImageNet classifier)'
    return line


def convert_back(source: Path, target: Path) -> str:
    """Ours to official. Returns one line that says what was done."""
    ours, unused = load(source)
    with naming(source):
        if is_official(ours):
            raise CheckpointError('has official names already')
        official = to_official(ours, unused)
        kind = kind_of(ours)
        if kind is None or not is_official(official):
            raise CheckpointError('is not a checkpoint of a FastMETRO network')
    save(target, official)
    return f'{kind}: {len(official)} entries written to {target}'


def check_files(source: Path, target: Path) -> None:
    """Refuse a target that would destroy something, before hours of anything.

    Raises:
        InputError: It is a folder, a device or a link.
    """
    check_target(target)
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise CliError(f'{target}: is the source itself: give another name for the target')


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='file to read')
    parser.add_argument('target', type=Path, help='file to write (.pth, .bin or .safetensors)')
    parser.add_argument(
        '--to-official', action='store_true', help='write the names of the official code'
    )
    args = parser.parse_args(argv)
    with friendly_errors():
        check_files(args.source, args.target)
        print((convert_back if args.to_official else convert)(args.source, args.target))

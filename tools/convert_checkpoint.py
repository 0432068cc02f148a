# SPDX-License-Identifier: Apache-2.0
"""Convert released FastMETRO weights to a checkpoint of this package, and back.

Examples:
    python tools/convert_checkpoint.py FastMETRO-L-H64_3dpw_state_dict.bin fastmetro_l_h64_3dpw.pth
    python tools/convert_checkpoint.py --to-official fastmetro_l_h64_3dpw.pth back.bin

Conversion is optional: ``tools/test.py`` and ``init_model`` take official files as they are.
"""

import argparse
import os
import pickle
import sys
from pathlib import Path

import torch

from fastmetro_mm.errors import CliError
from fastmetro_mm.models.official_checkpoint import (
    foreign_model,
    is_official,
    official_kind,
    to_official,
    to_ours,
)


def load(path: Path) -> dict:
    """Read a checkpoint without running any code that a pickle may carry."""
    if not path.is_file():
        raise CliError(f'{path}: no such file')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CliError(
            f'{path}: not a readable file of plain weights ({reason}); download it again, or '
            'save its state dict alone with the code that wrote it'
        ) from error
    if not isinstance(content, dict):
        raise CliError(f'{path}: holds a {type(content).__name__}, expected a dict of weights')
    return content


def save(content: dict, path: Path) -> None:
    """Write under a temporary name, then rename: an interrupted run leaves nothing half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def convert(source: Path, target: Path) -> str:
    """Official to ours. Returns one line that says what was done."""
    content = load(source)
    official = content.get('state_dict', content)
    foreign = foreign_model(official)
    if foreign is not None:
        raise CliError(f'{source}: a {foreign} network, not FastMETRO; it cannot be converted')
    if not is_official(official):
        raise CliError(
            f'{source}: has none of the official FastMETRO names (e.g. cam_token_embed.weight); '
            'is it converted already?'
        )
    kind = official_kind(official)
    ours, unused = to_ours(official)
    save(
        {'state_dict': ours, 'official_unused': unused, 'meta': {'official_kind': str(kind)}},
        target,
    )
    line = f'{kind}: {len(ours)} entries written to {target}; use it with {kind.config}'
    if unused:
        line += f'; kept aside: {", ".join(sorted(unused))} (the unused ImageNet classifier)'
    return line


def convert_back(source: Path, target: Path) -> str:
    """Ours to official. Returns one line that says what was done."""
    content = load(source)
    ours = content.get('state_dict', content)
    if is_official(ours):
        raise CliError(f'{source}: has official names already')
    official = to_official(ours, content.get('official_unused'))
    if not is_official(official):
        raise CliError(f'{source}: not a checkpoint of a FastMETRO network')
    save(official, target)
    return f'{official_kind(official)}: {len(official)} entries written to {target}'


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='file to read')
    parser.add_argument('target', type=Path, help='file to write')
    parser.add_argument(
        '--to-official', action='store_true', help='write the names of the official code'
    )
    args = parser.parse_args()
    try:
        print((convert_back if args.to_official else convert)(args.source, args.target))
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()

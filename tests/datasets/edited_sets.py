# SPDX-License-Identifier: Apache-2.0
"""Changing rows of a set."""

import json
from pathlib import Path

from fastmetro_mm.datasets.tsv import lineidx_path

LOAD = [dict(type='LoadMeshImage'), dict(type='MeshAugment'), dict(type='MeshCrop')]


def edit_row(yaml_path: Path, part: str, row: int, edit) -> None:
    """Replace one line of a part of a set and drop the offsets, which no longer fit."""
    path = yaml_path.with_name(f'train.{part}.tsv')
    lines = path.read_bytes().split(b'\n')
    lines[row] = edit(lines[row])
    path.write_bytes(b'\n'.join(lines))
    lineidx_path(path).unlink(missing_ok=True)


def edit_label(yaml_path: Path, row: int, **changes) -> None:
    def edit(line: bytes) -> bytes:
        key, text = line.split(b'\t')
        label = json.loads(text)[0]
        for name, value in changes.items():
            label[name.lstrip('_')] = value
        label = {k: v for k, v in label.items() if v is not ...}
        return key + b'\t' + json.dumps([label]).encode()

    edit_row(yaml_path, 'label', row, edit)

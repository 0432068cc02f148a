# SPDX-License-Identifier: Apache-2.0
"""``fastmetro models``: which networks there are by name, what each needs, and what is here."""

import argparse
import json
from pathlib import Path

from fastmetro_mm.config_files import config_names
from fastmetro_mm.fileio import cache_folder
from fastmetro_mm.model_zoo.lookup import (
    DEFAULT_MODEL,
    kept_models,
    shipped_models,
    trained_weights,
)
from fastmetro_mm.model_zoo.released import RELEASED


def list_models() -> list[dict[str, str]]:
    """Every name that `MeshInferencer` and ``--model`` take, with its weights and what to do.

    Returns:
        Rows with ``name``, ``origin`` (shipped, cached, released, config), ``weights`` (a path, or
        '' where there are none here) and ``note``.
    """
    rows = [
        dict(
            name=name,
            origin='shipped',
            weights='in the package',
            note='default' if name == DEFAULT_MODEL else '',
        )
        for name in shipped_models()
    ]
    rows += [
        dict(name=name, origin='cached', weights=str(cache_folder() / name), note='')
        for name in kept_models()
    ]
    for released in RELEASED:
        here = released.path.is_file()
        rows.append(
            dict(
                name=released.config,
                origin='released',
                weights=str(released.path) if here else '',
                note=released.scores if here else f'{released.scores}; {released.advice}',
            )
        )
    known = {row['name'] for row in rows}
    for name in config_names():
        if name not in known:
            weights = trained_weights(name) or ''
            rows.append(
                dict(
                    name=name,
                    origin='config',
                    weights=weights,
                    note='' if weights else f'train it: fastmetro train {name}',
                )
            )
    return rows


def main() -> int:
    """Print the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', action='store_true', help='print the list as JSON')
    args = parser.parse_args()
    rows = list_models()
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(row['name']) for row in rows)
    for row in rows:
        sign = 'ready  ' if row['weights'] else '-      '
        place = row['weights'] if row['weights'] and Path(row['weights']).exists() else ''
        print(
            f'{sign}{row["name"]:<{width}}  {row["origin"]:<9} '
            f'{"; ".join(filter(None, [place, row["note"]]))}'
        )
    print(
        '\nA name goes to `fastmetro demo --model NAME` or MeshInferencer(NAME). So do the '
        'folder\nof a saved network and OWNER/NAME of a model hub (with fastmetro_mm[hub]).'
    )
    return 0

# SPDX-License-Identifier: Apache-2.0
"""Which additions to the drawn people lower the error on real people: a table.

Usage: python -m projects.free_model.ablation FOLDER --backgrounds PHOTOS --h36m H36M \
           --films FILMS/Pose2Sim/Demo_SinglePerson FILMS/Pose2Sim/Demo_MultiPerson

Draws the same people with every addition of scene 'photo', with each one left out, and with none;
looks at them with frozen MoveNet Thunder; fits a ridge regression to each; scores all on real
people. What is drawn stays in FOLDER (25 kB a crop): killed, the same command goes on.
"""

import argparse
import json
import time
from collections.abc import Collection
from pathlib import Path

import cv2
import torch

from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.synthetic.options import SyntheticSetOptions, read_recipe
from projects.free_model.ablation.evidence import Onlooker, People, drawn_crops
from projects.free_model.ablation.plainer import ADDITIONS, PlainerStudio
from projects.free_model.ablation.real import LOOKS, filmed_crops, h36m_crops
from projects.free_model.ablation.table import markdown
from projects.free_model.ablation.trial import Trial
from projects.free_model.lifting.draw import IMAGE
from projects.free_model.lifting.small_body import SmallBody

SHARD = 250
DRAWN, UNSEEN = 'drawn', 1_000_000
"""Name of the set of drawn people who are scored, and their first number."""


def variants(options: argparse.Namespace) -> dict[str, Collection[str]]:
    """Name of a variant, and what is left out."""
    each = {name: (name,) for name in options.leave_out}
    return {'all': (), **each, 'none': tuple(ADDITIONS)}


def shards(options: argparse.Namespace, name: str) -> dict[Path, range]:
    """Files of a variant, or of those who are scored, and the numbers of their people."""
    first, count = (UNSEEN, options.unseen) if name == DRAWN else (0, options.count)
    found = {}
    for start in range(first, first + count, SHARD):
        numbers = range(start, min(start + SHARD, first + count))
        file = f'{numbers.start:07d}-{numbers.stop:07d}.npz'
        found[options.folder / name / file] = numbers
    return found


def check_recipe(options: argparse.Namespace) -> None:
    """People of another seed or before other backgrounds are not mixed in."""
    file = options.folder / 'recipe.json'
    recipe = SyntheticSetOptions(
        train=0, test=1, seed=options.seed, size=(IMAGE, IMAGE), scene='photo',
        backgrounds=options.backgrounds,
    ).recipe()  # fmt: skip
    if not file.exists():
        write_atomically(file, json.dumps(recipe).encode())
    elif read_recipe(file) != recipe:
        raise InputError(
            f'{options.folder}: drawn with another seed, other backgrounds or another version; '
            'give another folder'
        )


def draw(options: argparse.Namespace, onlooker: Onlooker) -> None:
    """Draw and look at what is missing: a shard of every variant, then the next."""
    check_recipe(options)
    body, studios, without = SmallBody(), {}, variants(options)
    rounds = zip(*(shards(options, name).items() for name in without), strict=True)
    missing = [(DRAWN, *item) for item in shards(options, DRAWN).items()]
    missing += [
        (name, *item) for items in rounds for name, item in zip(without, items, strict=True)
    ]
    began = time.time()
    for name, target, numbers in missing:
        if target.exists():
            continue
        if name not in studios:
            studios[name] = PlainerStudio(
                (IMAGE, IMAGE), options.backgrounds, without.get(name, ())
            )
        onlooker(drawn_crops(studios[name], body, options.seed, numbers)).save(target)
        print(f'{target}  {time.time() - began:.0f} s', flush=True)


def real_sets(options: argparse.Namespace, onlooker: Onlooker) -> dict[str, dict[str, People]]:
    """How people are shown, to name of a source, to real people; looked at once."""
    folder, found = options.folder / 'real', {look: {} for look in LOOKS}
    for film in options.films:
        files = {look: folder / f'{film.name}, {look}.npz' for look in LOOKS}
        if not all(file.exists() for file in files.values()):
            crops = list(filmed_crops(film))
            for look, file in files.items():
                onlooker(crop for name, crop in crops if name == look).save(file)
        for look, file in files.items():
            found[look][film.name] = People.load([file])
    if options.h36m:
        file = folder / 'H36M.npz'
        if not file.exists():
            onlooker(h36m_crops(options.h36m)).save(file)
        found[LOOKS[0]]['H36M'] = People.load([file])
    return found


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path, help='what is drawn, and the table')
    parser.add_argument('--count', type=int, default=2000, help='drawn people a variant')
    parser.add_argument('--unseen', type=int, default=500, help='drawn people who are scored')
    parser.add_argument(
        '--leave-out', nargs='*', choices=ADDITIONS, default=list(ADDITIONS), help='one by one'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--rounds', type=int, default=40, help='of the bootstrap')
    parser.add_argument('--backgrounds', help='folder of photos without people')
    parser.add_argument('--films', type=Path, nargs='*', default=[], help='demos of Pose2Sim')
    parser.add_argument('--h36m', type=Path, help='folder of test_h36m.npz and images/')
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draw, fit, score; print the table."""
    options = build_parser().parse_args(argv)
    with friendly_errors():
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        keep_freed_memory()
        onlooker = Onlooker()
        real = real_sets(options, onlooker)
        draw(options, onlooker)
        groups = {look: list(people) for look, people in real.items() if people}
        sets = {
            f'{name}, {look}': people
            for look, group in real.items()
            for name, people in group.items()
        }
        trial = Trial(sets | {DRAWN: _people(options, DRAWN)}, options.rounds)
        ridges = trial.choose_ridges(_people(options, 'all'), DRAWN)
        print(f'ridges {ridges}', flush=True)
        fits = {}
        for name in variants(options):
            fits[name] = trial.fit(_people(options, name), ridges)
            print(f'fitted {name}', flush=True)
        text, scores = markdown(trial, fits, groups)
        recipe = {'count': options.count, 'seed': options.seed, 'ridges': ridges}
        write_atomically(
            options.folder / 'scores.json', json.dumps(recipe | scores, indent=1).encode()
        )
        print(text)


def _people(options: argparse.Namespace, name: str) -> People:
    return People.load(shards(options, name))


if __name__ == '__main__':
    main()

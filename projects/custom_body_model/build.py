# SPDX-License-Identifier: Apache-2.0
"""Make the three files of a body of your own.

Usage: python -m projects.custom_body_model.build --vertices 10475 --levels 2619 655
       python -m projects.custom_body_model.build --model mine.npz --regressors mine_joints.npz
"""

import argparse
from pathlib import Path

import numpy as np

from fastmetro_mm.body.own_body import MODEL_FILE, REGRESSOR_FILE, SAMPLING_FILE, register_body
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import CliError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.foreign_files.archives import NpzFile
from projects.custom_body_model.resampled import levels_of, open_body_arrays, resample

_MODEL = ('v_template', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'kintree_table', 'f')
_REGRESSORS = ('J_regressor_h36m', 'J_regressor_extra')


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default=Path('data/dense_body'))
    parser.add_argument('--vertices', type=int, default=10475, help='of the resampled open body')
    parser.add_argument('--levels', type=int, nargs=2, default=(2619, 655), help='coarser levels')
    parser.add_argument('--model', type=Path, help='your own mesh, an npz in the layout of SMPL')
    parser.add_argument('--regressors', type=Path, help='npz of its two joint regressors')
    return parser


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Some arrays of an npz."""
    file = NpzFile(path)
    return {name: file.read(name) for name in names}


def write_body(folder: Path, model: dict, regressors: dict, levels: dict) -> None:
    """Write the three files, each in one step."""
    files = {MODEL_FILE: model, REGRESSOR_FILE: regressors, SAMPLING_FILE: levels}
    for name, arrays in files.items():
        write_atomically(
            folder / name, lambda path, arrays=arrays: np.savez_compressed(path, **arrays)
        )


def main(argv: list[str] | None = None) -> None:
    """Make them and read them back."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        if (options.model is None) != (options.regressors is None):
            raise CliError('give --model and --regressors, or neither')
        if options.model is None:
            try:
                model, regressors = resample(*open_body_arrays(), options.vertices)
            except ValueError as error:
                raise CliError(f'--vertices: {error}') from None
        else:
            model = read_arrays(options.model, _MODEL)
            regressors = read_arrays(options.regressors, _REGRESSORS)
        try:
            levels = levels_of(model, list(options.levels))
        except ValueError as error:
            raise CliError(f'--levels: {error}') from None
        write_body(options.out, model, regressors, levels)
        kind = register_body('dense_body', options.out)
        print(f'{options.out}: levels of {", ".join(map(str, kind.levels))} vertices')


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Check the official body data and lay it out where the configs look for it.

    fastmetro prepare --from CHECKOUT [--smpl FILE...] [--mano FILE...]

CHECKOUT is a clone of https://github.com/postech-ami/FastMETRO or
https://github.com/microsoft/MeshTransformer (METRO). Files are copied byte for byte under their
official names: the sampling files keep the members with template geometry (M, V), which this
package never reads, so that a copy can still be compared with its source. Licensed SMPL and MANO
files found there or given by option are copied too, and a plain .npz is written beside each: it
loads faster and needs no pickle. No pickle is executed at any time.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body import official_checks as checks
from fastmetro_mm.body.left_hand import read_left_hand
from fastmetro_mm.body.locations import DEFAULT_ROOT, ENVIRONMENT_VARIABLE
from fastmetro_mm.body.model_files import model_file_names, read_model_file
from fastmetro_mm.errors import BodyDataError, InputError, MissingFileError, UserError
from fastmetro_mm.fileio import check_target, write_atomically

DATA_FOLDERS = ('src/modeling/data', 'metro/modeling/data', '.')
REQUIRED = (
    'mesh_downsampling.npz', 'mano_downsampling.npz',
    'J_regressor_extra.npy', 'J_regressor_h36m_correct.npy',
)  # fmt: skip
LOSS_TABLES = ('smpl_1723_edges.npy', 'smpl_1723_faces.npy')
ADJACENCY = (('smpl_431', 'mesh_downsampling.npz', 2), ('mano_195', 'mano_downsampling.npz', 1))
LICENCES = """\
Licences, in short (no legal advice; the texts on the sites decide):
- FastMETRO and METRO code is MIT. The regressors (J_regressor_*.npy) come from GraphCMR and
  Pose2Mesh (BSD-3, MIT) and hold weights only.
- mesh_downsampling.npz and mano_downsampling.npz are derived from SMPL and MANO and hold template
  geometry. Treat them like the models: research use, do not pass them on.
- SMPL (https://smpl.is.tue.mpg.de) and MANO (https://mano.is.tue.mpg.de) are free for
  non-commercial research after registration and must not be redistributed.
- So keep the output folder out of repositories and packages. The open body of this package needs
  none of these files."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--from',
        dest='checkout',
        type=Path,
        help='FastMETRO or METRO checkout (or its data folder)',
    )
    parser.add_argument(
        '--smpl',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='SMPL model files (.pkl or .npz) under their official names',
    )
    parser.add_argument(
        '--mano',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='MANO_RIGHT / MANO_LEFT files (.pkl or .npz)',
    )
    parser.add_argument(
        '--out', type=Path, default=DEFAULT_ROOT, help=f'output folder (default: {DEFAULT_ROOT})'
    )
    args = parser.parse_args(arguments)
    if args.checkout is None and not args.smpl and not args.mano:
        parser.error('nothing to do: give --from CHECKOUT, --smpl FILE or --mano FILE')
    try:
        prepare(args.checkout, args.smpl, args.mano, args.out)
    except (UserError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


def prepare(checkout: Path | None, smpl: list[Path], mano: list[Path], out: Path) -> None:
    """Check everything, then copy; nothing is written when a check fails.

    Args:
        checkout: FastMETRO or METRO checkout, or ``None``.
        smpl: SMPL model files.
        mano: MANO model files.
        out: Output folder.

    Raises:
        FileNotFoundError: A file or folder is missing.
        BodyDataError: A file is not what it should be.
    """
    copies: list[Path] = []
    models = {path: 'smpl' for path in smpl} | {path: 'mano' for path in mano}
    if checkout is not None:
        folder = find_data_folder(checkout)
        print(f'checking the files of {folder}')
        copies = check_checkout(folder)
        given = {path.name for path in models}
        for path, family in models_beside(folder).items():
            if path.name not in given:
                models[path] = family
    arrays = {path: read_licensed(path, family) for path, family in models.items()}
    for path, family in models.items():
        print(
            f'ok  {path.name}: {family.upper()} model, {len(arrays[path]["v_template"])} vertices'
        )

    if out.exists() and not out.is_dir():
        raise InputError(f'{out}: is a file: give a folder with --out')
    npz = [path.with_suffix('.npz') for path in models if path.suffix == '.pkl']
    for path in (*copies, *models, *npz):
        check_target(out / path.name)
    out.mkdir(parents=True, exist_ok=True)
    for path in (*copies, *models):
        copy_atomically(path, out / path.name)
    for path, content in arrays.items():
        if path.suffix == '.pkl':
            save_atomically(content, out / f'{path.stem}.npz')
            print(f'    {path.stem}.npz written beside it')
    print(f'{len(copies) + len(models)} files are in {out}')
    if not arrays:
        print(
            'no SMPL or MANO model file given: training on official labels and hand joints '
            'regressed from the mesh need one, other predictions do not'
        )
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen and Path(chosen).resolve() != out.resolve():
        print(f'note: {ENVIRONMENT_VARIABLE} is set to {chosen} and wins over this folder')
    print(LICENCES)


def find_data_folder(checkout: Path) -> Path:
    """Folder with the body data inside a FastMETRO or METRO checkout.

    Raises:
        FileNotFoundError: The checkout is missing or holds no such folder.
    """
    if not checkout.is_dir():
        raise MissingFileError(
            f'{checkout}: no such folder; clone https://github.com/postech-ami/FastMETRO first'
        )
    for inner in DATA_FOLDERS:
        if (checkout / inner / REQUIRED[0]).is_file():
            return checkout / inner
    raise MissingFileError(
        f'{checkout}: neither a FastMETRO nor a METRO checkout, no '
        f'{REQUIRED[0]} in {", ".join(DATA_FOLDERS)}'
    )


def check_checkout(folder: Path) -> list[Path]:
    """Check every body-data file of a checkout and return those to copy.

    Raises:
        BodyDataError: A file is not what it should be.
    """
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise MissingFileError(
            f'{folder}: {", ".join(missing)} missing, the checkout is incomplete; clone it again'
        )
    body, hand, extra, h36m = (folder / name for name in REQUIRED)
    print('ok  ' + checks.check_sampling(body, 'smpl'))
    print('ok  ' + checks.check_sampling(hand, 'mano'))
    print('ok  ' + checks.check_regressor(extra, 14))
    print('ok  ' + checks.check_regressor(h36m, 17))
    copies = [body, hand, extra, h36m]
    tables = [folder / name for name in LOSS_TABLES]
    if all(path.is_file() for path in tables):
        edges, faces = tables
        print('ok  ' + checks.check_loss_tables(edges, faces, body))
        copies += tables
    else:
        print(
            f'--  {" and ".join(LOSS_TABLES)} are not in this checkout (METRO has none): the same '
            'tables are derived from A[1] when needed'
        )
    for stem, sampling, level in ADJACENCY:
        if (folder / f'{stem}_adjmat_indices.pt').is_file():
            print('ok  ' + checks.check_adjacency_files(folder, stem, folder / sampling, level))
    return copies


def models_beside(folder: Path) -> dict[Path, str]:
    """Licensed model files that already lie in the checkout, with their family."""
    return {
        folder / name: family
        for family in ('smpl', 'mano')
        for name in sorted(official_names(family))
        if name.endswith('.pkl') and (folder / name).is_file()
    }


def official_names(family: str) -> set[str]:
    """All file names under which a model of the family is looked for."""
    if family == 'mano':
        lists = [model_file_names('mano', side=side) for side in ('right', 'left')]
    else:
        lists = [model_file_names('smpl', gender) for gender in ('neutral', 'male', 'female')]
    return {name for names in lists for name in names}


def read_licensed(path: Path, family: str) -> dict[str, np.ndarray]:
    """Read and check a SMPL or MANO file whose name says which one it is.

    Raises:
        FileNotFoundError: No such file.
        BodyDataError: Wrong name or wrong content.
    """
    if not path.is_file():
        raise MissingFileError(f'{path}: no such model file')
    if path.name not in official_names(family):
        known = ', '.join(sorted(name for name in official_names(family) if name.endswith('pkl')))
        raise BodyDataError(
            f'{path}: the name does not say which {family.upper()} model it is; '
            f'rename it to one of {known} (or .npz)'
        )
    if path.stem == 'MANO_LEFT':
        return read_left_hand(path)
    return read_model_file(path, family)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file so that the target is complete or not there at all.

    Raises:
        InputError: The target is a link, a folder or a device.
    """
    if target.exists() and not target.is_symlink() and os.path.samefile(source, target):
        return
    write_atomically(target, lambda temporary: shutil.copyfile(source, temporary))


def save_atomically(arrays: dict[str, Any], target: Path) -> None:
    """Write arrays as a plain .npz so that the target is complete or not there at all."""
    write_atomically(target, lambda temporary: np.savez(temporary, **arrays))

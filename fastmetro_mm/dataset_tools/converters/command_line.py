# SPDX-License-Identifier: Apache-2.0
"""The converters by name, with their arguments: one command form for all."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from fastmetro_mm.dataset_tools.converters.bedlam import BedlamSource
from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.eft import EFTSource
from fastmetro_mm.dataset_tools.converters.emdb import EMDBSource
from fastmetro_mm.dataset_tools.converters.freihand import VERSIONS, FreiHANDSource
from fastmetro_mm.dataset_tools.converters.h36m_json import Human36MSource
from fastmetro_mm.dataset_tools.converters.humandata import HumanDataSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import BODIES, MeshJoints
from fastmetro_mm.dataset_tools.converters.rows import RowSource
from fastmetro_mm.dataset_tools.converters.shrink import ShrunkSource
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.converters.threedpw import BOXES, ThreeDPWSource
from fastmetro_mm.dataset_tools.converters.up3d import UP3DSource
from fastmetro_mm.engine.cli import count, factor

Args = argparse.Namespace


@dataclass(frozen=True)
class Converter:
    """One converter."""

    help: str  # what it reads, one line
    build: Callable[[Args], RowSource]  # makes the row source of parsed arguments
    split: str = 'train'  # default of ``--split``
    images: bool = False  # whether ``--images`` names the image folder
    mesh: bool = False  # whether joints are derived from a body model
    padding: float | None = None  # default of ``--padding``, or None where there is none
    options: Callable[[argparse.ArgumentParser], None] | None = None  # adds further arguments


def _mesh(args: Args, *genders: str) -> MeshJoints:
    return MeshJoints(args.body_model, args.body_data, genders or ('neutral',))


def _image_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--annotations', help='COCO-style json of boxes and keypoints')
    parser.add_argument('--body', default='smpl', choices=['smpl', 'hand'])


def _box_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--box',
        default='pose2mesh',
        choices=BOXES,
        help='pose2mesh: boxes of the official rows; spin: of the 2D points',
    )


def _version_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--versions',
        nargs='+',
        default=list(VERSIONS),
        choices=VERSIONS,
        help='versions of the training images',
    )


def _fits_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--smpl', help='json of SMPL fits by annotation id, where they are not in the annotations'
    )


def _required_fits_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--smpl', required=True, help='..._SMPL_NeuralAnnot.json')


def _shrink_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--body', default='smpl', choices=['smpl', 'hand'])
    parser.add_argument('--margin', type=factor, default=1.8, help='kept side / side of the box')
    parser.add_argument('--max-box', type=count, default=448, help='largest box kept as it is, px')
    parser.add_argument('--quality', type=count, default=95, help='of the new JPEGs')


def _every_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--every', type=count, default=5, help='take every N-th frame')


def _coco_smpl(args: Args) -> RowSource:
    return CocoSMPLSource(args.source, args.images, _mesh(args), args.smpl, args.padding)


CONVERTERS: dict[str, Converter] = {
    'images': Converter(
        'a folder of your own images',
        lambda a: ImageFolderSource(a.source, a.annotations, a.body, a.padding),
        padding=1.2,
        options=_image_options,
    ),
    'spin-npz': Converter(
        'npz of SPIN, GraphCMR, ...', lambda a: SpinNpzSource(a.source, a.images), images=True
    ),
    '3dpw': Converter(
        '3DPW: folder with sequenceFiles and imageFiles',
        lambda a: ThreeDPWSource(a.source, a.split, _mesh(a), a.box),
        mesh=True,
        options=_box_option,
    ),
    'freihand': Converter(
        'FreiHAND v2: folder with the json files',
        split='training',
        options=_version_option,
        build=lambda a: FreiHANDSource(a.source, a.split, a.versions),
    ),
    'h36m': Converter(
        'Human3.6M: folder of the json files of Pose2Mesh or NeuralAnnot',
        lambda a: Human36MSource(a.source, a.images, a.split, _mesh(a), a.padding, a.every),
        images=True,
        mesh=True,
        padding=1.2,
        options=_every_option,
    ),
    'humandata': Converter(
        'HumanData npz of mmhuman3d',
        lambda a: HumanDataSource(a.source, a.images, _mesh(a), a.padding),
        images=True,
        mesh=True,
        padding=1.0,
    ),
    'pose2mesh': Converter(
        'COCO-style json of Pose2Mesh (3DPW, MuCo)',
        _coco_smpl,
        images=True,
        mesh=True,
        padding=1.2,
        options=_fits_option,
    ),
    'neuralannot': Converter(
        'COCO-style json with fits of NeuralAnnot',
        _coco_smpl,
        images=True,
        mesh=True,
        padding=1.2,
        options=_required_fits_option,
    ),
    'eft': Converter(
        'json of EFT', lambda a: EFTSource(a.source, a.images, _mesh(a)), images=True, mesh=True
    ),
    'emdb': Converter(
        'EMDB: folder with P0 ... P9',
        lambda a: EMDBSource(a.source, a.split, _mesh(a, 'neutral', 'male', 'female')),
        split='emdb1',
        mesh=True,
    ),
    'bedlam': Converter(
        'BEDLAM: npz, or a folder of them',
        lambda a: BedlamSource(a.source, a.images, _mesh(a)),
        images=True,
        mesh=True,
    ),
    'up3d': Converter(
        'UP-3D: folder of its files',
        lambda a: UP3DSource(a.source, a.split, _mesh(a), a.padding),
        split='trainval',
        mesh=True,
        padding=1.2,
    ),
    'shrink': Converter(
        'a TSV set, with its images cut to what training sees (yaml)',
        lambda a: ShrunkSource(a.source, a.body, a.margin, a.max_box, a.quality),
        options=_shrink_options,
    ),
}


def add_converter(parser: argparse.ArgumentParser, converter: Converter) -> None:
    """Add the arguments of one converter."""
    parser.add_argument(
        '--split',
        default=converter.split,
        help='part of the source, and first part of the file names (default: %(default)s)',
    )
    if converter.images:
        parser.add_argument('--images', required=True, help='folder of the images')
    if converter.padding is not None:
        parser.add_argument(
            '--padding',
            type=factor,
            default=converter.padding,
            help='crop side / longer side of the box (default: %(default)s)',
        )
    if converter.mesh:
        parser.add_argument(
            '--body-model',
            default='auto',
            choices=BODIES,
            help='mesh to derive joints from; auto: SMPL where it is found',
        )
        parser.add_argument('--body-data', help='folder of the licensed body files')
    if converter.options is not None:
        converter.options(parser)

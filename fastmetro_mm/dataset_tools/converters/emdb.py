# SPDX-License-Identifier: Apache-2.0
"""EMDB as released: ``P*/<sequence>/<P>_<sequence>_data.pkl`` and ``images/%05d.jpg`` beside it.

Poses are in the world frame and belong to the SMPL model of the subject's gender: 3D joints are
taken from that model, unlike in the 3DPW rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.dataset_tools.converters.files import read_pickle, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_of,
    numbers,
    shaped,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import project, square_box, with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError, DataSetError

SPLITS = ('emdb1', 'emdb2', 'all')
_PADDING = 1.2


class EMDBSource(FileSource):
    """Rows of the sequences of one part.

    Args:
        root: Folder with ``P0`` ... ``P9``.
        split: ``'emdb1'`` (17 sequences, body pose), ``'emdb2'`` (global motion) or ``'all'``.
        mesh: Derives the joints.

    Raises:
        FileNotFoundError: The folder is missing.
        DataSetError: No sequence of that part, or a damaged file.
    """

    KIND = 'emdb'

    def __init__(self, root: str | Path, split: str, mesh: MeshJoints) -> None:
        if split not in SPLITS:
            raise ConfigError(f'EMDB has no part {split!r}: use --split {" | ".join(SPLITS)}')
        self.mesh = mesh
        self._root = require_folder(root, 'EMDB folder')
        self._sequences: list[dict] = []
        self.paths, self.options = [], dict(root=self._root, split=split)
        for path in sorted(self._root.glob('*/*/*_data.pkl')):
            sequence = _read_sequence(path)
            if split == 'all' or sequence[split]:
                self.paths.append(path)
                self._sequences.append({**sequence, 'folder': path.parent})
        self._rows = np.array(
            [
                (number, frame)
                for number, sequence in enumerate(self._sequences)
                for frame in np.flatnonzero(sequence['good'])
            ],
            np.int64,
        ).reshape(-1, 2)
        if not len(self._rows):
            raise DataSetError(f'{root} holds no sequence of {split}: unpack EMDB there')

    @property
    def note(self) -> str:
        """What the labels hold."""
        return self.mesh.note + betas_note([s['num_betas'] for s in self._sequences])

    def __len__(self) -> int:
        return len(self._rows)

    def _path(self, index: int) -> Path:
        number, frame = self._rows[index]
        return self._sequences[number]['folder'] / 'images' / f'{frame:05d}.jpg'

    def key(self, index: int) -> str:
        """Name of the image below the root."""
        return self._path(index).relative_to(self._root).as_posix()

    def row(self, index: int) -> TSVRow:
        """One frame.

        Raises:
            SkipRow: Image missing, box marked invalid, joints behind the camera.
        """
        number, frame = self._rows[index]
        sequence = self._sequences[number]
        if frame in sequence['invalid']:
            raise SkipRow('box marked invalid')
        x1, y1, x2, y2 = sequence['bboxes'][frame]
        box = square_box(x1, y1, x2 - x1, y2 - y1, _PADDING)
        extrinsics = sequence['extrinsics'][frame]
        pose, joints = self.mesh.from_world(
            sequence['poses'][frame],
            sequence['betas'],
            sequence['trans'][frame],
            extrinsics[:3, :3],
            extrinsics[:3, 3],
            sequence['gender'],
        )
        joints_2d = joints_3d = None
        if joints is not None:
            joints_3d = with_confidence(joints)
            joints_2d = with_confidence(project(joints, sequence['intrinsics']))
        return TSVRow(
            self.key(index),
            read_image(self._path(index)),
            make_label(*box, joints_2d, joints_3d, pose, sequence['betas'], sequence['gender']),
        )


def _finite(value: Any, what: str) -> np.ndarray:
    array = numbers(value, what)
    if not np.isfinite(array).all():
        raise ValueError(f'{what} holds a value that is not finite')
    return array


def _read_sequence(path: Path) -> dict:
    content = read_pickle(path, 'unpack EMDB there')
    try:
        smpl, camera, boxes = content['smpl'], content['camera'], content['bboxes']
        count = int(content['n_frames'])
        good = shaped(
            _finite(content['good_frames_mask'], 'good_frames_mask'), 'good_frames_mask', (count,)
        )
        sequence = dict(
            gender=parse_gender(content['gender']),
            emdb1=bool(content['emdb1']),
            emdb2=bool(content['emdb2']),
            good=good.astype(bool),
            intrinsics=shaped(camera['intrinsics'], 'intrinsics', (3, 3)),
            extrinsics=shaped(camera['extrinsics'], 'extrinsics', (count, 4, 4)),
            poses=np.concatenate(
                [
                    shaped(smpl['poses_root'], 'poses_root', (count, 3)),
                    shaped(smpl['poses_body'], 'poses_body', (count, 69), (count, 23, 3)),
                ],
                axis=1,
            ),
            trans=shaped(smpl['trans'], 'trans', (count, 3)),
            betas=betas_of(smpl['betas']),  # one shape for the whole sequence
            num_betas=numbers(smpl['betas'], 'betas').size,
            bboxes=shaped(boxes['bboxes'], 'bboxes', (count, 4)),
            invalid=frozenset(
                _finite(boxes.get('invalid_idxs', ()), 'invalid_idxs')
                .astype(np.int64)
                .ravel()
                .tolist()
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataSetError(
            f'{path} is not an EMDB sequence file ({type(error).__name__}: '
            f'{" ".join(str(error).split())}): correct it or download it again'
        ) from None
    return sequence

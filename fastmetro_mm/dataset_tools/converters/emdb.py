# SPDX-License-Identifier: Apache-2.0
"""EMDB as released: ``P*/<sequence>/<P>_<sequence>_data.pkl`` and ``images/%05d.jpg`` beside it.

Poses are in the world frame and belong to the SMPL model of the subject's gender: 3D joints are
taken from that model, unlike in the 3DPW rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastmetro_mm.dataset_tools.converters.files import (
    read_image_bytes,
    read_pickle,
    require_folder,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import project, square_box, with_confidence
from fastmetro_mm.dataset_tools.converters.run import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError, DataSetError

SPLITS = ('emdb1', 'emdb2', 'all')
_PADDING = 1.2


class EMDBSource:
    """Rows of the sequences of one part.

    Args:
        root: Folder with ``P0`` ... ``P9``.
        split: ``'emdb1'`` (17 sequences, body pose), ``'emdb2'`` (global motion) or ``'all'``.
        mesh: Derives the joints.

    Raises:
        FileNotFoundError: The folder is missing.
        DataSetError: No sequence of that part, or a damaged file.
    """

    def __init__(self, root: str | Path, split: str, mesh: MeshJoints) -> None:
        if split not in SPLITS:
            raise ConfigError(f'EMDB has no part {split!r}: use --split {" | ".join(SPLITS)}')
        self.split, self.mesh = split, mesh
        self._root = require_folder(root, 'EMDB folder')
        self._sequences = []
        for path in sorted(self._root.glob('*/*/*_data.pkl')):
            sequence = _read_sequence(path)
            if split == 'all' or sequence[split]:
                self._sequences.append({**sequence, 'folder': path.parent})
        self._rows = np.array(
            [(number, frame) for number, sequence in enumerate(self._sequences)
             for frame in np.flatnonzero(sequence['good'])], np.int64).reshape(-1, 2)
        if not len(self._rows):
            raise DataSetError(f'{root} holds no sequence of {split}: unpack EMDB there')

    @property
    def note(self) -> str:
        """What the labels hold."""
        return self.mesh.note

    def __len__(self) -> int:
        return len(self._rows)

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'emdb', 'split': self.split, 'mesh': self.mesh.body}

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
        camera = sequence['extrinsics'][frame]
        pose, joints = self.mesh.from_world(
            sequence['poses'][frame], sequence['betas'], sequence['trans'][frame],
            camera[:3, :3], camera[:3, 3], sequence['gender'])
        joints_2d = joints_3d = None
        if joints is not None:
            joints_3d = with_confidence(joints)
            joints_2d = with_confidence(project(joints, sequence['intrinsics']))
        return TSVRow(self.key(index), read_image_bytes(self._path(index)), make_label(
            *box, joints_2d, joints_3d, pose, sequence['betas'], sequence['gender']))


def _read_sequence(path: Path) -> dict:
    content = read_pickle(path, 'unpack EMDB there')
    try:
        smpl, camera, boxes = content['smpl'], content['camera'], content['bboxes']
        count = int(content['n_frames'])
        # One shape for the whole sequence.
        sequence = dict(
            gender=str(content['gender']), emdb1=bool(content['emdb1']),
            emdb2=bool(content['emdb2']),
            good=np.asarray(content['good_frames_mask'], bool).reshape(count),
            intrinsics=np.asarray(camera['intrinsics'], np.float64).reshape(3, 3),
            extrinsics=np.asarray(camera['extrinsics'], np.float64).reshape(count, 4, 4),
            poses=np.concatenate([
                np.asarray(smpl['poses_root'], np.float64).reshape(count, 3),
                np.asarray(smpl['poses_body'], np.float64).reshape(count, 69)], axis=1),
            trans=np.asarray(smpl['trans'], np.float64).reshape(count, 3),
            betas=np.asarray(smpl['betas'], np.float64).ravel()[:10],
            bboxes=np.asarray(boxes['bboxes'], np.float64).reshape(count, 4),
            invalid=frozenset(np.asarray(boxes.get('invalid_idxs', ()), np.int64).tolist()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataSetError(f'{path} is not an EMDB sequence file ({type(error).__name__}: '
                           f'{" ".join(str(error).split())}): download it again') from None
    return sequence

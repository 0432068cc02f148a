# SPDX-License-Identifier: Apache-2.0
"""EFT's fits (json): SMPL parameters for the people of COCO, MPII, LSPet, OCHuman, ...

Fields: EFT ``docs/README_dataformat.md``. The fits are pseudo ground truth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.dataset_tools.converters.files import read_json, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, key_of, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import betas_note, betas_of, shaped
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle

_MAX_SKEW = 1e-2  # of R R^T from the identity


class EFTSource(FileSource):
    """Rows of one json.

    Args:
        path: The json.
        images: Folder that ``imageName`` is relative to.
        mesh: Derives the 3D joints.

    Raises:
        FileNotFoundError: The json or folder is missing.
        DataSetError: Not such a json.
    """

    KIND = 'eft'

    def __init__(self, path: str | Path, images: str | Path, mesh: MeshJoints) -> None:
        content = read_json(path, 'give a json of EFT with --in')
        data = content.get('data') if isinstance(content, dict) else None
        if not isinstance(data, list) or not all(isinstance(d, dict) for d in data):
            raise DataSetError(f'{path} has no list "data": not a json of EFT')
        self._data: list[dict] = data
        self.path, self.mesh = Path(path), mesh
        self._images = require_folder(images, 'image folder')
        self.paths, self.options = [self.path], dict(file=self.path, images=self._images)

    @property
    def note(self) -> str:
        """What the labels hold."""
        shapes = [d.get('parm_shape') for d in self._data]
        return self.mesh.note + betas_note([len(b) for b in shapes if isinstance(b, list)])

    def __len__(self) -> int:
        return len(self._data)

    def key(self, index: int) -> str:
        """Name of the image."""
        return key_of(self._data[index].get('imageName', f'entry {index}'))

    def _path(self, index: int) -> Path:
        return find_image(self._images, self._data[index].get('imageName'))

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, a fit of SMPL-X, fields missing or of the wrong size.
        """
        entry = self._data[index]
        if str(entry.get('smpltype', 'smpl')).lower() != 'smpl':
            raise SkipRow(f'the fit is {entry["smpltype"]}, not smpl')
        image = read_image(self._path(index))
        try:
            rotations = shaped(entry['parm_pose'], 'parm_pose', (24, 3, 3), (24, 9), (1, 24, 3, 3))
            betas = betas_of(entry['parm_shape'], 'parm_shape')
            center = shaped(entry['bbox_center'], 'bbox_center', (2,))
            scale = float(shaped(entry['bbox_scale'], 'bbox_scale', (), (1,)).reshape(()))
            points = entry.get('gt_keypoint_2d')
            if points is not None:
                # 25 OpenPose joints, then J24
                points = shaped(points, 'gt_keypoint_2d', (49, 3))[25:]
        except KeyError as error:
            raise SkipRow(f'no {error.args[0]}') from None
        off = rotations @ rotations.transpose(0, 2, 1) - np.eye(3)
        if not (np.abs(off).max() < _MAX_SKEW and np.linalg.det(rotations).min() > 0):
            raise SkipRow('parm_pose does not hold rotation matrices')
        pose = rotmat_to_axis_angle(torch.from_numpy(rotations)).reshape(72).numpy()
        posed = self.mesh.posed(pose, betas)
        return TSVRow(
            self.key(index),
            image,
            make_label(
                center,
                scale,
                points,
                None if posed is None else with_confidence(posed[0]),
                pose,
                betas,
            ),
        )

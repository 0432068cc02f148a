# SPDX-License-Identifier: Apache-2.0
"""EFT's fits (json): SMPL parameters for the people of COCO, MPII, LSPet, OCHuman, ...

Fields: EFT ``docs/README_dataformat.md``. The fits are pseudo ground truth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.dataset_tools.converters.files import read_image_bytes, read_json, require_folder
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import with_confidence
from fastmetro_mm.dataset_tools.converters.run import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle


class EFTSource:
    """Rows of one json.

    Args:
        path: The json.
        images: Folder that ``imageName`` is relative to.
        mesh: Derives the 3D joints.

    Raises:
        FileNotFoundError: The json or folder is missing.
        DataSetError: Not such a json.
    """

    def __init__(self, path: str | Path, images: str | Path, mesh: MeshJoints) -> None:
        content = read_json(path, 'give a json of EFT with --in')
        self._data = content.get('data') if isinstance(content, dict) else None
        if not isinstance(self._data, list) or not all(isinstance(d, dict) for d in self._data):
            raise DataSetError(f'{path} has no list "data": not a json of EFT')
        self.path, self.mesh = Path(path), mesh
        self._images = require_folder(images, 'image folder')

    @property
    def note(self) -> str:
        """What the labels hold."""
        return self.mesh.note

    def __len__(self) -> int:
        return len(self._data)

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'eft', 'file': self.path.name, 'images': self._images.name,
                'mesh': self.mesh.body}

    def key(self, index: int) -> str:
        """Name of the image."""
        return str(self._data[index].get('imageName', f'entry {index}'))

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, a fit of SMPL-X, fields missing or of the wrong size.
        """
        entry = self._data[index]
        if str(entry.get('smpltype', 'smpl')).lower() != 'smpl':
            raise SkipRow(f'the fit is {entry["smpltype"]}, not smpl')
        image = read_image_bytes(self._images / self.key(index))
        try:
            rotations = np.asarray(entry['parm_pose'], np.float64).reshape(24, 3, 3)
            betas = np.asarray(entry['parm_shape'], np.float64).reshape(10)
            center = np.asarray(entry['bbox_center'], np.float64).reshape(2)
            scale = float(entry['bbox_scale'])
            points = entry.get('gt_keypoint_2d')
            if points is not None:
                # 25 OpenPose joints, then J24
                points = np.asarray(points, np.float64).reshape(49, 3)[25:]
        except (KeyError, TypeError, ValueError):
            raise SkipRow('parm_pose, parm_shape, bbox or keypoints missing or of wrong size'
                          ) from None
        if not np.isfinite(rotations).all():
            raise SkipRow('parm_pose is not finite')
        pose = rotmat_to_axis_angle(torch.from_numpy(rotations)).reshape(72).numpy()
        posed = self.mesh.posed(pose, betas)
        return TSVRow(self.key(index), image, make_label(
            center, scale, points, None if posed is None else with_confidence(posed[0]), pose,
            betas))

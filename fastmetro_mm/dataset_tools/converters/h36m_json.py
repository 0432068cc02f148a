# SPDX-License-Identifier: Apache-2.0
"""Human3.6M in the json form of Pose2Mesh and NeuralAnnot, with the extracted frames.

Files per subject: ``Human36M_subject<N>_{data,camera,joint_3d}.json`` and, for the meshes,
``_smpl_param.json`` (SMPLify-X fits, Pose2Mesh) or ``_SMPL_NeuralAnnot.json``. Joints and fits are
in the world frame, joints and camera positions in millimetres.

As METRO's ``tsv_demo_h36m.py``: 3D joints are the measured ones; shapes with a coefficient beyond
3 become the mean shape; fits more than 50 mm from the measured joints are dropped (the frame
stays, with ``has_smpl`` 0); validation rows have neither 2D joints nor a mesh.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.joint_sets import H36M17, J24
from fastmetro_mm.dataset_tools.converters.coco_json import CocoFile
from fastmetro_mm.dataset_tools.converters.files import read_json, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, key_of, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import betas_of, pose_of, positive, shaped
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import (
    intrinsics_of,
    project,
    rotate_root,
    square_box,
    with_confidence,
)
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError, DataSetError

SUBJECTS = {'train': (1, 5, 6, 7, 8), 'protocol1': (9, 11), 'protocol2': (9, 11)}
_FRONTAL = '4'  # camera 60457274
_EVERY = 5
_FITS = ('smpl_param', 'SMPL_NeuralAnnot')
# Human3.6M's "nose" is J24's jaw and its torso J24's spine (GraphCMR `h36m.py`).
_RENAMED = {'Torso': 'Spine', 'Nose': 'Jaw'}
_TO_J24 = [J24.index(_RENAMED.get(name, name)) for name in H36M17]
_MAX_BETA, _MAX_FIT_ERROR = 3.0, 0.05
# Limbs, whose regressed places agree best with the markers.
_COMPARED = [
    J24.index(f'{side}_{name}')
    for side in 'RL'
    for name in ('Ankle', 'Knee', 'Hip', 'Wrist', 'Elbow', 'Shoulder')
]


class Human36MSource(FileSource):
    """Rows of one split.

    Args:
        annotations: Folder of the json files.
        images: Folder that ``file_name`` is relative to.
        split: ``'train'`` (S1, 5, 6, 7, 8), ``'protocol1'`` (S9, 11, all cameras) or
            ``'protocol2'`` (S9, 11, frontal camera).
        mesh: Checks the fits; without a body model they are taken as they are.
        padding: Side of the crop / longer side of the box.
        every: Take every so many-th frame.

    Raises:
        FileNotFoundError: A file or folder is missing.
        DataSetError: Not such files.
    """

    KIND = 'h36m'

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        split: str,
        mesh: MeshJoints,
        padding: float = 1.2,
        every: int = _EVERY,
    ) -> None:
        if split not in SUBJECTS:
            raise ConfigError(f'no split {split!r}: use --split {" | ".join(SUBJECTS)}')
        self._root = require_folder(annotations, 'annotation folder')
        self._images = require_folder(images, 'image folder')
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ConfigError(f'every is {every!r}, expected 1 or more')
        self.split, self.mesh, self.every = split, mesh, every
        self.padding = positive(padding, 'padding')
        self._cameras: dict = {}
        self._joints: dict = {}
        self._fits: dict = {}
        self._rows: list[tuple[dict, dict]] = []
        self.paths = []
        self._unknown = 0
        for subject in SUBJECTS[split]:
            self._read_subject(subject)
        self.options = dict(
            root=self._root,
            images=self._images,
            split=split,
            padding=self.padding,
            every=every,
            fits=any(self._fits.values()),
        )

    def _read_subject(self, subject: int) -> None:
        def path(part: str) -> Path:
            return self._root / f'Human36M_subject{subject}_{part}.json'

        def read(part: str) -> dict:
            content = read_json(path(part), 'give the folder of the json files with --in')
            if not isinstance(content, dict):
                raise DataSetError(f'{path(part)} is not of that form: download it again')
            self.paths.append(path(part))
            return content

        self._cameras[subject], self._joints[subject] = read('camera'), read('joint_3d')
        names = [part for part in _FITS if path(part).is_file()]
        self._fits[subject] = read(names[0]) if names and self.split == 'train' else {}
        content = CocoFile(path('data'), 'give the folder of the json files with --in')
        self.paths.append(path('data'))
        for index in range(len(content)):
            try:
                entry, info = content.annotation(index), content.image(index)
                frontal = str(info['cam_idx']) == _FRONTAL
                wanted = int(info['frame_idx']) % self.every == 0
            except SkipRow:
                self._unknown += 1
                continue
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise DataSetError(
                    f'{path("data")}: image of annotation {index} is not of that '
                    f'form: {type(error).__name__} {error}'
                ) from None
            if wanted and (self.split != 'protocol2' or frontal):
                self._rows.append((entry, {**info, 'subject': subject}))

    @property
    def note(self) -> str:
        """What the labels hold."""
        lost = (
            f'; {self._unknown} annotations without an image are left out' if self._unknown else ''
        )
        return self._label_note() + lost

    def _label_note(self) -> str:
        if not any(self._fits.values()):
            return 'measured joints only: has_smpl is 0'
        checked = (
            f'checked with {self.mesh.body}'
            if self.mesh.body
            else 'not checked against the joints (no SMPL file found: give --body-data FOLDER)'
        )
        return f'measured 3D joints; SMPL fits {checked}'

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, index: int) -> str:
        """Name of the image."""
        return key_of(self._rows[index][1].get('file_name'))

    def _path(self, index: int) -> Path:
        return find_image(self._images, self._rows[index][1].get('file_name'))

    def row(self, index: int) -> TSVRow:
        """One frame.

        Raises:
            SkipRow: Image missing, no joints for the frame, fields of the wrong size.
        """
        entry, info = self._rows[index]
        image = read_image(self._path(index))
        try:
            camera = self._cameras[info['subject']][str(info['cam_idx'])]
            rotation = shaped(camera['R'], 'camera R', (3, 3))
            translation = shaped(camera['t'], 'camera t', (3,), (3, 1)) / 1000
            world = shaped(_frame(self._joints[info['subject']], info), 'joint_3d', (17, 3))
            points = world / 1000 @ rotation.T + translation
            box = square_box(*shaped(entry['bbox'], 'bbox', (4,)), padding=self.padding)
            intrinsics = intrinsics_of(camera['f'], camera['c'])
            pose, betas = self._fit(info, rotation)
        except (KeyError, TypeError) as error:
            raise SkipRow(f'box, camera, joints or fit missing ({error})') from None
        joints_3d = with_confidence(np.tile(points[0], (24, 1)), 0.0)
        joints_3d[_TO_J24] = with_confidence(points)
        joints_2d = np.zeros((24, 3))
        joints_2d[_TO_J24] = with_confidence(project(points, intrinsics))
        if pose is not None and betas is not None and not self._agrees(pose, betas, joints_3d):
            pose = betas = None
        return TSVRow(
            self.key(index),
            image,
            make_label(*box, joints_2d if self.split == 'train' else None, joints_3d, pose, betas),
        )

    def _fit(self, info: dict, rotation: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        try:
            fit: Any = _frame(self._fits[info['subject']], info)
        except KeyError:
            return None, None
        pose = rotate_root(pose_of(fit['pose']), rotation)
        betas = betas_of(fit['shape'], 'shape')
        return pose, np.zeros(10) if np.abs(betas).max() > _MAX_BETA else betas

    def _agrees(self, pose: np.ndarray, betas: np.ndarray, joints: np.ndarray) -> bool:
        posed = self.mesh.posed(pose, betas)
        if posed is None:
            return True
        a, b = posed[0][_COMPARED], joints[_COMPARED, :3]
        error = np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean()
        return bool(error <= _MAX_FIT_ERROR)


def _frame(table: dict, info: dict) -> dict | list:
    """Entry of one frame of ``table[action][subaction][frame]``."""
    return table[str(info['action_idx'])][str(info['subaction_idx'])][str(info['frame_idx'])]

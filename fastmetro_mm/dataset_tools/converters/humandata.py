# SPDX-License-Identifier: Apache-2.0
"""mmhuman3d's ``HumanData`` npz files.

Such a file pickles dicts and lists inside an npz and mmhuman3d reads it with
``allow_pickle=True``, which runs whatever the file says; here only plain values and numpy arrays
are accepted. Keypoints may be compressed: then only the columns whose mask is 1 are stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.joint_sets import J24_PELVIS
from fastmetro_mm.dataset_tools.converters.files import (
    RestrictedNpz,
    read_image_bytes,
    require_folder,
)
from fastmetro_mm.dataset_tools.converters.humandata_names import (
    J24_IN_HUMANDATA,
    NUM_JOINTS,
    SKELETON_PELVIS,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import square_box, with_confidence
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError

_GENDERS = {'m': 'male', 'f': 'female', 'n': 'neutral'}


def read_keypoints(file: RestrictedNpz, name: str, channels: int) -> np.ndarray | None:
    """One keypoint array (N, 190, channels), restored from its compressed form.

    Args:
        file: The npz.
        name: ``keypoints2d`` or ``keypoints3d``, or one with a suffix.
        channels: 3 or 4, the last one the confidence.

    Returns:
        Float64 array, confidences 0 where the mask is 0; None where the file has no such array.

    Raises:
        DataSetError: Shapes do not fit, or no mask with compressed keypoints.
    """
    if name not in file:
        return None
    points = np.asarray(file[name], np.float64)
    mask = np.asarray(file[f'{name}_mask']).reshape(-1) if f'{name}_mask' in file else None
    compressed = bool(file['__keypoints_compressed__']) if '__keypoints_compressed__' in file \
        else False
    where = f'{file.path} member {name}'
    if points.ndim != 3 or points.shape[2] != channels:
        raise DataSetError(f'{where} has shape {points.shape}, expected (N, J, {channels})')
    if compressed:
        if mask is None or (mask == 1).sum() != points.shape[1]:
            raise DataSetError(f'{where} is compressed to {points.shape[1]} joints, its mask does '
                               'not name as many')
        full = np.zeros((len(points), len(mask), channels))
        full[:, mask == 1] = points
        points = full
    if points.shape[1] != NUM_JOINTS:
        raise DataSetError(f'{where} has {points.shape[1]} joints, expected the {NUM_JOINTS} of '
                           'the human_data convention: convert it with mmhuman3d first')
    if mask is not None:
        if len(mask) != NUM_JOINTS:
            raise DataSetError(f'{where}: the mask has {len(mask)} entries')
        points[:, mask == 0] = 0
    return points


class HumanDataSource:
    """Rows of one npz.

    Args:
        path: The npz.
        images: Folder that ``image_path`` is relative to.
        mesh: Derives 3D joints where the file has none.
        padding: Side of the crop / longer side of ``bbox_xywh``, which mmhuman3d's converters
            have padded already (1.2; 0.9 for Human3.6M).

    Raises:
        FileNotFoundError: The file or folder is missing.
        DataSetError: Not such a file, or its content is refused.
    """

    def __init__(self, path: str | Path, images: str | Path, mesh: MeshJoints,
                 padding: float = 1.0) -> None:
        self.path, self.mesh, self.padding = Path(path), mesh, padding
        self._images = require_folder(images, 'image folder')
        file = RestrictedNpz(path)
        missing = [name for name in ('image_path', 'bbox_xywh') if name not in file]
        if missing:
            raise DataSetError(f'{path} lacks {", ".join(missing)}: not a HumanData file with '
                               'images')
        self._paths = [str(name) for name in np.asarray(file['image_path']).ravel().tolist()]
        self._boxes = np.asarray(file['bbox_xywh'], np.float64)
        count = len(self._paths)
        self._points = read_keypoints(file, 'keypoints2d', 3)
        self._joints = read_keypoints(file, 'keypoints3d', 4)
        for name, array in (('bbox_xywh', self._boxes), ('keypoints2d', self._points),
                            ('keypoints3d', self._joints)):
            if array is not None and len(array) != count:
                raise DataSetError(f'{path}: {name} has {len(array)} rows for {count} images')
        # Labels need 24 of the 190 joints, and a centre where the regressed pelvis is missing.
        self._center = None
        if self._joints is not None:
            self._center = self._joints[:, SKELETON_PELVIS]
            self._joints = self._joints[:, list(J24_IN_HUMANDATA)]
        if self._points is not None:
            self._points = self._points[:, list(J24_IN_HUMANDATA)]
        self._pose, self._betas = self._read_smpl(file, count)
        self._genders = self._read_genders(file, count)

    def _read_smpl(self, file: RestrictedNpz,
                   count: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        smpl = file['smpl'] if 'smpl' in file else None
        if not isinstance(smpl, dict) or 'body_pose' not in smpl:
            return None, None
        try:
            root = np.asarray(smpl['global_orient'], np.float64).reshape(count, 3)
            pose = np.asarray(smpl['body_pose'], np.float64).reshape(count, 69)
            betas = np.asarray(smpl['betas'], np.float64).reshape(-1, 10)
            betas = np.broadcast_to(betas, (count, 10)) if len(betas) == 1 else betas
            if len(betas) != count:
                raise ValueError(f'{len(betas)} betas for {count} images')
        except (KeyError, TypeError, ValueError) as error:
            raise DataSetError(f'{self.path}: smpl does not fit the images: {error}') from None
        return np.concatenate([root, pose], axis=1), betas

    @staticmethod
    def _read_genders(file: RestrictedNpz, count: int) -> list[str] | None:
        meta: Any = file['meta'] if 'meta' in file else None
        genders = meta.get('gender') if isinstance(meta, dict) else None
        genders = None if genders is None else np.asarray(genders).ravel().tolist()
        if genders is None or len(genders) != count:
            return None
        return [_GENDERS.get(str(g).lower()[:1], 'neutral') for g in genders]

    @property
    def note(self) -> str:
        """What the labels hold."""
        if self._joints is not None:
            return '3D joints are those of keypoints3d, with its mask'
        return self.mesh.note

    def __len__(self) -> int:
        return len(self._paths)

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'humandata', 'file': self.path.name, 'images': self._images.name,
                'padding': self.padding, 'mesh': self.mesh.body}

    def key(self, index: int) -> str:
        """Name of the image."""
        return self._paths[index]

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, box without an area.
        """
        key = self.key(index)
        image = read_image_bytes(self._images / key)
        box = square_box(*self._boxes[index][:4], padding=self.padding)
        pose = betas = None
        if self._pose is not None:
            pose, betas = self._pose[index], self._betas[index]
        joints_3d = self._joints_of(index, pose, betas)
        points = None if self._points is None else self._points[index]
        return TSVRow(key, image, make_label(
            *box, points, joints_3d, pose, betas,
            None if self._genders is None else self._genders[index]))

    def _joints_of(self, index: int, pose: np.ndarray | None,
                   betas: np.ndarray | None) -> np.ndarray | None:
        if self._joints is not None:
            joints = self._joints[index].copy()
            lost = joints[:, 3] == 0
            center = self._center[index] if lost[J24_PELVIS] else joints[J24_PELVIS]
            if center[3] == 0:
                return None  # nothing to centre the labels on
            joints[lost, :3] = center[:3]
            return joints
        posed = None if pose is None else self.mesh.posed(pose, betas)
        return None if posed is None else with_confidence(posed[0])

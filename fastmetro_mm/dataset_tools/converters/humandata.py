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
from fastmetro_mm.dataset_tools.converters.files import RestrictedNpz, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, key_of, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_rows,
    numbers,
    positive,
    shaped,
    texts,
)
from fastmetro_mm.dataset_tools.converters.humandata_names import (
    J24_IN_HUMANDATA,
    NUM_JOINTS,
    SKELETON_PELVIS,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import square_box, with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError


def _numbers(
    file: RestrictedNpz, name: str, shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    try:
        return numbers(file.read(name, shape), name)
    except DataSetError:
        raise
    except ValueError as error:
        raise DataSetError(f'{file.path}: {error}: correct the file') from None


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
    points = _numbers(file, name, (None, None, channels))
    mask = _numbers(file, f'{name}_mask').ravel() if f'{name}_mask' in file else None
    compressed = '__keypoints_compressed__' in file and bool(
        _numbers(file, '__keypoints_compressed__', ())
    )
    where = f'{file.path} member {name}'
    if points.ndim != 3 or points.shape[2] != channels:
        raise DataSetError(f'{where} has shape {points.shape}, expected (N, J, {channels})')
    if compressed:
        if mask is None or (mask == 1).sum() != points.shape[1]:
            raise DataSetError(
                f'{where} is compressed to {points.shape[1]} joints, its mask does not name as many'
            )
        full = np.zeros((len(points), len(mask), channels))
        full[:, mask == 1] = points
        points = full
    if points.shape[1] != NUM_JOINTS:
        raise DataSetError(
            f'{where} has {points.shape[1]} joints, expected the {NUM_JOINTS} of '
            'the human_data convention: convert it with mmhuman3d first'
        )
    if mask is not None:
        if len(mask) != NUM_JOINTS:
            raise DataSetError(f'{where}: the mask has {len(mask)} entries')
        points[:, mask == 0] = 0
    return points


class HumanDataSource(FileSource):
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

    KIND = 'humandata'

    def __init__(
        self, path: str | Path, images: str | Path, mesh: MeshJoints, padding: float = 1.0
    ) -> None:
        self.path, self.mesh = Path(path), mesh
        self.padding = positive(padding, 'padding')
        self._images = require_folder(images, 'image folder')
        self.paths = [self.path]
        self.options = dict(file=self.path, images=self._images, padding=self.padding)
        file = RestrictedNpz(path)
        missing = [name for name in ('image_path', 'bbox_xywh') if name not in file]
        if missing:
            raise DataSetError(
                f'{path} lacks {", ".join(missing)}: not a HumanData file with images'
            )
        try:
            self._names = texts(file['image_path'], 'image_path')
        except ValueError as error:
            raise DataSetError(f'{path}: {error}: correct the file') from None
        self._boxes = _numbers(file, 'bbox_xywh')
        count = len(self._names)
        self._points = read_keypoints(file, 'keypoints2d', 3)
        self._joints = read_keypoints(file, 'keypoints3d', 4)
        for name, array in (
            ('bbox_xywh', self._boxes),
            ('keypoints2d', self._points),
            ('keypoints3d', self._joints),
        ):
            if array is not None and (not array.ndim or len(array) != count):
                raise DataSetError(
                    f'{path}: {name} has {len(array) if array.ndim else "no"} rows '
                    f'for {count} images'
                )
        if self._boxes.ndim != 2 or self._boxes.shape[1] not in (4, 5):
            raise DataSetError(
                f'{path}: bbox_xywh has shape {self._boxes.shape}, expected '
                f'({count}, 4 or 5): x, y, width, height and a score'
            )
        # Labels need 24 of the 190 joints, and a centre where the regressed pelvis is missing.
        self._center = None
        if self._joints is not None:
            self._center = self._joints[:, SKELETON_PELVIS]
            self._joints = self._joints[:, list(J24_IN_HUMANDATA)]
        if self._points is not None:
            self._points = self._points[:, list(J24_IN_HUMANDATA)]
        self._num_betas = 0
        self._pose, self._betas = self._read_smpl(file, count)
        self._genders = self._read_genders(file, count)

    def _read_smpl(
        self, file: RestrictedNpz, count: int
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        smpl = file['smpl'] if 'smpl' in file else None
        if smpl is None:
            return None, None
        if not isinstance(smpl, dict):
            raise DataSetError(f'{self.path}: smpl is no dict of pose and betas: correct the file')
        if not smpl:
            return None, None
        try:
            root = shaped(smpl['global_orient'], 'global_orient', (count, 3), (count, 1, 3))
            pose = shaped(smpl['body_pose'], 'body_pose', (count, 69), (count, 23, 3))
            betas = betas_rows(smpl['betas'], count)
            self._num_betas = np.shape(smpl['betas'])[-1]
        except KeyError as error:
            raise DataSetError(f'{self.path}: smpl has no {error.args[0]}') from None
        except ValueError as error:
            raise DataSetError(
                f'{self.path}: smpl does not fit the {count} images: {error}'
            ) from None
        return np.concatenate([root, pose], axis=1), betas

    def _read_genders(self, file: RestrictedNpz, count: int) -> list[Any] | None:
        meta: Any = file['meta'] if 'meta' in file else None
        if not (meta is None or isinstance(meta, dict)):
            raise DataSetError(f'{self.path}: meta is no dict: correct the file')
        genders = (meta or {}).get('gender')
        if genders is None:
            return None
        try:
            genders = (
                [genders] * count
                if isinstance(genders, (str, bytes))
                else texts(genders, 'meta gender')
            )
        except ValueError as error:
            raise DataSetError(f'{self.path}: {error}: correct the file') from None
        if len(genders) != count:
            raise DataSetError(f'{self.path}: {len(genders)} genders for {count} images')
        return genders

    @property
    def note(self) -> str:
        """What the labels hold."""
        if self._joints is not None:
            note = '3D joints are those of keypoints3d, with its mask'
        else:
            note = self.mesh.note
        if self._pose is None:
            note += '; the file has no smpl parameters: has_smpl is 0'
        return note + betas_note([self._num_betas])

    def __len__(self) -> int:
        return len(self._names)

    def key(self, index: int) -> str:
        """Name of the image."""
        return key_of(self._names[index])

    def _path(self, index: int) -> Path:
        return find_image(self._images, self._names[index])

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, box without an area.
        """
        key = self.key(index)
        image = read_image(self._path(index))
        box = square_box(*self._boxes[index][:4], padding=self.padding)
        pose = betas = None
        if self._pose is not None and self._betas is not None:
            pose, betas = self._pose[index], self._betas[index]
        joints_3d = self._joints_of(index, pose, betas)
        points = None if self._points is None else self._points[index]
        return TSVRow(
            key,
            image,
            make_label(
                *box,
                points,
                joints_3d,
                pose,
                betas,
                None if self._genders is None else self._genders[index],
            ),
        )

    def _joints_of(
        self, index: int, pose: np.ndarray | None, betas: np.ndarray | None
    ) -> np.ndarray | None:
        if self._joints is not None:
            joints = self._joints[index].copy()
            lost = joints[:, 3] == 0
            center = joints[J24_PELVIS]
            if lost[J24_PELVIS] and self._center is not None:
                center = self._center[index]
            if center[3] == 0:
                return None  # nothing to centre the labels on
            joints[lost, :3] = center[:3]
            return joints
        posed = None if pose is None or betas is None else self.mesh.posed(pose, betas)
        return None if posed is None else with_confidence(posed[0])

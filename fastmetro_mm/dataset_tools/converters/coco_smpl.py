# SPDX-License-Identifier: Apache-2.0
"""COCO-style json with SMPL fits: Pose2Mesh (3DPW, MuCo-3DHP) and NeuralAnnot (COCO, MPII, ...).

Where the fits lie differs and each place is tried:

* in the annotation, ``smpl_param`` (Pose2Mesh ``3DPW_{train,test}.json``), camera in the image;
* in a second json, annotation id -> ``{smpl_param, cam_param}`` (NeuralAnnot) or
  ``{pose, shape, trans}`` (MuCo ``smpl_param.json``, camera ``f``, ``c`` of the image).

``keypoints_cam`` (MuCo, millimetres) and ``keypoints`` / ``keypoints_img`` are used where the
mesh gives no joints, and to drop fits that lie far from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.joint_sets import J24, J24_PELVIS
from fastmetro_mm.dataset_tools.converters.coco_json import CocoFile, read_id
from fastmetro_mm.dataset_tools.converters.files import read_json, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_of,
    numbers,
    pose_of,
    positive,
    shaped,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.placement import (
    intrinsics_of,
    project,
    square_box,
    with_confidence,
)
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError

# Order of `keypoints_cam` and `keypoints_img` (Pose2Mesh `data/MuCo/dataset.py`). Head, neck and
# spine points of MuCo are not those of J24, so they are not taken over.
_MUCO21 = (
    'Head_top', 'Thorax', 'R_Shoulder', 'R_Elbow', 'R_Wrist', 'L_Shoulder', 'L_Elbow', 'L_Wrist',
    'R_Hip', 'R_Knee', 'R_Ankle', 'L_Hip', 'L_Knee', 'L_Ankle', 'Pelvis', 'Spine', 'Head', 'R_Hand',
    'L_Hand', 'R_Toe', 'L_Toe',
)  # fmt: skip
_LIMBS = ('Hip', 'Knee', 'Ankle', 'Shoulder', 'Elbow', 'Wrist')
_SHARED = tuple(
    (J24.index(name), i)
    for i, name in enumerate(_MUCO21)
    if name.endswith(_LIMBS) or name == 'Pelvis'
)
_MAX_FIT_ERROR = 0.045  # metres, as Pose2Mesh drops MuCo's fits


class CocoSMPLSource(FileSource):
    """Rows of one json.

    Args:
        annotations: COCO-style json.
        images: Folder that ``file_name`` (and ``sequence``, if there) is relative to.
        mesh: Derives the joints.
        parameters: Json of fits by annotation id, where they are not in `annotations`.
        padding: Side of the crop / longer side of ``bbox``. METRO takes 1.2 for Pose2Mesh's
            boxes although those are padded by 1.2 already.

    Raises:
        FileNotFoundError: A file or folder is missing.
        DataSetError: Not such a json.
    """

    KIND = 'coco-smpl'

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        mesh: MeshJoints,
        parameters: str | Path | None = None,
        padding: float = 1.2,
    ) -> None:
        self.mesh, self.padding = mesh, positive(padding, 'padding')
        self._images = require_folder(images, 'image folder')
        self._json = CocoFile(annotations, 'give the annotations with --in')
        fits = None if parameters is None else Path(parameters)
        self.paths = [self._json.path, *filter(None, [fits])]
        self.options = dict(
            file=self._json.path, images=self._images, padding=self.padding, fits=fits
        )
        self._fits: dict[str, Any] | None = None
        if parameters is not None:
            self._fits = read_json(parameters, 'give the SMPL fits with --smpl')
            if not isinstance(self._fits, dict):
                raise DataSetError(f'{parameters} does not map annotation ids to fits')

    @property
    def note(self) -> str:
        """What the labels hold."""
        found = self._json.annotations if self._fits is None else list(self._fits.values())
        fits = [e.get('smpl_param', e) for e in found if isinstance(e, dict)]
        shapes = [fit.get('shape') for fit in fits if isinstance(fit, dict)]
        shapes = [shape for shape in shapes if isinstance(shape, list)]
        lost = len(found) - len(shapes)
        without = f'; {lost} of {len(found)} have no SMPL fit: has_smpl is 0' if lost else ''
        return self.mesh.note + without + betas_note(list(map(len, shapes)))

    def __len__(self) -> int:
        return len(self._json)

    def key(self, index: int) -> str:
        """Name of the image."""
        return self._json.key(index)

    def _path(self, index: int) -> Path:
        return find_image(self._images, self._json.file_name(index))

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, a crowd, no box, fields of the wrong size.
        """
        entry, info = self._json.annotation(index), self._json.image(index)
        self._json.require_person(entry)
        image = read_image(self._path(index))
        try:
            box = square_box(*shaped(entry['bbox'], 'bbox', (4,)), padding=self.padding)
            measured = _millimetres(entry)
            pose, betas, trans, gender, intrinsics = self._fit(entry, info)
        except (KeyError, TypeError, AttributeError) as error:
            raise SkipRow(f'box, keypoints or fit missing ({error})') from None
        joints_3d, posed = measured, None
        if pose is not None:
            # the neutral model whatever the gender, as METRO's script
            posed = self.mesh.placed(pose, betas, trans)
        if (
            posed is not None
            and measured is not None
            and _distance(posed, measured) > _MAX_FIT_ERROR
        ):
            raise SkipRow(f'fit is more than {1000 * _MAX_FIT_ERROR:.0f} mm from the 3D joints')
        if posed is not None:
            joints_3d = with_confidence(posed)
        joints_2d = self._points(entry)
        if joints_2d is None and intrinsics is not None and joints_3d is not None:
            seen = joints_3d[:, 3:] > 0
            places = np.where(seen, joints_3d[:, :3], joints_3d[J24_PELVIS, :3])
            joints_2d = with_confidence(project(places, intrinsics), joints_3d[:, 3])
        label = make_label(*box, joints_2d, joints_3d, pose, betas, gender)
        return TSVRow(self.key(index), image, label)

    def _fit(self, entry: dict, info: dict) -> tuple:
        """pose, betas, translation, gender, intrinsics; None where there is no fit."""
        found = entry if self._fits is None else self._fits.get(read_id(entry['id'], 'id'))
        if found is None:
            raise SkipRow('no SMPL fit for the annotation')
        fit = found.get('smpl_param', found if 'pose' in found else None)
        cam_param = found.get('cam_param') or info.get('cam_param')
        if cam_param is None and 'f' in info:
            cam_param = {'focal': info['f'], 'princpt': info['c']}
        matrix = (
            None if cam_param is None else intrinsics_of(cam_param['focal'], cam_param['princpt'])
        )
        if fit is None and self._fits is not None:
            raise SkipRow('no SMPL fit for the annotation')
        if fit is None:
            return None, None, None, None, matrix
        return (
            pose_of(fit['pose']),
            betas_of(fit['shape'], 'shape'),
            shaped(fit['trans'], 'trans', (3,), (1, 3)),
            fit.get('gender'),
            matrix,
        )

    def _points(self, entry: dict) -> np.ndarray | None:
        if entry.get('keypoints'):
            return reorder_keypoints(entry['keypoints'], self._json.keypoint_names(entry), J24)
        image_points = entry.get('keypoints_img')
        if not image_points:
            return None
        points = numbers(image_points, 'keypoints_img')
        if points.ndim != 2 or len(points) != len(_MUCO21) or points.shape[1] < 2:
            raise SkipRow(f'keypoints_img has shape {points.shape}, expected ({len(_MUCO21)}, 2)')
        joints = np.zeros((24, 3))
        for target, source in _SHARED:
            joints[target] = (*points[source, :2], 1.0)
        return joints


def _millimetres(entry: dict) -> np.ndarray | None:
    """``keypoints_cam`` as J24 (24, 4) in metres."""
    if not entry.get('keypoints_cam'):
        return None
    points = shaped(entry['keypoints_cam'], 'keypoints_cam', (len(_MUCO21), 3)) / 1000
    joints = with_confidence(np.tile(points[_MUCO21.index('Pelvis')], (24, 1)), 0.0)
    for target, source in _SHARED:
        joints[target] = (*points[source], 1.0)
    return joints


def _distance(joints: np.ndarray, measured: np.ndarray) -> float:
    """Mean distance of the shared limb joints, both about their own mean; metres."""
    rows = [target for target, source in _SHARED if _MUCO21[source] != 'Pelvis']
    a, b = joints[rows, :3], measured[rows, :3]
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())

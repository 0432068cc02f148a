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

import numpy as np

from fastmetro_mm.body.joint_sets import J24, J24_PELVIS
from fastmetro_mm.dataset_tools.converters.files import read_image_bytes, read_json, require_folder
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.placement import (
    intrinsics_of,
    project,
    square_box,
    with_confidence,
)
from fastmetro_mm.dataset_tools.converters.run import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError

# Order of `keypoints_cam` and `keypoints_img` (Pose2Mesh `data/MuCo/dataset.py`). Head, neck and
# spine points of MuCo are not those of J24, so they are not taken over.
_MUCO21 = ('Head_top', 'Thorax', 'R_Shoulder', 'R_Elbow', 'R_Wrist', 'L_Shoulder', 'L_Elbow',
           'L_Wrist', 'R_Hip', 'R_Knee', 'R_Ankle', 'L_Hip', 'L_Knee', 'L_Ankle', 'Pelvis',
           'Spine', 'Head', 'R_Hand', 'L_Hand', 'R_Toe', 'L_Toe')
_LIMBS = ('Hip', 'Knee', 'Ankle', 'Shoulder', 'Elbow', 'Wrist')
_SHARED = tuple((J24.index(name), i) for i, name in enumerate(_MUCO21)
                if name.endswith(_LIMBS) or name == 'Pelvis')
_MAX_FIT_ERROR = 0.045  # metres, as Pose2Mesh drops MuCo's fits


class CocoSMPLSource:
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

    def __init__(self, annotations: str | Path, images: str | Path, mesh: MeshJoints,
                 parameters: str | Path | None = None, padding: float = 1.2) -> None:
        self.annotations, self.mesh, self.padding = Path(annotations), mesh, padding
        self._images = require_folder(images, 'image folder')
        content = read_json(annotations, 'give the annotations with --in')
        try:
            self._infos = {image['id']: image for image in content['images']}
            self._entries = [a for a in content['annotations'] if a['image_id'] in self._infos]
            self._names = next((c['keypoints'] for c in content.get('categories', [])
                                if c.get('keypoints')), None)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataSetError(f'{annotations} is not a COCO-style json (images, annotations): '
                               f'{type(error).__name__} {error}') from None
        self._fits = None
        if parameters is not None:
            self._fits = read_json(parameters, 'give the SMPL fits with --smpl')
            if not isinstance(self._fits, dict):
                raise DataSetError(f'{parameters} does not map annotation ids to fits')

    @property
    def note(self) -> str:
        """What the labels hold."""
        return self.mesh.note

    def __len__(self) -> int:
        return len(self._entries)

    def describe(self) -> dict:
        """What makes this source different from another, for resuming."""
        return {'source': 'coco-smpl', 'file': self.annotations.name, 'padding': self.padding,
                'images': self._images.name, 'fits': self._fits is not None,
                'mesh': self.mesh.body}

    def key(self, index: int) -> str:
        """Name of the image."""
        info = self._infos[self._entries[index]['image_id']]
        sequence = info.get('sequence')
        return f'{sequence}/{info["file_name"]}' if sequence else str(info['file_name'])

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, a crowd, no box, fields of the wrong size.
        """
        entry, key = self._entries[index], self.key(index)
        if entry.get('iscrowd'):
            raise SkipRow('a crowd, not one person')
        image = read_image_bytes(self._images / key)
        info = self._infos[entry['image_id']]
        try:
            box = square_box(*(float(v) for v in entry['bbox']), padding=self.padding)
            measured = _millimetres(entry)
            pose, betas, trans, gender, camera = self._fit(entry, info)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, SkipRow):
                raise
            raise SkipRow('box, keypoints or fit missing or of wrong size') from None
        joints_3d, posed = measured, None
        if pose is not None:
            # the neutral model whatever the gender, as METRO's script
            posed = self.mesh.placed(pose, betas, trans)
        if posed is not None and measured is not None and _distance(posed, measured) > \
                _MAX_FIT_ERROR:
            raise SkipRow(f'fit is more than {1000 * _MAX_FIT_ERROR:.0f} mm from the 3D joints')
        if posed is not None:
            joints_3d = with_confidence(posed)
        joints_2d = self._points(entry)
        if joints_2d is None and camera is not None and joints_3d is not None:
            seen = joints_3d[:, 3:] > 0
            places = np.where(seen, joints_3d[:, :3], joints_3d[J24_PELVIS, :3])
            joints_2d = with_confidence(project(places, camera), joints_3d[:, 3])
        return TSVRow(key, image, make_label(*box, joints_2d, joints_3d, pose, betas, gender))

    def _fit(self, entry: dict, info: dict) -> tuple:
        """pose, betas, translation, gender, intrinsics; None where there is no fit."""
        found = entry if self._fits is None else self._fits.get(str(entry['id']))
        if self._fits is not None and found is None:
            raise SkipRow('no SMPL fit for the annotation')
        fit = found.get('smpl_param', found if 'pose' in found else None)
        camera = found.get('cam_param') or info.get('cam_param')
        if camera is None and 'f' in info:
            camera = {'focal': info['f'], 'princpt': info['c']}
        matrix = None if camera is None else intrinsics_of(camera['focal'], camera['princpt'])
        if fit is None:
            return None, None, None, None, matrix
        return (np.asarray(fit['pose'], np.float64).reshape(72),
                np.asarray(fit['shape'], np.float64).reshape(10),
                np.asarray(fit['trans'], np.float64).reshape(3), fit.get('gender'), matrix)

    def _points(self, entry: dict) -> np.ndarray | None:
        if entry.get('keypoints'):
            return reorder_keypoints(entry['keypoints'], self._names, J24)
        image_points = entry.get('keypoints_img')
        if not image_points:
            return None
        points = np.asarray(image_points, np.float64)
        if points.shape[0] != len(_MUCO21):
            raise SkipRow(f'{len(points)} keypoints_img, expected {len(_MUCO21)}')
        joints = np.zeros((24, 3))
        for target, source in _SHARED:
            joints[target] = (*points[source, :2], 1.0)
        return joints


def _millimetres(entry: dict) -> np.ndarray | None:
    """``keypoints_cam`` as J24 (24, 4) in metres."""
    if not entry.get('keypoints_cam'):
        return None
    points = np.asarray(entry['keypoints_cam'], np.float64).reshape(len(_MUCO21), 3) / 1000
    joints = with_confidence(np.tile(points[_MUCO21.index('Pelvis')], (24, 1)), 0.0)
    for target, source in _SHARED:
        joints[target] = (*points[source], 1.0)
    return joints


def _distance(joints: np.ndarray, measured: np.ndarray) -> float:
    """Mean distance of the shared limb joints, both about their own mean; metres."""
    rows = [target for target, source in _SHARED if _MUCO21[source] != 'Pelvis']
    a, b = joints[rows, :3], measured[rows, :3]
    return float(np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1).mean())

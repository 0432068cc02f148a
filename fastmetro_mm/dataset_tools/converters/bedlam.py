# SPDX-License-Identifier: Apache-2.0
"""BEDLAM's label files: one npz per sequence folder.

Keys: ``imgname``, ``center``, ``scale``, ``pose_cam``, ``shape``, ``gtkps``, ``gender`` (BEDLAM
``df_full_body.py``). Two kinds exist. With 165 pose numbers they are SMPL-X: its shape and its
21 body joints are not those of SMPL, so ``has_smpl`` is 0 and only the joints that both skeletons
share are labelled. With 72 they are SMPL and the mesh is used.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.body.joint_sets import J24, SMPL24
from fastmetro_mm.dataset_tools.converters.files import RestrictedNpz, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, key_of, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_rows,
    numbers,
    texts,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError

# The first 22 joints of SMPL-X are those of SMPL; the ones below also have J24's place.
_SHARED = tuple(
    (J24.index(name), SMPL24.index(name))
    for name in SMPL24
    if name.endswith(('Ankle', 'Knee', 'Wrist', 'Elbow', 'Shoulder'))
)
_POSE_SIZES = (72, 165)
# Shape of one row; None where files differ.
_REST = {'center': (2,), 'scale': (), 'pose_cam': (None,), 'shape': (None,), 'gtkps': (None, None)}
_JPEG_QUALITY = 95
_MIN_INSIDE = 4


class BedlamSource(FileSource):
    """Rows of one npz, or of all in a folder.

    Args:
        path: The npz, or a folder of them.
        images: Folder of the images that ``imgname`` is relative to.
        mesh: Derives the joints of SMPL labels.

    Raises:
        FileNotFoundError: A file or folder is missing.
        DataSetError: Not such files.
    """

    KIND = 'bedlam'

    def __init__(self, path: str | Path, images: str | Path, mesh: MeshJoints) -> None:
        path = Path(path)
        files = sorted(path.glob('*.npz')) if path.is_dir() else [path]
        if not files:
            raise DataSetError(f'{path} holds no npz: unpack the training labels of BEDLAM there')
        self.path, self.mesh = path, mesh
        self._images = require_folder(images, 'image folder')
        self.paths, self.options = files, dict(file=path, images=self._images)
        self._parts = [_read_part(file) for file in files]
        self._starts = np.cumsum([0, *(len(part['imgname']) for part in self._parts)])

    @property
    def note(self) -> str:
        """What the labels hold."""
        if any(part['pose_cam'].shape[1] == 165 for part in self._parts):
            return (
                'SMPL-X labels: has_smpl is 0; 2D ankles, knees, wrists, elbows and shoulders '
                'only, all other joints get confidence 0'
            )
        return self.mesh.note + betas_note([part['num_betas'] for part in self._parts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _find(self, index: int) -> tuple[dict, int]:
        number = int(np.searchsorted(self._starts, index, 'right')) - 1
        return self._parts[number], index - int(self._starts[number])

    def key(self, index: int) -> str:
        """Name of the image."""
        part, row = self._find(index)
        return key_of(part['imgname'][row])

    def _path(self, index: int) -> Path:
        part, row = self._find(index)
        return find_image(self._images, part['imgname'][row])

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, or nearly all points outside of it.
        """
        part, number = self._find(index)
        key = self.key(index)
        row = TSVRow(key, read_image(self._path(index)))
        if 'closeup' in f'{part["name"]}/{key}':
            # Portrait sequences lie on their side on disk and their labels do not: BEDLAM turns
            # the image when it loads it (`dataset_hmr.py`).
            row = _turn(row)
        height, width = row.image_size()
        points = part['gtkps'][number]
        near = np.abs(points[:22, :2] - (width / 2, height / 2)) <= (width / 2, height / 2)
        if near.all(1).sum() < _MIN_INSIDE:
            raise SkipRow('nearly all joints lie outside of the image')
        joints_2d = np.zeros((24, 3))
        for target, source in _SHARED:
            joints_2d[target] = (*points[source, :2], 1.0)
        gender = parse_gender(part['gender'][number])
        pose = betas = joints_3d = None
        if part['pose_cam'].shape[1] == 72:
            pose, betas = part['pose_cam'][number], part['shape'][number]
            posed = self.mesh.posed(pose, betas, gender)
            joints_3d = None if posed is None else with_confidence(posed[0])
        row.label = make_label(
            part['center'][number],
            float(part['scale'][number]),
            joints_2d,
            joints_3d,
            pose,
            betas,
            gender,
        )
        return row


def _turn(row: TSVRow) -> TSVRow:
    image = cv2.rotate(decode_image(row.image), cv2.ROTATE_90_CLOCKWISE)
    data = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )[1].tobytes()
    return TSVRow(row.key, data, size=image.shape[:2])


def _read_part(path: Path) -> dict:
    file = RestrictedNpz(path)
    names = ('imgname', 'center', 'scale', 'pose_cam', 'shape', 'gtkps')
    missing = [name for name in names if name not in file]
    if missing:
        raise DataSetError(f'{path} lacks {", ".join(missing)}: not a BEDLAM label file')
    try:
        part: dict = {'name': path.stem, 'imgname': texts(file['imgname'], 'imgname')}
        count = len(part['imgname'])
        part.update(
            {name: numbers(file.read(name, (count, *_REST[name])), name) for name in names[1:]}
        )
        part['gender'] = (
            texts(file['gender'], 'gender') if 'gender' in file else ['neutral'] * count
        )
        part['num_betas'] = part['shape'].shape[-1]
        part['shape'] = betas_rows(part['shape'], count, 'shape')
    except DataSetError:
        raise
    except (ValueError, IndexError) as error:
        raise DataSetError(f'{path}: {error}: download it again') from None
    pose, points = part['pose_cam'], part['gtkps']
    good = (
        part['center'].shape == (count, 2)
        and part['scale'].shape == (count,)
        and pose.ndim == 2
        and len(pose) == count
        and pose.shape[1] in _POSE_SIZES
        and points.ndim == 3
        and len(points) == count
        and points.shape[1] >= 22
        and points.shape[2] >= 2
        and len(part['gender']) == count
    )
    if not good:
        raise DataSetError(
            f'{path}: arrays do not fit together (pose_cam {pose.shape}, expected '
            f'({count}, 72 or 165)): download it again'
        )
    return part

# SPDX-License-Identifier: Apache-2.0
"""FreiHAND as released (version 2): images and json lists of camera, pose and joints.

Labels as in METRO's ``tsv_demo_freihand.py``: the box is always the middle 180 px of the 224-px
image, pose is relative to MANO's mean pose. Joints are in metres (METRO wrote millimetres, which
FastMETRO never reads).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmetro_mm.dataset_tools.converters.files import read_json, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import numbers
from fastmetro_mm.dataset_tools.converters.placement import project, with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError, DataSetError

VERSIONS = ('gs', 'hom', 'sample', 'auto')  # order of the files (freihand `fh_utils.py`)
SPLITS = ('training', 'evaluation')
# Fingertips in `xyz` are these vertices of the mesh (freihand `mano_utils.py`): thumb to pinky.
# FastMETRO's regressor takes 745, 317, 445, 556, 673, a few millimetres away.
FREIHAND_TIPS = (744, 320, 443, 555, 672)
TIP_ROWS = (4, 8, 12, 16, 20)
_MAX_TIP_ERROR = 0.005
_MAX_REACH = 0.5  # metres from the wrist; of a real hand about 0.2
_CENTER, _SCALE = np.array([112.0, 112.0]), 0.9


def _read_list(root: Path, name: str, shape: tuple[int, ...], required: bool) -> np.ndarray | None:
    if not required and not (root / name).is_file():
        return None
    return _require_list(root, name, shape)


def _require_list(root: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    path = root / name
    content = read_json(path, 'unpack FreiHAND_pub_v2.zip (and the evaluation labels) there')
    try:
        array = numbers(content, name)
    except ValueError as error:
        raise DataSetError(f'{root}: {error}: download it again') from None
    if array.ndim == len(shape) + 2 and array.shape[1] == 1:
        array = array[:, 0]  # each entry of `training_mano.json` is a list with one row
    if array.shape[1:] != shape or not np.isfinite(array).all():
        raise DataSetError(
            f'{path} has shape {array.shape}, expected finite numbers in '
            f'(N, {", ".join(map(str, shape))}): download it again'
        )
    return array


def _check_cameras(path: Path, matrices: np.ndarray) -> None:
    """Refuse matrices that are transposed or none of a camera."""
    good = (matrices[:, 2] == (0, 0, 1)).all(1) & (matrices[:, (0, 1), (0, 1)] > 0).all(1)
    if not good.all():
        raise DataSetError(
            f'{path}: entry {int(np.argmin(good))} is not a camera matrix with the '
            'last row 0 0 1 (transposed?): download it again'
        )


def _check_metres(path: Path, joints: np.ndarray) -> None:
    """Refuse hands that are larger than hands, as in millimetres."""
    reach = np.abs(joints - joints[:, :1]).max(initial=0)  # along an axis; sums may overflow
    if not reach <= _MAX_REACH:
        raise DataSetError(
            f'{path}: a joint lies {reach:.3g} m from the wrist: joints must be in '
            'metres (divide millimetres by 1000)'
        )


def _check_vertices(root: Path, joints: np.ndarray) -> None:
    """Refuse meshes whose fingertips are not those of the joints."""
    path = root / 'evaluation_verts.json'
    if not path.is_file():
        return
    vertices = _require_list(root, path.name, (778, 3))
    if len(vertices) != len(joints):
        raise DataSetError(
            f'{path} has {len(vertices)} meshes for {len(joints)} joint '
            'sets: use files of one release'
        )
    tips = vertices[:, FREIHAND_TIPS] - joints[:, TIP_ROWS]
    worst = np.linalg.norm(tips, axis=-1).max(initial=0)
    if not worst <= _MAX_TIP_ERROR:
        raise DataSetError(
            f'{path}: fingertips lie up to {1000 * worst:.1f} mm from those of '
            'evaluation_xyz.json: use files of one release'
        )


class FreiHANDSource(FileSource):
    """Rows of the training or the evaluation images.

    The evaluation labels (``evaluation_xyz.json``, ``evaluation_verts.json``) are used where
    they lie there: 2D and 3D joints; there is no MANO label, so ``has_smpl`` is 0.

    Args:
        root: Folder with ``training``, ``evaluation`` and the json files.
        split: ``'training'`` or ``'evaluation'``.
        versions: Versions of the training images, some of `VERSIONS`.

    Raises:
        FileNotFoundError: A file or folder is missing.
        DataSetError: Lists of different length, joints that are not those of the meshes.
    """

    KIND = 'freihand'

    def __init__(
        self, root: str | Path, split: str = 'training', versions: Sequence[str] = VERSIONS
    ) -> None:
        if split not in SPLITS or not versions or not set(versions) <= set(VERSIONS):
            raise ConfigError(f'FreiHAND has splits {SPLITS} and versions {VERSIONS}')
        root = Path(root)
        self._images = require_folder(root / split / 'rgb', 'FreiHAND folder')
        training = split == 'training'
        self._intrinsics = _require_list(root, f'{split}_K.json', (3, 3))
        self._mano = _read_list(root, f'{split}_mano.json', (61,), training)
        self._xyz = _read_list(root, f'{split}_xyz.json', (21, 3), training)
        _check_cameras(root / f'{split}_K.json', self._intrinsics)
        if self._xyz is not None:
            _check_metres(root / f'{split}_xyz.json', self._xyz)
        counts = {len(a) for a in (self._intrinsics, self._mano, self._xyz) if a is not None}
        if len(counts) != 1:
            raise DataSetError(
                f'{root}: the {split} json lists have {sorted(counts)} entries: '
                'use files of one release'
            )
        self.versions = [v for v in VERSIONS if v in versions] if training else ['gs']
        if not training and self._xyz is not None:
            _check_vertices(root, self._xyz)
        self.paths = [root / f'{split}_{part}.json' for part in ('K', 'mano', 'xyz', 'verts')]
        labels = self._xyz is not None
        self.options = dict(root=root, split=split, versions=self.versions, labels=labels)

    @property
    def note(self) -> str:
        """What the labels hold."""
        if self._xyz is None:
            return 'no evaluation_xyz.json: the rows carry a box only (predictions can be made)'
        if self._mano is None:
            return 'no MANO labels for this split: has_smpl is 0'
        return 'pose is relative to the mean pose of MANO_RIGHT (flat_hand_mean=False)'

    def __len__(self) -> int:
        return len(self._intrinsics) * len(self.versions)

    def key(self, index: int) -> str:
        """Name of the image: labels repeat after every version."""
        count = len(self._intrinsics)
        version = VERSIONS.index(self.versions[index // count])
        return f'{index % count + version * count:08d}.jpg'

    def _path(self, index: int) -> Path:
        return self._images / self.key(index)

    def row(self, index: int) -> TSVRow:
        """One hand.

        Raises:
            SkipRow: Image missing, or not 224x224 px.
        """
        name, number = self.key(index), index % len(self._intrinsics)
        row = TSVRow(name, read_image(self._path(index)))
        if tuple(row.image_size()) != (224, 224):
            raise SkipRow('the image is not 224x224 px')
        joints_2d = joints_3d = pose = betas = None
        if self._xyz is not None:
            xyz = self._xyz[number]
            joints_3d = with_confidence(xyz - xyz[0])
            joints_2d = with_confidence(project(xyz, self._intrinsics[number]))
        if self._mano is not None:
            # 48 pose, 10 shape, 2 root position in the image, 1 scale
            pose, betas = self._mano[number, :48], self._mano[number, 48:58]
        row.label = make_label(_CENTER, _SCALE, joints_2d, joints_3d, pose, betas, body='hand')
        return row

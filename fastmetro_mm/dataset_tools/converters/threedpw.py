# SPDX-License-Identifier: Apache-2.0
"""3DPW as released: ``sequenceFiles/<split>/*.pkl`` and ``imageFiles/<sequence>/``.

Labels as in METRO's ``tsv_demo_3dpw.py`` (from which the official ``has_gender`` set comes): pose
in the camera frame, 3D joints of the *neutral* SMPL whatever the gender, 2D joints projected from
them, gender kept as text. One row per person and frame with a valid camera pose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.body.joint_sets import J24, J24_PELVIS, SMPL24
from fastmetro_mm.dataset_tools.converters.files import read_pickle, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import (
    betas_note,
    betas_of,
    numbers,
    shaped,
    text_of,
)
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import (
    box_of_points,
    project,
    square_box,
    with_confidence,
)
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError, DataSetError

SPLITS = ('train', 'validation', 'test')
BOXES = ('pose2mesh', 'spin')
# Joints that SMPL's skeleton and J24 share; hips, neck and head have the same name but another
# place (J24 takes them from the extra regressor).
_SHARED = tuple(
    (J24.index(name), SMPL24.index(name))
    for name in SMPL24
    if name.endswith(('Ankle', 'Knee', 'Wrist', 'Elbow', 'Shoulder'))
)
_ONLY_PLACED = tuple(
    (J24.index(name), SMPL24.index(name)) for name in ('R_Hip', 'L_Hip', 'Pelvis', 'Neck', 'Head')
)


class ThreeDPWSource(FileSource):
    """Rows of one split.

    Args:
        root: Folder with ``sequenceFiles`` and ``imageFiles``.
        split: ``'train'``, ``'validation'`` or ``'test'``.
        mesh: Derives the joints.
        box: ``'pose2mesh'``: box of the projected SMPL joints inside the image, times 1.2, times
            1.2 (Pose2Mesh pads its boxes and METRO pads them again: the official rows);
            ``'spin'``: box of the annotated 2D points times 1.2.

    Raises:
        FileNotFoundError: A folder is missing.
        DataSetError: A pkl lacks a key, or its parts differ in length.
    """

    KIND = '3dpw'

    def __init__(
        self, root: str | Path, split: str, mesh: MeshJoints, box: str = 'pose2mesh'
    ) -> None:
        if split not in SPLITS:
            raise ConfigError(f'3DPW has no split {split!r}: use --split {" | ".join(SPLITS)}')
        if box not in BOXES:
            raise ConfigError(f'box {box!r}: use one of {", ".join(BOXES)}')
        root = Path(root)
        folder = require_folder(root / 'sequenceFiles' / split, '3DPW folder')
        self._images = require_folder(root / 'imageFiles', '3DPW folder')
        self.split, self.mesh, self.box = split, mesh, box
        paths = sorted(folder.glob('*.pkl'))
        if not paths:
            raise DataSetError(f'{folder} holds no pkl: unpack sequenceFiles.zip there')
        self.paths, self.options = paths, dict(images=self._images, split=split, box=box)
        self._sequences = [_read_sequence(path) for path in paths]
        # Frames without a valid camera pose have no place in the image (SPIN, 3dpw-eval).
        self._rows = np.array(
            [
                (number, actor, frame)
                for number, sequence in enumerate(self._sequences)
                for actor, valid in enumerate(sequence['campose_valid'])
                for frame in np.flatnonzero(valid)
            ],
            np.int64,
        ).reshape(-1, 3)
        if not len(self._rows):
            raise DataSetError(
                f'{folder}: no frame has a valid camera pose (campose_valid), so '
                'there is nothing to convert'
            )

    @property
    def note(self) -> str:
        """What the labels hold."""
        note = self.mesh.note
        if self.mesh.body is None and self.split != 'train':
            note += '; has_3d_joints is 0, so these rows cannot be evaluated'
        sizes = [size for sequence in self._sequences for size in sequence['num_betas']]
        return note + betas_note(sizes)

    def __len__(self) -> int:
        return len(self._rows)

    def _path(self, index: int) -> Path:
        return self._images / self.key(index)

    def key(self, index: int) -> str:
        """Name of the image below ``imageFiles``."""
        number, _, frame = self._rows[index]
        # Images are numbered by position: `img_frame_ids` counts frames of the 60 Hz capture.
        return f'{self._sequences[number]["sequence"]}/image_{frame:05d}.jpg'

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: Image missing, no joint in the image, joints behind the camera.
        """
        number, actor, frame = self._rows[index]
        sequence, key = self._sequences[number], self.key(index)
        row = TSVRow(key, read_image(find_image(self._images, key)))
        extrinsics = sequence['cam_poses'][frame]
        rotation, translation = extrinsics[:3, :3], extrinsics[:3, 3]
        betas = sequence['betas'][actor]
        kinematic = (
            sequence['jointPositions'][actor][frame].reshape(24, 3) @ rotation.T + translation
        )
        pose, joints = self.mesh.from_world(
            sequence['poses'][actor][frame],
            betas,
            sequence['trans'][actor][frame],
            rotation,
            translation,
        )
        if joints is None:
            joints_3d = _shared_joints(kinematic)
        else:
            joints_3d = with_confidence(joints)
        joints_2d = with_confidence(
            project(
                np.where(joints_3d[:, 3:] > 0, joints_3d[:, :3], kinematic[0]),
                sequence['cam_intrinsics'],
            ),
            joints_3d[:, 3],
        )
        box = self._box(sequence, actor, frame, kinematic, row.image_size())
        if joints is None and self.split != 'train':
            joints_3d = None  # never evaluate on joints that are not those of the protocol
        row.label = make_label(*box, joints_2d, joints_3d, pose, betas, sequence['genders'][actor])
        return row

    def _box(
        self, sequence: dict, actor: int, frame: int, kinematic: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, float]:
        if self.box == 'spin':
            points = sequence['poses2d'][actor][frame].reshape(3, 18).T
            # All zeros where less than six joints were detected; SPIN's script stops there.
            points = points[points[:, 2] > 0, :2]
            if not len(points):
                raise SkipRow('no detected 2D points')
            return square_box(*box_of_points(points), padding=1.2)
        points = project(kinematic, sequence['cam_intrinsics'])
        inside = (points >= 0).all(1) & (points < (size[1], size[0])).all(1)
        if inside.sum() < 2:
            raise SkipRow('less than two joints lie in the image')
        return square_box(*box_of_points(points[inside]), padding=1.2 * 1.2)


def _shared_joints(kinematic: np.ndarray) -> np.ndarray:
    """J24 (24, 4) as far as SMPL's skeleton gives them."""
    joints = np.zeros((24, 4))
    joints[:, :3] = kinematic[0]
    for target, source in _SHARED:
        joints[target] = (*kinematic[source], 1.0)
    # Losses centre on hips and labels on the pelvis: a place near the true one, not trained on.
    for target, source in _ONLY_PLACED:
        joints[target, :3] = kinematic[source]
    joints[J24_PELVIS, 3] = 0.0
    return joints


def _read_sequence(path: Path) -> dict:
    content = read_pickle(path, 'unpack sequenceFiles.zip of 3DPW')
    content = content if isinstance(content, dict) else {}
    content.setdefault('genders', content.get('gender'))  # named otherwise in the readme
    content.setdefault('poses2d', content.get('poses2D'))
    names = (
        'sequence', 'betas', 'poses', 'trans', 'genders', 'poses2d', 'jointPositions', 'cam_poses',
        'campose_valid', 'cam_intrinsics',
    )  # fmt: skip
    missing = [name for name in names if content.get(name) is None]
    if missing:
        raise DataSetError(f'{path} lacks {", ".join(missing)}: not a 3DPW sequence file')
    try:
        sequence: dict[str, Any] = dict(
            sequence=text_of(content['sequence'], 'sequence'),
            genders=[parse_gender(gender) for gender in content['genders']],
            cam_intrinsics=shaped(content['cam_intrinsics'], 'cam_intrinsics', (3, 3)),
        )
        frames = len(content['cam_poses'])
        sequence['cam_poses'] = shaped(content['cam_poses'], 'cam_poses', (frames, 4, 4))
        # 48 of 87 tracks carry 300 betas of which only the first ten are used.
        sequence['betas'] = [betas_of(betas) for betas in content['betas']]
        sequence['num_betas'] = [numbers(betas, 'betas').size for betas in content['betas']]
        shapes = dict(
            poses=(72,), trans=(3,), jointPositions=(72,), poses2d=(3, 18), campose_valid=()
        )
        for name, shape in shapes.items():
            sequence[name] = [shaped(track, name, (frames, *shape)) for track in content[name]]
        people = {len(value) for value in sequence.values() if isinstance(value, list)}
        if len(people) != 1:
            raise ValueError(f'tracks for {sorted(people)} people')
        if not all(np.isin(track, (0, 1)).all() for track in sequence['campose_valid']):
            raise ValueError('campose_valid holds other values than 0 and 1')
    except (ValueError, TypeError) as error:
        raise DataSetError(f'{path}: {error}: correct it or download it again') from None
    return sequence

# SPDX-License-Identifier: Apache-2.0
"""UP-3D as released: four files per person, and lists of them.

Files: ``00000_image.png``, ``_joints.npy``, ``_body.pkl``, ``_render_light.png``; lists:
``train.txt``, ``val.txt``, ``trainval.txt``, ``test.txt``. The box is that of the
rendered body, as in METRO's ``tsv_demo_up3d.py`` with its factor 1.2 (GraphCMR and mmhuman3d take
0.9).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.dataset_tools.converters.files import load_npy, read_pickle, require_folder
from fastmetro_mm.dataset_tools.converters.foreign_paths import read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import betas_of, pose_of, positive, shaped
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.placement import square_box, with_confidence
from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import DataSetError, MissingFileError

_NAME = re.compile(r'/?(\d+)_image\.png')
_PARTS = ('image.png', 'joints.npy', 'body.pkl', 'render_light.png')


class UP3DSource(FileSource):
    """Rows of one list.

    Args:
        root: Folder of the files (``up-3d``).
        split: Name of the list without ``.txt``.
        mesh: Derives the 3D joints.
        padding: Side of the crop / longer side of the rendered body.

    Raises:
        FileNotFoundError: The folder or list is missing.
        DataSetError: A line of the list is no image name.
    """

    KIND = 'up3d'

    def __init__(
        self, root: str | Path, split: str, mesh: MeshJoints, padding: float = 1.2
    ) -> None:
        self._root = require_folder(root, 'UP-3D folder')
        self.mesh = mesh
        self.padding = positive(padding, 'padding')
        path = self._root / f'{split}.txt'
        if not path.is_file():
            raise MissingFileError(f'{path} not found: use --split trainval (or train, val, test)')
        self.paths = [path]
        self.options = dict(root=self._root, split=split, padding=self.padding)
        self._names = []
        try:
            text = path.read_text('utf-8-sig')
        except UnicodeDecodeError:
            raise DataSetError(f'{path} is not UTF-8 text: download it again') from None
        for number, line in enumerate(text.split('\n'), 1):
            words = line.split()
            if not words:
                continue
            match = _NAME.fullmatch(words[0])
            if match is None:
                raise DataSetError(
                    f'{path} line {number}: {line[:40]!r} is not like /00000_image.png'
                )
            self._names.append(match[1])

    @property
    def note(self) -> str:
        """What the labels hold."""
        return f'{self.mesh.note}; of more than ten betas the first 10 are taken'

    def __len__(self) -> int:
        return len(self._names)

    def files(self, index: int) -> Sequence[Path]:
        """The four files of a person."""
        return [self._path(index, part) for part in _PARTS]

    def key(self, index: int) -> str:
        """Name of the image."""
        return f'{self._names[index]}_image.png'

    def _path(self, index: int, part: str) -> Path:
        return self._root / f'{self._names[index]}_{part}'

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: A file of the row is missing or damaged, nothing was rendered.
        """
        image = read_image(self._path(index, 'image.png'))
        points = shaped(load_npy(self._path(index, 'joints.npy')), 'joints.npy', (3, 14))
        joints_2d = np.zeros((24, 3))
        joints_2d[:14] = points.T  # LSP's 14 joints are the first 14 of J24
        try:
            body = read_pickle(self._path(index, 'body.pkl'), 'unpack UP-3D again')
            if not isinstance(body, dict):
                raise SkipRow('body.pkl holds no pose and betas')
            pose, betas = pose_of(body['pose']), betas_of(body['betas'])
        except FileNotFoundError:
            raise SkipRow('body.pkl not found') from None
        except KeyError as error:
            raise SkipRow(f'body.pkl has no {error.args[0]}') from None
        except DataSetError:
            raise SkipRow('body.pkl cannot be read') from None
        posed = self.mesh.posed(pose, betas)
        return TSVRow(
            self.key(index),
            image,
            make_label(
                *self._box(index),
                joints_2d,
                None if posed is None else with_confidence(posed[0]),
                pose,
                betas,
            ),
        )

    def _box(self, index: int) -> tuple[np.ndarray, float]:
        data = read_image(self._path(index, 'render_light.png'))
        render = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if render is None:
            raise SkipRow('render_light.png cannot be decoded')
        rows, columns = np.nonzero(render.min(axis=2) < 255)
        if not len(rows):
            raise SkipRow('render_light.png shows no body')
        x, y = columns.min(), rows.min()
        return square_box(x, y, columns.max() + 1 - x, rows.max() + 1 - y, self.padding)

# SPDX-License-Identifier: Apache-2.0
"""A set with images cut to what training can see of them: smaller, and faster to decode.

With small boxes in large images the decoding of the whole JPEG takes most of the time of a
worker. The new images show `margin` times the box and are encoded again, so crops differ by
JPEG noise from those of the source; evaluate on the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.dataset_tools.converters.rows import FileSource, SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import ConfigError


class ShrunkSource(FileSource):
    """Rows of a TSV set with smaller images.

    Args:
        yaml_path: The set.
        body: ``'smpl'`` or ``'hand'``.
        margin: Side of the kept square / side of the box. 1.8 covers the official augmentation:
            scale up to 1.25 and any rotation (factor sqrt(2)).
        max_box: Boxes larger than this are scaled down to it, px; twice the crop of the network
            leaves its sampling as it was.
        quality: JPEG quality.

    Raises:
        FileNotFoundError: A file of the set is missing.
        DataSetError: The set as a whole is unusable.
    """

    KIND = 'shrink'

    def __init__(
        self,
        yaml_path: str | Path,
        body: str = 'smpl',
        margin: float = 1.8,
        max_box: int = 448,
        quality: int = 95,
    ) -> None:
        if not 1 <= margin < 100 or max_box < 1 or not 1 <= quality <= 100:
            raise ConfigError(
                f'margin {margin} and max_box {max_box} must be 1 or more, quality '
                f'{quality} from 1 to 100'
            )
        self._dataset = MeshTSVDataset(str(yaml_path), body=body, on_error='raise')
        self.body, self.margin, self.max_box, self.quality = body, margin, max_box, quality
        self.paths = self._dataset.source_files()
        sizes = dict(margin=margin, max_box=max_box, quality=quality)
        self.options = dict(set=Path(yaml_path), body=body, **sizes)

    @property
    def note(self) -> str:
        """What the labels hold."""
        return 'as in the source; boxes and 2D joints are moved into the smaller images'

    def __len__(self) -> int:
        return len(self._dataset)

    def files(self, index: int) -> Sequence[Path]:
        """None: the images lie in the set's own files."""
        return ()

    def key(self, index: int) -> str:
        """File and row in the source."""
        return self._dataset.where(index)

    def row(self, index: int) -> TSVRow:
        """One person.

        Raises:
            SkipRow: No box, or it lies outside of the image.
            DataRowError: The row of the source cannot be used.
        """
        info = self._dataset.get_data_info(index)
        if 'center' not in info:
            raise SkipRow('the set has no labels')
        image = decode_image(info['img_bytes'])
        side = 200 * info['scale']
        corner = np.floor(info['center'] - self.margin * side / 2).astype(int)
        end = np.ceil(info['center'] + self.margin * side / 2).astype(int)
        corner = np.maximum(corner, 0)
        end = np.minimum(end, image.shape[1::-1])
        if (end <= corner).any():
            raise SkipRow('the box lies outside of the image')
        image = image[corner[1] : end[1], corner[0] : end[0]]
        size = np.array(image.shape[1::-1])
        zoom = min(1.0, self.max_box / side)
        new_size = np.maximum(np.round(size * zoom), 1).astype(int)
        if zoom < 1:
            image = cv2.resize(image, new_size.tolist(), interpolation=cv2.INTER_AREA)
        zoom_xy = new_size / size  # what whole pixels make of the zoom
        points = info['joints_2d'].copy()
        points[:, :2] = (points[:, :2] - corner) * zoom_xy
        has = {name: bool(info[f'has_{name}']) for name in ('2d', '3d', 'smpl')}
        label = make_label(
            (info['center'] - corner) * zoom_xy,
            info['scale'] * zoom,
            points if has['2d'] else None,
            info['joints_3d'] if has['3d'] else None,
            info['pose'] if has['smpl'] else None,
            info['betas'] if has['smpl'] else None,
            None if info['gender'] == 'none' else info['gender'],
            self.body,
        )
        data = cv2.imencode(
            '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        )[1].tobytes()
        return TSVRow(info['img_key'], data, label, tuple(image.shape[:2]))

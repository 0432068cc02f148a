# SPDX-License-Identifier: Apache-2.0
"""A sheet of samples of a TSV set with their labelled joints, to look at what was made."""

import os
from pathlib import Path

import numpy as np

from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
from fastmetro_mm.visualization.label_skeleton import draw_skeleton


def write_sample_sheet(
    path: str | os.PathLike,
    yaml_file: str | os.PathLike,
    kind: str,
    count: int = 40,
    columns: int = 8,
    tile_height: int | None = None,
) -> Path:
    """Writes a sheet of the first samples of a set, their labelled joints drawn.

    Args:
        path: Image file to write.
        yaml_file: The yaml of the set.
        kind: ``'body'`` or ``'hand'``.
        count: How many samples, at most.
        columns: Samples in a row.
        tile_height: Height of an image on the sheet, pixels; as it is if None.
    """
    body = 'smpl' if kind == 'body' else 'hand'
    dataset = MeshTSVDataset(str(yaml_file), body=body, test_mode=True)
    tiles = []
    for index in range(min(count, len(dataset))):
        info = dataset.get_data_info(index)
        image = decode_image(info['img_bytes'])
        points = info['joints_2d'][:, :2]
        tiles.append(('', draw_skeleton(image, points, np.ones(len(points), bool))))
    return write_contact_sheet(path, tiles, columns, tile_height)

# SPDX-License-Identifier: Apache-2.0
"""Labelled images tiled into one sheet, for instance predictions beside the truth."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.visualization.image_files import write_image

PAPER, INK = (255, 255, 255), (40, 40, 40)


def label_image(image: np.ndarray, text: str) -> np.ndarray:
    """Put a line of text above an image.

    Args:
        image: RGB. (H, W, 3) uint8
        text: Text (ASCII); shrunk to the image's width if needed. No text, no line.

    Returns:
        RGB image, higher by the line. (H', W, 3) uint8
    """
    if not text:
        return image
    # Proportional to the image, but readable on thumbnails and modest on large photos.
    height = int(np.clip(image.shape[0] // 20, 18, 48))
    banner = np.full((height, image.shape[1], 3), PAPER, dtype=np.uint8)
    scale, thickness = height / 32, max(1, height // 18)
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0]
    scale *= min(1.0, (image.shape[1] - 6) / max(width, 1))
    cv2.putText(
        banner, text, (3, int(height * 0.7)), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, thickness,
        cv2.LINE_AA,
    )  # fmt: skip
    return np.concatenate([banner, image])


def contact_sheet(
    tiles: Sequence[tuple[str, np.ndarray]],
    columns: int | None = None,
    tile_height: int | None = None,
    gap: int = 6,
) -> np.ndarray:
    """Tile labelled images.

    Args:
        tiles: Label and RGB image of each tile, row by row. (H, W, 3) uint8 each
        columns: Tiles in a row; a nearly square sheet if not given.
        tile_height: Height all images are scaled to, pixels; as they are if not given.
        gap: Space between tiles, pixels.

    Returns:
        RGB sheet on white paper. (H, W, 3) uint8

    Raises:
        ValueError: If there are no tiles or an image is not (H, W, 3) uint8.
    """
    if not tiles:
        raise ValueError('a contact sheet needs at least one image')
    labelled = []
    for label, image in tiles:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f'tile {label!r} must be (H, W, 3) uint8, got {image.dtype} {image.shape}'
            )
        if tile_height is not None and image.shape[0] != tile_height:
            width = max(1, round(image.shape[1] * tile_height / image.shape[0]))
            shrink = tile_height < image.shape[0]
            image = cv2.resize(
                image,
                (width, tile_height),
                interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR,
            )
        labelled.append(label_image(image, label))
    columns = columns or math.ceil(math.sqrt(len(labelled)))
    rows = [labelled[start : start + columns] for start in range(0, len(labelled), columns)]
    widths = [max(row[i].shape[1] for row in rows if i < len(row)) for i in range(len(rows[0]))]
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    shape = (sum(heights) + gap * (len(heights) + 1), sum(widths) + gap * (len(widths) + 1), 3)
    sheet = np.full(shape, PAPER, dtype=np.uint8)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        left = gap
        for tile, width in zip(row, widths[: len(row)], strict=True):
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += width + gap
        top += height + gap
    return sheet


def write_contact_sheet(
    path: str | os.PathLike,
    tiles: Sequence[tuple[str, np.ndarray]],
    columns: int | None = None,
    tile_height: int | None = None,
) -> Path:
    """Tile labelled images and write the sheet in one step.

    Args:
        path: Image file to write.
        tiles: Label and RGB image of each tile, row by row. (H, W, 3) uint8 each
        columns: Tiles in a row; a nearly square sheet if not given.
        tile_height: Height all images are scaled to, pixels; as they are if not given.

    Returns:
        The path.
    """
    return write_image(path, contact_sheet(tiles, columns, tile_height))

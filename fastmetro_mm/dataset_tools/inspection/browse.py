# SPDX-License-Identifier: Apache-2.0
"""A sheet of samples as the network will see them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.sample_image import (
    crop_points,
    draw_mesh,
    trusted_points,
)
from fastmetro_mm.datasets.labels import LAYOUTS
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.datasets.transforms import BoxToCenterScale, LoadMeshImage, MeshAugment, MeshCrop
from fastmetro_mm.errors import ConfigError, DataSetError
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
from fastmetro_mm.visualization.label_skeleton import draw_skeleton
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

Tiles = list[tuple[str, np.ndarray]]


def find_kind(yaml_path: str | os.PathLike) -> str:
    """Whether the rows of a set are bodies (``'smpl'``) or hands: by the first usable row.

    Raises:
        ValueError: The first rows fit neither; the error of a body set is shown.
    """
    first = None
    for kind in LAYOUTS:
        dataset = MeshTSVDataset(str(yaml_path), body=kind, on_error='raise', indices=20)
        for index in range(len(dataset)):
            try:
                dataset.get_data_info(index)
            except ValueError as error:
                first = first or error
            else:
                return kind
    raise first or DataSetError(f'{yaml_path}: the data set has no rows')


def build_pipelines(kind: str, augment: bool, size: int, mode: str) -> list[list]:
    """The pipelines whose results are shown side by side: plain, and with augmentation."""
    strength: dict[str, Any] = dict(flip_prob=0.0, rot_factor=90.0) if kind == 'hand' else {}
    augmentations = [MeshAugment(), MeshAugment(train=True, **strength)][: 1 + augment]
    return [
        [LoadMeshImage(), BoxToCenterScale(), step, MeshCrop(size=size, mode=mode)]
        for step in augmentations
    ]


def sample_tiles(sample: dict, label: str, mesh: LabelMesh, renderer: SoftwareRenderer) -> Tiles:
    """Crop with joints, and where there is one the mesh over the crop."""
    image = np.ascontiguousarray(sample['img'])
    if 'joints_2d' in sample:
        image = draw_skeleton(image, crop_points(sample), trusted_points(sample))
    tiles = [(label, image)]
    drawn = draw_mesh(sample, mesh, renderer) if 'joints_2d' in sample else None
    if drawn is not None:
        tiles.append(('mesh', drawn))
    return tiles


def write_browse_sheet(
    yaml_path: str | os.PathLike,
    out: str | os.PathLike,
    indices: Sequence[int] | None = None,
    count: int = 12,
    augment: bool = False,
    mesh: LabelMesh | None = None,
    size: int = 224,
    mode: str = 'official',
    seed: int = 0,
) -> Path:
    """Draw samples of a set into one image; needs no window.

    Args:
        yaml_path: The set.
        out: Image file to write.
        indices: Samples; by default `count` spread evenly over the set.
        count: Number of samples.
        augment: Show each sample also with a random training augmentation.
        mesh: Poses the labelled meshes; without, no meshes.
        size: Side of the crops, px.
        mode: Of `MeshCrop`.
        seed: Start of the augmentations.

    Returns:
        The image file.

    Raises:
        FileNotFoundError: A file of the set is missing.
    """
    kind = find_kind(yaml_path)
    mesh = mesh or LabelMesh(kind, 'none')
    dataset = MeshTSVDataset(str(yaml_path), body=kind, on_error='raise')
    if indices is None:
        spread = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round()
        indices = [int(index) for index in np.unique(spread)]
    bad = [int(i) for i in indices if not 0 <= i < len(dataset)]
    if bad:
        raise ConfigError(f'{yaml_path} has no sample {bad[0]}, it has {len(dataset)}')
    renderer = SoftwareRenderer()
    pipelines = build_pipelines(kind, augment, size, mode)
    state = np.random.get_state()  # noqa: NPY002 - the augmentation draws from it
    np.random.seed(seed)  # noqa: NPY002
    groups: list[Tiles] = []
    try:
        for index in indices:
            tiles: Tiles = []
            for pipeline in pipelines:
                dataset.pipeline = pipeline
                sample = dataset.prepare_data(int(index))
                label = (
                    f'{int(index)}: {Path(sample["img_key"]).name}'
                    if not tiles
                    else describe_augmentation(sample['aug'])
                )
                tiles += sample_tiles(sample, label, mesh, renderer)
            groups.append(tiles)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    width = max(map(len, groups))
    blank = np.full((size, size, 3), 255, np.uint8)
    flat = [tile for tiles in groups for tile in tiles + [('', blank)] * (width - len(tiles))]
    across = max(1, round((len(groups) / width) ** 0.5))
    return write_contact_sheet(out, flat, columns=width * across)


def describe_augmentation(aug: dict) -> str:
    """The drawn augmentation in a few words."""
    noise = '/'.join(f'{value:.2f}' for value in aug['noise'])
    return f'{"flip " if aug["flip"] else ""}rot {aug["rot"]:.0f} x{aug["scale"]:.2f} rgb {noise}'

# SPDX-License-Identifier: Apache-2.0
"""Speed of the data path: samples per second and worker, start-up of a large index.

    python tools/benchmark/data.py [--against FASTMETRO_CHECKOUT]
    python tools/benchmark/data.py --compare-modes SET.yaml

With --against, the loader of a FastMETRO checkout runs side by side on the same files. Images
are JPEGs of --image-size px with full training augmentation; every loader runs in one thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

# `python tools/benchmark/data.py` puts tools/benchmark on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# mmengine 0.10 imports pkg_resources; its users can do nothing about that.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

from fastmetro_mm.datasets import (  # noqa: E402
    LoadMeshImage,
    MeshAugment,
    MeshCrop,
    MeshTSVDataset,
    PackMeshInputs,
    TSVRow,
    write_tsv_set,
)
from fastmetro_mm.datasets.labels import make_label  # noqa: E402

_JPEG_QUALITY = 90
_DRAWS = 20  # augmentations per image when the modes are compared
_INDEX_CHUNK = 100_000

INDEX_BYTES_PER_ROW = 170
"""Most that a row of `write_index` takes, below 10^7 rows."""


def write_images(folder: Path, count: int, size: int, box: tuple[int, int]) -> Path:
    """A set of textured JPEGs with boxes of `box` px."""
    rng = np.random.default_rng(0)

    def rows():
        for index in range(count):
            coarse = rng.integers(0, 256, (size // 25, size // 25, 3)).astype(np.uint8)
            image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
            data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
            points = np.column_stack([rng.uniform(0, size, (24, 2)), np.ones(24)])
            joints = np.column_stack([rng.normal(0, 0.4, (24, 3)), np.ones(24)])
            yield TSVRow(
                f'{index:05d}.jpg',
                data.tobytes(),
                make_label(
                    rng.uniform(0.4 * size, 0.6 * size, 2),
                    rng.uniform(*box) / 200,
                    points,
                    joints,
                    rng.normal(0, 0.3, 72),
                    rng.normal(0, 1, 10),
                ),
                (size, size),
            )

    return write_tsv_set(folder, 'train', rows())


def write_index(folder: Path, rows: int) -> Path:
    """A set of many rows with hardly any content: only its index is opened.

    Args:
        folder: New folder.
        rows: Number of rows, below 10^8; each takes up to ``INDEX_BYTES_PER_ROW``.

    Returns:
        Path of the yaml.
    """
    folder.mkdir(parents=True)
    chunks = [range(at, min(at + _INDEX_CHUNK, rows)) for at in range(0, rows, _INDEX_CHUNK)]
    for part, value in (
        ('img', 'A' * 20),
        ('hw', '[{"height": 1000, "width": 1000}]'),
        ('label', '[{"center": [1, 1], "scale": 1.0}]'),
    ):
        width = len(f'{0:08d}.jpg\t{value}\n')
        with (
            (folder / f'train.{part}.tsv').open('w') as lines,
            (folder / f'train.{part}.lineidx').open('w') as offsets,
        ):
            for chunk in chunks:
                lines.write(''.join([f'{row:08d}.jpg\t{value}\n' for row in chunk]))
                offsets.write(''.join([f'{width * row}\n' for row in chunk]))
    with (folder / 'train.linelist.tsv').open('w') as lines:
        for chunk in chunks:
            lines.write(''.join([f'{row}\n' for row in chunk]))
    yaml_path = folder / 'train.yaml'
    yaml_path.write_text(
        ''.join(f'{part}: train.{part}.tsv\n' for part in ('img', 'hw', 'label', 'linelist'))
    )
    return yaml_path


def _official_class(checkout: str) -> type:
    """Loader of a checkout; the one of its imports that is gone and not used is left empty."""
    sys.path.insert(0, checkout)
    sys.modules['scipy.misc'] = types.ModuleType('scipy.misc')
    from src.datasets.human_mesh_tsv import MeshTSVYamlDataset

    return MeshTSVYamlDataset


def _our_pipeline(mode: str, rotate_all: bool) -> list:
    augment = MeshAugment(train=True, **(dict(rot_zero_prob=-1.0) if rotate_all else {}))
    if mode == 'official':
        return [LoadMeshImage(), augment, MeshCrop(mode=mode), PackMeshInputs()]
    # Augmentation first: the decoder may then reduce large images.
    return [augment, LoadMeshImage(crop_size=224), MeshCrop(mode=mode), PackMeshInputs()]


def _rotate_always(dataset: object) -> None:
    """Make the official loader rotate every image, as `rot_zero_prob` does for ours."""
    draw = dataset.augm_params

    def draw_rotated() -> tuple:
        flip, noise, rotation, scale = draw()
        return flip, noise, rotation or float(np.random.uniform(1, 60)), scale  # noqa: NPY002

    dataset.augm_params = draw_rotated


def _loaders(yaml_path: Path, against: str | None, rotate_all: bool) -> dict[str, Callable]:
    loaders: dict[str, Callable] = {}
    if against:
        official = _official_class(against)(str(yaml_path))
        if rotate_all:
            _rotate_always(official)
        loaders['official loader'] = official.__getitem__
    for mode in ('official', 'fast'):
        loaders[f'ours, {mode} mode'] = MeshTSVDataset(
            str(yaml_path), _our_pipeline(mode, rotate_all)
        ).__getitem__
    return loaders


def measure_speed(
    yaml_path: Path, count: int, against: str | None, rounds: int, rotate_all: bool
) -> dict[str, float]:
    """Samples per second of each loader: median of rounds that take turns."""
    loaders = _loaders(yaml_path, against, rotate_all)
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(rounds + 1):
        for name, load in loaders.items():
            np.random.seed(turn)  # noqa: NPY002 - both draw from it
            start = time.perf_counter()
            for index in range(count):
                load(index)
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: count / float(np.median(values)) for name, values in seconds.items()}


def _resident_mb() -> float:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure_start(yaml_path: str, against: str | None) -> dict[str, float]:
    """Seconds and resident MB of opening a set, in this process."""
    make = _official_class(against) if against else MeshTSVDataset
    before, start = _resident_mb(), time.perf_counter()
    dataset = make(yaml_path)
    seconds = time.perf_counter() - start
    return dict(seconds=seconds, mb=_resident_mb() - before, rows=len(dataset))


def _measure_start_apart(yaml_path: Path, against: str | None) -> dict[str, float]:
    """`measure_start` in a process of its own, so that memory is counted from nothing."""
    command = [sys.executable, __file__, '--start', str(yaml_path)]
    if against:
        command += ['--against', against]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def compare_modes(yaml_path: str) -> dict[str, float]:
    """Differences of fast from official mode on the images of a set.

    Returns:
        Grey levels (mean, 99th percentile, max) and px of the 2D joints (mean shift, mean, max
        distance): without and with random augmentation.
    """
    result: dict[str, float] = {}
    for name, train in (('plain', False), ('augmented', True)):
        grey, shift = [], []
        for draw in range(_DRAWS if train else 1):
            crops = []
            for mode in ('official', 'fast'):
                np.random.seed(draw)  # noqa: NPY002
                dataset = MeshTSVDataset(
                    yaml_path,
                    [LoadMeshImage(), MeshAugment(train=train), MeshCrop(mode=mode)],
                    on_error='raise',
                )
                crops.append([dataset[i] for i in range(len(dataset))])
            for a, b in zip(*crops, strict=True):
                grey.append(np.abs(a['img'].astype(float) - b['img']).ravel())
                seen = a['joints_2d'][:, 2] > 0
                shift.append((a['joints_2d'] - b['joints_2d'])[seen, :2] * 112)
        grey, shift = np.concatenate(grey), np.concatenate(shift)
        distance = np.linalg.norm(shift, axis=1)
        result.update(
            {
                f'{name} grey mean': grey.mean(),
                f'{name} grey 99 %': np.percentile(grey, 99),
                f'{name} grey max': grey.max(),
                f'{name} joints mean shift x px': shift[:, 0].mean(),
                f'{name} joints mean shift y px': shift[:, 1].mean(),
                f'{name} joints distance mean px': distance.mean(),
                f'{name} joints distance max px': distance.max(),
            }
        )
    return result


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--against', help='FastMETRO checkout to run side by side')
    parser.add_argument('--count', type=int, default=64, help='images')
    parser.add_argument('--image-size', type=int, default=1000, help='px')
    parser.add_argument(
        '--box',
        type=int,
        nargs=2,
        default=(700, 1000),
        metavar=('MIN', 'MAX'),
        help='side of the boxes, px',
    )
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--rows', type=int, default=300_000, help='rows of the large index')
    parser.add_argument('--compare-modes', metavar='SET', help='only this, on a set of yours')
    parser.add_argument('--start', metavar='SET', help='only open a set and print what it took')
    return parser.parse_args()


def main() -> None:
    """Print the measurements."""
    args = _parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.start:
        print(json.dumps(measure_start(args.start, args.against)))
        return
    if args.compare_modes:
        for name, value in compare_modes(args.compare_modes).items():
            print(f'{name:34}{value:8.3f}')
        return
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(Path(folder) / 'images', args.count, args.image_size, args.box)
        for rotate_all in (False, True):
            print('every image rotated' if rotate_all else 'official augmentation (40 % rotated)')
            speeds = measure_speed(images, args.count, args.against, args.rounds, rotate_all)
            first = next(iter(speeds.values()))
            for name, speed in speeds.items():
                print(f'  {name:20}{speed:8.1f} samples/s a worker  {speed / first:5.2f} x')
        index = write_index(Path(folder) / 'index', args.rows)
        for against in dict.fromkeys([args.against, None]):
            start = _measure_start_apart(index, against)
            name = 'official loader' if against else 'ours'
            print(
                f'{name:20}{start["rows"]} rows opened in {start["seconds"]:.2f} s, '
                f'+{start["mb"]:.1f} MB'
            )


if __name__ == '__main__':
    main()

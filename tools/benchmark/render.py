# SPDX-License-Identifier: Apache-2.0
"""Speed of drawing: one person over an image of 1280x720, on one core.

    python tools/benchmark/render.py [--against compiled] [--people 3] [--out image.png]

The people are open bodies, the nearest nine tenths of the image's height tall. The whole call is
timed: shading, z-buffer, smooth edges and mixing into the image. "software" draws with NumPy.
With --against (pyrender, or the software renderer's machine code), both take turns on the same
scene, and the agreement of their silhouettes and pixels is printed.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

# Before NumPy starts its threads.
os.environ.update(
    OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1', MKL_NUM_THREADS='1', LP_NUM_THREADS='1'
)

# `python tools/benchmark/render.py` puts tools/benchmark on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# mmengine 0.10 imports pkg_resources; its users can do nothing about that.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

import numpy as np  # noqa: E402
import torch  # noqa: E402

from fastmetro_mm.body.build import build_body_model  # noqa: E402
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors  # noqa: E402
from fastmetro_mm.errors import CliError, RendererUnavailableError  # noqa: E402
from fastmetro_mm.geometry.camera import PerspectiveCamera, default_focal_length  # noqa: E402
from fastmetro_mm.visualization.image_files import write_image  # noqa: E402
from fastmetro_mm.visualization.render_types import Renderer, RenderMesh  # noqa: E402
from fastmetro_mm.visualization.renderer_factory import build_renderer  # noqa: E402
from fastmetro_mm.visualization.sample_people import PREDICTION_COLORS  # noqa: E402
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer  # noqa: E402

TALL = 0.9
"""Height of the nearest person, share of the image's height."""


def make_scene(people: int, size: tuple[int, int]) -> tuple[list[RenderMesh], PerspectiveCamera]:
    """Open bodies one behind the other, each half a metre farther and to the side."""
    model = build_body_model('open_body')
    pose = torch.zeros(1, 72)
    pose[:, 0] = torch.pi  # body files are y up and look along z; cameras are y down
    pose[:, 16 * 3 + 2], pose[:, 17 * 3 + 2] = -0.9, 0.7  # arms lowered
    pose[:, 4 * 3] = 0.4  # left knee bent
    with torch.no_grad():
        vertices = model(pose, torch.zeros(1, 10)).vertices[0].numpy()
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    camera = PerspectiveCamera.from_focal_length(default_focal_length(size), size)
    distance = camera.intrinsics[0, 0] * np.ptp(vertices[:, 1]) / (TALL * size[1])
    meshes = []
    for number in range(people):
        aside = 0.5 * (number + 1) // 2 * (-1) ** number
        place = np.array([aside, 0, distance + 0.5 * number])
        color = PREDICTION_COLORS[number % len(PREDICTION_COLORS)]
        meshes.append(RenderMesh(vertices + place, model.faces.numpy(), color))
    return meshes, camera


def measure(
    renderers: dict[str, Renderer], people: int, size: tuple[int, int], rounds: int, out: str | None
) -> dict[str, list[float]]:
    """Seconds of each round; renderers take turns, a first round is not counted."""
    meshes, camera = make_scene(people, size)
    background = np.full((size[1], size[0], 3), 127, np.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in renderers}
    drawn = {}
    for turn in range(rounds + 1):
        for name, renderer in renderers.items():
            start = time.perf_counter()
            result = renderer.render(meshes, camera, background)
            if turn:
                seconds[name].append(time.perf_counter() - start)
            drawn[name] = result
            if out:
                write_image(out, result.image)
                out = None
    if len(drawn) == 2:
        first, second = drawn.values()
        one, other = first.index >= 0, second.index >= 0
        off = np.abs(first.image.astype(np.int16) - second.image).max(axis=-1) > 1
        print(
            f'silhouettes agree: IoU {(one & other).sum() / (one | other).sum():.4f}; '
            f'{off.sum()} pixels of {one.sum()} differ by more than 1/255'
        )
    return seconds


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--against', choices=['pyrender', 'compiled'], help='another renderer, side by side'
    )
    parser.add_argument('--people', type=int, default=1, help='how many (default: 1)')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(1280, 720),
        metavar=('W', 'H'),
        help='image, pixels (default: 1280 720)',
    )
    parser.add_argument('--rounds', type=int, default=15, help='images timed (default: 15)')
    parser.add_argument('--out', help='image file for what was drawn')
    args = parser.parse_args(argv)
    if min(args.people, args.rounds, *args.size) < 1:
        parser.error('--people, --rounds and --size must be at least 1')
    return args


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    with friendly_errors():
        args = parse_args(argv)
        if hasattr(os, 'sched_setaffinity'):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        renderers: dict[str, Renderer] = {'software': SoftwareRenderer(loops='numpy')}
        if args.against == 'compiled':
            renderers['compiled'] = SoftwareRenderer(loops='compiled')
        elif args.against:
            try:
                renderers[args.against] = build_renderer(args.against)
            except RendererUnavailableError as error:
                raise CliError(f'--against {args.against}: {error}') from None
        seconds = measure(renderers, args.people, tuple(args.size), args.rounds, args.out)
        width, height = args.size
        print(f'{args.people} people on {width}x{height}, one core, {args.rounds} rounds:')
        for name, values in seconds.items():
            low, high = min(values) * 1000, max(values) * 1000
            print(
                f'{name:>10}: median {statistics.median(values) * 1000:6.1f} ms '
                f'({low:.1f} to {high:.1f})'
            )
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

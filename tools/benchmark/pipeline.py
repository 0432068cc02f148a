# SPDX-License-Identifier: Apache-2.0
"""Videos and folders from file to file: how near the whole comes to its slowest stage.

    python tools/benchmark/pipeline.py [--network S-R50] [--runtime openvino --speed fast]

Two people on 640x360, boxes given. In every round each stage runs alone over all frames, then the
whole, stage after stage and overlapped; medians are told. "share" is the slowest stage's time over
that of the whole, "network busy" the part of the whole during which the network ran, "processor"
what all threads used. What happens once a process (machine code of the drawing, kernels, codecs)
happens in a run before the first round, which does not count.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
from our_code import network_config
from suites import NETWORKS

from fastmetro_mm.apis import FrameResult, MeshInferencer
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.guarding import error_handler
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.fileio import write_json
from fastmetro_mm.visualization.frame_drawing import draw_frame
from fastmetro_mm.visualization.renderer_factory import build_renderer

WIDTH, HEIGHT, FPS = 640, 360, 25
BATCH = 16  # as for `fastmetro demo`
BOXES = [[110, 40, 250, 330], [370, 30, 520, 340]]


def scenes(count: int) -> Iterator[np.ndarray]:
    """Frames (360, 640, 3) uint8 RGB: a pan over a blurred random scene with two dark figures."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, 2 * WIDTH, 3), np.uint8)
    wide = cv2.convertScaleAbs(cv2.GaussianBlur(noise, (0, 0), 3), alpha=4, beta=-390)
    for index in range(count):
        frame = np.roll(wide, -2 * index, axis=1)[:, :WIDTH].copy()
        for left, top, right, bottom in BOXES:
            middle = ((left + right) // 2, (top + bottom) // 2)
            cv2.ellipse(
                frame, middle, ((right - left) // 4, (bottom - top) // 2), 0, 0, 360, 40, -1
            )
        yield frame


class Stopwatch:
    """Sums the time of what it is given to do: seconds by the clock and of processors."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0

    def __call__(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Call and count."""
        start = time.perf_counter(), time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start[0]
            self.processor += time.process_time() - start[1]

    def of(self, count: int) -> tuple[float, float]:
        """Milliseconds an item, by the clock and of processors."""
        return 1000 * self.seconds / count, 1000 * self.processor / count


@contextmanager
def network_timed(inferencer: MeshInferencer) -> Iterator[Stopwatch]:
    """Count what the network takes until the block ends."""
    watch, step = Stopwatch(), inferencer.network.test_step
    inferencer.network.test_step = partial(watch, step)
    try:
        yield watch
    finally:
        inferencer.network.test_step = step


def answer_with_people(inferencer: MeshInferencer) -> None:
    """Let a network that was never trained work, and answer with people that can be drawn."""
    shipped = MeshInferencer(detector=None, speed='fast')
    step, answers = shipped.network.test_step, []
    shipped.network.test_step = lambda batch: answers.extend(step(batch)) or answers
    list(shipped(next(scenes(1)), bboxes=BOXES))
    work = inferencer.network.test_step

    def answer(batch: dict) -> list:
        samples = work(batch)
        for sample, person in zip(samples, itertools.cycle(answers)):
            sample.pred_instances = person.pred_instances
        return samples

    inferencer.network.test_step = answer


def stages_alone(
    inferencer: MeshInferencer, clip: Path, folder: Path
) -> dict[str, tuple[float, float]]:
    """Milliseconds a frame of each stage, see :meth:`Stopwatch.of`."""
    renderer = build_renderer('software')
    watches: dict[str, Stopwatch] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        return watches.setdefault(name, Stopwatch())(work)

    images = timed('decoding', lambda: list(open_source(clip, error_handler('raise')).images))
    crop = inferencer._cropper
    timed('cropping', lambda: [crop(i, PersonBox(box), None) for i in images for box in BOXES])
    with network_timed(inferencer) as watches['network']:
        results = list(inferencer(clip, bboxes=BOXES, batch_size=BATCH))
    drawn = timed('drawing', lambda: [draw_frame(r, renderer, draw_boxes=True) for r in results])

    def encode() -> None:
        with VideoWriter(folder / 'alone.mp4', FPS) as writer:
            for frame in drawn:
                writer.write(frame)

    timed('encoding', encode)
    timed('arrays', lambda: [r.save_npz(folder / 'alone.npz') for r in results])
    return {name: watch.of(len(images)) for name, watch in watches.items()}


def whole(
    inferencer: MeshInferencer, given: Path, out: Path, kinds: list[str], overlap: bool
) -> dict[str, float]:
    """File to files: milliseconds a result by the clock and of processors, network's part."""
    source = open_source(given, error_handler('raise'))
    renderer = build_renderer('software') if 'overlay' in kinds else None
    fps = source.fps if source.is_video else None
    watch, count = Stopwatch(), 0

    def work() -> None:
        nonlocal count
        results: Iterator[FrameResult] = inferencer(
            source, bboxes=BOXES, batch_size=BATCH, overlap=overlap
        )
        with ResultSaver(out, kinds, renderer, fps, views=(), overlap=overlap) as saver:
            for frame in results:
                saver.add(frame, given.stem if fps else Path(frame.image_path).stem)
                count += 1

    with network_timed(inferencer) as network:
        watch(work)
    wall, processor = watch.of(count)
    return dict(milliseconds=wall, processor=processor, busy=network.seconds / watch.seconds)


def network(args: argparse.Namespace) -> MeshInferencer:
    """What the command line asks for."""
    model: Any = args.model
    if args.network:
        model = network_config(*NETWORKS[args.network], dict(name='open_body'))
    inferencer = MeshInferencer(model, detector=None, speed=args.speed, runtime=args.runtime)
    if args.network:
        answer_with_people(inferencer)
    return inferencer


def measure(inferencer: MeshInferencer, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All rounds; prints and gives back the medians."""
    clip, images = folder / 'clip.mp4', folder / 'images'
    images.mkdir()
    with VideoWriter(clip, FPS) as writer:
        for index, frame in enumerate(scenes(args.frames)):
            writer.write(frame)
            cv2.imwrite(str(images / f'{index:05d}.jpg'), frame[..., ::-1])
    works = dict(video=(clip, ['overlay', 'npz']), folder=(images, ['npz']))
    chosen = {name: work for name, work in works.items() if args.only in (None, name)}
    (folder / 'out').mkdir()
    whole(inferencer, clip, folder / 'out', ['overlay', 'npz'], True)
    alone: list[dict[str, tuple[float, float]]] = []
    rows: dict[str, list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        alone.append(stages_alone(inferencer, clip, folder))
        slowest = max(alone[-1], key=lambda stage: alone[-1][stage][0])
        for name, (given, kinds) in chosen.items():
            for how in ('in turn', 'overlapped'):
                row = whole(inferencer, given, folder / 'out', kinds, how == 'overlapped')
                row['share'] = alone[-1][slowest][0] / row['milliseconds']
                rows.setdefault(f'{name}, {how}', []).append(row)
    report = {
        'alone': {name: np.median([r[name] for r in alone], 0).tolist() for name in alone[0]},
        **{
            name: {k: median(r[k] for r in found) for k in found[0]} for name, found in rows.items()
        },
    }
    print('alone, ms a frame by the clock (of processors):')
    for name, (wall, processor) in report['alone'].items():
        print(f'  {name:10} {wall:6.1f} ({processor:.1f})')
    for name in rows:
        row = report[name]
        print(
            f'{name:18} {row["milliseconds"]:6.1f} ms a frame ({row["processor"]:.1f}), share '
            f'{row["share"]:.2f}, network busy {row["busy"]:.2f}'
        )
    return report


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--frames', type=int, default=200, help='of the video, and images (200)')
    parser.add_argument('--rounds', type=int, default=3, help='turns (3)')
    parser.add_argument('--runtime', default='torch')
    parser.add_argument('--speed', default='exact', choices=['exact', 'fast'])
    parser.add_argument('--model', help='default: the shipped one')
    parser.add_argument(
        '--network', choices=list(NETWORKS), help='instead: an untrained one, with drawn people'
    )
    parser.add_argument('--only', choices=['video', 'folder'])
    parser.add_argument('--json', type=Path, help='also write everything to this file')
    args = parser.parse_args()
    with friendly_errors(), tempfile.TemporaryDirectory() as name:
        report = measure(network(args), args, Path(name))
        if args.json:
            settings = {key: str(value) for key, value in vars(args).items() if key != 'json'}
            write_json(args.json, dict(settings, **report), indent=1)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

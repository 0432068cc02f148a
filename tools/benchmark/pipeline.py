# SPDX-License-Identifier: Apache-2.0
"""Videos and folders from file to file: how near the whole comes to its slowest stage.

    python tools/benchmark/pipeline.py [--frames 100] [--runtime auto --speed fast] [--json FILE]

Two people on 640x360, boxes given. Every stage runs alone over all frames first; then the whole,
stage after stage and overlapped, in turns. "share" is the slowest stage's time over that of the
whole; "network busy" the part of the whole during which the network ran.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np

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

WIDTH, HEIGHT, FPS, BATCH = 640, 360, 25, 8
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
    """Sums the time of every call of a function."""

    def __init__(self, function: Callable) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call and count."""
        start = time.perf_counter()
        try:
            return self.function(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start


def stages_alone(inferencer: MeshInferencer, clip: Path, folder: Path) -> dict[str, float]:
    """Seconds a frame of each stage, one after the other over the whole video."""
    renderer = build_renderer('software')
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        made = work()
        seconds[name] = time.perf_counter() - start
        return made

    images = timed('decoding', lambda: list(open_source(clip, error_handler('raise')).images))
    crop = inferencer._cropper
    timed('cropping', lambda: [crop(i, PersonBox(box), None) for i in images for box in BOXES])
    network = inferencer.network.test_step = Stopwatch(inferencer.network.test_step)
    results = list(inferencer(clip, bboxes=BOXES, batch_size=BATCH))
    inferencer.network.test_step = network.function
    seconds['network'] = network.seconds
    drawn = timed('drawing', lambda: [draw_frame(r, renderer, draw_boxes=True) for r in results])

    def encode() -> None:
        with VideoWriter(folder / 'alone.mp4', FPS) as writer:
            for frame in drawn:
                writer.write(frame)

    timed('encoding', encode)
    return {name: value / len(images) for name, value in seconds.items()}


def whole(
    inferencer: MeshInferencer, given: Path, out: Path, kinds: list[str], overlap: bool
) -> tuple[float, float, int]:
    """File to files: seconds, of them in the network, and results."""
    out.mkdir(exist_ok=True)
    source = open_source(given, error_handler('raise'))
    renderer = build_renderer('software') if 'overlay' in kinds else None
    network = inferencer.network.test_step = Stopwatch(inferencer.network.test_step)
    start, count = time.perf_counter(), 0
    results: Iterator[FrameResult] = inferencer(
        source, bboxes=BOXES, batch_size=BATCH, overlap=overlap
    )
    fps = source.fps if source.is_video else None
    with ResultSaver(out, kinds, renderer, fps, views=(), overlap=overlap) as saver:
        for frame in results:
            name = given.stem if fps else Path(frame.image_path).stem
            saver.add(frame, name)
            count += 1
    seconds = time.perf_counter() - start
    inferencer.network.test_step = network.function
    return seconds, network.seconds, count


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--frames', type=int, default=100, help='of the video, and images (100)')
    parser.add_argument('--rounds', type=int, default=3, help='turns of the whole (3)')
    parser.add_argument('--runtime', default='torch')
    parser.add_argument('--speed', default='exact', choices=['exact', 'fast'])
    parser.add_argument('--model', help='default: the shipped one')
    parser.add_argument('--json', type=Path, help='also write everything to this file')
    args = parser.parse_args()
    with friendly_errors(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inferencer = MeshInferencer(
            args.model, detector=None, speed=args.speed, runtime=args.runtime
        )
        clip, images = folder / 'clip.mp4', folder / 'images'
        images.mkdir()
        with VideoWriter(clip, FPS) as writer:
            for index, frame in enumerate(scenes(args.frames)):
                writer.write(frame)
                cv2.imwrite(str(images / f'{index:05d}.jpg'), frame[..., ::-1])
        report: dict[str, Any] = dict(frames=args.frames, runtime=args.runtime, speed=args.speed)
        list(inferencer(clip, bboxes=BOXES, batch_size=BATCH))  # kernels are made at first use
        alone = stages_alone(inferencer, clip, folder)
        slowest = max(alone, key=alone.__getitem__)
        report['stages_ms'] = {stage: 1000 * value for stage, value in alone.items()}
        print('alone, ms a frame:', '  '.join(f'{s} {1000 * v:.1f}' for s, v in alone.items()))
        for what, given, kinds in (
            ('video', clip, ['overlay', 'npz']),
            ('folder', images, ['npz']),
        ):
            turns: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            for turn, overlap in itertools.product(range(args.rounds), (False, True)):
                out = folder / f'{what}_{turn}_{overlap}'
                seconds, busy, count = whole(inferencer, given, out, kinds, overlap)
                turns[overlap].append((seconds / count, busy / seconds))
            for overlap, values in turns.items():
                taken = median(seconds for seconds, _ in values)
                busy = median(share for _, share in values)
                row = dict(
                    milliseconds=1000 * taken,
                    share_of_slowest=alone[slowest] / taken,
                    network_busy=busy,
                )
                report[f'{what}, {"overlapped" if overlap else "one after the other"}'] = row
                print(
                    f'{what}, {"overlapped" if overlap else "in turn":10} '
                    f'{row["milliseconds"]:7.1f} ms a frame, share of {slowest} '
                    f'{row["share_of_slowest"]:.2f}, network busy {busy:.2f}'
                )
        if args.json:
            write_json(args.json, report, indent=1)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""What the demo does with each input of the command line."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastmetro_mm.apis import mesh_inferencer
from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.apis.given import Given, read_boxes
from fastmetro_mm.apis.guarding import guarded, printable
from fastmetro_mm.apis.image_camera import CameraHint
from fastmetro_mm.apis.saving import ResultSaver, check_kinds
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.engine.cli import explain
from fastmetro_mm.errors import CliError, RendererUnavailableError
from fastmetro_mm.exporters.levels import level_number
from fastmetro_mm.fileio import writable_folder
from fastmetro_mm.result_marks import is_result
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization import renderer_factory
from fastmetro_mm.visualization.mesh_views import VIEWS

if TYPE_CHECKING:
    from fastmetro_mm.apis.steadiness import Steadiness

_OVERLAP = cores() > 1  # docs/performance.md


class Counts:
    """How many people there were in how many images.

    Args:
        is_video: Whether people are the same ones from frame to frame.
    """

    def __init__(self, is_video: bool) -> None:
        self.is_video = is_video
        self.frames = self.sightings = self.not_placed = 0
        self.tracks: set[int] = set()
        self.steadiness: Steadiness | None = None
        if is_video:
            from fastmetro_mm.apis.steadiness import Steadiness  # metrics: not for images

            self.steadiness = Steadiness()

    def add(self, frame: FrameResult) -> None:
        """Count one frame."""
        self.frames += 1
        self.sightings += len(frame.people)
        self.not_placed += sum(not person.is_placed for person in frame.people)
        self.tracks |= {p.track_id for p in frame.people if p.track_id is not None}
        if self.steadiness is not None:
            self.steadiness.add(frame)

    def text(self) -> str:
        """One line for the user."""

        def many(count: int, one: str, more: str) -> str:
            return f'{count} {one if count == 1 else more}'

        if not self.is_video:
            return f'{many(self.sightings, "person", "people")} in ' + many(
                self.frames, 'image', 'images'
            )
        frames = many(self.frames, 'frame', 'frames')
        if self.tracks:
            return f'{many(len(self.tracks), "person", "people")} in {frames}'
        if self.sightings:
            return f'{many(self.sightings, "sighting", "sightings")} of people in {frames}'
        return f'nobody in {frames}'


class Demo:
    """Everything that is set up once, and the count of what went wrong.

    Args:
        args: Command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.errors = 0
        self.kinds = check_kinds([kind for kind in args.save.split(',') if kind])
        self.views = [] if args.views == 'none' else args.views.split(',')
        wrong = [view for view in self.views if view not in VIEWS]
        if wrong:
            raise CliError(f'--views {wrong[0]}: choose from {",".join(VIEWS)}')
        if args.bbox and args.boxes:
            raise CliError('give --bbox or --boxes, not both')
        self.boxes = Given(args.bbox) if args.bbox else None
        if args.boxes is not None:
            self.boxes = read_boxes(args.boxes)
        intrinsics = None
        if args.intrinsics:
            fx, fy, cx, cy = args.intrinsics
            intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)
        self.camera = CameraHint(intrinsics, args.focal_length, args.fov)
        if args.foot_lock and not args.floor:
            raise CliError('--foot-lock needs --floor: feet stand still on something')
        self.options = ExportOptions(args.lod, args.floor, args.foot_lock)
        if 'rrd' in self.kinds and find_spec('rerun') is None:
            raise CliError("--save rrd needs rerun-sdk: pip install 'fastmetro_mm[rerun]'")
        self.folder = writable_folder(args.out)
        try:
            self.renderer = renderer_factory.build_renderer(args.renderer)
        except RendererUnavailableError as error:
            raise CliError(f'{error}: use --renderer software') from None
        self.inferencer = mesh_inferencer.MeshInferencer(
            args.model,
            args.weights,
            args.device,
            args.detector,
            args.detector_weights,
            args.speed,
            args.box_padding,
            tta=args.tta,
            runtime=args.runtime,
        )
        if args.lod is not None:
            level_number(self.inferencer.body.name, args.lod)  # or one line that says which
        asked = [kind for kind in ('smpl', 'amass', 'bvh') if kind in self.kinds]
        if asked and not self.inferencer.has_parameters:
            raise CliError(
                f'--save {asked[0]}: there are no SMPL parameters without a config with an '
                'SMPL head (fastmetro_smpl_*) and weights that hold it, or open_body'
            )
        self._reporting = threading.Lock()
        self.names: set[str] = set()
        self.inputs: set[Path] = set()

    def report(self, error: Exception) -> None:
        """Print one line and remember that something went wrong."""
        with self._reporting:  # images are read, and files written, in threads of their own
            self.errors += 1
        print(
            f'error: {explain(error) or " ".join(str(error).split())}', file=sys.stderr, flush=True
        )

    def run_guarded(self, given: str) -> None:
        """One input from the command line; whatever it does, the next one can follow."""
        if self.args.traceback:
            self.run(given)
            return
        with guarded(printable(given), self.report):
            self.run(given)

    def run(self, given: str) -> None:
        """One input from the command line."""
        source = open_source(given, self.report)
        self.inputs |= {Path(name).absolute() for name in [source.name, *source.names] if name}
        if self.args.smooth and not source.is_video:
            print(
                f'note: {printable(given)}: --smooth is for videos and changes nothing here',
                file=sys.stderr,
            )
        results = self.inferencer(
            source,
            self.boxes,
            is_right=not self.args.left_hand,
            camera=self.camera,
            batch_size=self.args.batch_size,
            track=not self.args.no_track,
            smooth=self.args.smooth and source.is_video,
            detect_every=self.args.detect_every if source.is_video else 1,
            progress=not self.args.quiet,
            on_error=self.report,
            overlap=_OVERLAP,
        )
        name = self._free_name(source.name or given) if source.is_video else None
        counts = Counts(source.is_video)
        saver = ResultSaver(
            self.folder,
            self.kinds,
            self.renderer,
            source.fps if source.is_video else None,
            self.views,
            'scene' if self.args.intrinsics else 'network',
            self.inferencer.has_smpl_head,
            self.report,
            self.options,
            overlap=_OVERLAP,
        )
        stopped = False
        try:
            with saver:
                for frame in results:
                    counts.add(frame)
                    saver.add(frame, name or self._free_name(frame.image_path or given))
        except KeyboardInterrupt:  # the files of what was done so far are complete now
            stopped = True
        print(f'{printable(given)}: {counts.text()}{" until it was stopped" * stopped}')
        if counts.steadiness is not None and (steadiness := counts.steadiness.text()):
            print(f'  {steadiness}')
        if len(saver.written) <= 20:
            for path in saver.written:
                print(f'  {printable(path)}')
        else:
            print(f'  {len(saver.written)} files in {printable(self.folder)}')
        if counts.not_placed:
            print(
                f'note: {printable(given)}: {counts.not_placed} people cannot be drawn: the '
                'network gives cameras without meaning, as untrained networks do',
                file=sys.stderr,
            )
        if stopped and not source.is_live:  # Ctrl-C is how a webcam ends
            raise KeyboardInterrupt

    def finish(self) -> None:
        """What can only be told at the end."""
        left = self.boxes.left_over() if self.boxes is not None else None
        if left is not None:
            self.report(left)

    def _free_name(self, path: str) -> str:
        """Name for the files of an input: different for every input, and no file of the user's."""
        stem = Path(path).stem.replace(':', '_') or 'image'
        name, number = stem, 2
        while name in self.names or (taken := self._taken(name)) is not None:
            if name not in self.names:
                print(
                    f'note: {printable(taken)} is there already and no result of this package: '
                    f'it is left as it is, results go by {printable(stem)}_{number}',
                    file=sys.stderr,
                )
            name, number = f'{stem}_{number}', number + 1
        self.names.add(name)
        return name

    def _taken(self, name: str) -> Path | None:
        """A file that results of this name would replace and must not."""
        ends = (
            [f'_overlay.{ending}' for ending in ('jpg', 'mp4')] if ('overlay' in self.kinds) else []
        )
        ends += [f'.{kind}' for kind in self.kinds if kind not in ('overlay', 'smpl', 'amass')]
        ends += ['.jsonl'] if 'json' in self.kinds else []
        for path in (self.folder / f'{name}{end}' for end in ends):
            if os.path.lexists(path) and (
                path.is_symlink() or not is_result(path) or path.absolute() in self.inputs
            ):
                return path
        return None

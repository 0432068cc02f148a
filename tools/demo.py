# SPDX-License-Identifier: Apache-2.0
"""People in pictures and videos, as meshes: ``python tools/demo.py INPUT [options]``."""

import argparse
import os
import sys
import warnings
from pathlib import Path

# `python tools/demo.py` puts tools/ on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# mmengine 0.10 imports pkg_resources; its users can do nothing about that.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

from fastmetro_mm.engine.cli import (  # noqa: E402
    TRACEBACK_VARIABLE,
    OneLineParser,
    explain,
    friendly_errors,
)
from fastmetro_mm.errors import CliError  # noqa: E402

EPILOG = """examples:
  a photo with one known box: overlay, arrays, GLB and a report in outputs/
    python tools/demo.py photo.jpg --weights epoch_10.pth --bbox 280 44 499 391
  every picture of a folder, boxes found by RTMDet
    python tools/demo.py photos/ --model fastmetro_l_h64_3dpw \\
        --weights FastMETRO-L-H64_3dpw_state_dict.bin \\
        --detector rtmdet --detector-weights rtmdet_m.pth --device cuda
  a video, smoothed; several boxes in a file {"0": [[x1, y1, x2, y2]], "1": ...}
    python tools/demo.py clip.mp4 --weights epoch_10.pth --boxes boxes.json --smooth
  a left hand that fills the picture
    python tools/demo.py hand.jpg --model fastmetro_l_h64_freihand --weights ....bin --left-hand

Exit code: 0 if all went well, 1 if some input or box could not be used (one line each; the
others are done), 2 if nothing could be started."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(
        description='Find people (or hands) in pictures or videos and save them as meshes.',
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', nargs='+', metavar='INPUT',
                        help='picture, folder, glob pattern, video, web address or webcam:0')
    group = parser.add_argument_group('network')
    group.add_argument('--model', default='quickstart',
                       help='name of a shipped config or path of a config (default: quickstart)')
    group.add_argument('--weights', help='checkpoint (.pth) or released file (.bin); without it '
                       'the network is untrained')
    group.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    group.add_argument('--speed', choices=['exact', 'fast'], default='exact',
                       help='exact: crops and numbers of the official code; fast: half precision')
    group.add_argument('--batch-size', type=int, default=16, help='people at once (default: 16)')
    group.add_argument('--trust-checkpoint', action='store_true',
                       help='allow weights that may run code while they are read')
    group = parser.add_argument_group('where people are (default: the whole picture is one crop)')
    group.add_argument('--bbox', nargs=4, type=float, action='append',
                       metavar=('X1', 'Y1', 'X2', 'Y2'),
                       help='a box in pixels; repeat for several people')
    group.add_argument('--boxes', metavar='FILE.json',
                       help='boxes by picture name or frame number; an entry is [x1, y1, x2, y2] '
                       'or {"bbox": [...], "is_right": false}')
    group.add_argument('--detector', help='none, rtmdet, or the path of an mmdet config (default: '
                       'rtmdet if --detector-weights is given)')
    group.add_argument('--detector-weights', help='weights of the detector')
    group.add_argument('--box-padding', type=float, metavar='FACTOR',
                       help="side of the crop / longer side of the box (default: the config's, "
                       '1.2)')
    group.add_argument('--left-hand', action='store_true',
                       help='networks for hands: boxes that do not say are left hands')
    group = parser.add_argument_group('camera (default: EXIF data, else the diagonal in pixels)')
    group.add_argument('--focal-length', type=float, help='focal length in pixels')
    group.add_argument('--fov', type=float, help='horizontal field of view in degrees')
    group.add_argument('--intrinsics', nargs=4, type=float, metavar=('FX', 'FY', 'CX', 'CY'),
                       help='calibrated camera in pixels; overlays are then drawn with it')
    group = parser.add_argument_group('videos')
    group.add_argument('--no-track', action='store_true', help='do not number people')
    group.add_argument('--smooth', action='store_true', help='steady people with One-Euro filters')
    group = parser.add_argument_group('output')
    group.add_argument('--out', default='outputs', help='folder for the files (default: outputs)')
    group.add_argument('--save', default='overlay,npz,json,glb,html',
                       help='comma-separated: overlay, npz, json, obj, ply, glb, html, smpl '
                       '(default: overlay,npz,json,glb,html)')
    group.add_argument('--views', default='side,top',
                       help='views beside the overlay of a picture: front, side, back, top; or '
                       'none (default: side,top); networks with an SMPL head get a second '
                       'overlay with its mesh')
    group.add_argument('--renderer', choices=['auto', 'pyrender', 'software'], default='auto',
                       help='what draws; software needs no OpenGL (default: auto)')
    group.add_argument('--quiet', action='store_true', help='no progress bar')
    group.add_argument('--traceback', action='store_true', help='show where an error came from')
    return parser.parse_args(argv)


class Demo:
    """Everything that is set up once, and the count of what went wrong.

    Args:
        args: Command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        from fastmetro_mm.apis import CameraHint, MeshInferencer
        from fastmetro_mm.apis.boxes import read_boxes
        from fastmetro_mm.apis.saving import check_kinds, make_folder
        from fastmetro_mm.errors import RendererUnavailableError
        from fastmetro_mm.visualization.mesh_views import VIEWS
        from fastmetro_mm.visualization.renderer_factory import build_renderer

        self.args = args
        self.errors = 0
        self.kinds = check_kinds([kind for kind in args.save.split(',') if kind])
        self.views = [] if args.views == 'none' else args.views.split(',')
        wrong = [view for view in self.views if view not in VIEWS]
        if wrong:
            raise CliError(f'--views {wrong[0]}: choose from {",".join(VIEWS)}')
        self.boxes = args.bbox if args.boxes is None else read_boxes(args.boxes)
        intrinsics = None
        if args.intrinsics:
            fx, fy, cx, cy = args.intrinsics
            intrinsics = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        self.camera = CameraHint(intrinsics, args.focal_length, args.fov)
        self.folder = make_folder(args.out)
        try:
            self.renderer = build_renderer(args.renderer)
        except RendererUnavailableError as error:
            raise CliError(f'{error}: use --renderer software') from None
        detector = args.detector or ('rtmdet' if args.detector_weights else 'none')
        self.inferencer = MeshInferencer(
            args.model, args.weights, args.device, detector, args.detector_weights, args.speed,
            args.box_padding)
        self.names: set[str] = set()

    def report(self, error: Exception) -> None:
        """Print one line and remember that something went wrong."""
        self.errors += 1
        print(f'error: {explain(error) or " ".join(str(error).split())}', file=sys.stderr,
              flush=True)

    def run(self, given: str) -> None:
        """One input from the command line."""
        from fastmetro_mm.apis.saving import ResultSaver
        from fastmetro_mm.apis.sources import open_source

        source = open_source(given, self.report)
        results = self.inferencer(
            source, self.boxes, is_right=not self.args.left_hand, camera=self.camera,
            batch_size=self.args.batch_size, track=not self.args.no_track,
            smooth=self.args.smooth and source.is_video, progress=not self.args.quiet,
            on_error=self.report)
        video_name = self._free_name(given) if source.is_video else None
        people = frames = 0
        with ResultSaver(
            self.folder, self.kinds, self.renderer, source.fps if source.is_video else None,
            self.views, 'scene' if self.args.intrinsics else 'network',
            self.inferencer.has_smpl_head,
        ) as saver:
            try:
                for frame in results:
                    frames, people = frames + 1, people + len(frame.people)
                    self._check_placed(frame)
                    self._save(saver, frame, video_name, given)
            except KeyboardInterrupt:  # how a webcam ends: complete the files
                if not source.is_live:
                    raise
        print(f'{given}: {people} people in {frames} pictures')
        if len(saver.written) <= 20:
            for path in saver.written:
                print(f'  {path}')
        else:
            print(f'  {len(saver.written)} files in {self.folder}')

    def _save(self, saver, frame, video_name: str | None, given: str) -> None:
        """Save a frame; a picture that fails does not stop the others."""
        try:
            saver.add(frame, video_name or self._free_name(frame.image_path or given))
        except (ValueError, OSError) as error:
            if video_name is not None:
                raise
            self.report(error)

    def _check_placed(self, frame) -> None:
        """Say so if a frame has people that cannot be drawn."""
        lost = sum(not person.is_placed for person in frame.people)
        if lost:
            print(f'note: {frame.image_path or "picture"}: {lost} of {len(frame.people)} people '
                  'cannot be drawn: the network gives a camera without meaning, as untrained '
                  'networks do', file=sys.stderr)

    def _free_name(self, path: str) -> str:
        """Name for the files of an input, different for every input."""
        stem = Path(path).stem.replace(':', '_') or 'picture'
        name, number = stem, 2
        while name in self.names:
            name, number = f'{stem}_{number}', number + 1
        self.names.add(name)
        return name


def main(argv: list[str] | None = None) -> int:
    """Run; returns 1 if some inputs could not be used."""
    with friendly_errors():
        args = parse_args(argv)
        if args.traceback:
            os.environ[TRACEBACK_VARIABLE] = '1'
        if args.trust_checkpoint:
            os.environ['FASTMETRO_TRUST_CHECKPOINTS'] = '1'
        demo = Demo(args)
        for given in args.inputs:
            try:
                demo.run(given)
            except (ValueError, OSError) as error:
                if args.traceback or explain(error) is None:
                    raise
                demo.report(error)
        return 1 if demo.errors else 0


if __name__ == '__main__':
    raise SystemExit(main())

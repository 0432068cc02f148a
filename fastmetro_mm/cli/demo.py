# SPDX-License-Identifier: Apache-2.0
"""People in images and videos, as meshes: ``fastmetro demo INPUT [options]``."""

import argparse
import sys

from fastmetro_mm.cli.shared_options import add_detector, add_network, add_renderer, add_scene
from fastmetro_mm.compat.lean import without_garbage_collection
from fastmetro_mm.engine.cli import OneLineParser, add_reading, apply_common, count, friendly_errors

EPILOG = """examples:
  a photo: overlay, arrays, GLB and a page in outputs/
    fastmetro demo photo.jpg
  with one known box and a network of your own
    fastmetro demo photo.jpg --weights epoch_8.pth --bbox 280 44 499 391
  every image of a folder, boxes found by RTMDet
    fastmetro demo photos/ --model fastmetro_l_h64_3dpw \\
        --weights FastMETRO-L-H64_3dpw_state_dict.bin \\
        --detector rtmdet --detector-weights rtmdet_m.pth --device cuda
  a video, smoothed; several boxes in a file {"0": [[x1, y1, x2, y2]], "1": ...}
    fastmetro demo clip.mp4 --weights epoch_8.pth --boxes boxes.json --smooth
  a left hand that fills the image
    fastmetro demo hand.jpg --model fastmetro_l_h64_freihand --weights ....bin --left-hand

Exit code: 0 if all went well, 1 if some input or box could not be used (one line each; the
others are done), 2 if nothing could be started, 130 after Ctrl-C (what was done is kept)."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(
        description='Find people (or hands) in images or videos and save them as meshes.',
        epilog=EPILOG,
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder, glob pattern, video, web address or webcam:0',
    )
    group = parser.add_argument_group('network')
    add_network(group)
    group.add_argument(
        '--runtime',
        default='torch',
        help='what runs the network: torch, openvino, onnxruntime, or auto: the fastest of those '
        'installed, measured at the first use (default: torch)',
    )
    group.add_argument(
        '--tta',
        nargs='+',
        metavar='VIEW',
        help='average several views of every person: flip, rot=DEGREES,... scale=FACTORS,...; '
        'put it behind the inputs (fastmetro demo photo.jpg --tta flip)',
    )
    group = parser.add_argument_group('where people are (default: the detector inside the package)')
    group.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        action='append',
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='a box in pixels; repeat for several people',
    )
    group.add_argument(
        '--boxes',
        metavar='FILE.json',
        help='boxes by image name or frame number; an entry is [x1, y1, x2, y2] '
        'or {"bbox": [...], "is_right": false}',
    )
    add_detector(group)
    group.add_argument(
        '--box-padding',
        type=float,
        metavar='FACTOR',
        help="side of the crop / longer side of the box (default: the config's, 1.2)",
    )
    group.add_argument(
        '--left-hand',
        action='store_true',
        help='networks for hands: boxes that do not say are left hands',
    )
    group = parser.add_argument_group('camera (default: EXIF data, else the diagonal in pixels)')
    group.add_argument('--focal-length', type=float, help='focal length in pixels')
    group.add_argument('--fov', type=float, help='horizontal field of view in degrees')
    group.add_argument(
        '--intrinsics',
        nargs=4,
        type=float,
        metavar=('FX', 'FY', 'CX', 'CY'),
        help='calibrated camera in pixels; overlays are then drawn with it',
    )
    group = parser.add_argument_group('videos')
    group.add_argument('--no-track', action='store_true', help='do not number people')
    group.add_argument(
        '--detect-every',
        type=count,
        default=1,
        metavar='N',
        help='look for people in every N-th frame; the tracker carries them in between',
    )
    group.add_argument('--smooth', action='store_true', help='steady people with One-Euro filters')
    group = parser.add_argument_group('output')
    group.add_argument('--out', default='outputs', help='folder for the files (default: outputs)')
    group.add_argument(
        '--save',
        default='overlay,npz,json,glb,html',
        help='comma-separated: overlay, npz, json, obj, ply, glb, html, smpl, bvh, amass, rrd '
        '(default: overlay,npz,json,glb,html)',
    )
    add_scene(group)
    group.add_argument(
        '--views',
        default='side,top',
        help='views beside the overlay of an image: front, side, back, top; or '
        'none (default: side,top); networks with an SMPL head get a second '
        'overlay with its mesh',
    )
    add_renderer(group)
    group.add_argument('--quiet', action='store_true', help='no progress bar')
    add_reading(group)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run; returns 1 if some inputs could not be used, 130 after Ctrl-C."""
    with friendly_errors():
        args = parse_args(argv)
        apply_common(args)
        with without_garbage_collection():
            from fastmetro_mm.apis.sources import missing_file

        errors = [missing_file(given) for given in args.inputs]
        if all(errors):  # told before a network is built
            for error in errors:
                print(f'error: {error}', file=sys.stderr)
            return 1
        with without_garbage_collection():
            from fastmetro_mm.apis.demo import Demo

            demo = Demo(args)
        try:
            for given in args.inputs:
                demo.run_guarded(given)
        except KeyboardInterrupt:
            print('interrupted: what was done until now is kept', file=sys.stderr)
            return 130
        demo.finish()
        return 1 if demo.errors else 0

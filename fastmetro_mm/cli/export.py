# SPDX-License-Identifier: Apache-2.0
"""Export the network as ONNX, or results of inference in the formats of other programs.

The network:
    fastmetro export CONFIG CHECKPOINT --onnx model.onnx
writes model.onnx (crop in, camera, joints and meshes out) and model.npz (what pre- and
post-processing need). fastmetro_mm/exporters/numpy_runtime.py runs the two without torch.

Results (npz of fastmetro demo or FrameResult.save_npz; several files or a folder for a video):
    fastmetro export --from photo.npz --glb photo.glb --obj photo.obj --html photo.html
    fastmetro export --from clip_npz/ --rig clip.glb --bvh clip.bvh --amass clip.npz --fps 25
--obj, --ply and --glb of several frames write one file a frame (photo_000012.obj); --smpl, --amass
and --bvh one a person. These and --rig need results with SMPL parameters (open_body, SMPL heads).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmetro_mm.cli.shared_options import add_scene
from fastmetro_mm.engine.cli import OneLineParser, add_reading, apply_common, friendly_errors
from fastmetro_mm.errors import CliError, UserError
from fastmetro_mm.exporters import NO_FBX
from fastmetro_mm.fileio import check_target
from fastmetro_mm.result_marks import is_result

MESH_FORMATS = ('obj', 'ply', 'glb')
MOTION_FORMATS = ('rig', 'smpl', 'amass', 'bvh')
ENDINGS = {'rig': '.glb', 'smpl': '.npz', 'amass': '.npz'}
RESULT_FORMATS = (*MESH_FORMATS, *MOTION_FORMATS, 'html', 'rrd')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(description=__doc__)
    network = parser.add_argument_group('network')
    network.add_argument('config', nargs='?', help='config file, or the name of a shipped config')
    network.add_argument('checkpoint', nargs='?', help='checkpoint file')
    network.add_argument('--onnx', type=Path, metavar='FILE', help='write this .onnx file')
    network.add_argument('--opset', type=int, default=18, help='ONNX operators (default: 18)')
    network.add_argument(
        '--static-batch', action='store_true', help='a graph for one crop instead of any number'
    )
    results = parser.add_argument_group('results')
    results.add_argument(
        '--from',
        dest='results',
        nargs='+',
        type=Path,
        metavar='NPZ',
        help='results to export: files, or folders of them',
    )
    for name, text in (
        ('obj', 'Wavefront OBJ, one object a person'),
        ('ply', 'binary PLY'),
        ('glb', 'glTF scene with all people and the camera'),
        ('rig', 'one animated .glb with rigged bodies'),
        ('smpl', 'SMPL parameters as AMASS and smplx have them, .npz; one file a person'),
        ('amass', 'motion as Blender add-ons, GMR and PBHC read it, z up, .npz; one file a person'),
        ('bvh', 'moving skeletons; one file a person'),
        ('html', 'report to open in a browser: overlays, 3D view, table'),
        ('rrd', 'recording for the Rerun viewer'),
    ):
        results.add_argument(f'--{name}', type=Path, metavar='FILE', help=text)
    results.add_argument('--fbx', type=Path, help=argparse.SUPPRESS)  # refused with the way to go
    add_scene(results)
    results.add_argument(
        '--axes',
        choices=('camera', 'y_up', 'z_up'),
        help='axes of .obj and .ply (default: y_up) and of --smpl (default: camera); camera is x '
        'right, y down, z forward',
    )
    results.add_argument(
        '--mesh',
        choices=('network', 'smpl'),
        default='network',
        help="which mesh: the network's own (default), or that of the SMPL head",
    )
    results.add_argument('--fps', type=float, default=30.0, help='frames a second (default: 30)')
    results.add_argument(
        '--gender',
        choices=('neutral', 'male', 'female'),
        default='neutral',
        help='gender written to --smpl and --amass (default: neutral)',
    )
    results.add_argument(
        '--body-data-root',
        metavar='DIR',
        help='folder with the SMPL model file, which --rig, --smpl, --amass and --bvh need',
    )
    add_reading(parser)
    return parser.parse_args(argv)


def check_args(args: argparse.Namespace) -> None:
    """Refuse commands that ask for nothing, mix the two uses or name an output that cannot be."""
    if args.fbx is not None:
        raise CliError(f'--fbx: {NO_FBX}')
    if args.foot_lock and not args.floor:
        raise CliError('--foot-lock needs --floor: feet stand still on something')
    asked = [name for name in RESULT_FORMATS if getattr(args, name) is not None]
    options = ' '.join(f'--{name}' for name in RESULT_FORMATS)
    if args.results and not asked:
        raise CliError(f'--from needs one of {options}')
    if args.onnx is None and not asked:
        raise CliError(
            f'nothing to do: give CONFIG CHECKPOINT --onnx FILE, or --from NPZ and one of {options}'
        )
    if args.onnx is not None and (args.config is None or args.checkpoint is None):
        raise CliError(
            '--onnx needs a config and a checkpoint: fastmetro export CONFIG CHECKPOINT --onnx FILE'
        )
    if asked and not args.results:
        raise CliError(f'--{asked[0]} needs results: add --from NPZ (fastmetro demo writes them)')
    sources = [*(args.results or []), *map(Path, filter(None, [args.config, args.checkpoint]))]
    for name in (*asked, *(['onnx'] if args.onnx else [])):
        check_output(name, getattr(args, name), sources)
    if args.onnx:
        check_replaced('onnx', args.onnx.with_suffix('.npz'), sources)


def check_replaced(name: str, path: Path, sources: Sequence[Path]) -> None:
    """Refuse to put an output in the place of a source or of a file that is none of ours."""
    if not os.path.lexists(path):
        return
    check_target(path)
    if any(
        source.exists() and (path.samefile(source) or path.parent.samefile(source))
        for source in sources
    ):
        raise CliError(f'--{name} {path}: this is where the results come from: choose another name')
    if path.suffix != '.onnx' and not is_result(path):
        raise CliError(
            f'--{name} {path}: is there already and is no result of this package: it is '
            'left as it is; choose another name'
        )


def check_output(name: str, path: Path, sources: Sequence[Path]) -> None:
    """Refuse an output file before the work instead of after it."""
    ending = ENDINGS.get(name, f'.{name}')
    if path.suffix != ending:
        raise CliError(f'--{name} {path}: the name must end with {ending}')
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CliError(
            f'--{name} {path}: {folder} is no folder that can be written: choose another place'
        )
    check_replaced(name, path, sources)


def export_network(args: argparse.Namespace) -> list[Path]:
    """Write the graph and the npz beside it."""
    from fastmetro_mm.exporters import onnx_export
    from fastmetro_mm.model_zoo.model_loading import load_network, resolve_config

    onnx_export.require('onnx', 'onnxscript')
    config = resolve_config(args.config)
    size = onnx_export.crop_size_of(config)
    model: Any = load_network(config, args.checkpoint, 'cpu')
    path = onnx_export.export_onnx(
        model, args.onnx, size, args.opset, dynamic_batch=not args.static_batch
    )
    return [path, onnx_export.export_contract(model, config, path.with_suffix('.npz'))]


def read_frames(sources: Sequence[Path]) -> list:
    """Results of files and folders, in order of frames, with their images where they exist."""
    from fastmetro_mm.structures.results import load_npz

    paths: list[Path] = []
    for source in sources:
        found = sorted(source.glob('*.npz')) if source.is_dir() else [source]
        if not found:
            raise CliError(f'{source}: no .npz in this folder: give the results of fastmetro demo')
        paths += found
    return sorted((load_npz(path) for path in paths), key=lambda frame: frame.frame_index)


def numbered(path: Path, frame_index: int, count: int) -> Path:
    """The file of one of several frames."""
    if count == 1:
        return path
    return path.with_name(f'{path.stem}_{frame_index:06d}{path.suffix}')


def export_meshes(args: argparse.Namespace, frames: list) -> list[Path]:
    """Write OBJ, PLY and GLB files."""
    from fastmetro_mm.exporters.gltf import write_glb
    from fastmetro_mm.exporters.mesh_files import write_obj, write_ply
    from fastmetro_mm.exporters.scene import frame_meshes, person_names

    written = []
    axes = args.axes or 'y_up'
    for frame in frames:
        meshes, names = frame_meshes(frame, args.mesh, args.lod), person_names(frame)
        if not meshes and len(frames) > 1:
            continue  # a frame of a video may be empty
        if args.obj:
            path = numbered(args.obj, frame.frame_index, len(frames))
            written.append(write_obj(path, meshes, names, axes))
        if args.ply:
            path = numbered(args.ply, frame.frame_index, len(frames))
            written.append(write_ply(path, meshes, names, axes))
        if args.glb:
            path = numbered(args.glb, frame.frame_index, len(frames))
            written.append(write_glb(path, meshes, frame.camera, names))
    return written


def export_motion(args: argparse.Namespace, frames: list) -> list[Path]:
    """Write the rig, and the files of every person."""
    from fastmetro_mm.body.build import load_model_arrays
    from fastmetro_mm.exporters.amass_params import write_amass
    from fastmetro_mm.exporters.bvh import write_bvh
    from fastmetro_mm.exporters.gltf_rig import write_animated_glb
    from fastmetro_mm.exporters.ground import put_on_floor
    from fastmetro_mm.exporters.levels import level_number, mesh_level
    from fastmetro_mm.exporters.smpl_params import write_smpl_params
    from fastmetro_mm.exporters.smpl_tracks import smpl_tracks

    tracks = smpl_tracks(frames, args.body_data_root)
    body, camera, fps = frames[0].body, frames[0].camera, args.fps
    arrays = load_model_arrays(body, args.body_data_root)
    notes = [track.filled_note() for track in tracks]
    if args.floor:
        tracks, moved = put_on_floor(tracks, arrays, fps if args.foot_lock else None)
        notes, camera = [*notes, *moved], None
    for note in filter(None, notes):
        print(f'note: {note}', file=sys.stderr)
    written = []
    if args.rig:
        level = None if args.lod is None else mesh_level(body, level_number(body, args.lod))
        written.append(write_animated_glb(args.rig, tracks, arrays, camera, fps, level))
    for track in tracks:

        def place(path: Path, name: str = track.name) -> Path:
            return path if len(tracks) == 1 else path.with_name(f'{path.stem}_{name}{path.suffix}')

        if args.smpl:
            axes = args.axes or 'camera'
            written.append(write_smpl_params(place(args.smpl), track, fps, args.gender, axes))
        if args.amass:
            written.append(write_amass(place(args.amass), track, fps, args.gender))
        if args.bvh:
            written.append(write_bvh(place(args.bvh), track, arrays, fps))
    return written


def export_recording(args: argparse.Namespace, frames: list) -> list[Path]:
    """Write a recording for Rerun, without images."""
    from fastmetro_mm.exporters.rerun_recording import RerunRecording

    recording = RerunRecording(args.rrd, args.fps, args.lod)
    try:
        for frame in frames:
            recording.add(frame)
    except BaseException:
        recording.discard()
        raise
    return [recording.close()]


def export_report(args: argparse.Namespace, frames: list) -> list[Path]:
    """Write the report; images are read again where they still are."""
    from fastmetro_mm.apis.image_reading import read_image
    from fastmetro_mm.exporters.html_report import report_frame, write_html_report

    for frame in frames:
        try:
            image = read_image(frame.image_path) if frame.image_path else None
        except (UserError, OSError):
            continue  # moved, or a video
        if image is not None and image.size == tuple(frame.image_size):
            frame.image = image.pixels
    title = args.html.stem
    entries = [report_frame(frame, lod=args.lod) for frame in frames]
    return [write_html_report(args.html, entries, title)]


def main(argv: list[str] | None = None) -> None:
    """Export; a user's mistake ends with one line and exit code 2."""
    with friendly_errors():
        args = parse_args(argv)
        apply_common(args)
        check_args(args)
        written: list[Path] = []
        if args.onnx:
            written += export_network(args)
        if args.results:
            frames = read_frames(args.results)
            if args.obj or args.ply or args.glb:
                written += export_meshes(args, frames)
            if any(getattr(args, name) for name in MOTION_FORMATS):
                written += export_motion(args, frames)
            if args.rrd:
                written += export_recording(args, frames)
            if args.html:
                written += export_report(args, frames)
        for path in written:
            print(f'{path} ({path.stat().st_size / 1e6:.2f} MB)')

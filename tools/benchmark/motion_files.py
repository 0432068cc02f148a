# SPDX-License-Identifier: Apache-2.0
"""A video's results in every format of motion, read back: how far joints and times are off.

    python tools/benchmark/drawn_video.py walkers.mp4 --frames 300
    fastmetro demo walkers.mp4 --save npz --out results
    python tools/benchmark/motion_files.py results/walkers_npz --fps 25

Readers are those of the tests, written from the words of the formats, and Rerun's own. Each
distance is told twice: from the tracks, posed with the mean shape of each person, which is what
the formats hold; and from the results frame by frame, each with the shape of its frame.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fastmetro_mm.apis import load_npz
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.exporters.ground import joint_positions
from fastmetro_mm.exporters.scene import AXES
from fastmetro_mm.exporters.smpl_tracks import smpl_tracks
from tests.exporters.readers import GlbPlayer, joints_of, read_bvh, read_glb, read_recording

Y_UP = np.array([1.0, -1, -1])


def main() -> None:
    """Write, read back and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('results', type=Path, help='folder of npz files of a video')
    parser.add_argument('--fps', type=float, default=25)
    args = parser.parse_args()
    frames = [load_npz(path) for path in sorted(args.results.glob('*.npz'))]
    body = frames[0].body
    arrays, model = load_model_arrays(body), build_body_model(body)
    row = load_body_assets(body).J_regressor_h36m[0].astype(np.float64)
    results = {
        (f'track_{person.track_id}', frame.frame_index): joints_of(person, model, row)
        for frame in frames
        for person in frame.people
    }
    tracks = {track.name: track for track in smpl_tracks(frames)}
    posed = {
        (name, int(index)): joints
        for name, track in tracks.items()
        for index, joints in zip(track.frames, joint_positions(track, arrays) * Y_UP, strict=True)
    }
    times = {frame.frame_index: frame.time for frame in frames}
    print(f'{len(frames)} frames, {len(tracks)} people, {len(results)} sightings')

    def tell(kind: str, found: dict, late: dict, size: int) -> None:
        keys = [key for key in results if key in found]
        mean, frame = (
            max(
                float(np.linalg.norm(found[key] - wanted[key][: len(found[key])], axis=-1).max())
                for key in keys
            )
            for wanted in (posed, results)
        )
        time = max(late.values()) if late else 0.0
        print(
            f'{kind}: {len(keys)} of {len(results)} sightings, {size / 1e6:.2f} MB, joints off by '
            f'{mean * 1000:.3f} mm at most ({frame * 1000:.2f} mm from the shape of each frame), '
            f'times by {time * args.fps:.3f} frames at most'
        )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = ['bvh', 'glb', 'smpl', 'amass', *(['rrd'] if find_spec('rerun') else [])]
        with ResultSaver(folder, kinds, fps=args.fps) as saver:
            for frame in frames:
                saver.add(replace(frame, image=None), 'clip')
        size = {kind: 0 for kind in kinds}
        for path in saver.written:
            kind = next((k for k in ('smpl', 'amass') if f'_{k}_' in path.name), path.suffix[1:])
            size[kind] += path.stat().st_size

        found, late = {}, {}
        for name, track in tracks.items():
            names, _, seconds, joints = read_bvh(folder / f'clip_{name}.bvh')
            joints = joints[:, [names.index(joint) for joint in SMPL24]] / 100
            for index in track.frames.tolist():
                time = times.get(index, np.nan) - times[int(track.frames[0])]
                near = int(np.argmin(np.abs(seconds - time)))
                found[name, index], late[name, index] = joints[near], abs(seconds[near] - time)
        tell('BVH', found, late, size['bvh'])

        content, array = read_glb(folder / 'clip.glb')
        player = GlbPlayer(content, array)
        late = {}
        for name in tracks:
            skin = next(skin for skin in content['skins'] if skin['name'] == name)
            stamps = player.curves[skin['joints'][0], 'translation'][0]
            for index in tracks[name].frames.tolist():
                late[name, index] = np.abs(stamps - times.get(index, np.nan)).min()
        found = {key: player.joints(key[0], times[key[1]]) for key in results}
        tell('rigged GLB', found, late, size['glb'])

        for kind, turn in (('smpl', Y_UP), ('amass', None)):
            found, late = {}, {}
            for name in tracks:
                with np.load(folder / f'clip_{kind}_{name}.npz') as data:
                    pose = np.zeros((len(data['trans']), 72), np.float32)
                    wide = min(72 if kind == 'smpl' else 66, data['poses'].shape[1])
                    pose[:, :wide] = data['poses'][:, :wide]
                    betas = data['betas'] if kind == 'smpl' else data['smpl_betas']
                    with torch.no_grad():
                        out = model(torch.from_numpy(pose), torch.from_numpy(betas).expand(
                            len(pose), -1), torch.from_numpy(data['trans']))  # fmt: skip
                    joints = out.joints.numpy().astype(float)
                    joints = joints * turn if turn is not None else (
                        joints @ AXES['z_up'] * Y_UP)  # fmt: skip
                    start = times[int(data['frame_indices'][0])]
                    stamps = (
                        data['times'] if kind == 'smpl'
                        else start + np.arange(len(pose)) / float(data['mocap_frame_rate'])
                    )  # fmt: skip
                for index in tracks[name].frames.tolist():
                    near = int(np.argmin(np.abs(stamps - times.get(index, np.nan))))
                    # the layout of AMASS ends at the wrists
                    found[name, index] = joints[near, : wide // 3]
                    late[name, index] = abs(stamps[near] - times.get(index, np.nan))
            tell(f'{kind} npz', found, late, size[kind])

        if 'rrd' in kinds:
            _tell_recording(read_recording(folder / 'clip.rrd'), frames, size['rrd'], args.fps)


def _tell_recording(found: dict, frames: list, size: int, fps: float) -> None:
    """Joints and vertices of the recording against those of the network."""
    worst, late, count = 0.0, 0.0, 0
    for frame in frames:
        for person in frame.people:
            place = f'/people/track_{person.track_id}'
            for part, wanted in (
                (('joints', 'Points3D:positions'), person.joints_3d),
                (('mesh', 'Mesh3D:vertex_positions'), person.vertices),
            ):
                rows = found[f'{place}/{part[0]}', part[1]]
                time, values = min(rows, key=lambda row: abs(row[0] - frame.time))
                late = max(late, abs(time - frame.time))
                worst = max(worst, float(np.abs(values - wanted - person.translation).max()))
            count += 1
    print(
        f'rrd: {count} sightings, {size / 1e6:.2f} MB, joints and vertices off by '
        f'{worst * 1000:.4f} mm at most, times by {late * fps:.4f} frames at most'
    )


if __name__ == '__main__':
    main()

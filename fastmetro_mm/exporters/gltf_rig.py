# SPDX-License-Identifier: Apache-2.0
"""A video as an animated GLB: one rigged body a person, moved by its SMPL parameters.

A mesh a frame would take 80 kB a person and frame. A rig takes the mesh once, 24 rotations and a
position a frame. It needs the SMPL head; meshes of the network alone have no skeleton.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.glb_file import VERTEX_DATA, GlbFile
from fastmetro_mm.exporters.gltf import add_camera, add_mesh
from fastmetro_mm.exporters.levels import MeshLevel
from fastmetro_mm.exporters.scene import check_fps
from fastmetro_mm.exporters.smpl_tracks import SmplTrack, body_at_rest
from fastmetro_mm.geometry.camera import PerspectiveCamera
from fastmetro_mm.visualization.sample_people import person_color

INFLUENCES = 4
"""Joints a vertex may follow; what every glTF viewer supports."""
_FLIP = [1.0, 0.0, 0.0, 0.0]  # x y z w: 180 degrees about x, camera frame to glTF


def write_animated_glb(
    path: str | os.PathLike,
    tracks: Sequence[SmplTrack],
    arrays: Mapping[str, np.ndarray],
    camera: PerspectiveCamera | None = None,
    fps: float = 30.0,
    level: MeshLevel | None = None,
) -> Path:
    """Write people as rigged, animated bodies.

    glTF skins have no pose blend shapes: with SMPL files the creases at bent joints differ from
    SMPL's; the open body has no such shapes, there the rig is exact. Weights are cut to the four
    largest of a vertex. A person is hidden (scaled to zero) outside of its track. Times are those
    of the video, also where nobody is seen in its first frames.

    Args:
        path: File to write, ending in ``.glb``.
        tracks: From ``smpl_tracks``.
        arrays: Model arrays, from ``load_model_arrays``.
        camera: Camera of the video; left out if None.
        fps: Frames a second, for tracks that do not tell their times.
        level: Level of detail of the meshes; all vertices if not given.

    Raises:
        OSError: The file cannot be written.
    """
    if not tracks:
        raise ExportError('nothing to export: there are no tracks')
    check_fps(fps)
    glb = GlbFile()
    channels: list[dict] = []
    samplers: list[dict] = []
    end = max(int(track.frames[-1]) for track in tracks)
    seconds = _clock(tracks, end, fps)
    for track in tracks:
        _add_person(glb, track, arrays, channels, samplers, seconds, level)
    if camera is not None:
        add_camera(glb, camera)
    glb.add('animations', name='motion', channels=channels, samplers=samplers)
    return glb.write(path)


def four_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest skinning weights of every vertex, adding up to one.

    Args:
        weights: (V, J)

    Returns:
        Joint numbers (V, 4) uint8, 0 where the weight is 0, and weights (V, 4) float32.
    """
    order = np.argsort(-weights, axis=1, kind='stable')[:, :INFLUENCES]
    largest = np.take_along_axis(weights, order, axis=1)
    largest = largest / largest.sum(axis=1, keepdims=True)
    return np.where(largest > 0, order, 0).astype(np.uint8), largest.astype(np.float32)


def _add_person(
    glb: GlbFile,
    track: SmplTrack,
    arrays: Mapping[str, np.ndarray],
    channels: list[dict],
    samplers: list[dict],
    clock_of: np.ndarray,
    level: MeshLevel | None,
) -> None:
    vertices, rest = body_at_rest(arrays, track.betas)
    parents = [int(parent) for parent in np.asarray(arrays['kintree_table'])[0]]
    rotations = Rotation.from_matrix(track.rotmat.reshape(-1, 3, 3)).as_quat()
    rotations = _continuous(rotations.reshape(*track.rotmat.shape[:2], 4))  # x y z w
    positions = track.transl + rest[0]

    # Values of the first frame stand in the nodes for viewers that do not play animations.
    joints = []
    for number in range(len(parents)):
        place = positions[0] if number == 0 else rest[number] - rest[parents[number]]
        joints.append(
            glb.add('nodes', name=f'{track.name}_{_joint_name(number, len(parents))}',
                    translation=place.tolist(), rotation=rotations[0, number].tolist())
        )  # fmt: skip
    for number, joint in enumerate(joints):
        children = [joints[child] for child, p in enumerate(parents) if child and p == number]
        if children:
            glb.content['nodes'][joint]['children'] = children

    bind = np.tile(np.eye(4), (len(rest), 1, 1))
    bind[:, 3, :3] = -rest  # column-major: the last row in memory is the translation
    skin = glb.add('skins', name=track.name, joints=joints, skeleton=joints[0],
                   inverseBindMatrices=glb.add_array(bind.astype(np.float32)))  # fmt: skip
    faces, all_weights = np.asarray(arrays['f']).astype(np.int64), np.asarray(arrays['weights'])
    if level is not None:
        faces, all_weights, vertices = level.faces, all_weights[level.index], vertices[level.index]
    numbers, weights = four_weights(all_weights.astype(np.float64))
    attributes = {
        'JOINTS_0': glb.add_array(numbers, VERTEX_DATA),
        'WEIGHTS_0': glb.add_array(weights, VERTEX_DATA),
    }
    color = np.array(person_color(track.number))
    mesh = add_mesh(glb, track.name, vertices, faces, color, attributes)
    body = glb.add('nodes', name=f'{track.name}_mesh', mesh=mesh, skin=skin)
    told = {'first_frame': int(track.frames[0]), 'frames': len(track.frames)}
    armature = glb.add(
        'nodes',
        name=track.name,
        rotation=_FLIP,
        children=[joints[0]],
        extras={**told, 'filled_frames': track.filled},
    )
    # A skinned mesh follows its joints alone: it lies beside the armature, not in it.
    glb.add_root(armature)
    glb.add_root(body)

    def animate(node: int, path: str, clock: int, values: np.ndarray, how: str = 'LINEAR') -> None:
        output = glb.add_array(values.astype(np.float32))
        samplers.append({'input': clock, 'output': output, 'interpolation': how})
        target = {'node': node, 'path': path}
        channels.append({'sampler': len(samplers) - 1, 'target': target})

    clock = glb.add_array(clock_of[track.frames], bounds=True)
    animate(joints[0], 'translation', clock, positions)
    for number, joint in enumerate(joints):
        animate(joint, 'rotation', clock, rotations[:, number])
    first, last = int(track.frames[0]), int(track.frames[-1])
    shown = np.arange(len(clock_of))
    if (first, last) != (shown[0], shown[-1]):
        visible = ((shown >= first) & (shown <= last)).astype(np.float32)
        changes = np.flatnonzero(np.diff(visible, prepend=-1))
        clock = glb.add_array(clock_of[changes], bounds=True)
        animate(armature, 'scale', clock, np.repeat(visible[changes, None], 3, 1), 'STEP')


def _clock(tracks: Sequence[SmplTrack], end: int, fps: float) -> np.ndarray:
    """Seconds of every frame from the first of the video on; its own times where known."""
    frames = np.arange(end + 1)
    known: dict[int, float] = {0: 0.0}
    for track in tracks:
        if track.times is None:
            return (frames / fps).astype(np.float32)
        known.update(zip(track.frames.tolist(), track.times.tolist(), strict=True))
    numbers = sorted(known)
    return np.interp(frames, numbers, [known[number] for number in numbers]).astype(np.float32)


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """Signs chosen so that neighbours in time (N, J, 4) take the short way."""
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    quaternions = quaternions.copy()
    quaternions[1:] *= signs[..., None]
    return quaternions


def _joint_name(number: int, count: int) -> str:
    return SMPL24[number] if count == len(SMPL24) else f'joint_{number}'

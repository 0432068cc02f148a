# SPDX-License-Identifier: Apache-2.0
"""Load results into Blender: npz of images or of a video's frames, GLB and BVH.

Usage: blender --python projects/blender_import/load.py -- result.npz [more files or folders]

One file that needs nothing but Blender: it can be copied, or opened in Blender's text editor.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SENSOR = 36.0  # millimetres, Blender's usual sensor
FORMAT = 'fastmetro_mm.frame.1'


@dataclass(frozen=True)
class Frame:
    """One image or frame, in Blender's axes (x right, y away from the camera, z up), metres.

    Attributes:
        number: Number of the frame.
        vertices: Of every person. (P, V, 3)
        faces: Triangles. (F, 3)
        names: Of the people.
        intrinsics: Matrix K, pixels. (3, 3)
        size: Width and height of the image, pixels.
        seconds: Since the start of the video; NaN for images.
    """

    number: int
    vertices: np.ndarray
    faces: np.ndarray
    names: tuple[str, ...]
    intrinsics: np.ndarray
    size: tuple[int, int]
    seconds: float


@dataclass(frozen=True)
class Lens:
    """A Blender camera at the origin that sees as the image's camera does.

    Attributes:
        focal: Millimetres on a sensor of 36 mm.
        shift: Of the lens, in widths (landscape) or heights (portrait) of the image.
    """

    focal: float
    shift: tuple[float, float]


def to_blender(points: np.ndarray) -> np.ndarray:
    """Camera axes (x right, y down, z away) to Blender's (x right, y away, z up)."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def lens_of(intrinsics: np.ndarray, size: tuple[int, int]) -> Lens:
    """The lens for K (3, 3) and the size of the image, pixels."""
    width, height = size
    longer = max(width, height)  # sensor_fit AUTO: the sensor lies along the longer side
    return Lens(
        float(SENSOR * intrinsics[0, 0] / longer),
        (
            float((width / 2 - intrinsics[0, 2]) / longer),
            float((intrinsics[1, 2] - height / 2) / longer),
        ),
    )


def read_frame(path: Path) -> Frame:
    """Read an npz that ``FrameResult.save_npz`` wrote.

    Raises:
        ValueError: It is another file.
    """
    with np.load(path, allow_pickle=False) as data:
        if str(data.get('format', '')) != FORMAT:
            raise ValueError(f'{path}: is no result of fastmetro_mm ({FORMAT})')
        tracks = data['track_id']
        vertices = np.zeros((0, 1, 3))  # of nobody, who has no number of vertices
        if len(tracks):
            vertices = data['vertices'] + data['translation'][:, None]
        placed = np.isfinite(vertices).all(axis=(1, 2))
        names = tuple(
            f'track_{track}' if track >= 0 else f'person_{place}'
            for place, track in enumerate(tracks)
            if placed[place]
        )
        return Frame(
            int(data['frame_index']),
            to_blender(vertices[placed]),
            data['faces'],
            names,
            data['intrinsics'],
            tuple(data['image_size'].tolist()),
            float(data['time']),
        )


def frames_of(folder: Path) -> list[Frame]:
    """All results of a folder by frame number; those of one video."""
    files = sorted(folder.glob('*.npz'), key=lambda path: re.split(r'(\d+)', path.name))
    if not files:
        raise ValueError(f'{folder}: no npz there')
    return sorted((read_frame(path) for path in files), key=lambda frame: frame.number)


def by_person(frames: list[Frame]) -> dict[str, dict[int, np.ndarray]]:
    """Vertices (V, 3) of every person by frame number."""
    people: dict[str, dict[int, np.ndarray]] = {}
    for frame in frames:
        for name, vertices in zip(frame.names, frame.vertices, strict=True):
            people.setdefault(name, {})[frame.number] = vertices
    return people


def frame_rate(frames: list[Frame]) -> float:
    """Frames a second by the times in the files; 30 where they tell none."""
    times = [(frame.number, frame.seconds) for frame in frames if np.isfinite(frame.seconds)]
    if len(times) < 2 or times[-1][1] <= times[0][1]:
        return 30.0
    return (times[-1][0] - times[0][0]) / (times[-1][1] - times[0][1])


def add_camera(frame: Frame) -> None:
    """The image's camera, at the origin."""
    import bpy

    lens = lens_of(frame.intrinsics, frame.size)
    camera = bpy.data.cameras.new('photo')
    camera.sensor_width, camera.lens = SENSOR, lens.focal
    camera.shift_x, camera.shift_y = lens.shift
    eye = bpy.data.objects.new('photo', camera)
    eye.rotation_euler = (np.pi / 2, 0, 0)
    bpy.context.scene.collection.objects.link(eye)
    bpy.context.scene.camera = eye
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = frame.size


def add_people(frames: list[Frame]) -> list:
    """A mesh a person; through a video with a shape key a frame, hidden while nobody is there."""
    import bpy

    made = []
    first, last = frames[0].number, frames[-1].number
    for name, shapes in by_person(frames).items():
        start = min(shapes)
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(shapes[start].tolist(), [], frames[0].faces.tolist())
        mesh.update()
        person = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(person)
        made.append(person)
        if first == last:
            continue
        person.shape_key_add(name='rest')
        mesh.shape_keys.use_relative = True
        for number, vertices in sorted(shapes.items()):
            key = person.shape_key_add(name=f'frame_{number}')
            key.data.foreach_set('co', np.ascontiguousarray(vertices, np.float32).ravel())
            for at, value in ((number - 1, 0.0), (number, 1.0), (number + 1, 0.0)):
                key.value = value
                key.keyframe_insert('value', frame=at)
        for number in range(first, last + 1):
            hidden = number not in shapes
            if number == first or hidden != (number - 1 not in shapes):
                person.hide_viewport = person.hide_render = hidden
                person.keyframe_insert('hide_viewport', frame=number)
                person.keyframe_insert('hide_render', frame=number)
    return made


def load(path: Path) -> None:
    """Load one file or folder.

    Raises:
        ValueError: Its kind is unknown.
    """
    import bpy

    scene = bpy.context.scene
    if path.is_dir() or path.suffix == '.npz':
        frames = frames_of(path) if path.is_dir() else [read_frame(path)]
        add_camera(frames[0])
        add_people(frames)
        scene.frame_start, scene.frame_end = frames[0].number, frames[-1].number
        rate = frame_rate(frames)
        scene.render.fps, scene.render.fps_base = round(rate), round(rate) / rate
    elif path.suffix == '.bvh':
        # our BVH files are in centimetres with y up
        bpy.ops.import_anim.bvh(
            filepath=str(path),
            global_scale=0.01,
            axis_forward='-Z',
            axis_up='Y',
            update_scene_fps=True,
            update_scene_duration=True,
        )
    elif path.suffix in ('.glb', '.gltf'):
        bpy.ops.import_scene.gltf(filepath=str(path))
    else:
        raise ValueError(f'{path}: expected .npz, .glb, .bvh or a folder of npz')


def main() -> None:
    """Load what comes after ``--``."""
    names = sys.argv[sys.argv.index('--') + 1 :] if '--' in sys.argv else []
    if not names:
        print('give files after --: blender --python load.py -- result.npz', file=sys.stderr)
    for name in names:
        load(Path(name))


if __name__ == '__main__':
    main()

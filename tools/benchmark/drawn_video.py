# SPDX-License-Identifier: Apache-2.0
"""A video of two people who walk about, drawn: nothing to download, and everything is known.

python tools/benchmark/drawn_video.py walkers.mp4 --frames 300
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.synthetic.camera_placement import PlacedCamera
from fastmetro_mm.synthetic.environment_light import sample_environment
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.outfits import OutfitPainter
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds
from fastmetro_mm.synthetic.photo_canvas import Canvas

STEPS_A_SECOND = 1.6


def walking(phase: float, heading: float) -> np.ndarray:
    """Pose of somebody who walks upright.

    Args:
        phase: Radians; a turn is two steps.
        heading: Radians about the vertical; 0 faces the camera.

    Returns:
        Axis-angle, camera axes, (72,).
    """
    pose = np.zeros((24, 3))
    turn = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec([0, heading, 0])
    pose[0] = turn.as_rotvec()
    swing = np.sin(phase)
    pose[1, 0], pose[2, 0] = 0.5 * swing, -0.5 * swing  # hips
    pose[4, 0], pose[5, 0] = 0.35 - 0.3 * swing, 0.35 + 0.3 * swing  # knees
    pose[16] = [0.0, 0.5 * swing, -1.15]  # shoulders
    pose[17] = [0.0, 0.5 * swing, 1.15]
    pose[18, 1], pose[19, 1] = -0.4, 0.4  # elbows
    pose[9, 1] = 0.1 * swing  # spine
    return pose.ravel()


def draw_frames(frames: int, size: tuple[int, int], fps: float, seed: int = 0):
    """Images of two walkers.

    Args:
        frames: How many.
        size: Width and height, pixels.
        fps: Frames a second.
        seed: Chooses bodies, clothes, light and place.

    Yields:
        RGB, (H, W, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    figure = Figure('body')
    painter = OutfitPainter(
        figure.rest, figure.weights, figure.rest_joints, figure.rest_keypoints, figure.faces
    )
    backgrounds = PhotoBackgrounds()
    place, light = backgrounds.draw(rng, size), sample_environment(rng)
    outfits = [painter.dress(rng, backgrounds, 'walking') for _ in range(2)]
    betas = rng.normal(scale=0.7, size=(2, 10))
    focal, principal = 1.1 * size[0], np.array(size) / 2
    for index in range(frames):
        time = index / fps
        canvas = Canvas(place.copy())
        poses = np.stack([
            walking(2 * np.pi * STEPS_A_SECOND / 2 * time + number, heading)
            for number, heading in enumerate((0.9 * np.sin(0.5 * time), -0.6 * np.cos(0.4 * time)))
        ])  # fmt: skip
        places = ((-0.9 + 0.3 * np.sin(0.5 * time), 5.0), (0.9 + 0.3 * np.cos(0.4 * time), 5.6))
        posed = figure.pose(poses, betas)
        for number, (body, outfit, (x, z)) in enumerate(zip(posed, outfits, places, strict=True)):
            normals = figure.normals(body.vertices)
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
            vertices = body.vertices + normals * outfit.offset[:, None]
            values = np.concatenate([normals, outfit.paint.colors], axis=1)
            camera = PlacedCamera(focal, principal, np.array([x, 0.3, z]))
            canvas.draw(
                number,
                vertices.astype(np.float32),
                values.astype(np.float32),
                figure.faces,
                camera,
                light,
                size,
                may_hide=np.inf,
            )
        yield (canvas.pixels.reshape(size[1], size[0], 3) * 255).astype(np.uint8)


def draw_video(
    path: Path, frames: int = 300, size: tuple[int, int] = (640, 360), fps: float = 25
) -> Path:
    """Write :func:`draw_frames` as a video.

    Args:
        path: File to write, ``.mp4``.
        frames: How many.
        size: Width and height, pixels.
        fps: Frames a second.

    Returns:
        The path.
    """
    with VideoWriter(path, fps) as writer:
        for image in draw_frames(frames, size, fps):
            writer.write(image)
    return path


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('path', type=Path)
    parser.add_argument('--frames', type=int, default=300)
    args = parser.parse_args()
    print(draw_video(args.path, args.frames))

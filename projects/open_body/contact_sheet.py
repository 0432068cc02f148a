# SPDX-License-Identifier: Apache-2.0
"""Draw the contact sheets of the open body and hand with pyrender (headless EGL works).

``PYOPENGL_PLATFORM=egl python -m projects.open_body.contact_sheet --data DIR --out docs/images``
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from projects.open_body.hand_poses import HAND_PARENTS, NAMED_HAND_POSES
from projects.open_body.poses import NAMED_POSES, skin

SKIN = (0.80, 0.62, 0.52)
CLOTH = (0.55, 0.66, 0.80)


class Drawer:
    """Orthographic images of one mesh at a time."""

    def __init__(self, size: int) -> None:
        import pyrender

        self._renderer = pyrender.OffscreenRenderer(size, size)

    def __call__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        azimuth: float,
        elevation: float,
        half_width: float,
        label: str,
        color: tuple[float, float, float],
    ) -> np.ndarray:
        """One image; azimuth 0 looks at the front, 90 at the left side (degrees)."""
        import pyrender
        import trimesh

        view = Rotation.from_euler('yx', [azimuth, -elevation], degrees=True).as_matrix()
        pose = np.eye(4)
        pose[:3, :3] = view
        centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
        pose[:3, 3] = centre + view @ [0, 0, 5.0]
        scene = pyrender.Scene(bg_color=(0, 0, 0, 0), ambient_light=(0.25, 0.25, 0.25))
        material = pyrender.MetallicRoughnessMaterial(
            baseColorFactor=(*color, 1.0), metallicFactor=0.0, roughnessFactor=0.9
        )
        scene.add(
            pyrender.Mesh.from_trimesh(
                trimesh.Trimesh(vertices, faces, process=False), material=material, smooth=True
            )
        )
        scene.add(pyrender.OrthographicCamera(half_width, half_width, 0.05, 20.0), pose=pose)
        for turn, strength in (((-35, -30), 2.6), ((-10, 60), 1.2)):
            light = pose.copy()
            light[:3, :3] = (
                view @ Rotation.from_euler('yx', [turn[1], turn[0]], degrees=True).as_matrix()
            )
            scene.add(pyrender.DirectionalLight(intensity=strength), pose=light)
        # Over transparent black the smoothed outline carries its coverage; put it on white.
        drawn = self._renderer.render(scene, flags=pyrender.RenderFlags.RGBA)[0].astype(float)
        image = np.clip(drawn[:, :, :3] + 255.0 - drawn[:, :, 3:], 0, 255).astype(np.uint8)
        cv2.putText(
            image,
            label,
            (6, image.shape[0] - 8),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (40, 40, 40),
            1,
            cv2.LINE_AA,
        )
        return image


def body_images(path: Path, size: int) -> list[np.ndarray]:
    """Rest pose, +-2 of each beta, the named poses from two sides."""
    model = np.load(path, allow_pickle=False)
    draw, faces = Drawer(size), model['f'].astype(np.int64)
    template, shapedirs = model['v_template'].astype(float), model['shapedirs'].astype(float)
    weights, regressor = model['weights'].astype(float), model['J_regressor'].astype(float)
    labelled = [
        draw(template, faces, a, 0, 0.95, f'rest, {n}', SKIN)
        for a, n in ((0, 'front'), (90, 'left side'), (180, 'back'), (35, 'oblique'))
    ]
    for k in range(shapedirs.shape[2]):
        for value in (-2.0, 2.0):
            shaped = template + value * shapedirs[:, :, k]
            shaped, _ = skin(shaped, regressor @ shaped, weights, NAMED_POSES['standing'])
            labelled.append(draw(shaped, faces, 25, 0, 1.0, f'beta{k} = {value:+.0f}', CLOTH))
    for name, pose in NAMED_POSES.items():
        posed, _ = skin(template, regressor @ template, weights, pose)
        for azimuth in (20, 70):
            labelled.append(draw(posed, faces, azimuth, 8, 1.05, name, SKIN))
    return labelled


def hand_images(path: Path, size: int) -> list[np.ndarray]:
    """Rest pose and mean pose, +-2 of each beta, open / fist / pointing from both sides."""
    model = np.load(path, allow_pickle=False)
    draw, faces = Drawer(size), model['f'].astype(np.int64)
    template, shapedirs = model['v_template'].astype(float), model['shapedirs'].astype(float)
    weights, regressor = model['weights'].astype(float), model['J_regressor'].astype(float)
    sides = ((0, 90, 'back'), (0, -90, 'palm'), (0, 0, 'side'), (30, 40, 'oblique'))
    mean_pose = np.concatenate([np.zeros(3), model['hands_mean']]).reshape(16, 3)
    poses = {'rest': np.zeros((16, 3)), 'mean': mean_pose, **NAMED_HAND_POSES}
    labelled = []
    for name, pose in poses.items():
        posed, _ = skin(template, regressor @ template, weights, pose, HAND_PARENTS)
        labelled += [draw(posed, faces, a, e, 0.12, f'{name}, {n}', SKIN) for a, e, n in sides]
    for k in range(shapedirs.shape[2]):
        for value in (-2.0, 2.0):
            shaped = template + value * shapedirs[:, :, k]
            labelled.append(draw(shaped, faces, 0, 90, 0.12, f'beta{k} = {value:+.0f}', CLOTH))
    return labelled


def write_sheet(path: Path, labelled: list[np.ndarray], columns: int) -> None:
    """Tile the images and write a palette-friendly png."""
    labelled = labelled + [np.full_like(labelled[0], 255)] * (-len(labelled) % columns)
    rows = [np.hstack(labelled[i : i + columns]) for i in range(0, len(labelled), columns)]
    sheet = np.vstack(rows)
    # Sixteen levels per channel are enough for a sheet and keep the file small.
    sheet = np.clip((sheet.astype(int) + 4) // 8 * 8, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), sheet[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f'{path.name}: {sheet.shape[1]}x{sheet.shape[0]}, {path.stat().st_size / 1e3:.0f} kB')


def main() -> None:
    """Draw both sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='folder with the npz files')
    parser.add_argument('--out', type=Path, required=True, help='folder for the images')
    parser.add_argument('--size', type=int, default=200, help='pixels per image')
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_sheet(
        arguments.out / 'open_body_contact_sheet.png',
        body_images(arguments.data / 'OPEN_BODY.npz', arguments.size),
        8,
    )
    write_sheet(
        arguments.out / 'open_hand_contact_sheet.png',
        hand_images(arguments.data / 'OPEN_HAND_RIGHT.npz', arguments.size),
        8,
    )


if __name__ == '__main__':
    main()

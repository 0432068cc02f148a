# SPDX-License-Identifier: Apache-2.0
"""Drawing one sample as the network sees it: crop, labelled joints, projected mesh."""

from __future__ import annotations

import cv2
import numpy as np

from fastmetro_mm.body.joint_sets import HAND21, J14, J24_TO_J14
from fastmetro_mm.body.skeletons import (
    FINGER_COLORS,
    HAND21_SKELETON,
    J14_SKELETON,
    LEFT_COLOR,
    MIDDLE_COLOR,
    RIGHT_COLOR,
)
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.geometry.camera import orthographic_from_weak
from fastmetro_mm.geometry.camera_fit import fit_pred_cam
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

_IDENTITY = np.eye(2, 3)
_MIN_POINTS = 4
_FAR = 10000  # the drawing functions overflow far outside of the image


def _color(name: str) -> tuple[int, int, int]:
    if name in HAND21:
        return FINGER_COLORS[name.split('_')[0]]
    return {'R_': RIGHT_COLOR, 'L_': LEFT_COLOR}.get(name[:2], MIDDLE_COLOR)


def draw_skeleton(image: np.ndarray, points: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Draw labelled joints and their links; right orange, left green.

    Args:
        image: RGB. (H, W, 3) uint8
        points: Label joints, pixels: of a body (24, 2), of which the 14 predicted ones are linked
            and the others dotted small, or of a hand (21, 2).
        trusted: Whether each joint is drawn. (24,) or (21,)

    Returns:
        RGB, a copy. (H, W, 3) uint8
    """
    image = np.ascontiguousarray(image).copy()
    ends = np.clip(np.round(points), -_FAR, _FAR).astype(int)
    rest = set()
    if len(points) == len(HAND21):
        names, links = HAND21, HAND21_SKELETON
    else:
        rest = set(range(len(points))) - set(J24_TO_J14)
        for row in sorted(rest):
            if trusted[row]:
                cv2.circle(image, ends[row].tolist(), 1, MIDDLE_COLOR, -1, cv2.LINE_AA)
        names, links = J14, J14_SKELETON
        ends, trusted = ends[list(J24_TO_J14)], trusted[list(J24_TO_J14)]
    width = max(1, image.shape[0] // 160)
    for first, second in links:
        if trusted[first] and trusted[second]:
            side = names[second] if names is HAND21 or names[first][1] != '_' else names[first]
            cv2.line(
                image, ends[first].tolist(), ends[second].tolist(), _color(side), width, cv2.LINE_AA
            )
    for row, name in enumerate(names):
        if trusted[row]:
            cv2.circle(image, ends[row].tolist(), width + 1, _color(name), -1, cv2.LINE_AA)
    return image


def crop_points(sample: dict) -> np.ndarray:
    """Label joints in pixels of the crop (J, 2)."""
    return (np.asarray(sample['joints_2d'], np.float64)[:, :2] + 1) * 0.5 * sample['img'].shape[0]


def trusted_points(sample: dict) -> np.ndarray:
    """Which 2D joints carry a label (J,) bool."""
    return (np.asarray(sample['joints_2d'])[:, 2] > 0) & bool(sample.get('has_2d', 0))


def label_pred_cam(points_3d: np.ndarray, sample: dict) -> np.ndarray | None:
    """Weak-perspective camera (s, tx, ty) that puts 3D joints onto the 2D labels of a crop.

    None where too few joints carry a label.
    """
    weights = trusted_points(sample).astype(np.float64)
    if weights.sum() < _MIN_POINTS:
        return None
    return fit_pred_cam(points_3d, np.asarray(sample['joints_2d'])[:, :2], weights)


def draw_mesh(sample: dict, mesh: LabelMesh, renderer: SoftwareRenderer) -> np.ndarray | None:
    """Draw the labelled mesh over the crop.

    Args:
        sample: Sample after the crop, before packing.
        mesh: Poses the body.
        renderer: What draws.

    Returns:
        RGB (H, W, 3) uint8, or None without a mesh, or without the 2D joints to place it by.
    """
    posed = mesh(sample)
    if posed is None:
        return None
    vertices, joints = posed
    pred_cam = label_pred_cam(joints, sample)
    if pred_cam is None:
        return None
    size = sample['img'].shape[0]
    flat = orthographic_from_weak(pred_cam, _IDENTITY, size, (size, size))
    return renderer.render(
        [RenderMesh(vertices, mesh.faces)], flat, np.ascontiguousarray(sample['img'])
    ).image

# SPDX-License-Identifier: Apache-2.0
"""Drawing one sample as the network sees it: crop and projected mesh."""

from __future__ import annotations

import numpy as np

from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.geometry.camera import orthographic_from_weak
from fastmetro_mm.geometry.camera_fit import fit_pred_cam
from fastmetro_mm.visualization.render_types import RenderMesh
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

_IDENTITY = np.eye(2, 3)
_MIN_POINTS = 4


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

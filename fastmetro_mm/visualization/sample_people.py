# SPDX-License-Identifier: Apache-2.0
"""From data samples to what is drawn: people with cameras, and keypoints in image pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from fastmetro_mm.body.joint_sets import J24, J24_TO_J14
from fastmetro_mm.geometry.camera import OrthographicCamera, crop_to_image, orthographic_from_weak
from fastmetro_mm.geometry.camera_fit import fit_pred_cam, fit_similarity
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.visualization.mesh_views import PlacedPerson

PREDICTION_COLORS = (
    (0.62, 0.74, 0.90),
    (0.93, 0.70, 0.55),
    (0.66, 0.85, 0.66),
    (0.84, 0.68, 0.88),
    (0.95, 0.86, 0.56),
    (0.60, 0.84, 0.86),
)
TRUTH_COLOR = (0.70, 0.80, 0.62)
FARTHEST_PIXEL = 1e5
SMPL_COLOR = (0.90, 0.70, 0.68)


def person_color(number: int, track_id: int | None = None) -> tuple[float, float, float]:
    """Colour of a person: by track, so that it stays the same through a video, else by place.

    Args:
        number: Place in the frame.
        track_id: Number of the person through a video, if known.

    Returns:
        RGB in 0..1.
    """
    return PREDICTION_COLORS[(number if track_id is None else track_id) % len(PREDICTION_COLORS)]


def to_numpy(value: np.ndarray | torch.Tensor | Sequence) -> np.ndarray:
    """Array from a tensor on any device, an array or a list."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def predicted_people(
    sample: MeshDataSample,
    image_size: tuple[int, int],
    field: str = 'vertices',
    colors: Sequence[np.ndarray] | None = None,
) -> list[PlacedPerson]:
    """Predicted meshes of a sample, with the network's own cameras.

    Args:
        sample: Sample with ``pred_instances``; one person, or several merged by mmpose.
        image_size: Width and height of the image, pixels.
        field: ``vertices``, or ``smpl_vertices`` of the SMPL head.
        colors: RGB in 0..1 of every instance, (3,) or (V, 3) each; a palette if not given.

    Returns:
        One entry a person; none if the field is missing. People whose predicted camera or mesh
        cannot be drawn (scale not positive, not finite: an untrained network) are left out.
    """
    instances = sample.get('pred_instances')
    if instances is None or field not in instances or _pred_cam(instances) is None:
        return []
    palette: Sequence = (SMPL_COLOR,) if field == 'smpl_vertices' else PREDICTION_COLORS
    palette = palette if colors is None else colors
    people = []
    for number in range(len(instances)):
        person = instances[number]
        vertices, pred_cam = to_numpy(person[field])[0], to_numpy(_pred_cam(person))[0]
        if not (np.isfinite(vertices).all() and np.isfinite(pred_cam).all() and pred_cam[0] > 0):
            continue
        camera = _prediction_camera(sample, person, pred_cam, len(instances), image_size)
        people.append(PlacedPerson(vertices, camera, palette[number % len(palette)]))
    return people


def true_people(sample: MeshDataSample, image_size: tuple[int, int]) -> list[PlacedPerson]:
    """True meshes (``gt_instances.vertices``, root frame) with a camera fitted to the labels.

    Labels hold no camera. It is fitted to the 2D and 3D joints of the label where both exist,
    otherwise the predicted camera stands in.

    Args:
        sample: Sample of one person.
        image_size: Width and height of the image, pixels.

    Returns:
        One entry, or none if the sample has no true mesh or no camera for it.
    """
    truth = sample.get('gt_instances')
    if truth is None or 'vertices' not in truth or 'crop_to_image' not in sample:
        return []
    pred_cam = _label_pred_cam(sample)
    if pred_cam is None and 'pred_instances' in sample:
        predicted = _pred_cam(sample.pred_instances)
        pred_cam = None if predicted is None else to_numpy(predicted)[0]
    if pred_cam is None or not (np.isfinite(pred_cam).all() and pred_cam[0] > 0):
        return []
    camera = orthographic_from_weak(pred_cam, sample.crop_to_image, _crop_size(sample), image_size)
    return [PlacedPerson(to_numpy(truth.vertices)[0], camera, TRUTH_COLOR)]


def predicted_keypoints(sample: MeshDataSample) -> InstanceData:
    """Predicted keypoints and boxes as arrays, for mmpose's drawing functions.

    Args:
        sample: Sample with ``pred_instances``.

    Returns:
        Those of ``keypoints``, ``keypoints_visible`` and ``bboxes`` that the sample has.
    """
    instances = sample.pred_instances
    drawn: Any = InstanceData()
    for name in ('keypoints', 'bboxes'):
        if name in instances:
            drawn.set_field(to_numpy(instances[name]), name)
    scores = instances.get('keypoints_visible', instances.get('keypoint_scores'))
    if scores is not None:
        drawn.keypoints_visible = to_numpy(scores)
    if 'keypoints' in drawn:
        # mmpose turns all positions to integers, drawn or not; an untrained network gives any.
        usable = (np.abs(drawn.keypoints) < FARTHEST_PIXEL).all(-1)  # False for NaN
        drawn.keypoints = np.where(usable[..., None], drawn.keypoints, 0)
        drawn.keypoints_visible = usable * drawn.get('keypoints_visible', 1.0)
    return drawn


def true_keypoints(sample: MeshDataSample) -> InstanceData | None:
    """Labelled 2D joints in image pixels, in the order of the predicted keypoints.

    Args:
        sample: Sample with ``gt_instance_labels.joints_2d``, or ``gt_instances.keypoints`` as in
            mmpose.

    Returns:
        ``keypoints (1, J, 2)`` and ``keypoints_visible (1, J)``, or None without labels.
    """
    truth = sample.get('gt_instances')
    if truth is not None and 'keypoints' in truth:
        return truth
    labels = sample.get('gt_instance_labels')
    if labels is None or 'joints_2d' not in labels or 'crop_to_image' not in sample:
        return None
    joints = to_numpy(labels.joints_2d)[0].astype(np.float64)  # (J, 3)
    if len(joints) == len(J24):
        joints = joints[list(J24_TO_J14)]
    if not (joints[:, 2] > 0).any():
        return None
    pixels = (joints[:, :2] + 1) * 0.5 * _crop_size(sample)
    return InstanceData(
        keypoints=crop_to_image(pixels, np.asarray(sample.crop_to_image))[None],
        keypoints_visible=joints[None, :, 2],
    )


def _crop_size(sample: MeshDataSample) -> float:
    return float(np.asarray(sample.get('input_size', 224)).ravel()[0])


def _prediction_camera(
    sample: MeshDataSample,
    person: Any,
    pred_cam: np.ndarray,
    number_of_people: int,
    image_size: tuple[int, int],
) -> OrthographicCamera:
    """Camera of one predicted person in the full image."""
    if number_of_people == 1 and 'crop_to_image' in sample:
        return orthographic_from_weak(
            pred_cam, sample.crop_to_image, _crop_size(sample), image_size
        )
    # mmpose's merge keeps the metainfo of the first person only. Where this person's crop lay
    # follows from its joints, known both in the crop and in the image.
    joints, pixels = to_numpy(person.joints_3d)[0], to_numpy(person.keypoints)[0]
    crop = pred_cam[0] * (joints[:, :2] + pred_cam[1:]) + 1  # a crop of 2 x 2 "pixels"
    return orthographic_from_weak(pred_cam, fit_similarity(crop, pixels), 2, image_size)


def _pred_cam(instances: InstanceData) -> Any:
    """The network's weak perspective; dumped samples hold it under its earlier name."""
    return instances.get('pred_cam', instances.get('camera'))


def _label_pred_cam(sample: MeshDataSample) -> np.ndarray | None:
    labels = sample.get('gt_instance_labels')
    if labels is None or 'joints_2d' not in labels or 'joints_3d' not in labels:
        return None
    joints_2d, joints_3d = to_numpy(labels.joints_2d)[0], to_numpy(labels.joints_3d)[0]
    weights = joints_2d[:, 2] * joints_3d[:, 3]
    return fit_pred_cam(joints_3d[:, :3], joints_2d[:, :2], np.maximum(weights, 0))

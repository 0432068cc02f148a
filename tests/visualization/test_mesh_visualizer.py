# SPDX-License-Identifier: Apache-2.0
"""The visualizer on a sphere with a known camera."""

import itertools
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.structures import merge_data_samples

from fastmetro_mm.geometry.camera import OrthographicCamera
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.visualization import mesh_visualizer
from fastmetro_mm.visualization.mesh_views import PlacedPerson, draw_overlay, draw_view
from fastmetro_mm.visualization.sample_people import predicted_people, true_people
from fastmetro_mm.visualization.software_renderer import SoftwareRenderer

NUMBERS = itertools.count()  # mmengine hands out an old visualizer for a name it knows
SIZE = (200, 150)
IMAGE = np.full((150, 200, 3), 128, np.uint8)


@pytest.fixture
def visualizer(sphere, monkeypatch):
    """Visualizer whose body is a sphere, drawing without OpenGL."""
    body = SimpleNamespace(faces=sphere[1])
    monkeypatch.setattr(mesh_visualizer, 'build_body', lambda config, with_model: body)
    return VISUALIZERS.build(
        dict(type='MeshVisualizer', name=f'test_{next(NUMBERS)}', renderer='software', views=())
    )


def make_sample(vertices, corner=(60.0, 30.0), scale=0.5, weak=(0.8, 0.1, -0.2)):
    """Prediction of a 0.5 m sphere in a crop whose corner lies at ``corner``."""
    weak = np.array([weak], np.float32)
    vertices = 0.5 * vertices
    joints = np.random.default_rng(0).normal(0, 0.3, (14, 3))
    crop = (weak[0, 0] * (joints[:, :2] + weak[0, 1:]) + 1) * 112
    sample = MeshDataSample()
    matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]], np.float32)
    sample.set_metainfo(dict(crop_to_image=matrix, input_size=(224, 224)))
    sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4), np.float32))
    sample.pred_instances = InstanceData(
        vertices=vertices[None].astype(np.float32),
        joints_3d=joints[None].astype(np.float32),
        pred_cam=weak,
        keypoints=(crop * scale + corner)[None].astype(np.float32),
        keypoint_scores=np.ones((1, 14), np.float32),
    )
    return sample


def center_in_image(corner, scale, weak):
    return (np.array(weak[1:]) * weak[0] + 1) * 112 * scale + corner


def changed(drawing, image=IMAGE):
    return (drawing != image).any(-1)


def test_mesh_lies_where_the_network_put_it(visualizer, sphere):
    visualizer.draw_skeleton = False
    sample = make_sample(sphere[0])
    drawn = visualizer.add_datasample('x', IMAGE, sample)
    assert drawn.shape == IMAGE.shape
    y, x = np.nonzero(changed(drawn))
    expected = center_in_image((60, 30), 0.5, (0.8, 0.1, -0.2))
    assert np.allclose([x.mean() + 0.5, y.mean() + 0.5], expected, atol=0.5)
    radius = 0.5 * 0.8 * 112 * 0.5
    assert changed(drawn).sum() == pytest.approx(np.pi * radius**2, rel=0.03)


def test_merged_people_keep_their_own_places(sphere):
    samples = [make_sample(sphere[0], (10.0, 5.0), 0.3), make_sample(sphere[0], (90.0, 30.0), 0.4)]
    alone = [predicted_people(sample, SIZE)[0].camera.matrix for sample in samples]
    merged = predicted_people(merge_data_samples(samples), SIZE)
    for person, matrix in zip(merged, alone, strict=True):
        assert np.allclose(person.camera.matrix, matrix, atol=1e-3)


def test_nearer_of_two_people_is_in_front(sphere):
    # The larger in the image is nearer: both are the same size in metres.
    people = [
        PlacedPerson(0.5 * sphere[0], OrthographicCamera(matrix, *SIZE), color)
        for matrix, color in [
            (np.array([[100.0, 0, 100], [0, 100, 75]]), (1.0, 0, 0)),
            (np.array([[40.0, 0, 100], [0, 40, 75]]), (0, 0, 1.0)),
        ]
    ]
    for order in (people, people[::-1]):
        drawn = draw_overlay(IMAGE, order, sphere[1], SoftwareRenderer())
        assert drawn[75, 100, 0] > drawn[75, 100, 2]


def test_views_turn_the_right_way(sphere):
    # A small ball at the right hand side (x), above (-y) and in front (-z) of a person.
    ball = 0.05 * sphere[0]
    camera = OrthographicCamera(np.array([[100.0, 0, 100], [0, 100, 75]]), *SIZE)

    def place(offset, view):
        both = np.concatenate([ball, ball + offset])
        faces = np.concatenate([sphere[1], sphere[1] + len(ball)])
        colors = np.repeat([[0.0, 0, 1], [1, 0, 0]], len(ball), axis=0)
        people = [PlacedPerson(both, camera, colors)]
        drawing = draw_view(people, faces, SoftwareRenderer(), view, 100).astype(int)
        y, x = np.nonzero(drawing[..., 0] - drawing[..., 2] > 60)
        return np.sign([np.round((x.mean() - 50) / 10), np.round((y.mean() - 50) / 10)])

    assert np.array_equal(place([0.5, 0, 0], 'front'), [1, 0])
    assert np.array_equal(place([0.5, 0, 0], 'back'), [-1, 0])
    assert np.array_equal(place([0, 0, -0.5], 'side'), [-1, 0])
    assert np.array_equal(place([0, -0.5, 0], 'side'), [0, -1])
    assert np.array_equal(place([0, 0, -0.5], 'top'), [0, 1])


def test_truth_stands_beside_with_a_camera_from_the_labels(visualizer, sphere):
    sample = make_sample(sphere[0])
    weak = np.array([0.6, -0.3, 0.2])
    joints = np.random.default_rng(1).normal(0, 0.3, (24, 3))
    xy = weak[0] * (joints[:, :2] + weak[1:])
    sample.gt_instance_labels = InstanceData(
        joints_2d=torch.tensor(np.column_stack([xy, np.ones(24)])[None]).float(),
        joints_3d=torch.tensor(np.column_stack([joints, np.ones(24)])[None]).float(),
    )
    sample.gt_instances.vertices = 0.5 * sphere[0][None]
    matrix = true_people(sample, SIZE)[0].camera.matrix
    assert np.allclose(matrix[:, 2], center_in_image((60, 30), 0.5, weak), atol=1e-3)
    drawn = visualizer.add_datasample('x', IMAGE, sample)
    assert drawn.shape[1] > 2 * IMAGE.shape[1] and drawn.shape[0] < 2 * IMAGE.shape[0]
    rows = visualizer.add_datasample('x', IMAGE, sample, views=['side', 'top'])
    assert rows.shape[0] > 2 * IMAGE.shape[0]
    assert visualizer.add_datasample('x', IMAGE, sample, draw_gt=False).shape == IMAGE.shape


def test_smpl_mesh_gets_its_own_row(visualizer, sphere):
    sample = make_sample(sphere[0])
    sample.pred_instances.smpl_vertices = sample.pred_instances.vertices
    one = visualizer.add_datasample('x', IMAGE, make_sample(sphere[0]), views=['side'])
    two = visualizer.add_datasample('x', IMAGE, sample, views=['side'])
    assert two.shape[0] > 1.9 * one.shape[0]


@pytest.mark.parametrize('damage', ['scale', 'vertices', 'keypoints'])
def test_untrained_networks_do_not_stop_the_drawing(visualizer, sphere, damage):
    sample = make_sample(sphere[0])
    if damage == 'scale':
        sample.pred_instances.pred_cam[0, 0] = -0.1
    elif damage == 'vertices':
        sample.pred_instances.vertices[0, 0] = np.nan
    else:
        sample.pred_instances.keypoints[0, :2] = [[np.nan, 0], [1e30, 0]]
    drawn = visualizer.add_datasample('x', IMAGE, sample)
    assert drawn.shape == IMAGE.shape


def test_file_is_written(visualizer, sphere, tmp_path):
    path = tmp_path / 'images' / 'x.png'
    drawn = visualizer.add_datasample('x', IMAGE, make_sample(sphere[0]), out_file=str(path))
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], drawn)


def test_plain_keypoints_are_drawn_as_mmpose_draws_them(visualizer):
    sample = MeshDataSample()
    sample.pred_instances = InstanceData(
        keypoints=np.array([[[50.0, 60.0]]]), keypoint_scores=np.ones((1, 1))
    )
    drawn = visualizer.add_datasample('x', IMAGE, sample, draw_gt=False)
    assert changed(drawn)[60, 50] and changed(drawn).sum() < 100


def test_mesh_of_another_body_is_named(visualizer, sphere):
    sample = make_sample(sphere[0][:100])
    with pytest.raises(ValueError, match='of different meshes'):
        visualizer.add_datasample('x', IMAGE, sample)


def test_unknown_view_is_named():
    with pytest.raises(ValueError, match="got \\['below'\\]"):
        VISUALIZERS.build(dict(type='MeshVisualizer', name='test_views', views=['below']))


def test_error_map_colours_the_prediction_by_its_error(sphere, monkeypatch):
    body = SimpleNamespace(
        faces=sphere[1], score_origin=lambda vertices: vertices.mean(1, keepdim=True)
    )
    monkeypatch.setattr(mesh_visualizer, 'build_body', lambda config, with_model: body)

    def draw(sample, **options):
        visualizer = VISUALIZERS.build(
            dict(type='MeshVisualizer', name=f'test_{next(NUMBERS)}', renderer='software',
                 views=(), draw_skeleton=False, error_map=True, **options)
        )  # fmt: skip
        return visualizer.add_datasample('x', IMAGE, sample)

    sample = make_sample(sphere[0])
    assert draw(sample).shape == IMAGE.shape  # no truth, no map
    # The truth stands elsewhere, which centring takes away: no error at all.
    sample.gt_instances.vertices = 0.5 * sphere[0][None] + [1.0, 2.0, 3.0]
    # Three panels in a row: truth, prediction, error. The middle of the mesh in the last one:
    x, y = np.round(center_in_image((60, 30), 0.5, (0.8, 0.1, -0.2))).astype(int)
    right = draw(sample)
    left_edge = right.shape[1] - IMAGE.shape[1] - 6
    top_edge = 6 + 18  # gap and label of the sheet
    pale = right[top_edge + y, left_edge + x].astype(int)
    assert pale.min() > 150 and np.ptp(pale) < 40
    # A truth twice as large is 500 mm off everywhere: the last colour, dark red.
    sample.gt_instances.vertices = sphere[0][None]
    dark = draw(sample)[top_edge + y, left_edge + x].astype(int)
    assert dark[0] < 150 and dark[0] > 2 * dark[1]
    # ... which is half of a range of one metre
    orange = draw(sample, error_largest_mm=1000.0)[top_edge + y, left_edge + x].astype(int)
    assert orange[0] > dark[0] + 40 and orange[0] > orange[2] + 60
    # the legend hangs below the panel of the error
    below = right[top_edge + IMAGE.shape[0] :]
    assert (below[:, left_edge : left_edge + 200] != 255).any()
    assert (below[:, : left_edge - 6] == 255).all()

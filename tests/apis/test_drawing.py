# SPDX-License-Identifier: Apache-2.0
"""Three people of known shape land on their own silhouettes, in the right order."""

from dataclasses import replace

import numpy as np
import pytest

from fastmetro_mm.errors import InputError
from fastmetro_mm.visualization.frame_drawing import draw_frame, render_frame
from fastmetro_mm.visualization.render_types import RenderResult
from fastmetro_mm.visualization.renderer_factory import build_renderer


@pytest.fixture(scope='module')
def renderer():
    return build_renderer('software')


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_boxes_overlap(three_people):
    first, second, third = (person.bbox for person in three_people[0].people)
    assert second[0] < first[2] and third[0] < second[2] and third[0] < first[2]


def test_overlay_fits_the_masks_with_a_known_camera(three_people, renderer):
    frame, _, truth = three_people
    found = render_frame(frame, renderer, projection='scene').index
    for number in range(3):
        # what is visible of each: wrong order of occlusion would cut the others
        assert iou(found == number, truth == number) >= 0.97
    assert (found[(found >= 0) & (truth >= 0)] == truth[(found >= 0) & (truth >= 0)]).mean() > 0.99


def test_overlay_with_the_networks_camera_keeps_the_order(three_people, renderer):
    frame, _, truth = three_people
    found = render_frame(frame, renderer).index
    for number in range(3):
        # scaled-orthographic against a true perspective from five metres
        assert iou(found == number, truth == number) >= 0.9
    both = (found >= 0) & (truth >= 0)
    assert (found[both] == truth[both]).mean() > 0.98


def test_people_without_a_place_are_left_out(three_people, renderer):
    frame, _, truth = three_people
    lost = replace(frame.people[1], translation=np.full(3, np.nan))
    frame = replace(frame, people=[frame.people[0], lost, frame.people[2]])
    found = render_frame(frame, renderer, projection='scene').index
    assert set(np.unique(found)) == {-1, 0, 2}
    assert iou(found == 2, truth == 2) >= 0.97
    nobody = replace(frame, people=[lost])
    assert np.array_equal(draw_frame(nobody, renderer), frame.image)
    with pytest.raises(InputError, match="'network' or 'scene'"):
        render_frame(frame, renderer, projection='other')


def test_views_stand_beside_the_overlay(three_people, renderer):
    frame = three_people[0]
    drawing = draw_frame(frame, renderer, views=('side', 'top'), draw_boxes=True)
    height, width = frame.image.shape[:2]
    assert drawing.shape[1] == width + 2 * height and drawing.shape[0] > height
    for left in (width, width + height):
        panel = drawing[-height:, left : left + height]
        assert 0.02 < (panel != 255).any(axis=-1).mean() < 0.6


@pytest.mark.parametrize('opacity', [0.5, 1])
def test_boxes_are_not_drawn_on_what_a_renderer_keeps(three_people, opacity):
    frame = three_people[0]
    kept = np.full_like(frame.image, 90)

    class Keeper:
        name = 'keeper'

        def render(self, meshes, camera, background=None):
            shape = kept.shape[:2]
            return RenderResult(kept, np.zeros(shape, np.float32), np.full(shape, -1, np.int32))

    before = frame.image.copy()
    drawn = draw_frame(frame, Keeper(), opacity=opacity, draw_boxes=True)
    assert (kept == 90).all() and np.array_equal(frame.image, before)
    assert not np.array_equal(drawn, draw_frame(frame, Keeper(), opacity=opacity))


def test_smpl_mesh_gets_a_second_overlay(three_people, renderer):
    frame, _, truth = three_people
    height, width = frame.image.shape[:2]
    assert draw_frame(frame, renderer).shape == frame.image.shape
    empty = draw_frame(frame, renderer, smpl_panel=True)[:, width:]
    assert np.array_equal(empty[-height:], frame.image)
    # The SMPL head sees two of them, the first half a metre to the right.
    first, second, third = frame.people
    moved = first.vertices + np.array([0.5, 0, 0], np.float32)
    people = [
        replace(first, smpl_vertices=moved),
        replace(second, smpl_vertices=second.vertices),
        third,
    ]
    frame = replace(frame, people=people)
    drawing = draw_frame(frame, renderer, opacity=1)
    assert drawing.shape[1] == 2 * width and height < drawing.shape[0] < 1.2 * height
    left, right = drawing[-height:, :width], drawing[-height:, width:]
    assert np.array_equal(
        left, draw_frame(replace(frame, people=three_people[0].people), renderer, opacity=1)
    )
    shift = round(0.5 * 900 / 4.6)  # focal length over distance
    alone = truth == 0
    alone[:, -shift:] = False
    seen = np.roll((right != frame.image).any(-1), -shift, axis=1)
    assert seen[alone].mean() > 0.9
    found = render_frame(frame, renderer, projection='scene', mesh='smpl').index
    assert set(np.unique(found)) == {-1, 0, 1}
    views = draw_frame(frame, renderer, views=('side',))
    assert views.shape[1] == 2 * width + height
    assert draw_frame(frame, renderer, smpl_panel=False).shape == frame.image.shape
    with pytest.raises(InputError, match="'network' or 'smpl'"):
        render_frame(frame, renderer, mesh='other')

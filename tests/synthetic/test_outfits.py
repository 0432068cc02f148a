# SPDX-License-Identifier: Apache-2.0
"""Clothes lie outside the body, things turn their outer side out and follow their part."""

import numpy as np
import pytest

from fastmetro_mm.synthetic.environment_light import (
    EnvironmentLight,
    load_lights,
    sample_environment,
    sh_basis,
)
from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.gear import (
    Gear,
    Shape,
    box,
    ellipsoid,
    held_object,
    merge,
    rigid_motion,
    rod,
)
from fastmetro_mm.synthetic.outfits import OutfitPainter
from fastmetro_mm.synthetic.photo_backgrounds import PhotoBackgrounds
from fastmetro_mm.synthetic.rotations import rotate_about
from fastmetro_mm.synthetic.skirts import Skirt


@pytest.fixture(scope='module')
def figure() -> Figure:
    return Figure('body')


@pytest.fixture(scope='module')
def painter(figure: Figure) -> OutfitPainter:
    return OutfitPainter(
        figure.rest, figure.weights, figure.rest_joints, figure.rest_keypoints, figure.faces
    )


def _volume(shape: Shape) -> float:
    a, b, c = (shape.vertices[shape.faces[:, k]] for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


SHAPES = {
    'box': (box(np.array([3.0, 1.0, 2.0]), np.array([0.5, 1.0, 1.5])), 6.0),
    'ellipsoid': (ellipsoid(np.array([3.0, 1.0, 2.0]), np.array([1.0, 0.5, 2.0])), 4.19),
    'rod': (rod(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]), 0.5), np.pi / 2),
}


@pytest.mark.parametrize('name', SHAPES)
def test_shapes_are_closed_and_turned_outwards(name: str) -> None:
    """The volume of a closed mesh is positive only if its faces point outwards."""
    shape, volume = SHAPES[name]
    assert _volume(shape) == pytest.approx(volume, rel=0.16)
    assert np.linalg.norm(shape.normals, axis=1) == pytest.approx(1.0)
    middle = shape.vertices.mean(axis=0)
    assert ((shape.vertices - middle) * shape.normals).sum(axis=1).min() > -1e-6
    both = merge([shape, shape.moved(np.eye(3), np.array([9.0, 0.0, 0.0]))])
    assert _volume(both) == pytest.approx(2 * _volume(shape))


def test_rigid_motion_is_found() -> None:
    rng = np.random.default_rng(0)
    points, turn = rng.normal(size=(9, 3)), rotate_about(np.array([0.6, 0.0, 0.8]), 2.2)
    found, shift = rigid_motion(points, points @ turn.T + (1.0, 2.0, 3.0))
    assert found == pytest.approx(turn) and shift == pytest.approx([1.0, 2.0, 3.0])


def test_things_stay_in_the_hand(figure: Figure, painter: OutfitPainter) -> None:
    """What is held moves with the palm, and what hangs hangs down in the image."""
    pose = np.zeros((1, 72))
    pose[0, :3], pose[0, 48:51] = (np.pi, 0, 0), (0.3, 0.2, -1.2)
    posed = figure.pose(pose, np.zeros((1, 10)))[0].vertices
    hand = posed[painter.parts['l_hand']].mean(axis=0)
    for seed in range(20):
        gear = held_object(np.random.default_rng(seed), 'l')
        points, normals = painter.place_gear(gear, posed)
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0)
        assert (points.min(axis=0) < hand + 0.1).all() and (points.max(axis=0) > hand - 0.1).all()
    drop = Gear('l_hand', rod(np.array([0.75, 0.4, 0.0]), np.array([0.75, 0.0, 0.0]), 0.01),
                np.ones(3), hangs=True)  # fmt: skip
    points, _ = painter.place_gear(drop, posed)
    assert points[-1, 1] - points[0, 1] == pytest.approx(0.4)  # y points down
    assert abs(points[-1, 0] - points[0, 0]) < 0.03


def test_clothes_lie_outside(painter: OutfitPainter) -> None:
    """No offset is negative, faces stay bare, colours are colours."""
    for seed in range(25):
        outfit = painter.dress(np.random.default_rng(seed), PhotoBackgrounds(), 'sitting')
        assert outfit.offset.min() >= 0 and outfit.offset.max() < 0.12
        assert outfit.paint.colors.min() >= 0 and outfit.paint.colors.max() <= 1
        assert outfit.offset[painter._mouth].max() < 0.02
        assert not (outfit.paint.cloth.min(axis=1) > 0).any()  # never two garments


def test_skirt_is_around_both_legs(figure: Figure, painter: OutfitPainter) -> None:
    """On a standing body the hem encloses both knees, and its outside faces outwards."""
    normals = figure.normals(figure.rest)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    skirt = Skirt(np.ones(3), 0.6, 0.05)
    points, _, faces = painter.skirt_pattern.drape(
        skirt, figure.rest, normals, np.zeros(len(figure.rest))
    )
    hem = points[-20:]
    for knee in figure.rest_joints[[4, 5]]:
        assert hem[:, 0].min() < knee[0] < hem[:, 0].max()
        assert hem[:, 2].min() < knee[2] < hem[:, 2].max()
    assert -0.75 < hem[:, 1].mean() < -0.35
    half = faces[: len(faces) // 2]
    a, b, c = (points[half[:, k]] for k in range(3))
    out = (a + b + c) / 3 - points.mean(axis=0)
    facing = (np.cross(b - a, c - a) * out * (1, 0, 1)).sum(axis=1)
    assert np.mean(facing > 0) > 0.8 and np.mean(facing < 0) < 0.05


def test_lights_are_real_and_even() -> None:
    """26 places, mean light 1 over the sphere, brighter above than below in most."""
    lights = load_lights()
    assert lights.shape == (26, 9, 3)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    everywhere = np.einsum('nk,lkc->lnc', sh_basis(directions), lights)
    assert everywhere.mean(axis=(1, 2)) == pytest.approx(1.0, abs=0.02)
    up = np.einsum('k,lkc->l', sh_basis(np.array([[0.0, 1.0, 0.0]]))[0], lights)
    down = np.einsum('k,lkc->l', sh_basis(np.array([[0.0, -1.0, 0.0]]))[0], lights)
    assert np.mean(up > down) > 0.7


def test_basis_is_orthonormal() -> None:
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(200000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    basis = sh_basis(directions)
    assert 4 * np.pi * basis.T @ basis / len(basis) == pytest.approx(np.eye(9), abs=0.03)


def test_light_from_above_lights_what_faces_up() -> None:
    """A sky of one lobe: the numbers are of the place (y up), normals of the camera (y down)."""
    numbers = np.zeros((9, 3), np.float32)
    numbers[0], numbers[1] = 3.0, 1.5
    light = EnvironmentLight(
        numbers, np.diag([1.0, -1.0, -1.0]).astype(np.float32), 1.0, 0.0,
        np.array([0.0, -1.0, 0.0], np.float32), np.zeros(3, np.float32),
    )  # fmt: skip
    up, down = light.shade(
        np.ones((2, 3), np.float32), np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    )
    assert up == pytest.approx(3 * 0.282095 + 1.5 * 0.488603, abs=1e-5)
    assert down == pytest.approx(3 * 0.282095 - 1.5 * 0.488603, abs=1e-5)
    sampled = sample_environment(np.random.default_rng(0))
    assert sampled.turn @ sampled.turn.T == pytest.approx(np.eye(3), abs=1e-6)

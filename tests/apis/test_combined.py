# SPDX-License-Identifier: Apache-2.0
"""Bodies and hands in one call: one camera, the right triangles, files of both."""

import json
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.apis import CameraHint, CombinedInferencer, MeshInferencer, PersonBox, load_npz
from fastmetro_mm.apis.saving import ResultSaver
from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.errors import InputError
from fastmetro_mm.visualization.frame_drawing import draw_frame, render_frame
from fastmetro_mm.visualization.image_files import write_image
from fastmetro_mm.visualization.renderer_factory import build_renderer

HANDS = [
    dict(bbox=[60, 200, 120, 260], is_right=True),
    dict(bbox=[300, 190, 360, 250], is_right=False),
]


@pytest.fixture(scope='module')
def renderer():
    return build_renderer('software')


@pytest.fixture(scope='module')
def people_image(three_people, renderer, tmp_path_factory):
    """Generated image file of three people, and the frame with their true boxes."""
    frame = three_people[0]
    path = tmp_path_factory.mktemp('images') / 'people.png'
    cv2.imwrite(str(path), render_frame(frame, renderer, projection='scene').image[..., ::-1])
    return path, frame


@pytest.fixture(scope='module')
def combined(inferencer, hand_config):
    torch.manual_seed(0)
    hands = MeshInferencer(hand_config, detector='none')
    with torch.no_grad():
        hands.network.head.cam_predictor.weight.mul_(0.05)
        hands.network.head.cam_predictor.bias.copy_(torch.tensor([6.0, 0.01, -0.02]))
    return CombinedInferencer(inferencer, hands)


@pytest.fixture(scope='module')
def result(combined, people_image):
    boxes = [person.bbox for person in people_image[1].people]
    (frame,) = combined(people_image[0], boxes, HANDS, camera=CameraHint(fov_deg=40))
    return frame


def test_each_is_what_its_own_inferencer_finds(combined, people_image, result):
    assert [person.is_right for person in result.people] == [None, None, None, True, False]
    assert result.bodies == result.people[:3] and result.hands == result.people[3:]
    camera = CameraHint(fov_deg=40)
    boxes = [person.bbox for person in people_image[1].people]
    alone = [
        *next(combined.body(people_image[0], boxes, camera=camera)).people,
        *next(combined.hands(people_image[0], HANDS, camera=camera)).people,
    ]
    for mine, theirs in zip(result.people, alone, strict=True):
        for item in fields(mine):
            assert np.array_equal(getattr(mine, item.name), getattr(theirs, item.name))


def test_all_stand_before_one_camera(result):
    assert result.intrinsics[0, 0] == pytest.approx(320 / np.tan(np.radians(20)))
    for person in result.people:
        assert person.is_placed
        # At the depth of the root both cameras agree, to the quarter of a pixel by which the
        # official crop is not square.
        flat = person.joints_3d * [1, 1, 0]
        seen = result.camera.project(flat + person.translation)
        assert np.allclose(seen, person.image_camera(result.image_size).project(flat), atol=0.25)
    for person, box in zip(result.hands, HANDS, strict=True):
        x1, y1, x2, y2 = box['bbox']
        root = result.camera.project(person.translation[None])[0]
        assert x1 < root[0] < x2 and y1 < root[1] < y2


def test_topology_of_each(result):
    body, hand = load_body_assets('open_body').faces[0], load_body_assets('open_hand').faces[0]
    assert (result.body, result.hand_body) == ('open_body', 'open_hand')
    expected = [body, body, body, hand, hand[:, ::-1]]
    for person, faces in zip(result.people, expected, strict=True):
        assert np.array_equal(result.faces_of(person), faces)
        assert faces.max() == len(person.vertices) - 1


def test_files_hold_both(result, renderer, tmp_path):
    kinds = ('overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html')
    with ResultSaver(tmp_path, kinds, renderer) as saver:
        saver.add(result, 'people')
    assert len(saver.written) == len(kinds)
    back = load_npz(tmp_path / 'people.npz')
    assert (back.body, back.hand_body) == ('open_body', 'open_hand')
    assert np.array_equal(back.hand_faces, result.hand_faces)
    for mine, theirs in zip(result.people, back.people, strict=True):
        for item in fields(mine):
            value = getattr(mine, item.name)
            assert np.array_equal(value, getattr(theirs, item.name)) or value is None
        assert np.array_equal(back.faces_of(theirs), result.faces_of(mine))
    content = json.loads((tmp_path / 'people.json').read_text())
    assert content['hand_body'] == 'open_hand' and len(content['people']) == 5
    assert np.shape(result.to_dict()['hand_faces']) == result.hand_faces.shape
    glb = (tmp_path / 'people.glb').read_bytes()
    assert glb[:4] == b'glTF'
    scene = json.loads(glb[20 : 20 + int.from_bytes(glb[12:16], 'little')])
    names = {node.get('name') for node in scene['nodes']}
    assert {'person_0', 'person_3_right_hand', 'person_4_left_hand'} <= names
    counts = [
        scene['accessors'][mesh['primitives'][0]['attributes']['POSITION']]['count']
        for mesh in scene['meshes']
    ]
    assert counts == [6890, 6890, 6890, 778, 778]


def test_hands_are_drawn_where_they_are(result, people_image, renderer, tmp_path):
    # Real shapes instead of what untrained networks give, with the cameras of the networks.
    hand = load_model_arrays('open_hand')['v_template']
    hand = hand - hand.mean(axis=0)
    hands = [
        replace(person, vertices=hand * [side, 1, 1])
        for person, side in zip(result.hands, (1, -1), strict=True)
    ]
    frame = replace(result, people=[*people_image[1].people, *hands])
    index = render_frame(frame, renderer).index
    assert set(np.unique(index)) == {-1, 0, 1, 2, 3, 4}
    for number, box in zip((3, 4), HANDS, strict=True):
        y, x = np.nonzero(index == number)
        x1, y1, x2, y2 = box['bbox']
        assert x1 < x.min() and x.max() < x2 and y1 < y.min() < y.max() < y2
    first, second = (np.argwhere(index == number) for number in (3, 4))
    assert len(first) == pytest.approx(len(second), rel=0.05)
    drawn = draw_frame(frame, renderer, views=('top',))
    assert drawn.shape[1] == 640 + 480
    write_image(tmp_path / 'people.png', drawn)


def test_lists_videos_and_detectors(combined, people_image, monkeypatch):
    path, _ = people_image
    image = cv2.imread(str(path))
    boxes = [[[20, 20, 300, 460]], [[20, 20, 300, 460]]]
    first, second = combined([path, image], boxes, [[HANDS[0]], []], keep_images=False)
    assert [len(first.hands), len(second.hands)] == [1, 0] and first.image is None
    assert second.hand_faces is not None
    (by_name,) = combined(path, boxes[0], {'people.png': HANDS})
    assert len(by_name.hands) == 2
    with pytest.raises(InputError, match='give hand_bboxes'):
        combined(path)
    monkeypatch.setattr(
        combined.hands,
        'detector',
        lambda image: [PersonBox(np.array(HANDS[0]['bbox'], float), is_right=True)],
    )
    assert len(next(combined(path, boxes[0])).hands) == 1


def test_mistakes_leave_the_rest(combined, people_image, inferencer):
    errors = []
    wrong = [dict(bbox=[5, 5, 5, 9], is_right=True), [60, 200, 120, 260], HANDS[1]]
    (frame,) = combined(people_image[0], [[20, 20, 300, 460]], wrong, on_error=errors.append)
    assert len(frame.bodies) == 1 and [hand.is_right for hand in frame.hands] == [False]
    assert 'people.png, hand 0' in str(errors[0])
    assert 'hand 1: the box does not say which hand it is' in str(errors[1]) and len(errors) == 2
    with pytest.raises(InputError, match='for bodies, then one for hands, got open_body and open'):
        CombinedInferencer(inferencer, inferencer)

# SPDX-License-Identifier: Apache-2.0
"""The inferencer: shapes, batches, boxes, left hands, videos, and one line for every mistake."""

import types

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.apis import CameraHint, MeshInferencer
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.errors import CheckpointError, DetectorError, InputError
from fastmetro_mm.structures import load_npz
from tests.apis.conftest import BOX, SIDE


def test_result_of_a_photo(inferencer, photo):
    results = inferencer(photo, bboxes=BOX)
    assert isinstance(results, types.GeneratorType)
    (frame,) = results
    (person,) = frame.people
    assert frame.image_size == (640, 425) and frame.image.shape == (425, 640, 3)
    assert frame.body == 'open_body' and frame.faces.shape == (13776, 3)
    assert person.vertices.shape == (6890, 3) and person.joints_3d.shape == (14, 3)
    assert person.keypoints.shape == (14, 2) and person.crop_size == SIDE
    assert person.is_placed and person.is_right is None and person.track_id is None
    assert person.bbox.tolist() == BOX
    # 1.2 times the longer side, around the middle of the box, in whole pixels
    corners = person.crop_to_image @ np.array([[0, 0, 1], [SIDE, SIDE, 1.0]]).T
    assert corners[:, 0] == pytest.approx([389.5 - 208.2, 217.5 - 208.2], abs=1)
    assert corners[:, 1] == pytest.approx([389.5 + 208.2, 217.5 + 208.2], abs=1)


def test_projection_agrees_with_the_crop(inferencer, photo):
    (frame,) = inferencer(photo, bboxes=BOX, camera=CameraHint(focal_length=1e6))
    person = frame.people[0]
    for points in (person.vertices, person.joints_3d):
        crop = (person.pred_cam[0] * (points[:, :2] + person.pred_cam[1:]) + 1) * 0.5 * SIDE
        expected = crop @ person.crop_to_image[:, :2].T + person.crop_to_image[:, 2]
        exact = person.image_camera(frame.image_size).project(points)
        assert np.abs(exact - expected).max() < 1e-2
        seen = frame.camera.project(points + person.translation)
        assert np.abs(seen - expected).max() < 0.5
    assert person.keypoints == pytest.approx(expected, abs=0.01)  # those of the joints


@pytest.mark.parametrize('camera', [np.diag([800.0, 800, 1]), 800.0, 'photo.jpg'])
def test_a_matrix_or_a_number_is_no_camera_hint(inferencer, photo, camera):
    with pytest.raises(InputError, match=r'CameraHint\(intrinsics=K\)'):
        inferencer(photo, bboxes=BOX, camera=camera)


def test_same_as_mmposes_inference_topdown(inferencer, photo):
    from mmpose.apis import inference_topdown

    boxes = [BOX, [10, 10, 200, 300]]
    samples = inference_topdown(inferencer.network, str(photo), boxes)
    (frame,) = inferencer(photo, bboxes=boxes)
    for sample, person in zip(samples, frame.people, strict=True):
        assert np.allclose(sample.pred_instances.vertices[0], person.vertices, atol=1e-5)
        assert np.allclose(sample.pred_instances.keypoints[0], person.keypoints, atol=1e-2)


def test_batches_run_over_people_and_images(inferencer, photo, monkeypatch):
    sizes = []
    test_step = inferencer.network.test_step
    monkeypatch.setattr(
        inferencer.network,
        'test_step',
        lambda data: sizes.append(len(data['inputs'])) or test_step(data),
    )
    image = cv2.imread(str(photo))
    boxes = [[BOX], [], [BOX, [0, 0, 300, 300]], [[5, 5, 99, 99]]]
    frames = list(inferencer([image, image, str(photo), image], bboxes=boxes, batch_size=2))
    assert [len(frame.people) for frame in frames] == [1, 0, 2, 1]
    assert [frame.frame_index for frame in frames] == [0, 1, 2, 3]
    assert sizes == [2, 1, 1]
    (alone,) = inferencer(image, bboxes=BOX)
    for frame in (frames[0], frames[2]):
        assert np.allclose(frame.people[0].vertices, alone.people[0].vertices, atol=1e-5)


def test_boxes_from_keypoints_a_detector_and_the_whole_image(inferencer, photo, monkeypatch):
    points = np.array([[280, 44], [499, 391], [300, 300.0]])
    (frame,) = inferencer(photo, keypoints=[points])
    assert frame.people[0].bbox.tolist() == BOX
    (frame,) = inferencer(photo)
    assert frame.people[0].bbox.tolist() == [0, 0, 640, 425]

    def detector(image):
        assert image.dtype == np.uint8 and image[0, 0, 2] == cv2.imread(str(photo))[0, 0, 0]
        return [PersonBox(np.array(BOX, float), 0.75)]

    monkeypatch.setattr(inferencer, 'detector', detector)
    (frame,) = inferencer(photo)
    assert frame.people[0].bbox.tolist() == BOX and frame.people[0].bbox_score == 0.75
    with pytest.raises(InputError, match='not both'):
        inferencer(photo, bboxes=BOX, keypoints=[points])


def test_faulty_images_and_boxes_do_not_stop_the_others(inferencer, photo, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(photo.read_bytes()[:5000])
    boxes = [[BOX], [BOX], [BOX], [[5, 5, 5, 9], BOX, [700, 0, 800, 9]]]
    inputs = [photo, broken, tmp_path / 'missing.jpg', photo]
    errors = []
    frames = list(inferencer(inputs, bboxes=boxes, on_error=errors.append))
    assert [frame.frame_index for frame in frames] == [0, 3]
    assert [len(frame.people) for frame in frames] == [1, 1]
    texts = [str(error) for error in errors]
    assert len(texts) == 4 and all('\n' not in text for text in texts)
    assert 'broken.jpg: the JPEG is cut off' in texts[0] and 'no such image' in texts[1]
    assert 'box 0: box [5.0, 5.0, 5.0, 9.0] has no area' in texts[2]
    assert 'lies outside of the 640x425 image' in texts[3]
    with pytest.raises(InputError, match='the JPEG is cut off'):
        list(inferencer(inputs, bboxes=boxes))
    assert len(list(inferencer(inputs, bboxes=boxes, on_error='skip'))) == 2


def test_mistakes_in_the_set_up(tmp_path, weights_file):
    with pytest.raises(FileNotFoundError, match='did you mean'):
        MeshInferencer('fastmetro_l_h64_3dwp')
    with pytest.raises(FileNotFoundError, match='no such weights file'):
        MeshInferencer('quickstart', tmp_path / 'missing.pth')
    with pytest.raises(DetectorError, match='--detector-weights'):
        MeshInferencer('quickstart', detector='rtmdet')
    with pytest.raises(InputError, match="'exact' or 'fast'"):
        MeshInferencer('quickstart', speed='slow')
    with pytest.raises(InputError, match='choose from torch, openvino, onnxruntime, auto'):
        MeshInferencer('quickstart', runtime='tvm')
    with pytest.raises(InputError, match='compiled=True is for'):
        MeshInferencer('quickstart', runtime='auto', compiled=True)
    state = torch.load(weights_file, weights_only=True)
    state['state_dict'].pop('head.xyz_regressor.weight')
    torch.save(state, tmp_path / 'other.pth')
    with pytest.raises((ValueError, CheckpointError)):
        MeshInferencer('quickstart', tmp_path / 'other.pth')
    (tmp_path / 'text.pth').write_text('no weights')
    with pytest.raises(CheckpointError, match='expected a checkpoint, but the file is a text'):
        MeshInferencer('quickstart', tmp_path / 'text.pth')


@pytest.mark.parametrize(
    'bad',
    [
        'x',
        [1, 2, 3],
        [0, 0, 1e30, 1e30],
        dict(bbox=BOX, score=None),
        [5, 5, 5, 9],
        None,
        [300, 300, 301.2, 301.2, float('nan')],
        dict(bbox=BOX, track_id='a'),
        {},
    ],
)
def test_one_bad_box_does_not_drop_the_others(inferencer, photo, bad):
    errors = []
    (frame,) = inferencer(photo, bboxes=[BOX, bad, BOX], on_error=errors.append)
    assert [person.bbox.tolist() for person in frame.people] == [BOX, BOX]
    assert len(errors) == 1 and f'{photo}, box 1: ' in str(errors[0])
    points = np.array([[280, 44], [499, 391.0]])
    (frame,) = inferencer(photo, keypoints=[points, points[:1], points], on_error='skip')
    assert len(frame.people) == 2


def test_a_crop_or_detector_that_fails_harms_its_person_or_image_alone(
    inferencer, photo, monkeypatch
):
    from fastmetro_mm.apis.crops import Cropper

    real = Cropper.__call__

    def call(self, image, box, mirrored):
        if box.score < 1:
            raise MemoryError
        return real(self, image, box, mirrored)

    monkeypatch.setattr(Cropper, '__call__', call)
    errors = []
    frames = list(
        inferencer([photo, photo], bboxes=[[[*BOX, 0.5], BOX], [BOX]], on_error=errors.append)
    )
    assert [len(frame.people) for frame in frames] == [1, 1]
    assert 'box 0: not enough memory' in str(errors[0])

    def detector(image):
        raise ZeroDivisionError('mine')

    monkeypatch.setattr(inferencer, 'detector', detector)
    frames = list(inferencer([photo, photo], on_error=errors.append))
    assert [len(frame.people) for frame in frames] == [0, 0]
    assert 'unexpected ZeroDivisionError: mine' in str(errors[1])


def test_bytes_and_names_with_bytes(inferencer, photo):
    (first,) = inferencer(photo, bboxes=BOX)
    (second,) = inferencer(photo.read_bytes(), bboxes=BOX)
    assert np.array_equal(first.people[0].vertices, second.people[0].vertices)
    assert second.image_path is None
    # the camera that EXIF data tell is known from bytes as well
    assert np.array_equal(first.intrinsics, second.intrinsics)


def test_huge_images_give_results_in_their_own_pixels(inferencer, photo, monkeypatch):
    from fastmetro_mm.visualization.frame_drawing import draw_frame
    from fastmetro_mm.visualization.renderer_factory import build_renderer

    boxes = [BOX, [10, 10, 200, 300]]
    (full,) = inferencer(photo, bboxes=boxes)
    monkeypatch.setattr('fastmetro_mm.images.decoding.WORKING_PIXELS', 100_000)
    (small,) = inferencer(photo, bboxes=boxes)
    (whole,) = inferencer(photo)
    assert small.image.shape == (213, 320, 3) and small.image_size == (640, 425)
    for first, second in zip(full.people, small.people, strict=True):
        assert np.array_equal(first.bbox, second.bbox)
        assert second.crop_to_image == pytest.approx(first.crop_to_image, abs=2.5)
        assert second.keypoints == pytest.approx(first.keypoints, abs=5)
    assert np.array_equal(full.intrinsics, small.intrinsics)
    assert whole.people[0].crop_to_image[:, 2] == pytest.approx([107.5, 0], abs=4)
    assert draw_frame(small, build_renderer('software')).shape == (213, 320, 3)
    monkeypatch.setattr('fastmetro_mm.visualization.frame_drawing.LARGEST_DRAWN', 20_000)
    assert draw_frame(small, build_renderer('software')).shape == (106, 160, 3)
    assert small.at_image_scale().people[0].bbox == pytest.approx(np.array(BOX) / 2, abs=0.5)


def test_many_threads_build_at_once():
    from concurrent.futures import ThreadPoolExecutor

    from fastmetro_mm.model_zoo.model_loading import resolve_config

    def build(number):
        return resolve_config('quickstart' if number % 2 else 'fastmetro_l_h64_3dpw')

    with ThreadPoolExecutor(8) as pool:
        assert len({config.filename for config in pool.map(build, range(40))}) == 2


def test_box_padding(weights_file, photo):
    (frame,) = MeshInferencer('quickstart', weights_file, box_padding=1.0)(photo, bboxes=BOX)
    assert frame.people[0].crop_to_image[0, 0] * SIDE == pytest.approx(347, abs=1)
    with pytest.raises(InputError, match=r'between 0\.5 and 5'):
        MeshInferencer('quickstart', box_padding=120)


def test_weights_are_loaded_and_fast_is_close(weights_file, inferencer, photo):
    loaded = MeshInferencer('quickstart', weights_file, speed='fast')
    (first,) = loaded(photo, bboxes=BOX)
    (second,) = inferencer(photo, bboxes=BOX)
    # half precision has 8 binary digits; docs/performance.md has millimetres on trained weights
    assert np.allclose(first.people[0].pred_cam, second.people[0].pred_cam, atol=2e-3)


def test_body_and_hands_share_a_scene(inferencer, hand_config, photo, tmp_path):
    from fastmetro_mm.exporters.gltf import write_glb
    from fastmetro_mm.exporters.scene import frame_meshes

    hands = MeshInferencer(hand_config)
    with torch.no_grad():
        hands.network.head.cam_predictor.bias.copy_(torch.tensor([1.2, 0.05, -0.1]))
    camera = CameraHint(focal_length=900)
    (body,) = inferencer(photo, bboxes=BOX, camera=camera)
    boxes = [
        dict(bbox=[280, 190, 310, 220], is_right=True),
        dict(bbox=[430, 180, 465, 210], is_right=False),
    ]
    (found,) = hands(photo, bboxes=boxes, camera=camera)
    assert np.array_equal(body.intrinsics, found.intrinsics)
    meshes = frame_meshes(body) + frame_meshes(found)
    assert [len(mesh.vertices) for mesh in meshes] == [6890, 778, 778]
    assert write_glb(tmp_path / 'scene.glb', meshes, body.camera).stat().st_size > 300_000


def test_several_views_agree_with_one_and_tell_their_spread(photo, hand_config, tmp_path):
    """The shipped network is nearly the same whichever way it looks; results survive a file."""
    (plain,) = MeshInferencer(detector='none')(photo, [BOX])
    (several,) = MeshInferencer(detector='none', tta='flip rot=-15,15')(photo, [BOX])
    one, mean = plain.people[0], several.people[0]
    assert one.joint_spread is None and 'joint_spread' not in np.load(one_npz(plain, tmp_path))
    assert mean.joint_spread.shape == (14,) and 0.002 < mean.joint_spread.mean() < 0.1
    # a view that came back turned or mirrored would be off by decimetres, or by 20 pixels
    assert np.linalg.norm(mean.joints_3d - one.joints_3d, axis=1).mean() < 0.03
    assert np.linalg.norm(mean.keypoints - one.keypoints, axis=1).mean() < 4
    np.testing.assert_allclose(mean.crop_to_image, one.crop_to_image)
    np.testing.assert_allclose(mean.translation, one.translation, rtol=0.1, atol=0.02)
    for person in (one, mean):  # the whole skier is in the image, and well seen
        assert person.joint_confidence.shape == (14,)
        assert (person.joint_confidence > 0.1).all() and person.joint_confidence[2] > 0.9
        assert person.confidence == pytest.approx(person.joint_confidence.mean())
        assert person.confidence > 0.5
    (cut,) = MeshInferencer(detector='none')(photo, [[280, 44, 499, 180]])
    ankles = [0, 5]  # out of the crop now
    assert (cut.people[0].joint_confidence[ankles] < one.joint_confidence[ankles]).all()
    assert plain.to_dict(False)['people'][0]['joint_confidence'][0] == pytest.approx(
        float(one.joint_confidence[0])
    )
    read = load_npz(one_npz(several, tmp_path)).people[0]
    np.testing.assert_array_equal(read.joint_spread, mean.joint_spread)
    with pytest.raises(InputError, match='mirror image of a right hand'):
        MeshInferencer(hand_config, detector='none', tta='flip')


def one_npz(frame, folder):
    return frame.save_npz(folder / 'frame.npz')


@pytest.mark.parametrize('device', ['tpu', '', 'cuda:99', 'cpu:x', None])
def test_a_device_that_is_not_here_is_told_in_one_line(device):
    with pytest.raises(InputError, match='is not available here: use cpu'):
        MeshInferencer(device=device)

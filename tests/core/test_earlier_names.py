# SPDX-License-Identifier: Apache-2.0
"""What shipped as `camera` and is `pred_cam` now: attributes, arguments, files."""

import json

import numpy as np
import pytest
import torch

from fastmetro_mm.earlier_names import accept_old_keywords
from fastmetro_mm.geometry.camera import perspective_from_weak, weak_perspective_project
from fastmetro_mm.structures import FrameResult, MeshPrediction, PersonMesh, TokenFeatures, load_npz


def test_predictions_and_tokens_by_both_names():
    pred_cam, token = torch.tensor([[0.9, 0.1, -0.2]]), torch.ones(1, 4)
    nothing = torch.zeros(1, 0, 3)
    parts = dict(joints=nothing, vertices_coarse=nothing, vertices=nothing)
    prediction = MeshPrediction(camera=pred_cam, **parts)
    assert prediction.pred_cam is pred_cam and prediction.camera is pred_cam
    prediction.camera = 2 * pred_cam
    assert torch.equal(prediction.pred_cam, 2 * pred_cam)
    tokens = TokenFeatures(camera=token, joints=nothing, vertices=nothing)
    assert tokens.cam_token is token and tokens.camera is token
    with pytest.raises(TypeError, match='no_such'):
        MeshPrediction(no_such=pred_cam, **parts)


def test_functions_take_both_names():
    points, pred_cam = torch.tensor([[[1.0, 2.0, 9.0]]]), torch.tensor([[0.5, 1.0, 2.0]])
    expected = torch.tensor([[[1.0, 2.0]]])  # 0.5 * (1 + 1), 0.5 * (2 + 2)
    assert torch.equal(weak_perspective_project(points, pred_cam=pred_cam), expected)
    assert torch.equal(weak_perspective_project(points, camera=pred_cam), expected)
    to_image = np.eye(2, 3)
    old = perspective_from_weak(
        camera=np.array([1.0, 0, 0]), crop_to_image=to_image, crop_size=8, image_size=(8, 8)
    )
    assert old[1] == pytest.approx([0, 0, 2**0.5 * 8 / 4])  # f = diagonal, 4 pixels a metre

    @accept_old_keywords(old='new')
    def twice(new: int) -> int:
        """Doc."""
        return 2 * new

    assert twice(3) == twice(new=3) == twice(old=3) == 6
    assert twice.__doc__ == 'Doc.' and twice.__name__ == 'twice'


def test_files_keep_the_name_that_they_have(tmp_path):
    pred_cam = np.array([0.9, 0.1, -0.2], np.float32)
    person = PersonMesh(
        vertices=np.zeros((3, 3), np.float32),
        joints_3d=np.zeros((14, 3), np.float32),
        keypoints=np.zeros((14, 2), np.float32),
        camera=pred_cam,
        translation=np.array([0, 0, 5.0]),
        bbox=np.zeros(4),
        bbox_score=1.0,
        crop_to_image=np.eye(2, 3),
        crop_size=224.0,
    )
    assert person.pred_cam is pred_cam and person.camera is pred_cam
    frame = FrameResult(None, 0, (640, 480), np.eye(3), [person], 'smpl', np.zeros((1, 3), int))
    content = json.loads(frame.save_json(tmp_path / 'a.json').read_text())['people'][0]
    assert content['camera'] == pytest.approx(pred_cam.tolist()) and 'pred_cam' not in content
    with np.load(frame.save_npz(tmp_path / 'a.npz')) as arrays:
        assert np.array_equal(arrays['camera'], pred_cam[None]) and 'pred_cam' not in arrays
    assert np.array_equal(load_npz(tmp_path / 'a.npz').people[0].pred_cam, pred_cam)

# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/lifting/photos``: crops, the share of close joints, a folder."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from projects.free_model.lifting import photos

PEOPLE = Path(__file__).parents[1] / 'data/free_model/several_people.jpg'


def test_a_crop_is_the_square_about_its_center(tmp_path):
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 120:140] = (255, 0, 0)  # BGR
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    crop = photos.cut(tmp_path / 'a.png', np.array([130.0, 50.0]), 20.0)
    assert crop.shape == (256, 256, 3) and (crop[8:-8, 8:-8] == (0, 0, 255)).all()
    whole = photos.cut(tmp_path / 'a.png')
    assert (whole[128, 166] == (0, 0, 255)).all() and not whole[:60].any()
    with pytest.raises(FileNotFoundError, match=r'b\.png: no image there'):
        photos.cut(tmp_path / 'b.png')


def test_only_sure_limbs_count():
    keypoints = torch.zeros(17, 3)
    keypoints[5:, 2] = 0.9
    keypoints[[5, 6], 1] = -1.0  # a torso of one unit
    places = keypoints[:, :2].clone()
    places[7] += 0.19
    places[8, 0] += 0.21
    places[9, 0] += 5.0
    keypoints[9, 2] = 0.2
    places[0] += 9.0  # a nose is no limb
    places[7, 1] = keypoints[7, 1]
    assert photos.close_share(places, keypoints) == pytest.approx(10 / 11)
    keypoints[:, 2] = 0.1  # a photo without anybody has no share, and none in the mean
    assert photos.close_share(places, keypoints) is None


def test_a_folder_of_photos(tmp_path, capsys):
    (tmp_path / 'people.jpg').write_bytes(PEOPLE.read_bytes())
    photos.main(['--photos', str(tmp_path), '--box', 'people.jpg', '0', '0', '300', '300'])
    row, mean = map(json.loads, capsys.readouterr().out.splitlines())
    assert row['photo'] == 'people.jpg' and mean['photos'] == 1
    assert 0 <= row['close without the last steps'] <= row['close'] <= 1
    with pytest.raises(SystemExit):
        photos.main([])
    assert 'no photos: give --h36m' in capsys.readouterr().err


def test_several_crops_of_a_photo_with_known_joints(tmp_path):
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/a.png'), np.full((100, 100, 3), 90, np.uint8))
    joints = np.zeros((1, 24, 4), np.float32)
    rows = dict(
        imgname=['a.png'], center=[[50.0, 50.0]], scale=[0.3], S=joints, pose=np.zeros((1, 72))
    )
    np.savez(tmp_path / 'test_h36m.npz', **rows)
    (one,) = photos.read_h36m(tmp_path)
    np.testing.assert_array_equal(one.crop, photos.cut(tmp_path / 'images/a.png', [50, 50], 60.0))
    three = list(photos.read_h36m(tmp_path, 3))
    assert len(three) == 3 and {photo.name for photo in three} == {'a.png'}
    again = list(photos.read_h36m(tmp_path, 3))
    for first, second in zip(three, again, strict=True):
        np.testing.assert_array_equal(first.crop, second.crop)

# SPDX-License-Identifier: Apache-2.0
"""Tables by joint and attribute: groups and errors with known answers, and the page."""

import json

import numpy as np
import pytest

from fastmetro_mm.evaluation import AttributeReport
from fastmetro_mm.evaluation.attributes import (
    attributes_of,
    outside_share,
    share_group,
    size_group,
    view_groups,
)
from fastmetro_mm.evaluation.report_page import read_report, write_report_page

UPRIGHT = np.array([np.pi, 0, 0])  # camera axes point right, down and away


def sample(index: int, error: float, **known) -> dict:
    """A body whose right ankle alone is off, by metres along the camera's axis."""
    joints = np.ones((24, 4))
    joints[:, :3] = 0.3 * np.random.default_rng(1).normal(size=(24, 3))
    predicted = joints[[*range(13), 18], :3].copy()
    predicted[0, 2] += error
    return dict(
        img_key=f'{index}.jpg',
        sample_idx=index,
        gt_instance_labels=dict(
            joints_3d=joints[None], has_3d=np.ones(1), has_2d=np.zeros(1), has_smpl=np.zeros(1)
        ),
        pred_instances=dict(joints_3d=predicted[None]),
        **known,
    )


def turned(axis: int, degrees: float) -> np.ndarray:
    """The upright body that faces the camera, turned about an axis of its own."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler('xyz'[axis], degrees, degrees=True)
    return (Rotation.from_rotvec(UPRIGHT) * turn).as_rotvec()


def test_groups_by_hand():
    assert [share_group(share) for share in (0, 0.05, 0.1, 0.2, 0.9)] == [
        'none', 'up to 10 %', 'up to 10 %', '10 to 30 %', 'over 30 %',
    ]  # fmt: skip
    assert [size_group(side) for side in (63, 64, 200, 256)] == [
        'under 64 px', '64 to 128 px', '128 to 256 px', 'over 256 px',
    ]  # fmt: skip
    assert view_groups(UPRIGHT) == ('front', 'level')
    assert [view_groups(turned(1, angle))[0] for angle in (40, 90, -60, 180)] == [
        'front', 'side', 'side', 'back',
    ]  # fmt: skip
    # a body that leans forward shows its head to the camera before it
    assert [view_groups(turned(0, angle))[1] for angle in (45, 20, -45)] == [
        'from above', 'level', 'from below',
    ]  # fmt: skip
    # a crop of 100 px that begins at (50, 0) of an image of 100 x 80 px (width x height)
    matrix = np.array([[1.0, 0, 50], [0, 1, 0]])
    places = np.array([[-1.0, -1, 1], [0.5, 0, 1], [-0.5, 0.9, 1], [-0.5, 0.5, 1]])
    assert outside_share(places, matrix, 100.0, (80, 100)) == 0.5


def test_attributes_come_from_labels_that_are_there():
    assert attributes_of(sample(0, 0.0)) == {}
    known = sample(0, 0.0, hidden=0.2, pose_family='yoga', ori_shape=(80, 100))
    known |= dict(crop_to_image=np.eye(2, 3), input_size=(80, 80))
    known['gt_instances'] = dict(bbox_scales=np.full((1, 2), 90.0))
    labels = known['gt_instance_labels']
    labels |= dict(joints_2d=np.zeros((1, 24, 3)), has_2d=np.ones(1), has_smpl=np.ones(1))
    labels['pose'] = np.concatenate([UPRIGHT, np.zeros(69)])[None]
    assert attributes_of(known) == {
        'truncation': 'none', 'occlusion': '10 to 30 %', 'view': 'front', 'pose': 'yoga',
        'height of the camera': 'level', 'size': '64 to 128 px',
    }  # fmt: skip


def test_tables_and_page(tmp_path):
    metric = AttributeReport(tmp_path)
    samples = [sample(0, 0.14, hidden=0.0), sample(1, 0.28, hidden=0.5), sample(2, 0.0)]
    samples.append(sample(3, 1.0))
    samples[3]['gt_instance_labels']['has_3d'] = np.zeros(1)
    metric.process(None, samples)
    assert metric.evaluate(4) == {}
    report = json.loads((tmp_path / 'report.json').read_text())
    # 14 cm at one of 14 joints are 10 mm a joint
    assert report['everybody'][0]['count'] == 3
    assert report['everybody'][0]['MPJPE'] == pytest.approx(10.0)
    ankle, knee = report['joints'][:2]
    assert (ankle['name'], ankle['MPJPE']) == ('R_Ankle', pytest.approx(140.0))
    assert (knee['name'], knee['MPJPE']) == ('R_Knee', pytest.approx(0.0))
    assert {row['name']: row['MPJPE'] for row in report['attributes']['occlusion']} == {
        'none': pytest.approx(10.0),
        'over 30 %': pytest.approx(20.0),
    }
    assert [row['img_key'] for row in report['images']] == ['1.jpg', '0.jpg', '2.jpg']
    assert report['images'][0]['MPJPE'] == pytest.approx(20.0)

    image = np.full((8, 8, 3), 200, np.uint8)
    page = write_report_page(
        tmp_path / 'report.html', 'a <b>', read_report(tmp_path / 'report.json'), [('1', image)]
    ).read_text()
    assert 'a &lt;b&gt;' in page and '<td>R_Ankle</td><td>3</td><td>140.0</td>' in page
    assert page.count('data:image/jpeg;base64,') == 1 and 'By occlusion' in page


def test_a_set_without_labels_gives_empty_tables(tmp_path):
    metric = AttributeReport(tmp_path)
    unlabelled = sample(0, 0.1)
    unlabelled['gt_instance_labels']['has_3d'] = np.zeros(1)
    metric.process(None, [unlabelled])
    metric.evaluate(1)
    report = read_report(tmp_path / 'report.json')
    assert report['images'] == [] and write_report_page(tmp_path / 'a.html', 'a', report).is_file()

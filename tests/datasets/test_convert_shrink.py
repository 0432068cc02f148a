# SPDX-License-Identifier: Apache-2.0
"""Shrunk sets: the network sees the same crops and labels."""

import cv2
import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.shrink import ShrunkSource
from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow, write_tsv_set


@pytest.fixture
def large_set(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for index, side in enumerate((150, 260, 500)):
        image = cv2.resize(
            rng.integers(0, 256, (20, 25, 3)).astype(np.uint8),
            (1000, 800),
            interpolation=cv2.INTER_CUBIC,
        )
        center = np.array([300.0 + 150 * index, 380.0])
        points = np.column_stack([rng.uniform(-0.5, 0.5, (24, 2)) * side + center, np.ones(24)])
        joints = np.column_stack([rng.normal(0, 0.3, (24, 3)), np.ones(24)])
        rows.append(
            TSVRow(
                f'{index}.jpg',
                cv2.imencode('.png', image)[1].tobytes(),
                make_label(
                    center,
                    side / 200,
                    points,
                    joints,
                    rng.normal(0, 0.3, 72),
                    rng.normal(size=10),
                    'male',
                ),
            )
        )
    return write_tsv_set(tmp_path / 'large', 'train', rows)


@pytest.mark.parametrize('fixed', [dict(), dict(flip=1, rot=45.0, scale=1.25)])
def test_crops_and_labels_stay(large_set, tmp_path, fixed):
    report = run_conversion(ShrunkSource(large_set), tmp_path / 'small', 'train')
    assert (report.num_rows, report.num_skipped) == (3, 0)
    pipeline = [
        dict(type='LoadMeshImage'),
        dict(type='MeshAugment', fixed=fixed),
        dict(type='MeshCrop', mode='fast'),
    ]
    before = MeshTSVDataset(large_set, pipeline, test_mode=True)
    after = MeshTSVDataset(report.yaml_path, pipeline, test_mode=True)
    assert [after.get_data_info(i)['ori_shape'] for i in range(3)] == [
        (270, 270),
        (468, 468),
        (717, 762),
    ]  # 1.8 x 150, 1.8 x 260; 800 x 850 of 500:448
    for index in range(3):
        old, new = before[index], after[index]
        # whole-pixel corners of the crop may fall a pixel apart
        difference = np.abs(old['img'].astype(float) - new['img'])
        assert difference.mean() < 3
        np.testing.assert_allclose(new['joints_2d'], old['joints_2d'], atol=2.5 / 112)
        for name in ('joints_3d', 'pose', 'betas'):
            np.testing.assert_allclose(new[name], old[name], atol=1e-6)
        assert new['gender'] == 'male'


def test_rows_without_a_box_in_the_image(large_set, tmp_path):
    label = large_set.with_name('train.label.tsv')
    text = label.read_text().replace('"center": [300.0', '"center": [5000.0')
    label.write_text(text)
    report = run_conversion(ShrunkSource(large_set), tmp_path / 'small', 'train')
    assert report.reasons == {'the box lies outside of the image': 1}
    with pytest.raises(ValueError, match='margin'):
        ShrunkSource(large_set, margin=0.5)

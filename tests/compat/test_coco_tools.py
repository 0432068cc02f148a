# SPDX-License-Identifier: Apache-2.0
"""The stand-in for xtcocotools gives xtcocotools' numbers."""

import copy
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from fastmetro_mm.compat import coco_tools

xtcocotools = pytest.importorskip('xtcocotools.coco')


def make_sets(with_area: bool) -> tuple[dict, list]:
    """Truth and noisy results for 12 images with up to three people of 14 points."""
    draw = np.random.default_rng(3)
    truth, results = [], []
    for image in range(12):
        for _ in range(draw.integers(1, 4)):
            corner, size = draw.uniform(0, 200, 2), draw.uniform(40, 160, 2)
            points = np.column_stack(
                [corner + draw.uniform(0, 1, (14, 2)) * size, draw.integers(0, 3, 14)]
            )
            entry = dict(
                id=len(truth) + 1,
                image_id=image,
                category_id=1,
                iscrowd=0,
                bbox=[*map(float, corner), *map(float, size)],
                num_keypoints=int((points[:, 2] > 0).sum()),
                keypoints=points.reshape(-1).tolist(),
            )
            if with_area:
                entry['area'] = float(size.prod() * 0.7)
            truth.append(entry)
            found = points.copy()
            found[:, :2] += draw.normal(0, draw.uniform(1, 12), (14, 2))
            found[:, 2] = 0.9
            results.append(
                dict(
                    image_id=image,
                    category_id=1,
                    score=float(draw.uniform()),
                    keypoints=found.reshape(-1).tolist(),
                )
            )
    # a result without any sure point is left out by xtcocotools
    results[0]['keypoints'][2::3] = [0.0] * 14
    content = dict(
        images=[dict(id=i, width=400, height=400) for i in range(12)],
        categories=[dict(id=1, name='person')],
        annotations=truth,
    )
    return content, results


@pytest.mark.parametrize('use_area', [True, False])
def test_key_point_precision_equals_xtcocotools(use_area):
    from xtcocotools.cocoeval import COCOeval as RealEval

    content, results = make_sets(with_area=use_area)
    sigmas = np.linspace(0.03, 0.1, 14)
    scores = []
    for data, evaluation in ((xtcocotools.COCO, RealEval), (coco_tools.COCO, coco_tools.COCOeval)):
        truth = data(ann_data=copy.deepcopy(content), annotation_file='given')
        found = truth.loadRes(copy.deepcopy(results))
        run = evaluation(truth, found, 'keypoints', sigmas, use_area)
        run.params.useSegm = None
        run.evaluate()
        run.accumulate()
        run.summarize()
        scores.append(run.stats)
    assert 0.1 < scores[0][0] < 0.9
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-12)


def test_no_results_is_allowed():
    content, _ = make_sets(with_area=True)
    assert coco_tools.COCO(ann_data=content).loadRes([]).getAnnIds() == []


def test_other_kinds_are_refused_by_name():
    with pytest.raises(NotImplementedError, match=r'keypoints_wholebody.*needs xtcocotools'):
        coco_tools.COCOeval(iouType='keypoints_wholebody')


def test_installed_package_wins_and_stand_in_steps_in(tmp_path):
    code = """
import sys
if sys.argv[1] == 'hide':
    import importlib.machinery
    real = importlib.machinery.PathFinder.find_spec
    importlib.machinery.PathFinder.find_spec = lambda name, *rest, **more: (
        None if name.split('.')[0] == 'xtcocotools' else real(name, *rest, **more))
import fastmetro_mm
from fastmetro_mm.compat.xtcocotools import is_stand_in
import xtcocotools.mask as mask
from xtcocotools.coco import COCO
print(is_stand_in(), COCO.__module__, callable(mask.iou))
"""
    for word, expected in (
        ('hide', 'True fastmetro_mm.compat.coco_tools True'),
        ('keep', 'False xtcocotools.coco True'),
    ):
        done = subprocess.run(
            [sys.executable, '-c', code, word],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stdout.strip() == expected
    assert importlib.util.find_spec('xtcocotools') is not None

# SPDX-License-Identifier: Apache-2.0
"""Boxes from mmdet, and what is said when it cannot be set up."""

import numpy as np
import pytest
import torch

from fastmetro_mm.apis.detector import PersonDetector
from fastmetro_mm.errors import DetectorError


def test_mistakes_are_one_line(tmp_path):
    for arguments, message in (
        ((None,), 'needs weights: download'),
        ((tmp_path / 'no.pth',), 'no such file'),
    ):
        with pytest.raises(DetectorError, match=message) as caught:
            PersonDetector(*arguments)
        assert '\n' not in str(caught.value)
    (tmp_path / 'w.pth').touch()
    with pytest.raises(DetectorError, match='no such detector config'):
        PersonDetector(tmp_path / 'w.pth', 'rtmdet/none.py')


@pytest.mark.filterwarnings('ignore')
def test_the_smallest_rtmdet_runs(tmp_path):
    """Not trained: what counts is that mmdet's own config builds, loads and answers in boxes."""
    from mmdet.apis import init_detector

    name = 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    import mmdet
    from mmengine.config import Config

    config = Config.fromfile(f'{mmdet.__path__[0]}/.mim/configs/{name}')
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = init_detector(config, None, palette='random', device='cpu')
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'tiny.pth')
    detector = PersonDetector(tmp_path / 'tiny.pth', name, score_threshold=0.0, labels=range(80))
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    boxes = detector(image)
    assert all(box.bbox.shape == (4,) and 0 <= box.score <= 1 for box in boxes)
    detector.score_threshold = 1.1
    assert detector(image) == []

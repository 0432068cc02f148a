# SPDX-License-Identifier: Apache-2.0
"""Person boxes from a detector of mmdet (RTMDet unless told otherwise); mmdet is loaded lazily."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.overlap import keep_separate
from fastmetro_mm.errors import DetectorError

DEFAULT_CONFIG = 'rtmdet/rtmdet_m_8xb32-300e_coco.py'
"""Config inside mmdet's package; its weights are on the RTMDet page of mmdet."""


class PersonDetector:
    """Finds people with any mmdet model.

    Args:
        weights: Checkpoint file of the detector.
        config: Config of the detector: a path, or a name inside mmdet's ``configs``; RTMDet-m
            trained on COCO if not given.
        device: ``cpu``, ``cuda``...
        score_threshold: Least confidence of a box.
        iou_threshold: Of two boxes that overlap more, the less confident one is dropped.
        labels: Class numbers that count as people; 0 in COCO.

    Raises:
        DetectorError: If weights, config or mmdet are missing; one line with the fix.
    """

    def __init__(
        self,
        weights: str | Path | None,
        config: Any = None,
        device: str = 'cpu',
        score_threshold: float = 0.4,
        iou_threshold: float = 0.65,
        labels: Sequence[int] = (0,),
    ) -> None:
        config = DEFAULT_CONFIG if config is None else config
        if weights is None:
            raise DetectorError(
                'the person detector needs weights: download those of RTMDet-m from mmdet '
                '(configs/rtmdet/README.md) and give the file with --detector-weights, or give '
                'boxes with --bbox or --boxes, or use the whole image with --detector none'
            )
        if not Path(weights).is_file():
            raise DetectorError(f'{weights}: no such file of detector weights: check the path')
        if importlib.util.find_spec('mmdet') is None:
            raise DetectorError(
                'the person detector needs mmdet, which is not installed; run '
                'tools/setup.sh, or give boxes with --bbox or --boxes'
            )
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.labels = tuple(labels)
        self._model = _build(config, str(weights), device)

    def __call__(self, image: np.ndarray) -> list[PersonBox]:
        """Find people in an image.

        Args:
            image: RGB. (H, W, 3) uint8

        Returns:
            Boxes, the most confident first; possibly none.
        """
        from mmdet.apis import inference_detector

        sample: Any = inference_detector(self._model, np.ascontiguousarray(image[..., ::-1]))
        found = sample.pred_instances
        scores = found.scores.cpu().numpy()
        used = np.isin(found.labels.cpu().numpy(), self.labels) & (scores > self.score_threshold)
        boxes, scores = found.bboxes.cpu().numpy()[used].astype(np.float64), scores[used]
        return [
            PersonBox(boxes[index], float(scores[index]))
            for index in keep_separate(boxes, scores, self.iou_threshold)
        ]


def _build(config: Any, weights: str, device: str) -> Any:
    """The detector, with the package's stand-ins for what mmcv-lite lacks."""
    import mmdet
    from mmdet.apis import init_detector
    from mmengine.config import Config

    if isinstance(config, (str, Path)) and not Path(config).is_file():
        inside = Path(mmdet.__file__).parent / '.mim' / 'configs' / config
        if not inside.is_file():
            raise DetectorError(
                f'{config}: no such detector config, here or in mmdet: give a '
                f'path, or a name such as {DEFAULT_CONFIG}'
            )
        config = inside
    if isinstance(config, (str, Path)):
        config = Config.fromfile(config)
    config = copy.deepcopy(config)
    # weights are loaded: no need for those of the backbone alone
    if 'backbone' in config.model:
        config.model.backbone.pop('init_cfg', None)
    return init_detector(config, weights, palette='random', device=device)

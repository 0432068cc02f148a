# SPDX-License-Identifier: Apache-2.0
"""What mmpose takes from xtcocotools, on pycocotools: the contents of the stand-in package.

xtcocotools 1.14.3 is published as source for NumPy 1 and does not build on Python 3.13; pycocotools
has wheels everywhere. The arguments and results here are those of xtcocotools; its key-point kinds
for crowds and whole bodies are refused by name.
"""

# The stubs of pycocotools know neither key points nor subclasses.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportReturnType=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import json
from typing import Any

import numpy as np
from pycocotools import coco as _coco
from pycocotools import cocoeval as _cocoeval

_KINDS = ('keypoints', 'bbox', 'segm')


class COCO(_coco.COCO):
    """Annotations in COCO's format.

    Args:
        annotation_file: Path of a JSON file.
        test_index: Keep only these key points of every annotation.
        ann_data: Content of the file, for one that has been read already.
    """

    def __init__(
        self,
        annotation_file: str | None = None,
        test_index: Any = None,
        ann_data: dict | None = None,
    ) -> None:
        super().__init__()
        self.anno_file = [annotation_file]
        self.test_index = test_index
        if ann_data is None:
            if annotation_file is None:
                return
            with open(annotation_file, encoding='utf-8') as file:
                ann_data = json.load(file)
        for annotation in ann_data.get('annotations', ()):
            annotation.setdefault('iscrowd', False)
            if test_index is not None:
                points = np.reshape(annotation['keypoints'], (-1, 3))[test_index]
                annotation['keypoints'] = points.reshape(-1).tolist()
        self.dataset = ann_data
        self.createIndex()

    def loadRes(self, resFile: Any, resData: list | None = None) -> 'COCO':
        """Results as annotations of their own; an empty list is allowed."""
        if len(self.anno_file) == 1:
            self.anno_file.append(resFile)
        results = resFile if resData is None else resData
        if isinstance(results, list) and not results:
            empty = COCO()
            empty.dataset = dict(images=list(self.dataset['images']), annotations=[])
            empty.createIndex()
            return empty
        return super().loadRes(results)


class COCOeval(_cocoeval.COCOeval):
    """Average precision of boxes, masks or key points.

    Args:
        cocoGt: Truth.
        cocoDt: Results, see `COCO.loadRes`.
        iouType: ``keypoints``, ``bbox`` or ``segm``.
        sigmas: (K,) tolerance of each key point; COCO's 17 if not given.
        use_area: False takes 0.53 of the box for the area, for truth without areas.

    Raises:
        NotImplementedError: Another ``iouType`` (crowds, whole bodies), which needs xtcocotools.
    """

    def __init__(
        self,
        cocoGt: Any = None,
        cocoDt: Any = None,
        iouType: str = 'keypoints',
        sigmas: Any = None,
        use_area: bool = True,
    ) -> None:
        if iouType not in _KINDS:
            raise NotImplementedError(
                f'iou_type {iouType!r} needs xtcocotools, which is not installed (it does not '
                'build on Python 3.13): use Python 3.12 or older, or one of ' + ', '.join(_KINDS)
            )
        super().__init__(cocoGt, cocoDt, iouType)
        self.use_area = use_area
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)
        if cocoGt is not None:
            self.anno_file = cocoGt.anno_file

    def _prepare(self) -> None:
        """As xtcocotools: people without labelled points, and empty results, do not count."""
        for annotation in self.cocoGt.anns.values():
            if 'area' not in annotation or not self.use_area:
                annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3] * 0.53
            if self.params.iouType == 'keypoints':
                annotation['num_keypoints'] = int(
                    np.count_nonzero(np.asarray(annotation['keypoints'][2::3]) > 0)
                )
        super()._prepare()
        if self.params.iouType == 'keypoints':
            for key, results in self._dts.items():
                self._dts[key] = [
                    result
                    for result in results
                    if np.any(np.asarray(result['keypoints'][2::3]) > 0)
                ]

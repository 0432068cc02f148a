# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression with mmcv's arguments and return values, on torchvision's kernel."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastmetro_mm.compat.placeholders import FullMMCVRequiredError

Array = Tensor | np.ndarray


def nms(
    boxes: Array,
    scores: Array,
    iou_threshold: float,
    offset: int = 0,
    score_threshold: float = 0,
    max_num: int = -1,
) -> tuple[Array, Array]:
    """Greedy non-maximum suppression.

    Args:
        boxes (Tensor | np.ndarray): (N, 4) corners x1, y1, x2, y2 in pixels.
        scores (Tensor | np.ndarray): (N,).
        iou_threshold (float): a box goes when its IoU with a better one is above this.
        offset (int): 0, or 1 for the old convention that a box is ``x2 - x1 + 1`` wide.
        score_threshold (float): boxes at or below it are left out first; 0 keeps all.
        max_num (int): keep at most so many; -1 keeps all.

    Returns:
        tuple: dets (K, 5), the boxes with their score, best first, and their indices (K,) in the
        input. Numpy arrays if the input was.

    Source: interface of ``mmcv.ops.nms`` 2.1.0.

    Raises:
        ValueError: shapes or ``offset`` are wrong.
    """
    is_numpy = isinstance(boxes, np.ndarray)
    boxes = torch.as_tensor(boxes)
    scores = torch.as_tensor(scores)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.shape[0] != scores.shape[0]:
        raise ValueError(
            f'nms expects boxes (N, 4) and scores (N,), got {tuple(boxes.shape)} and '
            f'{tuple(scores.shape)}'
        )
    if offset not in (0, 1):
        raise ValueError(f'nms offset must be 0 or 1, got {offset}')

    candidates = torch.arange(len(scores), device=boxes.device)
    if score_threshold > 0:
        candidates = candidates[scores > score_threshold]
    extents = boxes[candidates]
    if offset:
        # one pixel more to the right and bottom gives every width and intersection its + 1
        extents = extents + extents.new_tensor([0, 0, 1, 1])
    import torchvision  # here: most who import the operators never run one

    kept = candidates[torchvision.ops.nms(extents, scores[candidates], float(iou_threshold))]
    if max_num > 0:
        kept = kept[:max_num]
    dets = torch.cat([boxes[kept], scores[kept, None]], dim=1)
    return (dets.numpy(), kept.numpy()) if is_numpy else (dets, kept)


def batched_nms(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    nms_cfg: dict[str, Any] | None,
    class_agnostic: bool = False,
) -> tuple[Tensor, Tensor]:
    """Suppress boxes only by better boxes of the same class.

    Args:
        boxes (Tensor): (N, 4) corners in pixels.
        scores (Tensor): (N,).
        idxs (Tensor): (N,) class (or level, or image) of each box.
        nms_cfg (dict | None): arguments for :func:`nms`, and ``type`` ('nms'),
            ``class_agnostic`` and ``split_thr`` (so many boxes or more are done class by class).
            None only sorts by score.
        class_agnostic (bool): suppress across classes; an entry in ``nms_cfg`` wins.

    Returns:
        tuple: dets (K, 5), best first, and their indices (K,) in the input.

    Source: interface of ``mmcv.ops.batched_nms`` 2.1.0.

    Raises:
        FullMMCVRequiredError: ``type`` is another than 'nms', or boxes are rotated.
    """
    if nms_cfg is None:
        sorted_scores, order = scores.sort(descending=True)
        return torch.cat([boxes[order], sorted_scores[:, None]], dim=-1), order

    options = dict(nms_cfg)
    class_agnostic = options.pop('class_agnostic', class_agnostic)
    split_thr = options.pop('split_thr', 10000)
    kind = options.pop('type', 'nms')
    if kind not in ('nms', nms):
        raise FullMMCVRequiredError(kind if isinstance(kind, str) else kind.__name__)
    if boxes.shape[-1] == 5:
        raise FullMMCVRequiredError('nms_rotated')
    if boxes.numel() == 0:
        return boxes.new_zeros((0, 5)), idxs.new_zeros((0,), dtype=torch.long)

    if class_agnostic:
        shifted = boxes
    else:
        # every class on its own island, so that one pass compares only boxes of one class
        shifted = boxes + (idxs.to(boxes) * (boxes.max() + 1))[:, None]

    if len(shifted) < split_thr:
        _, kept = nms(shifted, scores, **options)
    else:
        # as mmcv: class by class, and the limit on the number only at the end
        max_num = options.pop('max_num', -1)
        parts = []
        for group in torch.unique(idxs):
            members = torch.nonzero(idxs == group).flatten()
            parts.append(members[nms(shifted[members], scores[members], **options)[1]])
        kept = torch.cat(parts)
        kept = kept[scores[kept].argsort(descending=True)]
        if max_num > 0:
            kept = kept[:max_num]
    return torch.cat([boxes[kept], scores[kept, None]], dim=-1), torch.as_tensor(kept)

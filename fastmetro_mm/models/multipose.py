# SPDX-License-Identifier: Apache-2.0
"""MoveNet MultiPose: boxes and keypoints of all people in an image, in one pass."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastmetro_mm.models.backbones.mobilenet_fpn import MobileNetFPN
from fastmetro_mm.models.backbones.movenet import STRIDE, WIDTHS, cells_of
from fastmetro_mm.models.weight_files import load_weights

HEADS = {
    'centers': 1,
    'box_scales': 2,
    'box_offsets': 2,
    'heatmaps': 17,
    'regressions': 34,
    'offsets': 34,
}
# Spread of the weight around a keypoint's predicted place, as a share of the map's shorter side.
SPREAD = 0.300048828125
# people decoded together: of a large image each takes 17 maps of its size
PEOPLE_AT_ONCE = 8
# a keypoint below this does not count for the score of its person
LEAST_KEYPOINT_SCORE = 0.126953125


class MultiPose(nn.Module):
    """MobileNetV2 x1.5 with FPN and six heads, and their decoding.

    The source decodes at most six people; here it is any number.

    Args:
        weights: Name of a shipped network or a safetensors file; None: random weights.
    """

    def __init__(self, weights: str | None = 'movenet_multipose') -> None:
        super().__init__()
        self.net = MobileNetFPN(WIDTHS['multipose'], HEADS)
        if weights is not None:
            self.net.load_state_dict(load_weights(weights))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(
        self, x: Tensor, max_people: int = 20, least_score: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find people.

        Args:
            x: RGB image, normalised with ``movenet.INPUT_MEAN`` and ``INPUT_STD``. (1, 3, H, W),
                H and W multiples of 32
            max_people: Most people that are decoded.
            least_score: People whose score cannot reach this are left out.

        Returns:
            Boxes x1 y1 x2 y2 (N, 4) and keypoints x, y, score in COCO's order (N, 17, 3), in
            pixels from the upper left corner of the image, and scores (N,), of falling confidence
            of the centre.
        """
        maps = {name: value[0].float() for name, value in self.net(x).items() if name in HEADS}
        return decode_people(**maps, max_people=max_people, least_score=least_score)


def _highest(
    heat: Tensor, cells: Tensor, about: Tensor, inside: Tensor, spread: float
) -> tuple[Tensor, Tensor]:
    """Weighted score and cell of every keypoint of some people, (N, 17) each."""
    distance = (cells - about.unsqueeze(2)).square().sum(-1)  # (N, 17, h*w)
    return (heat * (-distance / spread).exp() * inside[:, None]).max(-1)


def decode_people(
    centers: Tensor,
    box_scales: Tensor,
    box_offsets: Tensor,
    heatmaps: Tensor,
    regressions: Tensor,
    offsets: Tensor,
    max_people: int,
    least_score: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """People in the raw maps of one image.

    A peak of the centre map is a person. Its box stands at its cell; each keypoint is where the
    heat map, weighted by a Gaussian around the regressed place, is highest inside the box, and
    that weighted value is its score. (The source takes the highest value that any of its six
    people has at that cell, which gives false people the scores of true ones; for people who
    share no keypoint it is the same.)

    Args:
        centers: Logits. (1, h, w)
        box_scales: Height and width, cells. (2, h, w)
        box_offsets: Row and column of the box's middle from the cell. (2, h, w)
        heatmaps: Logits. (17, h, w)
        regressions: From the cell to the keypoints, row and column pairs. (34, h, w)
        offsets: From a keypoint's cell to the keypoint, row and column pairs. (34, h, w)
        max_people: Most people that are decoded.
        least_score: See ``MultiPose.forward``.

    Returns:
        See ``MultiPose.forward``.
    """
    joints, height, width = heatmaps.shape
    size = heatmaps.new_tensor([height, width])
    cells = cells_of(height, width, heatmaps.device)  # (h*w, 2)
    peaks = centers.sigmoid()[None]
    peaks = peaks * ((F.max_pool2d(peaks, 5, 1, 2) - peaks).abs() < 1e-6)
    center_scores, index = peaks.flatten().topk(min(max_people, height * width))
    # the score is that of the centre times a mean below 1
    likely = center_scores >= least_score
    center_scores, index = center_scores[likely], index[likely]
    center = cells[index]  # (N, 2)
    middle = center + box_offsets.flatten(1)[:, index].T
    half = box_scales.flatten(1)[:, index].T.clamp(min=0) / 2
    upper = torch.minimum((middle - half).clamp(min=0), size)
    lower = torch.minimum((middle + half).clamp(min=0), size)

    about = regressions.flatten(1)[:, index].view(joints, 2, -1).permute(2, 0, 1) + center[:, None]
    inside = ((cells >= upper[:, None]) & (cells < lower[:, None])).all(-1)  # (N, h*w)
    heat = heatmaps.sigmoid().flatten(1)
    spread = min(height, width) * SPREAD
    groups = zip(about.split(PEOPLE_AT_ONCE), inside.split(PEOPLE_AT_ONCE), strict=True)
    found = [_highest(heat, cells, places, within, spread) for places, within in groups]
    scores, best = (torch.cat(parts) for parts in zip(*found, strict=True))
    shifts = offsets.view(joints, 2, -1).permute(0, 2, 1)  # (17, h*w, 2)
    shift = shifts[torch.arange(joints, device=best.device), best]  # (N, 17, 2)
    places = (cells[best] + shift).flip(-1) * STRIDE

    counted = scores > LEAST_KEYPOINT_SCORE
    mean = (scores * counted).sum(1) / counted.sum(1).clamp(min=1)
    boxes = torch.cat([upper.flip(1), lower.flip(1)], dim=1) * STRIDE
    keypoints = torch.cat([places, scores.unsqueeze(-1)], dim=-1)
    return boxes, keypoints, center_scores * mean

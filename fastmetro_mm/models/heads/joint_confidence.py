# SPDX-License-Identifier: Apache-2.0
"""How likely each predicted joint is right, told from the key points that it was lifted from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastmetro_mm.body.joint_sets import J14
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.heads.keypoint_fit import COCO17

_FACE = ('Nose', 'L_Eye', 'R_Eye', 'L_Ear', 'R_Ear')
# joints nearer to the trunk: a limb is no better known than what it hangs on
_INNER = {'Ankle': ('Knee', 'Hip'), 'Knee': ('Hip',), 'Wrist': ('Elbow', 'Shoulder'),
          'Elbow': ('Shoulder',)}  # fmt: skip
_SURE = 0.99


class JointConfidence(nn.Module):
    """Probability that a joint lies near its true place, from the scores of key points.

    Scores rank joints but are no probabilities, and joints differ in how far they go wrong: the
    logistic curve of each was fitted on drawn people (`projects/free_model/lifting/confidence.py`).
    A limb's joint takes the least score from itself to the trunk, the neck the mean of the
    shoulders, the head the best of the face.

    Args:
        slope: Of the curve, for the logit of a score.
        bias: Of each of the 14 joints.

    Raises:
        ConfigError: Another number of joints.
    """

    bias: Tensor

    def __init__(self, slope: float, bias: Sequence[float]) -> None:
        super().__init__()
        if len(bias) != len(J14):
            raise ConfigError(f'confidence.bias has {len(bias)} numbers, expected {len(J14)}')
        self.slope = slope
        self.register_buffer('bias', torch.tensor(bias, dtype=torch.float32), persistent=False)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Judge the joints.

        Args:
            keypoints: COCO's, x, y and a score of 0 to 1. (B, 17, 3)

        Returns:
            Probabilities in the order of the 14 joints. (B, 14)
        """
        odds = torch.logit(joint_scores(keypoints), eps=1 - _SURE)
        return torch.sigmoid(self.slope * odds + self.bias)


def joint_scores(keypoints: Tensor) -> Tensor:
    """Scores of the 14 joints by those of key points (B, 17, 3): (B, 14)."""
    score = dict(zip(COCO17, keypoints[..., 2].float().unbind(-1), strict=True))

    def of(name: str) -> Tensor:
        if name == 'Neck':
            return (score['L_Shoulder'] + score['R_Shoulder']) / 2
        if name == 'Head':
            return torch.stack([score[part] for part in _FACE]).amax(0)
        side, _, part = name.partition('_')
        chain = (part, *_INNER.get(part, ()))
        return torch.stack([score[f'{side}_{one}'] for one in chain]).amin(0)

    return torch.stack([of(name) for name in J14], dim=-1)

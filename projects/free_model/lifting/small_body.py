# SPDX-License-Identifier: Apache-2.0
"""A body on the few vertices that joints and the coarse mesh need: a tenth of the work."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_regression import joint_regressor_matrix
from fastmetro_mm.body.joint_sets import H36M17_PELVIS, H36M17_TO_J14, J24, index_map

COCO17 = (
    'Nose', 'L_Eye', 'R_Eye', 'L_Ear', 'R_Ear', 'L_Shoulder', 'R_Shoulder', 'L_Elbow', 'R_Elbow',
    'L_Wrist', 'R_Wrist', 'L_Hip', 'R_Hip', 'L_Knee', 'R_Knee', 'L_Ankle', 'R_Ankle',
)  # fmt: skip
"""COCO's key points by the names of our labels."""
J24_TO_COCO17 = list(index_map(COCO17, J24))
COCO17_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def keypoint_errors(keypoints: Tensor, places: Tensor) -> Tensor:
    """Errors and scores of key points (N, 17, 3), of those crops that show all of them.

    Args:
        keypoints: x, y on the crop in [-1, 1] and a score. (B, 17, 3)
        places: The labels' joints, x, y and whether they are shown. (B, 24, 3)
    """
    truth = places[:, J24_TO_COCO17]
    whole = (truth[..., 2] > 0).all(1)
    errors = keypoints[..., :2] - truth[..., :2]
    return torch.cat((errors, keypoints[..., 2:]), -1)[whole]


@dataclass
class SmallMesh:
    """A posed body, metres, camera axes, on the root.

    Attributes:
        vertices: Those of the small body. (B, N, 3)
        coarse: Coarse mesh. (B, 431, 3)
        joints: The 24 joints of the labels. (B, 24, 3)
        scored: The 14 joints that predictions are scored by. (B, 14, 3)
    """

    vertices: Tensor
    coarse: Tensor
    joints: Tensor
    scored: Tensor


class SmallBody(nn.Module):
    """Skinning of some 700 of a body's 6,890 vertices.

    Args:
        name: ``'open_body'``, or ``'smpl'`` where its files are.
    """

    def __init__(self, name: str = 'open_body') -> None:
        super().__init__()
        assets = load_body_assets(name)
        label_rows = joint_regressor_matrix(assets, 'j24', load_model_arrays(name))
        scored_rows = assets.J_regressor_h36m
        coarse = (assets.down[1] @ assets.down[0]).tocsr().indices
        used = np.unique(
            np.concatenate(
                [np.flatnonzero(label_rows.any(0)), np.flatnonzero(scored_rows.any(0)), coarse]
            )
        )
        model = build_body_model(name)
        self.parents = model.parents
        whole = model.num_vertices
        for name in ('v_template', 'directions'):
            rows = getattr(model, name)
            picked = rows.view(len(rows), 3, whole)[:, :, used]
            setattr(model, name, picked.reshape(len(rows), -1).contiguous())
        model.weights = model.weights[:, used].contiguous()
        model.num_vertices = len(used)
        self.model = model
        places = {int(vertex): index for index, vertex in enumerate(used)}
        self.register_buffer('coarse', torch.tensor([places[int(v)] for v in coarse]))
        self.register_buffer('label_rows', torch.tensor(label_rows[:, used]).float())
        self.register_buffer('scored_rows', torch.tensor(scored_rows[:, used]).float())

    def forward(self, rotmat: Tensor, betas: Tensor) -> SmallMesh:
        """Pose it.

        Args:
            rotmat: Rotations against the parent, the root against the camera. (B, 24, 3, 3)
            betas: (B, 10)
        """
        vertices = self.model(rotmat, betas).vertices
        regressed = self.scored_rows @ vertices
        root = regressed[:, H36M17_PELVIS : H36M17_PELVIS + 1]
        vertices = vertices - root
        return SmallMesh(
            vertices,
            vertices[:, self.coarse],
            self.label_rows @ vertices,
            regressed[:, list(H36M17_TO_J14)] - root,
        )

# SPDX-License-Identifier: Apache-2.0
"""3DPW: training split to fine-tune, ``test_has_gender`` to evaluate, as the official code.

Ground-truth meshes are *neutral* SMPL although the labels carry a gender: that is what the
published MPVPE of 82.95 mm means. It cannot be compared with numbers against gendered meshes.
"""

from mmengine.config import read_base

from fastmetro_mm.evaluation import MeshVertexMetric

with read_base():
    from .h36m_mixed import *
    from .smpl_body import *

train_dataloader.update(dataset=dict(ann_file='3dpw/train.yaml'))
val_dataloader.update(dataset=dict(ann_file='3dpw/test_has_gender.yaml'))
test_dataloader = val_dataloader
val_evaluator = [dict(type=MeshJointMetric), dict(type=MeshVertexMetric)]
test_evaluator = val_evaluator

# SPDX-License-Identifier: Apache-2.0
"""Official schedule for bodies: 60 epochs of AdamW at a constant rate."""

from mmengine.optim import OptimWrapper, StepLR
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import AdamW

train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=60, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)

optim_wrapper = dict(
    type=OptimWrapper,
    # fused: one pass over the weights instead of a dozen, the same steps
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=0.3, norm_type=2),
)
# The official code drops the rate at epoch 100 of 60: it never does.
param_scheduler = [dict(type=StepLR, step_size=100, gamma=0.1, by_epoch=True)]

# learning rate above = 4 GPUs x 16 images; used by --auto-scale-lr
auto_scale_lr = dict(enable=False, base_batch_size=64)

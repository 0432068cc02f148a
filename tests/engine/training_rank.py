# SPDX-License-Identifier: Apache-2.0
"""One rank of a training step, started by ``test_rank_equality.py``."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import distributed
from torch.optim import SGD

from fastmetro_mm import config_path
from fastmetro_mm.engine import MeshDistributedDataParallel
from fastmetro_mm.structures import MeshDataSample


def make_sample(number: int, is_hand: bool) -> dict:
    """A crop of noise with every label there is; the same for the same number."""
    rng = np.random.default_rng(number)
    joints = 21 if is_hand else 24

    def draw(*shape, scale):
        return torch.from_numpy(rng.normal(0, scale, (1, *shape))).float()

    labels = InstanceData()
    labels.joints_2d = torch.cat([draw(joints, 2, scale=0.4), torch.ones(1, joints, 1)], -1)
    labels.joints_3d = torch.cat([draw(joints, 3, scale=0.3), torch.ones(1, joints, 1)], -1)
    labels.pose = draw(48 if is_hand else 72, scale=0.3)
    labels.betas = draw(10, scale=1.0)
    labels.has_smpl = labels.has_2d = labels.has_3d = torch.ones(1)
    sample = MeshDataSample()
    sample.gt_instance_labels = labels
    pixels = rng.integers(0, 256, (3, 96, 96), dtype=np.uint8)
    return dict(inputs=torch.from_numpy(pixels), data_samples=sample)


def build_model(config: str) -> torch.nn.Module:
    """Network of a config with frozen BatchNorm and the same start everywhere."""
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path(config))
    cfg.model.backbone.norm_eval = True
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.train()


def main(config: str, rank: int, world: int, accumulate: int, total: int, folder: Path) -> None:
    """Take one optimiser step over ``total`` samples; write losses and gradients.

    Every rank takes its share of the samples in ``accumulate`` batches, through the train_step
    and the optimiser wrapper that the training loop uses.
    """
    torch.set_num_threads(1)
    if world > 1:
        distributed.init_process_group(
            'gloo', init_method=f'file://{folder / "rendezvous"}', rank=rank, world_size=world
        )
    model = build_model(config)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='OptimWrapper', optimizer=SGD(parameters, lr=1.0), accumulative_counts=accumulate)
    )
    seen = {}

    def keep_gradients(*_):
        assert not seen, 'the optimiser stepped before the last batch'
        seen.update(
            {
                name: parameter.grad.double().numpy().copy()
                for name, parameter in zip(names, parameters, strict=True)
            }
        )

    wrapper.optimizer.register_step_pre_hook(keep_gradients)
    net = model if world == 1 else MeshDistributedDataParallel(model)
    wrapper.initialize_count_status(net, 0, accumulate)
    losses = []
    for batch in np.split(np.arange(rank, total, world), accumulate):
        samples = [make_sample(int(number), model.body.is_hand) for number in batch]
        data = {key: [sample[key] for sample in samples] for key in samples[0]}
        logged = net.train_step(data, wrapper)
        losses.append([float(logged[name]) for name in sorted(logged)])
    np.savez(
        folder / f'rank_{rank}.npz',
        losses=np.mean(losses, axis=0),
        **{f'grad.{name}': value for name, value in seen.items()},
    )
    if world > 1:
        distributed.destroy_process_group()

# SPDX-License-Identifier: Apache-2.0
"""Contestants that run this package, built from its shipped configs."""

from __future__ import annotations

from typing import Any

import torch
from both_ways import drive_mesh_sampling, drive_smpl_head
from inputs import images, labels, rule_weights
from mmengine.config import Config
from torch import nn
from workers import Commands

from fastmetro_mm import config_path
from fastmetro_mm.models.official_checkpoint import to_official
from fastmetro_mm.speed.acceleration import accelerate
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.speed.cpu_training import train_on_cpu


def network_config(size: str, backbone: str, body: dict, **options: Any) -> Config:
    """Config of a network size on a backbone, without downloads.

    Args:
        size: ``S``, ``M`` or ``L``.
        backbone: ``r50`` or ``h64``.
        body: Which mesh.
        options: Further entries of the model.
    """
    cfg = Config.fromfile(
        config_path('fastmetro_s_r50_h36m' if backbone == 'r50' else 'fastmetro_l_h64_h36m')
    )
    cfg.model.neck.num_layers = dict(S=1, M=2, L=3)[size]
    cfg.model.backbone.init_cfg = None
    cfg.model.body = body
    cfg.model.update(options)
    return cfg


def build(size: str, backbone: str, body: dict, **options: Any) -> nn.Module:
    """The network with rule weights."""
    from mmpose.registry import MODELS

    network = MODELS.build(network_config(size, backbone, body, **options).model)
    network.load_state_dict(rule_weights(to_official(network.state_dict())))
    network.cfg = network_config(size, backbone, body, **options)
    return network


def inference(
    commands: Commands,
    size: str,
    backbone: str,
    batch: int,
    body: dict,
    speed: str | None = None,
    repeat: int = 1,
) -> None:
    """``repeat`` forward passes in evaluation; ``speed`` None: as mmpose loads the network."""
    if speed is not None:
        keep_freed_memory()
    network = build(size, backbone, body).eval()
    if speed is not None:
        accelerate(network, speed)
    x = images(batch)
    with torch.no_grad():
        network(x, None, mode='tensor')
        for _ in commands:
            for _ in range(repeat):
                out = network(x, None, mode='tensor')
    commands.outputs['vertices'] = out.vertices.float().numpy()
    commands.outputs['joints'] = out.joints.float().numpy()


def data_batch(batch: int, size: int = 224) -> dict:
    """A batch as the data loader collates it: uint8 crops and labels."""
    from mmengine.structures import InstanceData

    from fastmetro_mm.structures import MeshDataSample

    crops = (images(batch, size) * 60 + 120).clamp(0, 255).to(torch.uint8)
    everything = labels(batch)
    samples = []
    for index in range(batch):
        sample = MeshDataSample(metainfo=dict(input_size=(size, size), img_shape=(size, size)))
        fields = {name: value[index : index + 1] for name, value in everything.items()}
        sample.gt_instance_labels = InstanceData(**fields)
        sample.gt_instances = InstanceData(bboxes=torch.zeros(1, 4), bbox_scores=torch.ones(1))
        samples.append(sample)
    return dict(inputs=list(crops), data_samples=samples)


def training(
    commands: Commands,
    size: str,
    backbone: str,
    batch: int,
    body: dict,
    precision: str = 'float32',
    fused: bool = True,
    compiled: bool = False,
    **options: Any,
) -> None:
    """Steps as the training loop makes them: from the collated batch to the updated weights."""
    from mmpose.registry import OPTIM_WRAPPERS

    keep_freed_memory()
    cfg = network_config(size, backbone, body)
    network = build(size, backbone, body, **options).train()
    train_on_cpu(network)  # as our runner does
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-4, fused=fused)
    kind = 'OptimWrapper' if precision == 'float32' else 'MixedPrecisionOptimWrapper'
    wrapper = OPTIM_WRAPPERS.build(
        dict(type=kind, optimizer=optimizer, clip_grad=cfg.optim_wrapper.clip_grad)
    )
    if compiled:
        network.extract_feat = torch.compile(network.extract_feat, dynamic=False)
    data = data_batch(batch)
    for _ in commands:
        logged = network.train_step(data, wrapper)
    commands.outputs['loss'] = float(logged['loss'])


def smpl_head(commands: Commands, batch: int, body: dict, repeat: int = 1) -> None:
    """The SMPL parameter regressor, forward and backward, ``repeat`` times."""
    from fastmetro_mm.models.heads import SMPLRegressorHead

    head = SMPLRegressorHead(body)
    train_on_cpu(head)
    drive_smpl_head(commands, head, batch, repeat)


def mesh_sampling(commands: Commands, batch: int, body: dict, repeat: int = 1) -> None:
    """Up- and down-sampling between all levels, forward and backward, ``repeat`` times."""
    from fastmetro_mm.body.assets import load_body_assets
    from fastmetro_mm.body.mesh_sampling import MeshSampling

    sampler = MeshSampling(load_body_assets(**body))
    drive_mesh_sampling(
        commands, lambda x: sampler.up(x, 2, 0), lambda x: sampler.down(x, 0, 2), batch, repeat
    )

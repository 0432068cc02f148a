# SPDX-License-Identifier: Apache-2.0
"""The computed part of scaling: sizes counted on the built networks, times from formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from scaling_volume import (
    ETHERNET,
    INFINIBAND,
    NVLINK,
    Link,
    all_reduce_seconds,
    each_gpu,
    efficiency,
    gradient_bytes,
    sharded_bytes,
    state_bytes,
)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fastmetro_mm import config_path

CONFIGS = {
    'S-R50': 'fastmetro_s_r50_h36m',
    'M-R50': 'fastmetro_m_r50_h36m',
    'L-R50': 'fastmetro_l_r50_h36m',
    'L-H64': 'fastmetro_l_h64_h36m',
}
NODES = (1, 2, 4, 8, 16)


def build_network(config: str) -> nn.Module:
    """Network of a config with the free body and random weights; nothing is downloaded."""
    cfg = Config.fromfile(config_path(config))
    cfg.model.body = dict(name='open_body')
    return MODELS.build(cfg.model)


def count_network(config: str) -> dict[str, float]:
    """Parameters, operations and kept activations, by running one image through.

    Returns:
        ``parameters`` (trained ones), ``flops`` of forward and backward pass for one image
        (multiplication and addition count as two; convolutions and matrix products), and
        ``activation_bytes`` that the forward pass of one image keeps for the backward pass in
        float32, attention matrices included.
    """
    model = build_network(config).train()
    return dict(
        parameters=gradient_bytes(model, 1),
        flops=_count_flops(model),
        activation_bytes=_count_activations(model),
    )


def _forward(model: nn.Module) -> Tensor:
    """Sum of all outputs for one image."""
    prediction = model(torch.randn(1, 3, 224, 224), None, mode='tensor')
    return sum(v.sum() for v in vars(prediction).values() if isinstance(v, Tensor))


def _count_flops(model: nn.Module) -> int:
    # The counter knows no fused attention of the CPU. With dropout, torch takes this one anyway.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        _forward(model).backward()
    return counter.get_total_flops()


def _count_activations(model: nn.Module) -> int:
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total = _forward(model)  # keeps what was saved until all of it is counted
    del total
    return sum(kept.values())


@dataclass(frozen=True)
class Assumptions:
    """What the computed times rest on.

    Attributes:
        peak_flops: Nominal operations per second of a GPU.
        utilisation: Share of it that is reached.
        batch: Images a GPU and batch.
        number_bytes: Bytes of a number of the gradients on the way.
        accumulate: Batches of a step.
    """

    peak_flops: float
    utilisation: float
    batch: int
    number_bytes: int = 4
    accumulate: int = 1


def compute_scaling(assumed: Assumptions) -> list[dict[str, Any]]:
    """Everything that follows from the counts, for each network."""
    return [_compute_network(name, config, assumed) for name, config in CONFIGS.items()]


def _compute_network(name: str, config: str, assumed: Assumptions) -> dict[str, Any]:
    counted = count_network(config)
    seconds = assumed.batch * counted['flops'] / (assumed.peak_flops * assumed.utilisation)
    payloads = dict(float32=4 * counted['parameters'], bfloat16=2 * counted['parameters'])

    def share(nodes: int, gpus: int, link: Link, overlap: bool) -> float:
        sent = assumed.number_bytes * counted['parameters']
        return efficiency(seconds, sent, nodes, gpus, link, overlap, assumed.accumulate)

    return dict(
        network=name,
        **counted,
        gradient_bytes=payloads,
        batch_seconds=seconds,
        images_per_second=assumed.batch / seconds,
        state_bytes_8_gpus=state_bytes(counted['parameters'], ranks=8),
        sharded_bytes_8_gpus=sharded_bytes(payloads['float32'], 8),
        all_reduce_seconds=[
            dict(link=link.name, kind=kind, seconds=reduce)
            for kind, payload in payloads.items()
            for link, reduce in (
                (ETHERNET, all_reduce_seconds(payload, 16, 1, ETHERNET, hop=0)),
                (INFINIBAND, all_reduce_seconds(payload, 16, 1, INFINIBAND, hop=0)),
                (NVLINK, all_reduce_seconds(payload, 1, 8, ETHERNET, hop=0)),
            )
        ],
        efficiency=[
            dict(
                gpus=gpus,
                link=link.name,
                nodes=nodes,
                overlap=share(nodes, gpus, link, True),
                no_overlap=share(nodes, gpus, link, False),
            )
            for gpus in (4, 8)
            for link in (ETHERNET, INFINIBAND, each_gpu(INFINIBAND, gpus))
            for nodes in NODES
        ],
    )

# SPDX-License-Identifier: Apache-2.0
"""What data parallel training exchanges, and how long that takes on paper.

Nothing here is measured: these are the formulas behind the computed tables of ``docs/scaling.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

BUCKET_BYTES = 25 * 2**20
"""Gradients that DistributedDataParallel sends at once (its default)."""

BACKWARD_SHARE = 2 / 3
"""Share of the backward pass in a step: two multiplications for every one of the forward pass."""


@dataclass(frozen=True)
class Link:
    """A connection.

    Attributes:
        name: For tables.
        bytes_per_second: Nominal, in each direction.
    """

    name: str
    bytes_per_second: float


ETHERNET = Link('100 Gb/s Ethernet', 100e9 / 8)
INFINIBAND = Link('200 Gb/s InfiniBand', 200e9 / 8)
NVLINK = Link('NVLink, 450 GB/s', 450e9)


def each_gpu(link: Link, gpus: int) -> Link:
    """The connection of a machine whose GPUs have a card each."""
    return Link(f'{link.name} a GPU', gpus * link.bytes_per_second)


def gradient_bytes(model: Any, bytes_per_number: int = 4) -> int:
    """Bytes of the gradients of a step: one number for each trained parameter.

    Args:
        model: A torch module.
        bytes_per_number: 4 for float32, 2 for bfloat16.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return bytes_per_number * trained


def ring_bytes(payload: float, ranks: int) -> float:
    """Bytes each rank sends, and receives, in a ring all-reduce.

    Reduce-scatter and all-gather each take ``ranks - 1`` rounds with ``payload / ranks`` bytes.

    Args:
        payload: Bytes to reduce.
        ranks: Number of processes.
    """
    return 2 * (ranks - 1) / ranks * payload


def sharded_bytes(payload: float, ranks: int) -> float:
    """Bytes each rank sends in a step with sharded parameters (FSDP, ZeRO-3).

    All-gather of the parameters for the forward and again for the backward pass, reduce-scatter of
    the gradients.
    """
    return 3 * (ranks - 1) / ranks * payload


def all_reduce_seconds(
    payload: float, nodes: int, gpus: int, between: Link, inside: Link = NVLINK, hop: float = 1e-5
) -> float:
    """Seconds to reduce over ``nodes`` machines of ``gpus`` GPUs.

    In two levels: a ring inside of the machine, and rings of the machines, in which the GPUs of
    one share its connection.

    Args:
        payload: Bytes to reduce.
        nodes: Machines.
        gpus: GPUs of a machine.
        between: Connection of the machines.
        inside: Connection of the GPUs of a machine.
        hop: Seconds that each round of a ring takes whatever the size, for every bucket.
    """
    rounds = 2 * (nodes - 1) + 2 * (gpus - 1)
    return (
        ring_bytes(payload, gpus) / inside.bytes_per_second
        + ring_bytes(payload, nodes) / between.bytes_per_second
        + buckets(payload) * rounds * hop
    )


def buckets(payload: float) -> int:
    """Number of pieces in which the gradients are sent."""
    return max(1, math.ceil(payload / BUCKET_BYTES))


def exposed_seconds(reduce: float, backward: float, pieces: int, overlap: bool) -> float:
    """Seconds of the exchange during which nothing is computed.

    Without overlap all of it. With overlap the pieces become ready at equal distances during the
    backward pass and are sent one after the other; the last one is ready when the pass ends.

    Args:
        reduce: Seconds of the whole exchange.
        backward: Seconds of the backward pass.
        pieces: Number of pieces.
        overlap: Whether gradients are sent during the backward pass.
    """
    if not overlap:
        return reduce
    # Piece i of k is ready at i b/k and has k-i+1 pieces of r/k each before the end; the latest
    # end is that of the last piece (r <= b) or of the first.
    return max(reduce / pieces, backward / pieces + reduce - backward)


def efficiency(
    compute: float,
    payload: float,
    nodes: int,
    gpus: int,
    between: Link,
    overlap: bool = True,
    accumulate: int = 1,
    hop: float = 1e-5,
) -> float:
    """Share of the time of a step that remains for computing.

    Args:
        compute: Seconds of a batch on one GPU alone.
        payload: Bytes of the gradients.
        nodes: Machines.
        gpus: GPUs of a machine.
        between: Connection of the machines.
        overlap: Whether gradients are sent during the backward pass.
        accumulate: Batches of a step; gradients are sent during the last one.
        hop: See :func:`all_reduce_seconds`.
    """
    reduce = all_reduce_seconds(payload, nodes, gpus, between, hop=hop)
    exposed = exposed_seconds(reduce, BACKWARD_SHARE * compute, buckets(payload), overlap)
    return accumulate * compute / (accumulate * compute + exposed)


def state_bytes(parameters: int, ranks: int = 1) -> dict[str, float]:
    """Bytes a rank keeps in float32 with AdamW, besides activations.

    Args:
        parameters: Number of trained parameters.
        ranks: Processes that share what is sharded.

    Returns:
        For ``ddp`` (all of it on every rank), ``zero1`` (the two moments of AdamW sharded) and
        ``fsdp`` (everything sharded).
    """
    weights = gradients = 4 * parameters
    moments = 8 * parameters
    return dict(
        ddp=weights + gradients + moments,
        zero1=weights + gradients + moments / ranks,
        fsdp=(weights + gradients + moments) / ranks,
    )

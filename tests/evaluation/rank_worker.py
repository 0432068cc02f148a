# SPDX-License-Identifier: Apache-2.0
"""One rank of a distributed evaluation, started by ``test_distributed_evaluation.py``."""

import json
import os
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from samples import body_sample, hand_sample
from torch import distributed

from fastmetro_mm.evaluation import FreiHANDMetric, MeshJointMetric, MeshVertexMetric


def evaluate(order: list[int], size: int, with_index: bool, folder: Path) -> dict[str, float]:
    """Run three metrics over samples in the given order, in batches of two."""
    values = {}
    for metric, make in (
        (MeshJointMetric(pck_mm=(150,)), body_sample),
        (MeshVertexMetric(dict(name='open_body')), body_sample),
        (FreiHANDMetric(pred_file=folder / 'pred.json', prefix='hand'), hand_sample),
    ):
        for start in range(0, len(order), 2):
            metric.process(None, [make(i, with_index) for i in order[start : start + 2]])
        values.update(metric.evaluate(size))
    return values


def main(rank: int, world: int, size: int, folder: Path) -> None:
    """Evaluate with a padding sampler and with contiguous blocks; write what this rank got."""
    torch.set_num_threads(1)
    os.chdir(folder)  # mmengine collects results through a folder in the working directory
    if world > 1:
        distributed.init_process_group(
            'gloo', init_method=f'file://{folder / "rendezvous"}', rank=rank, world_size=world
        )
    padded = list(DefaultSampler(range(size), shuffle=False))
    length = -(-size // world)
    block = [min(i, size - 1) for i in range(rank * length, (rank + 1) * length)]
    results = dict(
        interleaved=evaluate(padded, size, False, folder),
        indexed=evaluate(padded, size, True, folder),
        blocks=evaluate(block, size, True, folder),
        evaluated=len(padded),
    )
    (folder / f'rank_{rank}.json').write_text(json.dumps(results))
    if world > 1:
        distributed.destroy_process_group()

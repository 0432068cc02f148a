# SPDX-License-Identifier: Apache-2.0
"""Training steps in several gloo processes, and what the ranks of an evaluation exchange."""

from __future__ import annotations

import json
import logging
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs import labels
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from scaling_volume import gradient_bytes, ring_bytes
from torch import distributed, multiprocessing

from fastmetro_mm import config_path
from fastmetro_mm.engine import MeshDistributedDataParallel
from fastmetro_mm.evaluation import FreiHANDMetric, MeshJointMetric, MeshVertexMetric
from fastmetro_mm.structures import MeshDataSample

_WARM_UP = 3
_CROP = 96  # of the quickstart


def batch_of(size: int, seed: int) -> dict[str, list]:
    """Crops of noise with complete labels, as a data loader gives them."""
    all_labels = labels(size, seed)
    generator = torch.Generator().manual_seed(seed)
    images, samples = [], []
    for number in range(size):
        sample = MeshDataSample()
        sample.gt_instance_labels = InstanceData(
            **{name: value[number : number + 1] for name, value in all_labels.items()}
        )
        samples.append(sample)
        shape = (3, _CROP, _CROP)
        images.append(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8))
    return dict(inputs=images, data_samples=samples)


def sent_bytes() -> float:
    """Bytes that left this machine's network devices so far, loopback included; nan elsewhere."""
    table = Path('/proc/net/dev')
    if not table.is_file():
        return float('nan')
    lines = table.read_text().splitlines()[2:]
    return float(sum(int(line.split(':')[1].split()[8]) for line in lines))


def peak_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith('VmHWM:'))


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of one call that all ranks start together, and bytes all of them sent meanwhile."""
    distributed.barrier()
    before, start = sent_bytes(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    distributed.barrier()
    return seconds, sent_bytes() - before


def _serve(rank: int, world: int, batch: int, rounds: int, folder: str) -> None:
    """One rank; leaves its measurements in a file."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    meeting = f'file://{folder}/meeting_{world}'
    distributed.init_process_group('gloo', init_method=meeting, rank=rank, world_size=world)
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path('quickstart'))
    model = MODELS.build(cfg.model)
    logging.disable(logging.INFO)  # it names every weight
    model.init_weights()
    model.train()
    # One rank is wrapped too: then the rows differ by nothing but the exchange.
    net = MeshDistributedDataParallel(model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    data = batch_of(batch, seed=rank)
    numbers = torch.ones(gradient_bytes(model, 1))

    def step(exchange: bool) -> None:
        with nullcontext() if exchange else net.no_sync():
            net.train_step(data, wrapper)

    works = dict(
        step=lambda: step(True),
        alone=lambda: step(False),
        reduce=lambda: distributed.all_reduce(numbers),
    )
    found: dict[str, list] = {name: [] for name in works}
    for turn in range(_WARM_UP + rounds):
        for name, work in works.items():
            taken = _timed(work)
            numbers.fill_(1)  # sums of sums would overflow
            if turn >= _WARM_UP:
                found[name].append(taken)
    found['peak_mb'] = peak_mb()
    found['gradient_bytes'] = gradient_bytes(model)
    Path(folder, f'{world}_{rank}.json').write_text(json.dumps(found))
    distributed.destroy_process_group()


def measure_ranks(ranks: list[int], batch: int, rounds: int) -> list[dict[str, Any]]:
    """Training steps of the quickstart's network with a fixed batch a rank.

    Args:
        ranks: Numbers of processes.
        batch: Crops a rank and step.
        rounds: Steps that count.

    Returns:
        For each number of ranks, seconds of the slowest rank (median over the rounds) and bytes
        sent a rank (mean): ``step``; ``alone``, the same without exchanging gradients; ``reduce``,
        an all-reduce of as many numbers alone.
    """
    os.environ['OMP_NUM_THREADS'] = '1'  # before the processes start
    cores = len(os.sched_getaffinity(0))
    rows = []
    for world in ranks:
        with tempfile.TemporaryDirectory() as folder:
            multiprocessing.spawn(_serve, (world, batch, rounds, folder), nprocs=world)
            found = [
                json.loads(Path(folder, f'{world}_{rank}.json').read_text())
                for rank in range(world)
            ]
        row = dict(ranks=world, oversubscribed=world > cores, batch=batch)
        for name in ('step', 'alone', 'reduce'):
            taken = np.array([rank[name] for rank in found])  # (ranks, rounds, 2)
            row[f'{name}_ms'] = 1e3 * float(np.median(taken[..., 0].max(axis=0)))
            # every rank reads the counter of the whole machine; the first one's will do
            row[f'{name}_sent_bytes'] = float(taken[0, :, 1].mean()) / world
        payload = found[0]['gradient_bytes']
        row.update(
            gradient_bytes=payload,
            ring_bytes=ring_bytes(payload, world),
            peak_mb=max(rank['peak_mb'] for rank in found),
            samples_per_second=1e3 * world * batch / row['step_ms'],
        )
        rows.append(row)
    return rows


def _sample(number: int, joints_3d: torch.Tensor, predicted: int, vertices: int) -> MeshDataSample:
    """A sample with labels and predictions of the shapes a metric gets."""
    # a key as long as Human3.6M's
    key = f'S1_Directions_1.54138969_{number:06d}.jpg'
    sample = MeshDataSample(metainfo=dict(img_key=key, sample_idx=number))
    sample.gt_instance_labels = InstanceData(
        joints_3d=joints_3d,
        has_3d=torch.ones(1),
        has_smpl=torch.ones(1),
        vertices=torch.randn(1, vertices, 3),
    )
    sample.pred_instances = InstanceData(
        joints_3d=torch.randn(1, predicted, 3), vertices=torch.randn(1, vertices, 3)
    )
    return sample


def evaluation_bytes(samples: int = 100) -> dict[str, float]:
    """Pickled bytes a sample that the metrics bring together from all ranks, by metric."""
    torch.manual_seed(0)
    body = [_sample(n, torch.randn(1, 24, 4), 14, 6890) for n in range(samples)]
    hand = [_sample(n, torch.randn(1, 21, 4), 21, 778) for n in range(samples)]
    found = {}
    for metric, batch in (
        (MeshJointMetric(), body),
        (MeshVertexMetric(body=dict(name='open_body')), body),
        (FreiHANDMetric(), hand),
    ):
        metric.process(None, batch)
        # the protocol mmengine writes with
        found[type(metric).__name__] = len(pickle.dumps(metric.results, protocol=2)) / samples
    return found

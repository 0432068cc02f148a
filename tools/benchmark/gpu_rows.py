# SPDX-License-Identifier: Apache-2.0
"""What the table of a GPU holds, the most important rows first: see ``gpu_table.py``."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gpu_turns import Turns, tensor_float, waits_of
from inputs import images
from our_code import build, data_batch
from suites import NETWORKS, OFFICIAL

from fastmetro_mm.errors import CliError
from fastmetro_mm.model_zoo.lookup import find_model
from fastmetro_mm.model_zoo.model_loading import load_network
from fastmetro_mm.runtimes.preparing import prepare_network
from fastmetro_mm.speed.cuda_training import train_on_gpu

GRAPHS, EXACT_GRAPHS = 'fast, CUDA graphs', 'exact, CUDA graphs'
HALF = 'bfloat16, channels last'
HALF_GRAPHS = f'{HALF}, CUDA graphs'
# TF32 in convolutions is PyTorch's default; `exact` is measured without.
MODES: dict[str, dict[str, Any]] = {
    GRAPHS: dict(speed='fast', compiled=True),
    'as loaded': {},
    'exact': dict(speed='exact'),
    EXACT_GRAPHS: dict(speed='exact', compiled=True),
    'fast': dict(speed='fast'),
    'ONNX Runtime, CUDA': dict(speed='exact', runtime='onnxruntime:cuda'),
    'ONNX Runtime, TensorRT': dict(speed='fast', runtime='onnxruntime:tensorrt'),
}
TRAINING = {'L-H64': 16, 'S-R50': 32}


@dataclass
class Bench:
    """What rows share.

    Attributes:
        device: Where everything runs.
        rounds: Turns of a row at most.
        official: Folder of the official code, see ``official_code.arena``; None without it.
        body: Which mesh.
        seconds: A row's turns end after so long.
    """

    device: torch.device
    rounds: int
    official: str | None
    body: dict[str, Any]
    seconds: float = 0.7
    _networks: dict[tuple[str, str], Any] = field(default_factory=dict)
    _references: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)

    def turns(self) -> Turns:
        """For one row."""
        return Turns(self.device, self.rounds, self.seconds)

    def network(self, name: str, mode: str) -> Any:
        """A network in evaluation mode, prepared for a mode; made once."""
        if (name, mode) not in self._networks:
            if mode == 'as loaded':
                made = build(*NETWORKS[name], self.body).eval().to(self.device)
            else:
                how = MODES[mode]
                if how.get('compiled') and self.device.type != 'cuda':
                    raise CliError('CUDA graphs are for GPUs')
                made = prepare_network(copy.deepcopy(self.network(name, 'as loaded')), **how)
            self._networks[name, mode] = made
        return self._networks[name, mode]

    @torch.no_grad()
    def reference(self, name: str, batch: int) -> torch.Tensor:
        """Vertices of the plain float32 network, without TF32."""
        if (name, batch) not in self._references:
            with tensor_float(False):
                out = self.network(name, 'as loaded')(
                    images(batch).to(self.device), None, mode='tensor'
                )
            self._references[name, batch] = out.vertices.clone()
        return self._references[name, batch]


@dataclass
class Row:
    """A row that is still to be measured: what, by whom, and how."""

    work: str
    who: str
    measure: Callable[[Bench], dict[str, Any]]


def inference(bench: Bench, name: str, batch: int, mode: str) -> dict[str, Any]:
    """A forward pass of ours."""
    network, turns = bench.network(name, mode), bench.turns()
    image, out = images(batch).to(bench.device), None
    with torch.no_grad(), tensor_float(not MODES[mode].get('speed') == 'exact'):
        for _ in turns:
            out = network(image, None, mode='tensor')
    off = out.vertices.float() - bench.reference(name, batch)
    return dict(turns.result(batch), difference=float(off.abs().max()))


def official_inference(bench: Bench, name: str, batch: int) -> dict[str, Any]:
    """A forward pass of the official code."""
    found = _official(bench, 'inference', name, batch)
    off = found.outputs['vertices'] - bench.reference(name, batch).cpu().numpy()
    return dict(found.result(batch), difference=float(np.abs(off).max()))


def official_training(bench: Bench, name: str, batch: int, tf32: bool) -> dict[str, Any]:
    """A step of the official training loop, float32."""
    with tensor_float(tf32):
        return _official(bench, 'training', name, batch).result(batch)


def _official(bench: Bench, what: str, name: str, batch: int) -> Turns:
    if bench.official is None:
        raise CliError('give the official checkout with --against')
    import official_code

    (size, backbone), turns, here = NETWORKS[name], bench.turns(), os.getcwd()
    try:
        getattr(official_code, what)(
            turns, bench.official, size, backbone, batch, device=str(bench.device)
        )
    finally:
        os.chdir(here)
    return turns


def training_step(bench: Bench, name: str, batch: int, precision: str) -> Callable[[], Any]:
    """A step of ours, from the collated batch to the updated weights."""
    from mmpose.registry import OPTIM_WRAPPERS

    network = copy.deepcopy(bench.network(name, 'as loaded')).train()
    if 'channels last' in precision:
        network.use_channels_last()
    if 'graphs' in precision:
        if bench.device.type != 'cuda':
            raise CliError('CUDA graphs are for GPUs')
        train_on_gpu(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)
    kind = 'MixedPrecisionOptimWrapper' if precision.startswith('bfloat16') else 'OptimWrapper'
    clip = network.cfg.optim_wrapper.clip_grad
    wrapper = OPTIM_WRAPPERS.build(dict(type=kind, optimizer=optimizer, clip_grad=clip))
    data = data_batch(batch)
    return lambda: network.train_step(data, wrapper)


def training(bench: Bench, name: str, batch: int, precision: str) -> dict[str, Any]:
    """Steps of ours, with cuDNN's measured algorithms as our configs ask for."""
    step, turns = training_step(bench, name, batch, precision), bench.turns()
    kept, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        for _ in turns:
            step()
    finally:
        torch.backends.cudnn.benchmark = kept
    return turns.result(batch)


def shipped(bench: Bench, mode: str, people: int) -> dict[str, Any]:
    """The shipped body on drawn people: time of a batch, and how far its meshes move, mm."""
    from fastmetro_mm.synthetic.crops import draw_crops
    from fastmetro_mm.synthetic.scene import Studio

    if MODES[mode].get('compiled') and bench.device.type != 'cuda':
        raise CliError('CUDA graphs are for GPUs')
    found = find_model('open_body')
    plain = load_network(found.config, found.weights, str(bench.device))
    plain.flip_test = None  # `fast` has none
    rngs = [np.random.default_rng((60_000, index)) for index in range(people)]
    drawn = draw_crops(Studio('body', (256, 256), 'photo'), rngs, 256).images
    crops = torch.from_numpy(np.ascontiguousarray(drawn.transpose(0, 3, 1, 2)))
    batch = plain.data_preprocessor(dict(inputs=crops, data_samples=[]))['inputs']
    with torch.no_grad(), tensor_float(False):
        expected = plain.head.centre(plain(batch, None, mode='tensor'))[0]
    network, turns = prepare_network(plain, **MODES[mode]), bench.turns()
    with torch.no_grad():
        out: Any = None
        for _ in turns:
            out = network(batch, None, mode='tensor')
        distance = 1000 * (network.head.centre(out)[0] - expected).norm(dim=2)
    return dict(
        turns.result(people),
        mean_mm=float(distance.mean()),
        worst_person_mm=float(distance.mean(1).max()),
    )


def inference_waits(bench: Bench, name: str, mode: str) -> dict[str, Any]:
    """Where a forward pass waits."""
    network, image = bench.network(name, mode), images(8).to(bench.device)

    def work() -> None:
        with torch.no_grad():
            network(image, None, mode='tensor')

    return waits_of(bench.device, work)


def training_waits(bench: Bench, name: str, batch: int) -> dict[str, Any]:
    """Where a training step waits."""
    return waits_of(bench.device, training_step(bench, name, batch, HALF))


def rows(quick: bool) -> Iterator[Row]:
    """Everything, the most important first."""
    names = ['S-R50'] if quick else ['L-H64', 'S-R50']
    sizes = dict.fromkeys(TRAINING, 2) if quick else TRAINING
    people = 2 if quick else 32

    def ours(name: str, batch: int, mode: str) -> Row:
        return Row(
            f'{name} inference, batch {batch}', mode,
            lambda bench: inference(bench, name, batch, mode),
        )  # fmt: skip

    def theirs(name: str, batch: int) -> Row:
        return Row(
            f'{name} inference, batch {batch}', OFFICIAL,
            lambda bench: official_inference(bench, name, batch),
        )  # fmt: skip

    def step(name: str, who: str, measure: Callable[..., dict[str, Any]], *given: Any) -> Row:
        return Row(
            f'{name} training step, batch {sizes[name]}', who,
            lambda bench: measure(bench, name, sizes[name], *given),
        )  # fmt: skip

    def ours_and_theirs(batch: int) -> Iterator[Row]:
        for name in names:
            yield theirs(name, batch)
            for mode in MODES:
                known = batch == 1 and mode == GRAPHS
                if not known and 'ONNX' not in mode and (batch == 1 or mode != EXACT_GRAPHS):
                    yield ours(name, batch, mode)

    for name in names:
        yield ours(name, 1, GRAPHS)
    for name in names:
        yield step(name, OFFICIAL, official_training, True)
        for precision in (HALF_GRAPHS, HALF):
            yield step(name, precision, training, precision)
    for mode in (GRAPHS, 'fast'):
        work = f'open_body inference, batch {people}'
        yield Row(work, mode, lambda bench, mode=mode: shipped(bench, mode, people))
    for mode in (GRAPHS, 'fast'):
        yield Row('waits of a forward pass', mode, lambda bench, mode=mode: inference_waits(
            bench, names[-1], mode))  # fmt: skip
    yield Row('waits of a training step', HALF, lambda bench: training_waits(
        bench, names[-1], sizes[names[-1]]))  # fmt: skip
    yield from ours_and_theirs(1)
    for name in names:
        yield step(name, 'float32', training, 'float32')
    for batch in () if quick else (8, 32):
        yield from ours_and_theirs(batch)
    if not quick:
        for name in reversed(names):
            yield step(name, f'{OFFICIAL}, no TF32', official_training, False)
            yield step(name, 'bfloat16', training, 'bfloat16')
        for name in names:
            yield step(name, 'float32, CUDA graphs', training, 'float32, CUDA graphs')
    for mode in MODES:
        if 'ONNX' in mode:
            yield ours(names[-1], 1, mode)

# SPDX-License-Identifier: Apache-2.0
"""Fill the CUDA table of docs/performance.md: ``python tools/benchmark/gpu_table.py --write``.

Inference of S-R50 and L-H64 (as loaded, exact with TF32 off, fast in float16, the same compiled
with CUDA graphs, ONNX Runtime's CUDA and TensorRT where they are) and training steps (float32,
bfloat16). Median of turns, the device waited for at the end of each. ``--device cpu --quick`` tries
the script without a GPU; nothing is written then.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from inputs import images
from our_code import build, data_batch, network_config
from suites import NETWORKS

from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.errors import CliError, UserError
from fastmetro_mm.fileio import write_atomically, write_json
from fastmetro_mm.runtimes.preparing import prepare_network

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'performance.md'
BEGIN, END = '<!-- made by tools/benchmark/gpu_table.py -->', '<!-- end -->'
BODY = dict(name='open_body')
MODES: dict[str, dict[str, Any]] = {
    'as loaded': {},
    'exact': dict(speed='exact'),
    'fast': dict(speed='fast'),
    'fast, compiled': dict(speed='fast', compiled=True),
    'ONNX Runtime, CUDA': dict(speed='exact', runtime='onnxruntime:cuda'),
    'ONNX Runtime, TensorRT': dict(speed='fast', runtime='onnxruntime:tensorrt'),
}


def seconds_of(work: Callable[[], Any], device: torch.device, rounds: int) -> tuple[float, float]:
    """Median seconds of a turn, and the peak of the device's memory, MB."""

    def turn() -> float:
        start = time.perf_counter()
        work()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    for _ in range(3):
        turn()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    taken = median(turn() for _ in range(rounds))
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == 'cuda' else 0.0
    return taken, peak


def inference(name: str, batch: int, mode: str, device: torch.device) -> Callable[[], Any]:
    """A forward pass."""
    network, how = build(*NETWORKS[name], BODY).eval().to(device), MODES[mode]
    if how.get('compiled') and device.type != 'cuda':
        raise CliError('compiling is for GPUs')
    if how:
        prepare_network(network, **how)
    image = images(batch).to(device)

    def run() -> None:
        with torch.no_grad():
            network(image, None, mode='tensor')

    return run


def training(name: str, batch: int, precision: str, device: torch.device) -> Callable[[], Any]:
    """A step, from the collated batch to the updated weights."""
    from mmpose.registry import OPTIM_WRAPPERS

    network = build(*NETWORKS[name], BODY).train().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)
    kind = 'OptimWrapper' if precision == 'float32' else 'MixedPrecisionOptimWrapper'
    clip = network_config(*NETWORKS[name], BODY).optim_wrapper.clip_grad
    wrapper = OPTIM_WRAPPERS.build(dict(type=kind, optimizer=optimizer, clip_grad=clip))
    data = data_batch(batch)
    return lambda: network.train_step(data, wrapper)


def works(
    quick: bool,
) -> Iterator[tuple[str, str, Callable[[torch.device], Callable[[], Any]], int]]:
    """Name of the work, who does it, how it is made, images at once."""
    for name in list(NETWORKS)[: 1 if quick else None]:
        for batch in (1,) if quick else (1, 8, 32):
            for mode in MODES:
                yield (
                    f'{name} inference, batch {batch}',
                    mode,
                    lambda device, a=(name, batch, mode): inference(*a, device),
                    batch,
                )
        batch = 1 if quick else 32
        for precision in ('float32', 'bfloat16'):
            yield (
                f'{name} training step, batch {batch}',
                precision,
                lambda device, a=(name, batch, precision): training(*a, device),
                batch,
            )


def measure(device: torch.device, rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Rows of the table; what cannot run here says why."""
    rows = []
    for work, who, make, batch in works(quick):
        row: dict[str, Any] = dict(work=work, who=who)
        try:
            seconds, peak = seconds_of(make(device), device, rounds)
            row.update(milliseconds=1000 * seconds, images_per_second=batch / seconds, peak_mb=peak)
        except UserError as error:
            row['left_out'] = str(error)
        print(_line(row), flush=True)
        rows.append(row)
        if device.type == 'cuda':
            torch.cuda.empty_cache()
    return rows


def _line(row: dict[str, Any]) -> str:
    if 'left_out' in row:
        return f'| {row["work"]} | {row["who"]} | not run: {row["left_out"]} |  |  |'
    return (
        f'| {row["work"]} | {row["who"]} | {row["milliseconds"]:.2f} | '
        f'{row["images_per_second"]:.0f} | {row["peak_mb"]:.0f} |'
    )


def table(rows: list[dict[str, Any]], device_name: str, rounds: int) -> str:
    """The part of the page."""
    head = (
        f'{device_name}, PyTorch {torch.__version__}, TF32 off, median of {rounds} turns:\n\n'
        '| work | who | ms | images/s | peak memory, MB |\n|---|---|---|---|---|\n'
    )
    return f'{BEGIN}\n\n{head}' + '\n'.join(map(_line, rows)) + f'\n\n{END}'


def put_into_page(part: str) -> None:
    """Replace the table of an earlier run."""
    text = PAGE.read_text(encoding='utf-8')
    found = f'{re.escape(BEGIN)}.*?{re.escape(END)}'
    if not re.search(found, text, re.DOTALL):
        raise CliError(f'{PAGE}: the line {BEGIN} is missing: put it back where the table goes')
    write_atomically(PAGE, re.sub(found, lambda _: part, text, flags=re.DOTALL).encode())


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--quick', action='store_true', help='see whether it runs; no numbers')
    parser.add_argument('--write', action='store_true', help='put the table into the page')
    parser.add_argument('--json', type=Path, help='also write the rows to this file')
    args = parser.parse_args(argv)
    warnings.filterwarnings('ignore')
    with friendly_errors():
        device = torch.device(args.device)
        if device.type == 'cuda' and not torch.cuda.is_available():
            raise CliError('no CUDA device here: --device cpu --quick tries the script')
        if args.write and (device.type != 'cuda' or args.quick):
            raise CliError('--write is for whole measurements on a GPU')
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        rows = measure(device, args.rounds, args.quick)
        if args.json:
            write_json(args.json, rows, indent=1)
        if args.write:
            put_into_page(table(rows, torch.cuda.get_device_name(device), args.rounds))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

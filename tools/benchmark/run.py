# SPDX-License-Identifier: Apache-2.0
"""Measure this package, side by side with the official code where a checkout is given.

    python tools/benchmark/run.py [--suite NAME] [--against OFFICIAL_CHECKOUT] [--json FILE]
    python tools/benchmark/run.py --suite inference --profile [--trace FILE]
    python tools/benchmark/run.py --runtimes [--rounds 9] [--against OFFICIAL_CHECKOUT]

Every line of the table is the median of turns that the contestants take one after the other,
each in a process of its own. "ratio" is the official code's time over ours, "of floor" the least
possible time (operations and bytes of the network over the measured peaks) over ours.
``--profile`` writes a Chrome trace and names the five largest costs instead.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
warnings.filterwarnings('ignore')

import torch  # noqa: E402
from floor import Machine, count_layers, measure_machine, training_layers  # noqa: E402
from official_code import CheckoutError, arena, check_checkout  # noqa: E402
from suites import NETWORKS, OFFICIAL, Work, works  # noqa: E402
from workers import BenchmarkError, Contestant, Timing, largest_difference, race  # noqa: E402

from fastmetro_mm.engine.cli import friendly_errors  # noqa: E402
from fastmetro_mm.errors import CliError  # noqa: E402
from fastmetro_mm.fileio import write_json  # noqa: E402

SUITES = ('inference', 'train', 'data', 'eval', 'render')
HEADER = (f'{"work":<36} {"who":<18} {"ms":>9} {"items/s":>8} {"peak MB":>8} {"ratio":>6} '
          f'{"goal":>5} {"memory":>6} {"floor":>6}  difference')  # fmt: skip


def measure(work: Work, folder: str | None, rounds: int, machine: Machine, body: dict) -> list:
    """Rows of one comparison."""
    contestants: dict[str, Contestant] = {}
    if folder is not None and work.official is not None:
        contestants[OFFICIAL] = Contestant(
            work.official.serve, dict(folder=folder, **work.official.options)
        )
    contestants.update(work.contestants)
    timings = race(contestants, work.rounds or rounds, warm_up=2)
    rows = []
    for name, timing in timings.items():
        row = dict(
            work=work.name, suite=work.suite, who=name,
            milliseconds=1000 * timing.median / work.repeat,
            items_per_second=work.items * work.repeat / timing.median,
            peak_mb=timing.peak_mb, start_seconds=timing.start_seconds,
            all_milliseconds=[1000 * value / work.repeat for value in timing.seconds],
        )  # fmt: skip
        row.update(_compare(work, name, timing, timings.get(OFFICIAL)))
        row['floor_share'] = _floor_share(work, name, row['milliseconds'], machine, body)
        rows.append(row)
    return rows


def _compare(work: Work, name: str, timing: Timing, official: Timing | None) -> dict[str, Any]:
    if official is None or timing is official:
        return {}
    row: dict[str, Any] = dict(
        ratio=official.median / timing.median, memory_ratio=timing.peak_mb / official.peak_mb,
        goal=work.goals.get(name))  # fmt: skip
    if work.compared is not None:
        output, unit = work.compared
        row['difference'] = largest_difference(timing.outputs, official.outputs, output)
        row['difference_of'] = f'{output} {unit}'.strip()
    return row


_LAYERS: dict[tuple, list] = {}


def _floor_share(
    work: Work, who: str, milliseconds: float, machine: Machine, body: dict
) -> float | None:
    if work.network is None or who == OFFICIAL:
        return None
    name, batch, direction = work.network
    if work.network not in _LAYERS:
        from inputs import images
        from our_code import build

        network = build(*NETWORKS[name], body).eval()
        layers = count_layers(network, images(batch))
        if direction == 'step':
            layers = training_layers(layers, sum(p.numel() for p in network.parameters()))
        _LAYERS[work.network] = layers
    dtype = torch.bfloat16 if who in ('fast', 'bfloat16') else torch.float32
    return 1000 * machine.seconds(_LAYERS[work.network], dtype) / milliseconds


def line(row: dict[str, Any]) -> str:
    """A row of the table."""

    def show(name: str, form: str, width: int) -> str:
        value = row.get(name)
        return f'{"":>{width}}' if value is None else f'{value:>{width}{form}}'

    difference = row.get('difference')
    said = '' if difference is None else f'{difference:.1e} {row["difference_of"]}'
    return (
        f'{row["work"]:<36} {row["who"]:<18} {row["milliseconds"]:9.2f} '
        f'{row["items_per_second"]:8.1f} {show("peak_mb", ".0f", 8)} '
        f'{show("ratio", ".2f", 6)} {show("goal", ".1f", 5)} '
        f'{show("memory_ratio", ".2f", 6)} {show("floor_share", ".2f", 6)}  {said}'
    )


def data_rows(against: str | None, rounds: int) -> list[dict[str, Any]]:
    """Loaders, one thread, full augmentation."""
    import tempfile

    from data import measure_speed, write_images

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        yaml_path = write_images(Path(folder), 64, 1000, (700, 1000))
        speeds = measure_speed(yaml_path, 64, against, rounds, False)
    official = speeds.get('official loader')
    who = {'official loader': OFFICIAL, 'ours, official mode': 'exact', 'ours, fast mode': 'fast'}
    return [
        dict(work='loading, 1000 px JPEG, 1 worker', suite='data', who=who[name],
             milliseconds=1000 / speed, items_per_second=speed,
             ratio=speed / official if official and who[name] != OFFICIAL else None)
        for name, speed in speeds.items()
    ]  # fmt: skip


def render_rows(rounds: int) -> list[dict[str, Any]]:
    """The software renderer, one core."""
    from statistics import median

    from render import measure as measure_drawing

    from fastmetro_mm.visualization.renderer_factory import build_renderer

    rows = []
    for people in (1, 4):
        seconds = measure_drawing([build_renderer('software')], people, (1280, 720), rounds, None)
        value = median(seconds['software'])
        rows.append(
            dict(
                work=f'drawing {people} on 1280 x 720',
                suite='render',
                who='software',
                milliseconds=1000 * value,
                items_per_second=people / value,
            )
        )
    return rows


def stage_lines(suites: list[str], body: dict, rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Share of every stage."""
    from our_stages import inference_stages, training_stages

    tables = []
    for name, (size, backbone) in list(NETWORKS.items())[: 1 if quick else 2]:
        if 'inference' in suites:
            for speed in ('exact', 'fast'):
                stages = inference_stages(size, backbone, 8, body, speed, rounds)
                tables.append(dict(work=f'{name} inference, batch 8, {speed}', stages=stages))
        if 'train' in suites:
            batch = 8 if name.startswith('S') else 4
            stages = training_stages(size, backbone, batch, body, rounds)
            tables.append(dict(work=f'{name} training, batch {batch}, float32', stages=stages))
    return tables


def describe(machine: Machine) -> dict[str, Any]:
    """What it ran on."""
    model = ''
    if Path('/proc/cpuinfo').is_file():
        names = [
            row
            for row in Path('/proc/cpuinfo').read_text().splitlines()
            if row.startswith('model name')
        ]
        model = names[0].split(':')[1].strip() if names else ''
    return dict(
        processor=model or platform.processor(), cores=torch.get_num_threads(),
        torch=torch.__version__, python=platform.python_version(),
        float32_gflops=machine.float32 / 1e9, bfloat16_gflops=machine.bfloat16 / 1e9,
        bandwidth_gb=machine.bandwidth / 1e9, date=time.strftime('%Y-%m-%d'),
    )  # fmt: skip


def measure_runtimes(
    args: argparse.Namespace, report: dict[str, Any], body: dict, folder: str | None
) -> None:
    """Rows of ``--runtimes``; what is done is written at once."""
    from runtimes import runtime_rows

    threads = report['threads'] = args.threads or torch.get_num_threads()
    clock = report['clock'] = 'processor' if args.processor_time else 'wall'
    names = [name for name in NETWORKS if args.only in name]
    found = runtime_rows(
        names, args.batches, body, args.rounds, clock, threads, folder, who=args.who
    )
    for rows in found:
        report['rows'] += rows
        print('\n'.join(map(line, rows)), flush=True)
        if args.json:
            write_json(args.json, report, indent=1)


def profile(args: argparse.Namespace, body: dict) -> None:
    """Name the five largest costs."""
    from inputs import images
    from our_code import build
    from our_stages import largest_costs, training_round

    from fastmetro_mm.speed.acceleration import accelerate

    size, backbone = NETWORKS[args.network]
    if args.suite == 'train':
        work = training_round(size, backbone, args.batch, body)
    else:
        network = accelerate(build(size, backbone, body).eval(), args.speed)
        x = images(args.batch)

        def work() -> None:
            with torch.no_grad():
                network(x, None, mode='tensor')

    trace = Path(args.trace)
    print(
        f'five largest costs ({args.network}, batch {args.batch}, '
        f'{"training" if args.suite == "train" else args.speed}):'
    )
    print('\n'.join(largest_costs(work, trace)))
    print(f'trace: {trace} (open it in chrome://tracing or Perfetto)')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--suite', choices=[*SUITES, 'all'], default='all')
    parser.add_argument('--against', help='checkout of the official code')
    parser.add_argument('--rounds', type=int, default=5, help='turns that count (default: 5)')
    parser.add_argument('--only', default='', help='works whose name contains this')
    parser.add_argument('--runtimes', action='store_true',
                        help='only our network beside its graph in other libraries')  # fmt: skip
    parser.add_argument('--batches', type=int, nargs='+', help='for --runtimes')
    parser.add_argument(
        '--who',
        nargs='+',
        default=[''],
        help='for --runtimes: those whose name contains one of these (each keeps '
        'up to 4 GB for L-H64)',
    )
    parser.add_argument('--threads', type=int, help='for --runtimes (default: all cores)')
    parser.add_argument('--processor-time', action='store_true',
                        help='for --runtimes: beside other work, with --threads 1')  # fmt: skip
    parser.add_argument('--quick', action='store_true', help='see whether it runs; no numbers')
    parser.add_argument('--json', type=Path, help='also write everything to this file')
    parser.add_argument('--profile', action='store_true', help='name the five largest costs')
    parser.add_argument('--network', choices=list(NETWORKS), default='S-R50', help='for --profile')
    parser.add_argument('--batch', type=int, default=8, help='for --profile')
    parser.add_argument('--speed', choices=['exact', 'fast'], default='exact', help='for --profile')
    parser.add_argument('--trace', default='trace.json', help='for --profile')
    args = parser.parse_args(argv)
    if args.rounds < 1 or args.batch < 1:
        parser.error('--rounds and --batch must be at least 1')
    if args.against is not None:
        try:
            args.against = str(check_checkout(args.against).resolve())
        except CheckoutError as error:
            parser.error(f'--against {error}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    args = parse_args(argv)
    suites = list(SUITES) if args.suite == 'all' else [args.suite]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)
    with friendly_errors(), arena(args.against) as (folder, body):
        if args.profile:
            profile(args, body)
            return 0
        machine = measure_machine()
        report: dict[str, Any] = dict(machine=describe(machine), rows=[], stages=[])
        print(
            '  '.join(
                f'{name} {value:.0f}' if isinstance(value, float) else f'{name} {value}'
                for name, value in report['machine'].items()
            )
        )
        print(HEADER)
        if args.runtimes:
            measure_runtimes(args, report, body, folder)
            return 0
        for work in works(body, args.quick):
            if work.suite in suites and args.only in work.name:
                try:
                    rows = measure(work, folder, args.rounds, machine, body)
                except BenchmarkError as error:
                    raise CliError(f'{work.name}: {error}') from None
                report['rows'] += rows
                print('\n'.join(map(line, rows)), flush=True)
        extra: list[dict[str, Any]] = []
        if not args.only and not args.quick:
            if 'data' in suites:
                extra += data_rows(args.against, args.rounds)
            if 'render' in suites:
                extra += render_rows(args.rounds)
        print('\n'.join(map(line, extra)))
        report['rows'] += extra
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        if not args.only:
            report['stages'] = stage_lines(suites, body, args.rounds, args.quick)
        for table in report['stages']:
            whole = sum(table['stages'].values())
            shares = '  '.join(
                f'{name} {value / whole:.0%}' for name, value in table['stages'].items()
            )
            print(f'{table["work"]}: {1000 * whole:.0f} ms: {shares}')
        if args.json:
            write_json(args.json, report, indent=1)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

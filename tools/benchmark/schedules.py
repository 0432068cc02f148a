# SPDX-License-Identifier: Apache-2.0
"""Compare learning schedules at equal time on the quickstart's data and network.

Arms: ``official`` is a constant rate of 1e-4 in float32; ``constant`` the same at 1e-3;
``modern`` warms up to 1e-3 in the first twentieth of the time, falls along a cosine to 1e-5 and
computes in bfloat16; ``modern_low`` the same with its peak at 1e-4. Two arms are compared: for
each seed both start from the same random weights and run at the same time, each on a processor
core of its own, until they have used their seconds of processor time. Every arm is scored with
its last weights and with their exponential moving average.

Example:
    python tools/benchmark/schedules.py --data data/quickstart --seconds 600 --seeds 0 1 2
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# `python tools/benchmark/schedules.py` does not put the repository on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import ExponentialMovingAverage

from fastmetro_mm import config_path
from fastmetro_mm.engine import MeshRunner

WARM_UP = 0.05  # of the time
EMA_MOMENTUM = 0.005  # weights of the last 200 iterations or so
PEAK_RATE = dict(official=1e-4, constant=1e-3, modern=1e-3, modern_low=1e-4)


class BudgetHook(Hook):
    """Ends the training after its time, sets the rate by the time gone, averages the weights."""

    def __init__(self, arm: str, seconds: float) -> None:
        self.arm, self.seconds = arm, seconds

    def before_train(self, runner: MeshRunner) -> None:
        """Start the clock; the average starts from the first weights."""
        self.start = time.process_time()
        self.average = ExponentialMovingAverage(
            runner.model, momentum=EMA_MOMENTUM, update_buffers=True
        )

    def before_train_iter(self, runner: MeshRunner, *args, **kwargs) -> None:
        """Set the rate."""
        if self.arm.startswith('modern'):
            gone = min((time.process_time() - self.start) / self.seconds, 1.0)
            for group in runner.optim_wrapper.param_groups:
                group['lr'] = PEAK_RATE[self.arm] * rate_at(gone)

    def after_train_iter(self, runner: MeshRunner, *args, **kwargs) -> None:
        """Take the average one step further; stop when the time is over."""
        self.average.update_parameters(runner.model)
        if time.process_time() - self.start >= self.seconds:
            runner.train_loop._max_iters = runner.iter + 1


def rate_at(gone: float) -> float:
    """Share of the peak rate after a share of the time: a ramp, then a cosine to a hundredth."""
    if gone < WARM_UP:
        return 0.05 + 0.95 * gone / WARM_UP
    falling = (gone - WARM_UP) / (1 - WARM_UP)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * falling))


def make_config(arm: str, data: Path, seed: int, work_dir: str) -> Config:
    """The quickstart, trained until somebody stops it."""
    cfg = Config.fromfile(config_path('quickstart'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(data)
    cfg.train_dataloader.sampler = dict(type='mmengine.dataset.InfiniteSampler', shuffle=True)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    endless = 10**9
    cfg.train_cfg = dict(
        type='mmengine.runner.IterBasedTrainLoop', max_iters=endless, val_interval=endless
    )
    # Import paths instead of classes, so that the runner can write the config.
    cfg.optim_wrapper.type = (
        'fastmetro_mm.engine.optim_wrapper.MixedPrecisionOptimWrapper'
        if arm.startswith('modern')
        else 'mmengine.optim.OptimWrapper'
    )
    cfg.optim_wrapper.optimizer.lr = PEAK_RATE[arm]
    cfg.param_scheduler = []  # the hook sets the rate
    cfg.custom_hooks = []
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.pop('visualization')
    cfg.log_processor = dict(type='mmengine.runner.LogProcessor', by_epoch=False)
    cfg.log_level = 'ERROR'
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = work_dir
    cfg.experiment_name = f'{arm}_{seed}_{time.time_ns()}'
    return cfg


def run_arm(arm: str, data: Path, seed: int, seconds: float) -> dict:
    """Train for the time, score both sets of weights."""
    with tempfile.TemporaryDirectory() as folder:
        runner = MeshRunner.from_cfg(make_config(arm, data, seed, folder))
        hook = BudgetHook(arm, seconds)
        runner.register_hook(hook)
        runner.train()
        spent = time.process_time() - hook.start
        iterations = runner.iter
        last = runner.val_loop.run()
        runner.model.load_state_dict(hook.average.module.state_dict())
        average = runner.val_loop.run()
    row = dict(arm=arm, seed=seed, iterations=iterations, seconds=round(spent, 1))
    for name in ('PA-MPJPE', 'MPJPE'):
        row[name] = float(last[name])
        row[f'{name} of the average'] = float(average[name])
    return row


def start_worker(arm: str, core: int, seed: int, args: argparse.Namespace, out: Path):
    """One arm in its own process, on its own core."""
    command = [sys.executable, __file__, '--worker', arm, '--core', str(core), '--out', str(out)]
    command += ['--data', str(args.data), '--seconds', str(args.seconds), '--seeds', str(seed)]
    # One thread a library as well: the process may use a single core.
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data/quickstart'))
    parser.add_argument('--seconds', type=float, default=600.0, help='processor time of a run')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--arms', nargs=2, choices=sorted(PEAK_RATE), default=['official', 'modern']
    )
    parser.add_argument('--out', type=Path, help='also write the rows to this JSON file')
    parser.add_argument('--worker', choices=sorted(PEAK_RATE), help=argparse.SUPPRESS)
    parser.add_argument('--core', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.data / 'train.yaml').is_file():
        sys.exit(f'error: {args.data}: no train.yaml; run tools/quickstart.sh or make_synthetic.py')
    if args.worker:
        if hasattr(os, 'sched_setaffinity'):
            os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[args.core]})
        torch.set_num_threads(1)
        row = run_arm(args.worker, args.data, args.seeds[0], args.seconds)
        args.out.write_text(json.dumps(row))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for turn, seed in enumerate(args.seeds):
            outs = [Path(folder) / f'{arm}_{seed}.json' for arm in args.arms]
            # The arms change cores from seed to seed.
            workers = [
                start_worker(arm, (number + turn) % 2, seed, args, out)
                for number, (arm, out) in enumerate(zip(args.arms, outs, strict=True))
            ]
            if any([worker.wait() for worker in workers]):
                sys.exit('error: an arm failed; its message is above')
            for out in outs:
                row = json.loads(out.read_text())
                rows.append(row)
                print(
                    f'{row["arm"]:<10} seed {seed}  {row["iterations"]:5d} iterations '
                    f'{row["seconds"]:6.1f} s  PA-MPJPE {row["PA-MPJPE"]:6.1f} mm '
                    f'(average {row["PA-MPJPE of the average"]:6.1f})  '
                    f'MPJPE {row["MPJPE"]:6.1f} mm (average {row["MPJPE of the average"]:6.1f})',
                    flush=True,
                )
    for arm in args.arms:
        scores = [row['PA-MPJPE'] for row in rows if row['arm'] == arm]
        print(f'{arm:<10} median PA-MPJPE {statistics.median(scores):.1f} mm')
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()

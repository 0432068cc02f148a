# SPDX-License-Identifier: Apache-2.0
"""Compare learning schedules at equal wall time on the quickstart's data and network.

``official``: constant rate 1e-4, float32. ``modern``: 50 iterations of warm-up to 1e-3, cosine to
1e-5, bfloat16. Both start from the same random weights for a seed and take turns; each gets as
many iterations as fit into the time, by its own measured speed.

Example:
    python tools/benchmark/schedules.py --data data/quickstart --seconds 90 --seeds 0 1 2
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

# `python tools/benchmark/schedules.py` does not put the repository on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmengine.config import Config

from fastmetro_mm import config_path
from fastmetro_mm.engine import MeshRunner

WARM_UP = 50
SPEED_ITERATIONS = 24


def make_config(arm: str, data: Path, seed: int, iterations: int, work_dir: str) -> Config:
    """The quickstart with one of the schedules and a number of iterations."""
    cfg = Config.fromfile(config_path('quickstart'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(data)
    cfg.train_dataloader.sampler = dict(type='mmengine.dataset.InfiniteSampler', shuffle=True)
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.train_cfg = dict(
        type='mmengine.runner.IterBasedTrainLoop', max_iters=iterations, val_interval=iterations
    )
    official = arm == 'official'
    # Import paths instead of classes, so that the runner can write the config.
    cfg.optim_wrapper.type = (
        'mmengine.optim.OptimWrapper'
        if official
        else 'fastmetro_mm.engine.optim_wrapper.MixedPrecisionOptimWrapper'
    )
    cfg.optim_wrapper.optimizer.lr = 1e-4 if official else 1e-3
    cfg.param_scheduler = (
        []
        if official
        else [
            dict(
                type='mmengine.optim.LinearLR',
                start_factor=0.05,
                by_epoch=False,
                begin=0,
                end=WARM_UP,
            ),
            dict(
                type='mmengine.optim.CosineAnnealingLR',
                T_max=iterations,
                eta_min=1e-5,
                by_epoch=False,
            ),
        ]
    )
    cfg.custom_hooks = []
    cfg.default_hooks.checkpoint = None
    cfg.log_processor = dict(type='mmengine.runner.LogProcessor', by_epoch=False)
    cfg.log_level = 'ERROR'
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = work_dir
    cfg.experiment_name = f'{arm}_{seed}_{iterations}_{time.time_ns()}'
    return cfg


def run(cfg: Config, validate: bool) -> tuple[float, dict[str, float]]:
    """Train; gives the seconds of training alone and the scores."""
    if not validate:
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    scores: dict[str, float] = {}
    runner = MeshRunner.from_cfg(cfg)
    if validate:
        validate_loop = runner.val_loop.run
        spent = []

        def timed() -> dict:
            start = time.perf_counter()
            scores.update(validate_loop())
            spent.append(time.perf_counter() - start)
            return scores

        runner.val_loop.run = timed
    start = time.perf_counter()
    runner.train()
    seconds = time.perf_counter() - start - (sum(spent) if validate else 0.0)
    return seconds, {name: float(value) for name, value in scores.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data/quickstart'))
    parser.add_argument('--seconds', type=float, default=90.0, help='training time of a run')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', type=Path, help='also write the rows to this JSON file')
    args = parser.parse_args()
    if not (args.data / 'train.yaml').is_file():
        sys.exit(f'error: {args.data}: no train.yaml; run tools/quickstart.sh or make_synthetic.py')
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        speed = {}
        for arm in ('official', 'modern'):
            seconds, _ = run(make_config(arm, args.data, 0, SPEED_ITERATIONS, folder), False)
            again, _ = run(make_config(arm, args.data, 0, 2 * SPEED_ITERATIONS, folder), False)
            speed[arm] = SPEED_ITERATIONS / (again - seconds)  # start-up cancels out
        for seed in args.seeds:
            for arm in ('official', 'modern'):
                iterations = max(2 * WARM_UP, round(speed[arm] * args.seconds))
                cfg = make_config(arm, args.data, seed, iterations, folder)
                seconds, scores = run(cfg, True)
                rows.append(
                    dict(arm=arm, seed=seed, iterations=iterations, seconds=seconds, **scores)
                )
                print(
                    f'{arm:<9} seed {seed}  {iterations:5d} iterations  {seconds:6.1f} s  '
                    f'PA-MPJPE {scores["PA-MPJPE"]:6.1f}  MPJPE {scores["MPJPE"]:6.1f} mm',
                    flush=True,
                )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Train a model: ``fastmetro train CONFIG [options]``."""

import argparse
from contextlib import nullcontext

from fastmetro_mm.engine.cli import OneLineParser, add_common, process_rank
from fastmetro_mm.engine.command_run import command_run
from fastmetro_mm.errors import CliError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; names and meanings as in mmpose's tools/train.py."""
    parser = OneLineParser(description='Train a mesh recovery model')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--work-dir-policy',
        choices=['refuse', 'new', 'overwrite'],
        default='refuse',
        help='a new training (without --resume) in a folder that holds checkpoints: refuse it, '
        'take a new folder beside it (NAME_2, NAME_3...), or write over them',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from CHECKPOINT (or the newest one of a folder), or from the newest readable '
        'one of the work directory; where there is none, start as without --resume',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (also on the CPU)')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate meanwhile')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by actual batch size / auto_scale_lr.base_batch_size',
    )
    parser.add_argument('--seed', type=int, help='random seed (default: the config, else random)')
    parser.add_argument('--deterministic', action='store_true', help='deterministic cuDNN')
    add_common(parser, 'train_dataloader.batch_size=8 body_data_root=/data/body_models')
    return parser.parse_args(argv)


def build_config(args: argparse.Namespace):
    """The config with everything the command line says."""
    from fastmetro_mm.engine import config_options as options

    cfg = options.load_config(args.config)
    options.merge_options(cfg, args.cfg_options)
    policy = 'overwrite' if args.resume is not None or cfg.get('resume') else args.work_dir_policy
    options.choose_work_dir(cfg, args.config, args.work_dir, policy)
    cfg.launcher = args.launcher
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        options.enable_amp(cfg)
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr'):
            raise CliError(
                '--auto-scale-lr: the config has no auto_scale_lr: add --cfg-options '
                'auto_scale_lr.base_batch_size=N, the batch size of its learning rate'
            )
        cfg.auto_scale_lr.enable = True
    options.choose_start(cfg, args.resume)
    randomness = cfg.get('randomness') or {}
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.deterministic:
        randomness['deterministic'] = True
    if randomness:
        cfg.randomness = randomness
    options.enable_drawing(cfg, args.show_dir, args.show, args.interval, args.wait_time)
    options.ensure_hooks(cfg)
    return cfg


def main(argv: list[str] | None = None) -> None:
    """Train; a user's mistake ends with one line and exit code 2."""
    with command_run(parse_args, argv) as args:
        from fastmetro_mm.engine.runner import build_runner
        from fastmetro_mm.engine.work_dir import locked

        cfg = build_config(args)
        first = args.launcher == 'none' or process_rank() == 0
        with locked(cfg.work_dir) if first else nullcontext():
            build_runner(cfg).train()

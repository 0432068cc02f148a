# SPDX-License-Identifier: Apache-2.0
"""Evaluate a checkpoint: ``fastmetro test CONFIG CHECKPOINT [options]``."""

import argparse
import os
from pathlib import Path

from fastmetro_mm.engine.cli import OneLineParser, add_common
from fastmetro_mm.engine.command_run import command_run
from fastmetro_mm.errors import CliError

_WORST = 12  # images in a report


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line; names and meanings as in mmpose's tools/test.py."""
    parser = OneLineParser(description='Evaluate a mesh recovery model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for the log')
    parser.add_argument('--out', help='write the metrics to this file (.json, .yaml or .pkl)')
    parser.add_argument('--dump', help='write the predictions to this file (.pkl)')
    parser.add_argument(
        '--report',
        metavar='FOLDER',
        help='write report.html and report.json there: errors by joint, truncation, occlusion, '
        'view, size and pose, and images of the worst',
    )
    parser.add_argument(
        '--tta',
        nargs='+',
        metavar='VIEW',
        help='average several views of every crop: flip, rot=DEGREES,... scale=FACTORS,...; every '
        'combination is one view, e.g. --tta flip rot=-20,20 (bodies), --tta rot=-20,20 (hands)',
    )
    parser.add_argument(
        '--rot',
        type=float,
        metavar='DEGREES',
        help='look at every crop turned, labels too, as --multiscale_inference of the official '
        'hand script does',
    )
    parser.add_argument('--sc', type=float, metavar='FACTOR', help='the same with a larger crop')
    add_common(parser, 'test_dataloader.batch_size=8')
    return parser.parse_args(argv)


def check_output(option: str, path: str | None, endings: tuple[str, ...]) -> None:
    """Refuse an output file of an unknown kind before the evaluation instead of after it."""
    if path is None:
        return
    if not path.endswith(endings):
        raise CliError(f'{option} {path}: the name must end with {" or ".join(endings)}')
    folder = Path(path).resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CliError(f'{option} {path}: {folder} is no folder that can be written: create it')


def build_config(args: argparse.Namespace):
    """The config with everything the command line says."""
    from fastmetro_mm.engine import config_options as options

    check_output('--out', args.out, ('.json', '.yaml', '.yml', '.pkl'))
    check_output('--dump', args.dump, ('.pkl', '.pickle'))
    if args.report:
        Path(args.report).mkdir(parents=True, exist_ok=True)
    cfg = options.load_config(args.config)
    options.merge_options(cfg, args.cfg_options)
    if not cfg.get('test_dataloader') or not cfg.get('test_evaluator'):
        raise CliError(f'{args.config}: has no test_dataloader or test_evaluator: nothing to test')
    options.choose_work_dir(cfg, args.config, args.work_dir)
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    cfg.resume = False
    wanted = {
        'fastmetro_mm.evaluation.dump_results.MeshDumpResults': dict(out_file_path=args.dump),
        'fastmetro_mm.evaluation.attribute_report.AttributeReport': dict(folder=args.report),
    }
    metrics = cfg.test_evaluator
    cfg.test_evaluator = [
        *(metrics if isinstance(metrics, (list, tuple)) else [metrics]),
        *(dict(type=kind, **where) for kind, where in wanted.items() if any(where.values())),
    ]
    if args.tta is not None or args.rot is not None or args.sc is not None:
        from fastmetro_mm.engine.views import choose_views

        choose_views(cfg, args.tta, args.rot, args.sc)
    options.enable_drawing(cfg, args.show_dir, args.show, args.interval, args.wait_time)
    options.ensure_hooks(cfg)
    return cfg


def print_metrics(metrics: dict) -> None:
    """The metrics as a table on the terminal."""
    width = max((len(name) for name in metrics), default=0)
    for name, value in metrics.items():
        shown = f'{value:10.4f}' if isinstance(value, float) else value
        print(f'{name.ljust(width)}  {shown}', flush=True)


def write_report(folder: Path, cfg, network) -> Path:
    """The page beside ``report.json``, with the worst samples drawn."""
    from fastmetro_mm.evaluation.attribute_report import REPORT_FILE
    from fastmetro_mm.evaluation.report_page import read_report, write_report_page
    from fastmetro_mm.evaluation.worst_cases import draw_worst_cases, read_worst

    report = read_report(folder / REPORT_FILE)
    worst = read_worst(folder / REPORT_FILE, _WORST) if report['images'] else []
    title = f'{Path(cfg.filename or "config").stem}: {Path(cfg.load_from).name}'
    images = draw_worst_cases(cfg, network, worst)
    return write_report_page(folder / 'report.html', title, report, images)


def main(argv: list[str] | None = None) -> None:
    """Evaluate; a user's mistake ends with one line and exit code 2."""
    with command_run(parse_args, argv) as args:
        from mmengine.dist import is_main_process
        from mmengine.fileio import dump

        from fastmetro_mm.engine.runner import build_runner
        from fastmetro_mm.fileio import write_atomically

        runner = build_runner(build_config(args))
        metrics = runner.test()
        if is_main_process():
            print_metrics(metrics)
            if args.report:
                network = getattr(runner.model, 'module', runner.model)  # of several processes
                print(write_report(Path(args.report), runner.cfg, network))
            if args.out:
                text = dump(metrics, file_format=Path(args.out).suffix[1:])
                data = text if isinstance(text, bytes) else str(text).encode()
                write_atomically(args.out, data)

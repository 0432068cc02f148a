# SPDX-License-Identifier: Apache-2.0
r"""Draw the samples with the largest errors: which images does a network fail on?

Example:
    fastmetro test CONFIG CHECKPOINT \
        --cfg-options test_evaluator.0.per_sample_file=errors.json
    fastmetro worst CONFIG CHECKPOINT errors.json --out sheet.png --n 12
"""

import argparse

from fastmetro_mm.engine.cli import OneLineParser, add_config_options, friendly_errors
from fastmetro_mm.errors import CliError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = OneLineParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('errors', help='per_sample_file that a metric wrote')
    parser.add_argument(
        '--out', default='worst_cases.png', help='image file (default: %(default)s)'
    )
    parser.add_argument('--n', type=int, default=12, help='number of samples')
    parser.add_argument(
        '--by',
        metavar='NAME',
        help='sort by this error, e.g. MPJPE (default: as the file is sorted)',
    )
    parser.add_argument(
        '--views',
        nargs='*',
        default=(),
        metavar='VIEW',
        help='also draw the meshes from front, side, back or top',
    )
    add_config_options(parser, 'test_dataloader.num_workers=0')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Write one sheet; a user's mistake ends with one line and exit code 2."""
    with friendly_errors():
        args = parse_args(argv)
        if args.n < 1:
            raise CliError(f'--n {args.n}: expected 1 or more')
        from mmengine.device import get_device

        from fastmetro_mm.engine import config_options
        from fastmetro_mm.evaluation.worst_cases import draw_worst_cases, read_worst
        from fastmetro_mm.model_zoo.model_loading import load_network
        from fastmetro_mm.visualization.contact_sheet import write_contact_sheet

        rows = read_worst(args.errors, args.n, args.by)
        config_options.choose_device(args.device)
        cfg = config_options.load_config(args.config)
        config_options.merge_options(cfg, args.cfg_options)
        model = load_network(cfg, args.checkpoint, get_device())
        path = write_contact_sheet(args.out, draw_worst_cases(cfg, model, rows, args.views))
        print(f'{path}: {len(rows)} samples')

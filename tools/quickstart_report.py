# SPDX-License-Identifier: Apache-2.0
"""Sum up a quickstart run: loss, scores against a predictor that never looks, images.

Example:
    python tools/quickstart_report.py configs/quickstart.py work_dirs/quickstart
"""

import argparse
import json
import sys
from pathlib import Path

# `python tools/quickstart_report.py` puts tools/ on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastmetro_mm.engine.cli import ConfigOptionAction, OneLineParser, friendly_errors
from fastmetro_mm.errors import CliError, MissingFileError


def loss_fall(records: list[dict]) -> tuple[float, float]:
    """First logged training loss, and the mean of the last five."""
    losses = [record['loss'] for record in records if 'loss' in record]
    if len(losses) < 2:
        raise CliError('the log holds fewer than two losses: train first')
    last = losses[-5:]
    return losses[0], sum(last) / len(last)


def constant_scores(cfg) -> dict[str, float]:
    """Millimetres that always answering the mean pose of the training set costs on the test set."""
    import numpy as np
    from mmpose.registry import DATASETS

    from fastmetro_mm.evaluation.constant_baseline import collect_joints, mean_pose
    from fastmetro_mm.evaluation.functional import mpjpe, pa_mpjpe

    joints = {}
    for name in ('train_dataloader', 'test_dataloader'):
        # labels as they are: no image is decoded, nothing is augmented
        dataset = DATASETS.build({**cfg[name].dataset, 'pipeline': []})
        joints[name] = collect_joints(dataset[index] for index in range(len(dataset)))
    truth = joints['test_dataloader']
    aligned = np.broadcast_to(mean_pose(joints['train_dataloader']), truth.shape)
    plain = np.broadcast_to(joints['train_dataloader'].mean(axis=0), truth.shape)
    return {
        'MPJPE': 1000 * mpjpe(plain, truth).mean(),
        'PA-MPJPE': 1000 * pa_mpjpe(aligned, truth).mean(),
    }


def make_images(work_dir: Path, count: int) -> list[Path]:
    """Loss curve, and a sheet of the images that tools/test.py drew."""
    import cv2

    from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
    from fastmetro_mm.visualization.curves import plot_curves

    written = [
        plot_curves(work_dir, work_dir / 'curves.png', ['loss', 'PA-MPJPE', 'MPJPE'], 'quickstart')
    ]
    images = sorted((work_dir / 'images' / 'test').glob('*.jpg'))[:count]
    if images:
        tiles = [('', cv2.imread(str(path))[:, :, ::-1]) for path in images]
        sheet = work_dir / 'predictions.png'
        write_contact_sheet(sheet, tiles, columns=3)
        written.append(sheet)
    return written


def main() -> None:
    """Command line."""
    with friendly_errors():
        parser = OneLineParser(description=__doc__.splitlines()[0])
        parser.add_argument('config', help='config of the run')
        parser.add_argument('work_dir', type=Path, help='its work directory')
        parser.add_argument('--images', type=int, default=12, help='images on the sheet')
        parser.add_argument(
            '--cfg-options', nargs='+', action=ConfigOptionAction, metavar='KEY=VALUE'
        )
        args: argparse.Namespace = parser.parse_args()
        from fastmetro_mm.engine import config_options
        from fastmetro_mm.visualization.curves import read_scalars

        cfg = config_options.load_config(args.config)
        config_options.merge_options(cfg, args.cfg_options)
        scores = args.work_dir / 'scores.json'
        if not scores.is_file():
            raise MissingFileError(f'{scores}: no such file; run tools/test.py --out {scores}')
        reached = json.loads(scores.read_text())
        first, last = loss_fall(read_scalars(args.work_dir))
        constant = constant_scores(cfg)

        print(f'\ntraining loss  {first:.1f} -> {last:.1f}  ({first / last:.1f} times smaller)\n')
        print('held-out people (mm)        this network   always the mean body')
        for name in ('PA-MPJPE', 'MPJPE', 'MPVPE'):
            bar = f'{constant[name]:14.1f}' if name in constant else ''
            print(f'{name:<26}{reached[name]:14.1f}{bar:>23}'.rstrip())
        print('\nimages')
        for path in make_images(args.work_dir, args.images):
            print(f'  {path}')


if __name__ == '__main__':
    main()

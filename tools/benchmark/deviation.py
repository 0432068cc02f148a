# SPDX-License-Identifier: Apache-2.0
"""How far the accelerated networks' meshes lie from the plain network's, on trained weights.

python tools/benchmark/deviation.py --weights work_dirs/quickstart/epoch_8.pth
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

# `python tools/benchmark/deviation.py` does not put the repository on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from fastmetro_mm.config_files import config_path
from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.model_zoo.model_loading import load_network
from fastmetro_mm.speed.acceleration import accelerate


def deviations(
    config: Config, weights: str, samples: int, batch: int = 50
) -> dict[str, torch.Tensor]:
    """Distances of centred vertices to the plain network's, by speed; (samples, V), mm."""
    from mmpose.registry import DATASETS

    dataset = DATASETS.build(config.val_dataloader.dataset)
    plain = load_network(config, weights, 'cpu')
    networks = {speed: accelerate(copy.deepcopy(plain), speed) for speed in ('exact', 'fast')}
    distances: dict[str, list[torch.Tensor]] = {speed: [] for speed in networks}
    count = min(samples, len(dataset))
    for start in range(0, count, batch):
        items = [dataset[index] for index in range(start, min(start + batch, count))]
        with torch.no_grad():
            inputs = plain.data_preprocessor(pseudo_collate(items))['inputs']
            expected, _ = plain.head.centre(plain(inputs, None, mode='tensor'))
            for speed, network in networks.items():
                vertices, _ = network.head.centre(network(inputs, None, mode='tensor'))
                distances[speed].append(1000 * (vertices - expected).norm(dim=2))
    return {speed: torch.cat(parts) for speed, parts in distances.items()}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='quickstart', help='name or path (quickstart)')
    parser.add_argument('--weights', required=True, help='trained weights of that config')
    parser.add_argument('--data', help="folder of the config's validation set, if elsewhere")
    parser.add_argument('--samples', type=int, default=200)
    args = parser.parse_args()
    with friendly_errors():
        path = args.config if Path(args.config).is_file() else config_path(args.config)
        config = Config.fromfile(path)
        if args.data:
            config.val_dataloader.dataset.data_root = args.data
        for speed, distance in deviations(config, args.weights, args.samples).items():
            worst = distance.mean(dim=1).max()
            print(
                f'{speed}: mean {distance.mean():.4f} mm, worst person {worst:.4f} mm, '
                f'largest {distance.max():.4f} mm ({len(distance)} people)'
            )
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""How far meshes of prepared networks lie from those of the plain network, and how fast they come.

python tools/benchmark/deviation.py --weights work_dirs/quickstart/epoch_8.pth
python tools/benchmark/deviation.py --config open_body --data data/quickstart [--threads 1]

Every speed in torch, OpenVINO and ONNX Runtime, as far as they are installed. Times are processor
time of backbone, neck and mesh head, medians of seven turns which all take one after the other.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

# `python tools/benchmark/deviation.py` does not put the repository on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from fastmetro_mm.engine.cli import friendly_errors
from fastmetro_mm.fileio import write_json
from fastmetro_mm.model_zoo.lookup import find_model
from fastmetro_mm.model_zoo.model_loading import load_network, resolve_config
from fastmetro_mm.runtimes.names import LIBRARIES, is_installed
from fastmetro_mm.runtimes.preparing import prepare_network

_TURNS = 7


def crops_of(config: Config, network: torch.nn.Module, samples: int) -> torch.Tensor:
    """Normalised crops (N, 3, S, S) of a validation set."""
    from mmpose.registry import DATASETS

    dataset = DATASETS.build(config.val_dataloader.dataset)
    items = [dataset[index] for index in range(min(samples, len(dataset)))]
    return network.data_preprocessor(pseudo_collate(items))['inputs']


@torch.no_grad()
def centred(network: torch.nn.Module, crops: torch.Tensor, batch: int = 20) -> torch.Tensor:
    """Centred vertices (N, V, 3), metres."""
    return torch.cat(
        [network.head.centre(network(part, None, mode='tensor'))[0] for part in crops.split(batch)]
    )


@torch.no_grad()
def times(networks: dict[str, torch.nn.Module], crops: torch.Tensor) -> dict[str, float]:
    """Milliseconds of processor time for backbone, neck and mesh head, by name."""
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(-2, _TURNS):
        for name, network in networks.items():
            start = time.process_time()
            network.mesh_of(crops)
            if turn >= 0:
                taken[name].append(1000 * (time.process_time() - start))
    return {name: median(values) for name, values in taken.items()}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default='quickstart', help='name or path (quickstart)')
    parser.add_argument('--weights', help='trained weights of that config; those of the name')
    parser.add_argument('--data', help="folder of the config's validation set, if elsewhere")
    parser.add_argument('--samples', type=int, default=200)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--json', type=Path, help='also write everything to this file')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with friendly_errors():
        found = None if Path(args.config).is_file() else find_model(args.config)
        config = resolve_config(args.config if found is None else found.config)
        if args.data:
            config.val_dataloader.dataset.data_root = args.data
        weights = args.weights or (found.weights if found is not None else None)
        plain = load_network(config, weights, 'cpu')
        crops = crops_of(config, plain, args.samples)
        networks = {
            f'{speed}, {runtime}': prepare_network(copy.deepcopy(plain), speed, runtime)
            for speed in ('exact', 'fast')
            for runtime in LIBRARIES
            if is_installed(runtime)
        }
        expected, rows = centred(plain, crops), []
        milliseconds = {batch: times(networks, crops[:batch]) for batch in (1, 8)}
        for name, network in networks.items():
            distance = 1000 * (centred(network, crops) - expected).norm(dim=2)
            person = distance.mean(dim=1)
            row: dict[str, Any] = dict(
                who=name,
                people=len(distance),
                mean_mm=float(distance.mean()),
                worst_person_mm=float(person.max()),
                largest_mm=float(distance.max()),
                milliseconds={batch: taken[name] for batch, taken in milliseconds.items()},
            )
            rows.append(row)
            print(
                f'{name}: mean {row["mean_mm"]:.4f} mm, worst person {row["worst_person_mm"]:.4f} '
                f'mm, largest {row["largest_mm"]:.4f} mm ({len(distance)} people); '
                + ', '.join(f'batch {b} {t:.1f} ms' for b, t in row['milliseconds'].items())
            )
        if args.json:
            write_json(args.json, dict(threads=args.threads, rows=rows), indent=1)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""Size and work of every choice, with random weights.

Usage: python -m projects.stronger_backbone.table
"""

import argparse

import torch
from mmpose.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

import fastmetro_mm  # noqa: F401 - stands in for mmcv's operators, which mmpose imports
from projects.stronger_backbone.backbones import CHOICES, Choice


def measure(choice: Choice) -> tuple[float, float, tuple[int, ...]]:
    """Millions of parameters, GFLOPs (two a multiplication and addition) for one crop, and the map.

    Args:
        choice: What to build.
    """
    network = MODELS.build(choice.backbone)
    network.eval()  # gives nothing back in some of mmpose's
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        seen = network(torch.zeros(1, 3, 224, 224))[-1]
    parameters = sum(value.numel() for value in network.parameters())
    return parameters / 1e6, counter.get_total_flops() / 1e9, tuple(seen.shape[1:])


def main(argv: list[str] | None = None) -> None:
    """Print the rows of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('names', nargs='*', help='of the choices; all if none is given')
    options = parser.parse_args(argv)
    print('| backbone | `in_channels` | `feature_size` | parameters | GFLOPs |')
    print('|---|---|---|---|---|')
    for name in options.names or CHOICES:
        millions, flops, (channels, *size) = measure(CHOICES[name])
        print(f'| `{name}` | {channels} | {tuple(size)} | {millions:.1f} M | {flops:.1f} |')


if __name__ == '__main__':
    main()

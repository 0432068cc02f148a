# SPDX-License-Identifier: Apache-2.0
"""Put backbone, neck and head together as the file that ships, in half precision.

Usage: python -m projects.free_model.lifting.pack BACKBONE CHECKPOINT TARGET
       movenet_thunder WORK/image.pth open_body.safetensors, or
       hand_landmark WORK/hand.pth open_hand.safetensors
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from fastmetro_mm.model_zoo import load_weights


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('backbone', help='shipped name, or a file that convert.py wrote')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('target', type=Path)
    options = parser.parse_args()
    weights = dict(torch.load(options.checkpoint, weights_only=True)['model'])
    for name, value in load_weights(options.backbone).items():
        weights[f'backbone.net.{name}'] = value
    save_file({name: value.half().contiguous() for name, value in weights.items()}, options.target)
    print(f'{options.target}: {sum(v.numel() for v in weights.values()) / 1e6:.2f} M parameters')


if __name__ == '__main__':
    main()

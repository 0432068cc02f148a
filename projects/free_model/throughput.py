# SPDX-License-Identifier: Apache-2.0
"""People a second of the shipped body model, boxes given and with the detector.

Usage: python -m projects.free_model.throughput --people 64 --rounds 5

Both speeds take turns, so that other work on the machine hits them alike; what is told is the
fastest round.
"""

import argparse
import json
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.synthetic.scene import Studio


def draw(count: int) -> list[np.ndarray]:
    """Images of one drawn person each, BGR (320, 320, 3)."""
    studio = Studio('body', (320, 320), 'photo')
    images = []
    for seed in range(count):
        rng = np.random.default_rng((50_000, seed))
        plan = studio.plan(rng)
        data = studio.draw(rng, plan, studio.pose([plan])[0]).image
        images.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    return images


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--people', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--threads', type=int, help='of torch; its own choice if not given')
    parser.add_argument('--device', default='cpu')
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    images = draw(options.people)
    boxes = [[[16, 16, 304, 304]]] * len(images)
    networks = {s: MeshInferencer(device=options.device, speed=s) for s in ('exact', 'fast')}
    spent: dict[str, list[float]] = {}
    for turn in range(options.rounds + 1):
        for speed, network in networks.items():
            for name, given in (('boxes given', boxes), ('with detector', None)):
                took = seconds(
                    lambda network=network, given=given: list(
                        network(images, given, batch_size=options.batch_size, keep_images=False)
                    )
                )
                if turn:  # the first round warms up
                    spent.setdefault(f'{speed}, {name}', []).append(took)
    rates = {name: round(len(images) / min(times), 1) for name, times in spent.items()}
    print(json.dumps({'threads': torch.get_num_threads(), 'images a second': rates}))


if __name__ == '__main__':
    main()

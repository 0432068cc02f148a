# SPDX-License-Identifier: Apache-2.0
"""Meshes of everybody in a folder of images, by several workers, resumable.

Usage: python -m projects.million_images IMAGES OUT --workers 2
"""

import argparse
import os
import time
from pathlib import Path

from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import MissingPackageError
from projects.million_images.work import Plan, count_images, make_plan, make_shard, missing


class Mesher:
    """A worker: one network, kept while it lives; rows are shard numbers.

    Args:
        plan: All images.
        out: Folder of the results.
        options: Command line.
    """

    def __init__(self, plan: Plan, out: Path, options: argparse.Namespace) -> None:
        import torch

        from fastmetro_mm.apis import MeshInferencer

        if options.device == 'cpu':
            torch.set_num_threads(options.threads)
        self.plan, self.out, self.kind = plan, out, options.format
        self.inferencer = MeshInferencer(
            options.model, options.weights, options.device, speed=options.speed
        )

    def __call__(self, row: dict) -> dict:
        """Make the shard of a row; gives its counts."""
        number = int(row['id'])
        return {
            'shard': number,
            **make_shard(self.inferencer, self.plan, number, self.out, self.kind),
        }


def run_here(plan: Plan, todo: list[int], out: Path, options: argparse.Namespace):
    """The same in this process, without Ray."""
    mesher = Mesher(plan, out, options)
    for number in todo:
        yield mesher({'id': number})


def run_with_ray(plan: Plan, todo: list[int], out: Path, options: argparse.Namespace):
    """Workers as a pool of Ray Data; a shard whose worker dies is given to another."""
    try:
        import ray
    except ImportError:
        raise MissingPackageError('Ray is not installed: pip install "ray[data]"') from None
    on_gpu = options.device != 'cpu'
    if not ray.is_initialized():
        here = {'num_cpus': options.workers * options.threads} if options.address is None else {}
        ray.init(address=options.address, log_to_driver=False, include_dashboard=False, **here)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    shards = ray.data.from_items([{'id': number} for number in todo], override_num_blocks=len(todo))
    results = shards.map(
        Mesher,
        fn_constructor_args=(plan, out, options),
        compute=ray.data.ActorPoolStrategy(size=options.workers),
        num_cpus=0 if on_gpu else options.threads,
        num_gpus=1 if on_gpu else 0,
    )
    yield from results.iter_rows()


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('images', type=Path, help='folder, read with those below it')
    parser.add_argument('out', type=Path, help='folder of the results; shared by all machines')
    parser.add_argument('--workers', type=int, default=2, help='0: this process, without Ray')
    parser.add_argument('--shard-size', type=int, default=100, help='images a file')
    parser.add_argument('--format', choices=('npz', 'parquet'), default='npz')
    parser.add_argument('--model', default='open_body')
    parser.add_argument('--weights')
    parser.add_argument('--speed', choices=('exact', 'fast'), default='fast')
    parser.add_argument('--device', default='cpu', help='cpu, or cuda for a GPU a worker')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads a worker')
    parser.add_argument('--address', help='of a Ray cluster: auto, or ray://HOST:10001')
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make what is missing; the same command goes on after a stop."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        out = options.out.resolve()
        out.mkdir(parents=True, exist_ok=True)
        settings = {key: getattr(options, key) for key in ('format', 'model', 'weights', 'speed')}
        plan = make_plan(options.images.resolve(), out, options.shard_size, settings)
        todo = missing(plan, out, options.format)
        print(f'{plan.num_shards} shards, {len(todo)} to be made', flush=True)
        began, images, people, failed = time.monotonic(), 0, 0, 0
        run = run_with_ray if options.workers else run_here
        for done, counts in enumerate(run(plan, todo, out, options) if todo else (), 1):
            images, people = images + counts['images'], people + counts['people']
            failed += counts['failed']
            spent = time.monotonic() - began
            print(f'{done}/{len(todo)} shards, {images / spent:.2f} images/s', flush=True)
        counts = count_images(out, options.format)
        once = sum(counts.get(name) == 1 for name in plan.names)
        print(
            f'{images} images, {people} people, {failed} images that cannot be read; '
            f'{once} of {len(plan.names)} images are in the shards once'
        )


if __name__ == '__main__':
    os.environ.setdefault('RAY_DISABLE_IMPORT_WARNING', '1')
    main()

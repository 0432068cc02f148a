# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: seconds of each stage, and the largest single costs."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from inputs import images, labels
from mmcv.transforms import Compose
from mmengine.structures import InstanceData
from our_code import build, data_batch, network_config

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.speed.acceleration import accelerate
from fastmetro_mm.speed.allocator import keep_freed_memory


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        yield
        self._seconds[name].append(time.perf_counter() - start)

    def medians(self) -> dict[str, float]:
        """Median seconds of every stage, the first (warm-up) round left out."""
        return {name: statistics.median(values[1:]) for name, values in self._seconds.items()}


def _image(folder: str) -> str:
    path = str(Path(folder) / 'image.jpg')
    coarse = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    cv2.imwrite(path, cv2.resize(coarse, (1000, 1000), interpolation=cv2.INTER_CUBIC))
    return path


def _load(path: str, cfg: Any, batch: int) -> list[dict]:
    pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    person = dict(
        img_path=path,
        bbox=np.array([[200.0, 200, 800, 800]], np.float32),
        bbox_score=np.ones(1, np.float32),
    )
    return [pipeline(dict(person)) for _ in range(batch)]


def inference_stages(
    size: str, backbone: str, batch: int, body: dict, speed: str, rounds: int
) -> dict[str, float]:
    """Median seconds of data, backbone, neck, head with mesh, result, metric and drawing."""
    from fastmetro_mm.evaluation import MeshJointMetric
    from fastmetro_mm.geometry.camera import perspective_from_weak
    from fastmetro_mm.visualization.render_types import RenderMesh
    from fastmetro_mm.visualization.renderer_factory import build_renderer

    keep_freed_memory()
    cfg = network_config(size, backbone, body)
    network = accelerate(build(size, backbone, body).eval(), speed)
    renderer = build_renderer('software')
    faces = load_body_assets(**body).faces[0]
    truth = labels(batch)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = _image(folder)
        for _ in range(rounds + 1):
            with watch.stage('data'):
                loaded = _load(path, cfg, batch)
            samples = [item['data_samples'] for item in loaded]
            x = torch.stack([item['inputs'] for item in loaded]).float() / 255
            x = x.to(**network.image_layout)
            with watch.stage('backbone'):
                features = network.backbone(x)
            with watch.stage('neck'):
                tokens = network.neck(features)
            with watch.stage('head and mesh'):
                raw = network.head(tokens)
            with watch.stage('result'):
                results = network.head.predict(raw, samples)
            for index, (sample, result) in enumerate(zip(samples, results, strict=True)):
                sample.pred_instances = result
                rows = {name: value[index : index + 1] for name, value in truth.items()}
                sample.gt_instance_labels = InstanceData(**rows)
            metric = MeshJointMetric()
            with watch.stage('metric'):
                metric.process(None, samples)
                metric.evaluate(batch)
            sample = samples[0]
            camera, translation = perspective_from_weak(
                np.array([0.9, 0.0, 0.0], np.float32),
                sample.metainfo['crop_to_image'],
                224,
                (1000, 1000),
            )
            mesh = RenderMesh(results[0].vertices[0] * 0.1 + translation, faces, (0.6, 0.7, 0.9))
            background = np.zeros((1000, 1000, 3), np.uint8)
            with watch.stage('drawing (one)'):
                renderer.render([mesh], camera, background)
    return watch.medians()


def training_stages(
    size: str, backbone: str, batch: int, body: dict, rounds: int
) -> dict[str, float]:
    """Median seconds of true meshes, backbone, neck, head with mesh, loss, backward, optimiser."""
    keep_freed_memory()
    network = build(size, backbone, body, channels_last=True).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    samples = data_batch(batch)['data_samples']
    x = images(batch).contiguous(memory_format=torch.channels_last)
    watch = Stopwatch()
    for _ in range(rounds + 1):
        with watch.stage('true meshes'):
            targets = network.build_targets(samples, x.device)
        with watch.stage('backbone'):
            features = network.backbone(x)
        with watch.stage('neck'):
            tokens = network.neck(features)
        with watch.stage('head and mesh'):
            raw = network.head(tokens)
        with watch.stage('loss'):
            losses = network.head.loss(raw, targets)
        with watch.stage('backward'):
            losses['loss_mesh'].backward()
        with watch.stage('optimiser'):
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.3)
            optimizer.step()
            optimizer.zero_grad()
    return watch.medians()


def training_round(size: str, backbone: str, batch: int, body: dict) -> Callable[[], Any]:
    """One float32 training step, to be profiled."""
    from mmpose.registry import OPTIM_WRAPPERS

    keep_freed_memory()
    network = build(size, backbone, body, channels_last=True).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    wrapper = OPTIM_WRAPPERS.build(dict(type='OptimWrapper', optimizer=optimizer))
    data = data_batch(batch)
    return lambda: network.train_step(data, wrapper)


def largest_costs(work: Callable[[], Any], trace: Path | None, count: int = 5) -> list[str]:
    """Profile some rounds of work.

    Args:
        work: One round.
        trace: Where the Chrome trace goes; None for none.
        count: How many costs to name.

    Returns:
        A line each, largest first.
    """
    from torch.profiler import ProfilerActivity, profile

    work()
    work()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            work()
    if trace is not None:
        profiler.export_chrome_trace(str(trace))
    rows = sorted(profiler.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    return [
        f'{row.key:<55} {row.self_cpu_time_total / total:6.1%} '
        f'{row.self_cpu_time_total / 3000:9.2f} ms a round, {row.count // 3} calls'
        for row in rows[:count]
    ]

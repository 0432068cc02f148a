# SPDX-License-Identifier: Apache-2.0
"""Inference against the batch size, and against the people of an image."""

from __future__ import annotations

import logging
from typing import Any

import cv2
import numpy as np
import torch
from inputs import images
from scaling_paper import build_network
from workers import Commands, Contestant, race

from fastmetro_mm.apis import MeshInferencer

IMAGE = (1280, 720)


def forward(commands: Commands, batch: int) -> None:
    """FastMETRO-S-R50 as the config builds it, in evaluation."""
    network = build_network('fastmetro_s_r50_h36m').eval()
    x = images(batch)
    with torch.no_grad():
        for _ in commands:
            network(x, None, mode='tensor')


def noise_image() -> np.ndarray:
    """An image with structure of some pixels' size, (720, 1280, 3) uint8."""
    width, height = IMAGE
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3))
    return cv2.resize(coarse.astype(np.uint8), IMAGE, interpolation=cv2.INTER_CUBIC)


def boxes_of_people(count: int) -> np.ndarray:
    """Boxes beside each other, all of the same size, (count, 4) x1 y1 x2 y2."""
    width, height = 75, 360
    left = np.arange(count) % 16 * 80.0
    top = 10 + 300.0 * (np.arange(count) % 2)
    return np.column_stack([left, top, left + width, top + height])


def whole_image(commands: Commands, people: int) -> None:
    """The quickstart's network from the decoded image to placed meshes."""
    logging.disable(logging.WARNING)  # it says that weights are missing
    inferencer = MeshInferencer('quickstart')
    image, boxes = noise_image(), boxes_of_people(people)
    for _ in commands:
        (frame,) = inferencer(image, bboxes=boxes)
        found = len(frame.people)
    commands.outputs['people'] = found


def measure_batches(batches: list[int], rounds: int, threads: int | None) -> list[dict[str, Any]]:
    """Time and memory of the network for each batch size."""
    contestants = {
        str(batch): Contestant('scaling_inference:forward', dict(batch=batch)) for batch in batches
    }
    timings = race(contestants, rounds, threads=threads)
    return [
        dict(
            batch=batch,
            batch_ms=1e3 * timing.median,
            image_ms=1e3 * timing.median / batch,
            peak_mb=timing.peak_mb,
            work_mb=timing.work_mb,
        )
        for batch, timing in zip(batches, timings.values(), strict=True)
    ]


def measure_people(people: list[int], rounds: int, threads: int | None) -> list[dict[str, Any]]:
    """Time and memory of the inferencer for each number of boxes in an image."""
    contestants = {
        str(count): Contestant('scaling_inference:whole_image', dict(people=count))
        for count in people
    }
    timings = race(contestants, rounds, warm_up=2, threads=threads)
    return [
        dict(
            people=timing.outputs['people'],
            whole_image_ms=1e3 * timing.median,
            person_ms=1e3 * timing.median / count,
            peak_mb=timing.peak_mb,
            work_mb=timing.work_mb,
        )
        for count, timing in zip(people, timings.values(), strict=True)
    ]

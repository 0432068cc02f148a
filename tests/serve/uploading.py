# SPDX-License-Identifier: Apache-2.0
"""Files to upload, and how to wait for what becomes of them."""

import io
import time

import cv2
import numpy as np

from fastmetro_mm.apis.boxes import PersonBox


def two_people(image: np.ndarray) -> list[PersonBox]:
    """The left and the right half of every image."""
    height, width = image.shape[:2]
    return [
        PersonBox(np.array([0.0, 0, width / 2, height]), 0.9),
        PersonBox(np.array([width / 2, 0, width, height]), 0.8),
    ]


def noise(seed: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """An image of no meaning (H, W, 3), grey in coarse blocks."""
    small = np.random.default_rng(seed).integers(60, 200, (4, 6, 3), np.uint8)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def jpeg(seed: int = 0, size: tuple[int, int] = (96, 64)) -> bytes:
    """The bytes of a photo."""
    return cv2.imencode('.jpg', noise(seed, size))[1].tobytes()


def ended(client, job: dict) -> dict:
    """The job once it has ended."""
    end = time.monotonic() + 300
    while job['state'] not in ('done', 'failed'):
        assert time.monotonic() < end, job
        time.sleep(0.02)
        job = client.get(f'/api/jobs/{job["id"]}').json()
    return job


def send(client, content: bytes, **query) -> dict:
    """Upload a file and wait for the end of its job."""
    answer = client.post('/api/jobs', params={'name': 'a.jpg', **query}, content=content)
    assert answer.status_code == 201, answer.text
    return ended(client, answer.json())


def load(content: bytes) -> dict:
    """Arrays of an npz."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)

# SPDX-License-Identifier: Apache-2.0
"""What one upload, one job and all of them together may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of the server."""

    upload_bytes: int = 200_000_000  # size of a file
    image_pixels: int = 50_000_000  # pixels of a photo
    frame_pixels: int = 9_000_000  # pixels of a frame of a video
    frames: int = 3000  # frames of a video
    upload_seconds: float = 120.0  # time for sending a file
    # time for one photo or video in the network, and for making one download
    job_seconds: float = 600.0
    jobs: int = 100  # jobs that are kept: waiting, running and finished
    downloads: int = 20  # downloads that wait for being made
    keep_seconds: float = 3600.0  # how long a finished job is kept
    # disk space of all jobs together; the oldest finished ones go first
    disk_bytes: int = 10_000_000_000

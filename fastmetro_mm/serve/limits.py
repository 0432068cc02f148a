# SPDX-License-Identifier: Apache-2.0
"""What one upload, one job and all of them together may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of the server.

    Args:
        upload_bytes: Size of a file.
        image_pixels: Pixels of a photo.
        frame_pixels: Pixels of a frame of a video.
        frames: Frames of a video.
        upload_seconds: Time for sending a file.
        job_seconds: Time for one photo or video in the network, and for making one download.
        jobs: Jobs that are kept: waiting, running and finished.
        downloads: Downloads that wait for being made.
        keep_seconds: How long a finished job is kept.
        disk_bytes: Disk space of all jobs together; the oldest finished ones go first.
    """

    upload_bytes: int = 200_000_000
    image_pixels: int = 50_000_000
    frame_pixels: int = 9_000_000
    frames: int = 3000
    upload_seconds: float = 120.0
    job_seconds: float = 600.0
    jobs: int = 100
    downloads: int = 20
    keep_seconds: float = 3600.0
    disk_bytes: int = 10_000_000_000

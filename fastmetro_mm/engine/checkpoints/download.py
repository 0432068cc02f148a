# SPDX-License-Identifier: Apache-2.0
"""Fetch weights from the internet once per machine, and tell every process how it went."""

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import all_gather_object

from fastmetro_mm.errors import CheckpointError

_TIMEOUT = 60  # seconds without an answer; Python's default is to wait for ever


def download_target(url: str) -> Path:
    """Where the file of an address lies, or will lie: in the cache folder of ``torch.hub``."""
    return Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(url).path).name


def fetch_weights(url: str) -> Path:
    """Download a file unless it is there; all processes of a run must call it together.

    The first process of every machine downloads, the others wait for it. A failure anywhere is
    told to all at once, so that nobody waits for a process that has given up. A hash in the name
    (``-0123abcd.pth``) is checked.

    Args:
        url: ``http(s)://`` address.

    Returns:
        The local file.

    Raises:
        CheckpointError: If it cannot be had; says where to put a copy made elsewhere.
    """
    target = download_target(url)
    problem = None
    if int(os.environ.get('LOCAL_RANK', '0')) == 0 and not target.is_file():
        problem = _download(url, target)
    problems = [text for text in all_gather_object(problem) if text is not None]
    if problems:
        raise CheckpointError(problems[0])
    return target


def _download(url: str, target: Path) -> str | None:
    """Download; the message of a failure, else None."""
    found = torch.hub.HASH_REGEX.search(target.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _patience(_TIMEOUT):
            torch.hub.download_url_to_file(
                url, str(target), hash_prefix=found.group(1) if found else None
            )
    except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, 'reason', None)  # of a URLError, which wraps what happened
        reason = reason if isinstance(reason, BaseException) else error
        return (
            f'{url}: cannot be downloaded ({" ".join(str(reason).split())}): download it on a '
            f'computer with internet and put it at {target}, or name a file of yours instead '
            '(weights of a backbone: --cfg-options model.backbone.init_cfg.checkpoint=FILE; '
            'none: model.backbone.init_cfg=None)'
        )
    return None


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

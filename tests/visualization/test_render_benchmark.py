# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the renderers draws the scene that it says, and times every round."""

import re
import subprocess
import sys

import cv2
import numpy as np


def run(repo_dir, *arguments):
    # Its own process: it binds itself to one core.
    command = [sys.executable, repo_dir / 'tools' / 'benchmark' / 'render.py', *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def test_one_person_nine_tenths_of_the_height(repo_dir, tmp_path):
    image = tmp_path / 'person.png'
    result = run(repo_dir, '--size', 320, 180, '--rounds', 2, '--out', image)
    assert result.returncode == 0, result.stderr
    rows, columns = np.nonzero((cv2.imread(str(image)) != 127).any(axis=-1))
    assert 0.87 * 180 < np.ptp(rows) < 0.95 * 180
    assert abs(columns.mean() - 160) < 6
    median, low, high = map(
        float,
        re.search(
            r'software: median +([\d.]+) ms \(([\d.]+) to ([\d.]+)\)', result.stdout
        ).groups(),
    )
    assert 1 < low <= median <= high


def test_mistakes_are_one_line(repo_dir):
    result = run(repo_dir, '--rounds', 0)
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        'error: --people, --rounds and --size must be at least 1 (see render.py --help)'
    ]

# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the data path runs and measures what it says."""

import importlib.util
import json
import subprocess
import sys

import pytest


@pytest.fixture(scope='module')
def benchmark(repo_dir):
    path = repo_dir / 'tools' / 'benchmark' / 'data.py'
    spec = importlib.util.spec_from_file_location('benchmark_data', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_start_of_a_large_index(benchmark, tmp_path):
    yaml_path = benchmark.write_index(tmp_path / 'index', 100_000)
    result = subprocess.run(
        [sys.executable, benchmark.__file__, '--start', str(yaml_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    start = json.loads(result.stdout.splitlines()[-1])
    assert start['rows'] == 100_000
    assert start['seconds'] < 1 and start['mb'] < 50


def test_fast_mode_is_faster_and_nearly_equal(benchmark, tmp_path):
    yaml_path = benchmark.write_images(tmp_path / 'images', 4, 600, (400, 500))
    speeds = benchmark.measure_speed(yaml_path, 4, None, 3, rotate_all=True)
    assert speeds['ours, fast mode'] > speeds['ours, official mode']
    differences = benchmark.compare_modes(str(yaml_path))
    assert differences['plain grey mean'] < 0.5 and differences['augmented grey mean'] < 2
    assert differences['augmented joints distance max px'] < 3

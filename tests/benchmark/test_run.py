# SPDX-License-Identifier: Apache-2.0
"""The benchmark measures what it says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn


@pytest.fixture
def benchmark(repo_dir, monkeypatch):
    """Makes the benchmark's modules and the fake contestants importable."""
    monkeypatch.syspath_prepend(str(repo_dir / 'tools' / 'benchmark'))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv('PYTHONPATH', '')


def test_contestants_take_turns_and_leave_their_outputs(benchmark):
    from workers import Contestant, largest_difference, race

    timings = race(
        {name: Contestant('fake_contestants:sleeper', dict(seconds=seconds, value=value))
         for name, seconds, value in (('slow', 0.06, 1.0), ('quick', 0.02, 1.5))},
        rounds=3, warm_up=1, threads=1,
    )  # fmt: skip
    assert list(timings) == ['slow', 'quick']
    for name, seconds in (('slow', 0.06), ('quick', 0.02)):
        assert len(timings[name].seconds) == 3
        assert timings[name].outputs['turns'] == 4
        assert min(timings[name].seconds) >= seconds
    slow, quick = timings['slow'].outputs, timings['quick'].outputs
    assert largest_difference(slow, quick, 'value') == 0.5


def test_known_outputs_go_through_our_evaluation(benchmark):
    from inputs import evaluation_batches
    from our_evaluation import known_network, loaded_samples

    ((outputs, labels),) = evaluation_batches(2, 2)
    network = known_network(dict(name='open_body'))
    for row, sample in enumerate(network.predict(outputs, loaded_samples(labels, 0))):
        found = sample.pred_instances
        np.testing.assert_array_equal(found.pred_cam[0], outputs['camera'][row])
        mesh = outputs['vertices'][row].numpy()
        np.testing.assert_allclose(
            found.vertices[0] - found.vertices[0, :1], mesh - mesh[:1], atol=1e-5
        )


def test_another_version_runs_with_its_own_code(benchmark, tmp_path):
    from workers import Contestant, race

    folder = tmp_path / 'tools' / 'benchmark'
    folder.mkdir(parents=True)
    (tmp_path / 'package_before.py').write_text('VERSION = "before"\n')
    (folder / 'fake_contestants.py').write_text(
        'from package_before import VERSION\n'
        'def sleeper(commands, seconds, value):\n'
        '    for _ in commands:\n'
        '        commands.outputs["turns"] = VERSION\n'
    )
    options = dict(seconds=0.0, value=1.0)
    pair = dict(
        before=Contestant('fake_contestants:sleeper', options, str(tmp_path)),
        now=Contestant('fake_contestants:sleeper', options),
    )
    timings = race(pair, rounds=2, warm_up=1, threads=1)
    assert [timings[name].outputs['turns'] for name in pair] == ['before', 3]


@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='needs Linux')
def test_memory_of_the_work_is_seen(benchmark):
    from workers import Contestant, race

    timings = race({'one': Contestant('fake_contestants:hoarder', dict(megabytes=300))}, 1)
    assert 290 < timings['one'].work_mb < 330


def test_a_failing_contestant_says_why(benchmark):
    from workers import BenchmarkError, Contestant, race

    with pytest.raises(BenchmarkError, match='no such thing'):
        race({'one': Contestant('fake_contestants:failing')}, 1)


class TwoLayers(nn.Module):
    """A convolution and a linear layer whose work is counted by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False)
        self.linear = nn.Linear(8, 5)

    def forward(self, x, data_samples, mode):
        return self.linear(self.conv(x).mean(dim=(2, 3)))


def test_floor_counts_operations_and_numbers(benchmark):
    from floor import Layer, Machine, count_layers, training_layers

    layers = count_layers(TwoLayers(), torch.zeros(2, 3, 10, 10))
    # 2 x 8 x 10 x 10 results of 3 x 3 x 3 products and sums; 2 x 5 results of 8
    assert [layer.operations for layer in layers] == [2 * 1600 * 27, 2 * 10 * 8]
    assert [layer.numbers for layer in layers] == [600 + 216 + 1600, 16 + 40 + 10]
    machine = Machine(float32=1e6, bfloat16=4e6, bandwidth=1e6)
    compute, memory = 86400 / 1e6, 4 * 66 / 1e6
    assert machine.seconds(layers, torch.float32) == pytest.approx(compute + memory)
    assert machine.seconds(layers, torch.bfloat16) == pytest.approx(compute / 4 + memory / 2)
    step = training_layers([Layer(10, 4)], parameters=100)
    assert [(layer.operations, layer.numbers) for layer in step] == [(30, 12), (0, 700)]


def test_attention_is_counted_once_for_shared_tokens(benchmark):
    from floor import count_layers

    from fastmetro_mm.models.layers.transformer import Attention

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attention(8, 2, 0.0)

        def forward(self, x, data_samples, mode):
            tokens = x.new_zeros(1, 5, 8)
            return self.attention(tokens, tokens, tokens, batch=3)

    operations = sorted(layer.operations for layer in count_layers(Model(), torch.zeros(3)))
    # query: 5 x 8 x 8, key and value: twice that, once for the batch; then 3 samples of
    # scores and sums, and the output layer
    assert operations == sorted([2 * 5 * 64, 2 * 10 * 64, 4 * 3 * 5 * 5 * 8, 2 * 15 * 64])


def run(repo_dir, *arguments):
    command = [sys.executable, str(repo_dir / 'tools' / 'benchmark' / 'run.py'), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_writes_table_and_json(repo_dir, tmp_path):
    out = tmp_path / 'numbers.json'
    done = run(
        repo_dir,
        '--suite',
        'train',
        '--quick',
        '--only',
        'mesh up',
        '--rounds',
        '1',
        '--json',
        str(out),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    (row,) = report['rows']
    assert row['work'].startswith('mesh up/down') and row['who'] == 'ours'
    assert row['milliseconds'] > 0 and 'ratio' not in row
    assert report['machine']['float32_gflops'] > 1
    assert 'mesh up/down' in done.stdout


def test_a_folder_that_is_no_checkout_is_refused(repo_dir, tmp_path):
    done = run(repo_dir, '--against', str(tmp_path))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert 'no checkout of the official FastMETRO code' in last
    assert 'Traceback' not in done.stderr

# SPDX-License-Identifier: Apache-2.0
"""The scaling benchmark: formulas against cases worked out by hand, and the command."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import nn

from fastmetro_mm import config_path


def load(path):
    """A module of tools/benchmark, which is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks itself up there
    spec.loader.exec_module(module)
    del sys.modules[spec.name]
    return module


@pytest.fixture(scope='module')
def volume(repo_dir):
    """The module with the formulas."""
    return load(repo_dir / 'tools' / 'benchmark' / 'scaling_volume.py')


def test_gradient_bytes_are_four_for_each_trained_number(volume):
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    # 15 + 5, 5 + 5 (the running statistics are no parameters), 10 + 2
    assert volume.gradient_bytes(model) == 4 * 42
    assert volume.gradient_bytes(model, 2) == 2 * 42
    model[0].requires_grad_(False)
    assert volume.gradient_bytes(model) == 4 * 22


def test_gradients_of_the_small_network_as_documented(volume):
    cfg = Config.fromfile(config_path('fastmetro_s_r50_h36m'))
    cfg.model.body = dict(name='open_body')
    model = MODELS.build(cfg.model)
    assert volume.gradient_bytes(model) == 4 * 33_549_398
    assert volume.gradient_bytes(model) == 4 * sum(p.numel() for p in model.parameters())


def test_ring_volume_by_counting_its_rounds(volume):
    # Four ranks, 12 bytes in four parts of 3: three rounds to sum, three to spread, 3 bytes each.
    assert volume.ring_bytes(12, 4) == 6 * 3
    assert volume.ring_bytes(12, 2) == 12
    assert volume.ring_bytes(12, 1) == 0
    # Sharded parameters take half as much again, whatever the number of ranks.
    assert volume.sharded_bytes(12, 4) == 1.5 * volume.ring_bytes(12, 4)


def test_all_reduce_on_two_levels(volume):
    slow, fast = volume.Link('slow', 10.0), volume.Link('fast', 100.0)
    # 4 GPUs: 1.5 x 400 / 100 = 6 s; 2 machines: 1 x 400 / 10 = 40 s; one bucket, 2 + 6 rounds.
    assert volume.all_reduce_seconds(400, 2, 4, slow, fast, hop=0.5) == pytest.approx(50.0)
    assert volume.all_reduce_seconds(400, 1, 1, slow, fast) == 0
    wide = volume.each_gpu(slow, 4)
    assert volume.all_reduce_seconds(400, 2, 4, wide, fast, hop=0) == pytest.approx(16.0)
    assert volume.buckets(25 * 2**20) == 1
    assert volume.buckets(25 * 2**20 + 1) == 2


def test_overlap_hides_all_but_the_last_bucket(volume):
    # Backward 10 s, four buckets ready after 2.5, 5, 7.5, 10 s, each 1 s on the way: done at 11.
    assert volume.exposed_seconds(4, 10, 4, overlap=True) == 1
    # Each 5 s on the way: the first leaves at 2.5, the fourth is there at 22.5.
    assert volume.exposed_seconds(20, 10, 4, overlap=True) == 12.5
    assert volume.exposed_seconds(20, 10, 4, overlap=False) == 20


def test_efficiency_is_the_share_of_computing(volume):
    link = volume.Link('link', 1e9)
    payload = 1e9  # two machines: 1 s
    assert volume.efficiency(3.0, payload, 2, 1, link, overlap=False, hop=0) == pytest.approx(0.75)
    # 39 buckets; the backward pass of 2 s hides all but the last.
    with_overlap = volume.efficiency(3.0, payload, 2, 1, link, hop=0)
    assert with_overlap == pytest.approx(3 / (3 + 1 / 39), rel=1e-2)
    assert volume.efficiency(3.0, payload, 1, 1, link) == 1
    # Two batches of 3 s for one exchange of 1 s.
    accumulated = volume.efficiency(3.0, payload, 2, 1, link, False, accumulate=2, hop=0)
    assert accumulated == pytest.approx(6 / 7)


def test_state_of_a_rank(volume):
    assert volume.state_bytes(10) == dict(ddp=160, zero1=160, fsdp=160)
    assert volume.state_bytes(10, ranks=4) == dict(ddp=160, zero1=100, fsdp=40)


def test_rows_command_writes_what_the_document_lists(repo_dir, tmp_path):
    script = repo_dir / 'tools' / 'benchmark' / 'scaling.py'
    command = [sys.executable, str(script), '--only', 'rows', '--rows', '1e3', '--rounds', '1']
    result = subprocess.run(
        [*command, '--json', 'out.json'],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / 'out.json').read_text())
    assert set(found) == {'machine', 'rows'}
    (row,) = found['rows']
    assert set(row) == {'rows', 'disk_mb', 'open_seconds', 'resident_mb', 'opening_mb',
                        'access_us', 'access_us_99'}  # fmt: skip
    # Lines of 34, 47 and 48 bytes; their offsets and the linelist, digits and newlines.
    offsets = sum(len(f'{width * n}\n') for width in (34, 47, 48, 1) for n in range(1000))
    assert row['rows'] == 1000
    assert row['disk_mb'] * 1e6 == pytest.approx(1000 * (34 + 47 + 48) + offsets, abs=200)
    assert 0 < row['open_seconds'] < 1
    assert row['access_us'] <= row['access_us_99']
    assert 'data sets, index only' in result.stdout and '1,000' in result.stdout


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--only', 'memory'], "invalid choice: 'memory'"),
    (['--rows', '0'], "'0' is no whole number from 1 on"),
    (['--utilisation', '3'], "'3' is no share above 0 and up to 1"),
    (['--folder', 'nowhere'], '--folder nowhere: no such folder'),
])  # fmt: skip
def test_bad_option_gives_one_line(repo_dir, monkeypatch, capsys, arguments, message):
    command = load(repo_dir / 'tools' / 'benchmark' / 'scaling.py')
    monkeypatch.setattr(sys, 'argv', ['scaling.py', *arguments])
    with pytest.raises(SystemExit) as error:
        command.main()
    printed = capsys.readouterr().err
    assert error.value.code == 2
    assert printed.startswith('error: ') and printed.count('\n') == 1
    assert message in printed

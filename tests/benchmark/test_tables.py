# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks write is what they measured."""

import json

import numpy as np
import pytest

from fastmetro_mm.errors import CliError


@pytest.fixture
def benchmark(repo_dir, monkeypatch):
    """Makes the benchmark's modules importable."""
    monkeypatch.syspath_prepend(str(repo_dir / 'tools' / 'benchmark'))


def test_runtimes_are_compared_with_the_fastest_peer(benchmark):
    import runtimes
    from workers import Timing

    plan = runtimes.plan_of('S-R50', (1, 8, 32), 7, warm_up=2)
    assert plan == [(1, 8)] * 9 + [(8, 1)] * 9 + [(32, 1)] * 7  # fewer turns of long ones
    expected = {batch: np.ones((batch, 4, 3)) for batch in (1, 8, 32)}

    def timing(seconds, off):
        left = {f'vertices {batch}': value + off for batch, value in expected.items()}
        slow_start = [9.0] * 2 + [seconds] * 7
        return Timing([], 0.0, 100.0, 0.0, dict(left, seconds=slow_start * 2 + [9.0] * 2
                                                + [4 * seconds] * 5))  # fmt: skip

    timings = {'OpenVINO': timing(0.4, 0), 'OpenVINO bf16': timing(0.2, 0.5),
               'official': timing(0.6, 0), 'fast, torch': timing(0.1, 0.25)}  # fmt: skip
    rows = runtimes.rows_of('S-R50', plan, timings, expected, warm_up=2)
    assert len(rows) == 12
    found = {row['who']: row for row in rows if row['work'] == 'S-R50 run times, batch 8'}
    assert {who: pytest.approx(row['ratio']) for who, row in found.items()} == {
        'OpenVINO': 0.5, 'OpenVINO bf16': 1.0, 'official': 1 / 3, 'fast, torch': 2.0}  # fmt: skip
    assert found['fast, torch']['milliseconds'] == pytest.approx(100)
    assert found['fast, torch']['items_per_second'] == pytest.approx(80)
    assert found['fast, torch']['difference'] == 0.25
    assert len(found['fast, torch']['all_milliseconds']) == 7
    assert rows[-1]['milliseconds'] == pytest.approx(400)


def test_contestants_follow_their_plan(benchmark, monkeypatch):
    import runtimes

    class Commands(list):
        outputs: dict = {}

    monkeypatch.setattr(runtimes, 'images', lambda batch: runtimes.torch.zeros(batch, 3, 4, 4))
    seen = []

    def run(image):
        seen.append(len(image))
        return image

    plan, commands = [(1, 3), (2, 1)], Commands([None, None])
    runtimes.serve(commands, plan, 'wall', run)
    assert seen == [1, 1, 1, 2] and len(commands.outputs['seconds']) == 2
    assert commands.outputs['vertices 2'].shape == (2, 3, 4, 4)


def test_the_gpu_table_takes_its_place_in_the_page(benchmark, monkeypatch, tmp_path):
    import gpu_table

    page = tmp_path / 'page.md'
    monkeypatch.setattr(gpu_table, 'PAGE', page)
    page.write_text(f'before\n{gpu_table.BEGIN}\nNot measured.\n{gpu_table.END}\nafter\n')
    numbers = dict(images_per_second=400.0, added_mb=99.6)
    rows = [
        dict(work='S', who='exact', milliseconds=2.5, difference=2e-6, **numbers),
        dict(work='waits', who='fast', waits={'fastmetro_mm/x.py:3': 2}),
        dict(work='S', who='fast', left_out='no driver'),
        dict(work='S', who='official', milliseconds=10.0, **numbers),
    ]
    run = tmp_path / 'run.json'
    run.write_text(json.dumps(dict(device='a card', torch='2.11.0', rounds=50, rows=rows)))
    for _ in range(2):
        gpu_table.main(['--put', str(run)])
    text = page.read_text()
    assert text.count('| S | exact | 2.50 | 400 | 4.00 | 100 | 2e-06 m |') == 1
    assert '| S | fast | not run: no driver |' in text and 'a card' in text
    assert '| waits | fast | 2 times |  |  |  | `fastmetro_mm/x.py:3` 2 |' in text
    assert 'Not measured' not in text and text.index('| S | official') < text.index('| waits')
    assert text.startswith('before\n') and text.endswith('after\n')
    page.write_text('nothing')
    with pytest.raises(CliError, match='is missing'):
        gpu_table.put_into_page('table')
    with pytest.raises(SystemExit):
        gpu_table.main(['--device', 'cpu', '--write', '--quick'])


def test_every_row_of_the_gpu_table_is_guarded(benchmark, monkeypatch, tmp_path, capsys):
    import gpu_rows
    import gpu_table

    def out_of_memory(bench):
        raise RuntimeError('CUDA out of memory.\nTried to allocate')

    chosen = [row for row in gpu_rows.rows(quick=True)
              if row.who in ('exact', gpu_rows.GRAPHS, gpu_rows.HALF, 'official')]  # fmt: skip
    chosen.insert(1, gpu_rows.Row('failing', 'ours', out_of_memory))
    monkeypatch.setattr(gpu_table, 'rows', lambda quick: chosen)
    target = tmp_path / 'rows.json'
    arguments = ['--device', 'cpu', '--quick', '--rounds', '1', '--json', str(target)]
    assert gpu_table.main(arguments) == 0
    found = {(row['work'], row['who']): row for row in json.loads(target.read_text())['rows']}
    assert len(found) == len(chosen)
    assert found['failing', 'ours']['left_out'] == 'RuntimeError: CUDA out of memory.'
    name = 'S-R50 inference, batch 1'
    assert 'are for GPUs' in found[name, gpu_rows.GRAPHS]['left_out']
    assert '--against' in found[name, 'official']['left_out']
    assert found[name, 'exact']['milliseconds'] > 0 and found[name, 'exact']['difference'] < 1e-4
    assert found['S-R50 training step, batch 2', gpu_rows.HALF]['turns'] == 1
    assert 'RuntimeError: CUDA out of memory.' in capsys.readouterr().out
    gpu_table.main([*arguments, '--budget', '0'])
    left_out = {row['left_out'] for row in json.loads(target.read_text())['rows']}
    assert left_out == {'no time was left'}

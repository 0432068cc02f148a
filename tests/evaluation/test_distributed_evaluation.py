# SPDX-License-Identifier: Apache-2.0
"""Metrics of one, two and three processes are identical where the set does not divide."""

import json
import multiprocessing
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import rank_worker

SIZE = 7


def run_ranks(world: int, folder: Path) -> list[dict]:
    """Start all ranks and return what each of them computed."""
    folder.mkdir()
    # one clean server process imports the libraries once, ranks are forks of it
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(
        ['torch.distributed', 'mmengine.evaluator', 'mmpose.structures', 'fastmetro_mm.evaluation']
    )
    ranks = [
        context.Process(target=rank_worker.main, args=(rank, world, SIZE, folder))
        for rank in range(world)
    ]
    try:
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(timeout=180)
            assert rank.exitcode == 0
    finally:
        for rank in ranks:
            rank.kill()
    return [json.loads((folder / f'rank_{rank}.json').read_text()) for rank in range(world)]


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks') / 'one'
    return run_ranks(1, folder)[0], (folder / 'pred.json').read_bytes()


@pytest.mark.parametrize('world', [2, 3])
def test_identical_for_any_number_of_ranks(world, single, tmp_path):
    expected, prediction = single
    results = run_ranks(world, tmp_path / 'ranks')
    assert sum(result['evaluated'] for result in results) > SIZE, 'the sampler did not pad'
    assert expected['interleaved'] == expected['indexed'] == expected['blocks']
    assert len(expected['indexed']) == 19
    for result in results:
        for way in ('interleaved', 'indexed', 'blocks'):
            assert result[way] == expected['indexed'], way
    assert (tmp_path / 'ranks/pred.json').read_bytes() == prediction

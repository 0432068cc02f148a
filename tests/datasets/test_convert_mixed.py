# SPDX-License-Identifier: Apache-2.0
"""Composite sets: shares, determinism, the official layout."""

import importlib.util
import sys
from collections import Counter

import numpy as np
import pytest
import yaml

from fastmetro_mm.dataset_tools.converters.mixed import draw_rows, rows_per_source, write_mixed_set
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset


def test_shares_of_an_epoch():
    assert rows_per_source([10, 20], None, None) == [10, 20]  # every row once
    assert rows_per_source([10, 20], [1, 1], None) == [10, 10]  # nothing has to be repeated
    assert rows_per_source([10, 20], [3, 1], 100) == [75, 25]
    assert rows_per_source([5, 5, 5], [1, 1, 1], 10) == [4, 3, 3]
    assert rows_per_source([10, 20], [1, 0], None) == [10, 0]
    for ratios in ([1], [-1, 1], [0, 0], [float('nan'), 1]):
        with pytest.raises(DataSetError, match='ratios'):
            rows_per_source([10, 20], ratios, None)


def test_rows_repeat_evenly():
    rows = draw_rows(np.array([3, 5, 8]), 7, np.random.default_rng(0)).tolist()
    assert sorted(Counter(rows).values()) == [2, 2, 3] and rows == sorted(rows)
    assert draw_rows(np.array([3, 5, 8]), 0, np.random.default_rng(0)).tolist() == []


def test_composite_set_reads_the_rows_of_its_sources(make_set, tmp_path):
    sources = [make_set(4, seed=1, name='a'), make_set(6, seed=2, name='b')]
    (tmp_path / 'b' / 'train.linelist.tsv').write_text('1\n3\n5\n')  # its own choice of rows
    (tmp_path / 'b' / 'train.linelist.lineidx').unlink()
    report = write_mixed_set(sources, tmp_path / 'mix' / 'deep', ratios=[2, 1], total=6)
    assert (report.counts, report.available) == ([4, 2], [4, 3])
    content = yaml.safe_load(report.yaml_path.read_text())
    assert content['composite'] is True
    assert content['img'] == ['../../a/train.img.tsv', '../../b/train.img.tsv']
    picks = np.loadtxt(report.yaml_path.with_name('train.linelist.tsv'), dtype=int)
    assert picks[:4].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    assert set(picks[4:, 1]) <= {1, 3, 5}
    mixed = MeshTSVDataset(report.yaml_path, test_mode=True)
    own = [MeshTSVDataset(source, test_mode=True) for source in sources]
    for index, (source, row) in enumerate(picks):
        want = own[source].get_data_info(
            [0, 1, 2, 3].index(row) if source == 0 else [1, 3, 5].index(row)
        )
        np.testing.assert_array_equal(mixed.get_data_info(index)['pose'], want['pose'])
    again = write_mixed_set(sources, tmp_path / 'again', ratios=[2, 1], total=6)
    assert again.checksum == report.checksum
    with pytest.raises(DataSetError, match='composite itself'):
        write_mixed_set([report.yaml_path], tmp_path / 'x')
    sources[0].write_text('img: train.img.tsv\n')
    with pytest.raises(DataSetError, match='no hw file'):
        write_mixed_set(sources, tmp_path / 'x')


def test_command_line(make_set, repo_dir, tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('convert', repo_dir / 'tools/dataset/convert.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    sources = [str(make_set(2, name='a')), str(make_set(3, name='b'))]
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'convert.py',
            'mixed',
            '--in',
            *sources,
            '--ratios',
            '1',
            '1',
            '--rows',
            '10',
            '--out',
            str(tmp_path / 'mix'),
        ],
    )
    assert tool.main() == 0
    out = capsys.readouterr().out
    assert '10 rows an epoch' in out and '5 rows of 2' in out and '5 rows of 3' in out
    monkeypatch.setattr(sys, 'argv', ['convert.py', 'mixed', '--in', 'gone.yaml', '--out', 'x'])
    assert tool.main() == 1
    assert 'gone.yaml not found' in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""Reading and writing of TSV files and their offsets."""

import base64
import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.datasets.tsv import (
    CompositeTSV,
    TSVFile,
    lineidx_path,
    read_int_table,
    scan_line_offsets,
)
from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter, write_tsv_set
from fastmetro_mm.errors import DataRowError, DataSetError, StaleIndexError


def _write(path: Path, lines: list[str], end: str = '\n') -> Path:
    path.write_bytes(('\n'.join(lines) + end).encode())
    return path


def test_offsets_count_bytes_not_characters(tmp_path):
    path = _write(tmp_path / 'x.tsv', ['ä\t1', 'bb\t2', 'c\t3'])
    assert scan_line_offsets(path).tolist() == [0, 5, 10]
    assert scan_line_offsets(_write(tmp_path / 'y.tsv', ['ä\t1', 'bb'], end='')).tolist() == [0, 5]
    assert len(scan_line_offsets(_write(tmp_path / 'z.tsv', [''], end=''))) == 0


def test_missing_index_is_made_and_rows_are_stripped(tmp_path):
    path = _write(tmp_path / 'x.img.tsv', ['a \t old \t1\r', 'b\t2', 'c\t3'], end='')
    file = TSVFile(path)
    assert len(file) == 3
    assert file.row(0) == [b'a', b'old', b'1']
    assert file.row(2) == [b'c', b'3']
    assert lineidx_path(path).name == 'x.img.lineidx'
    assert read_int_table(lineidx_path(path), 1).tolist() == [[0], [12], [16]]
    with pytest.raises(DataRowError, match='has 3'):
        file.row(3)


def test_unwritable_folder_keeps_the_index_in_memory(tmp_path, monkeypatch):
    path = _write(tmp_path / 'x.tsv', ['a\t1', 'b\t2'])

    def refuse(*_args, **_kwargs):
        raise PermissionError('read-only')

    monkeypatch.setattr(Path, 'write_bytes', refuse)
    assert TSVFile(path).row(1) == [b'b', b'2']
    assert os.listdir(tmp_path) == ['x.tsv']


@pytest.mark.parametrize(
    'index',
    ['0\n4\n', '0\n4\n8\n12\n', '0\n5\n8\n', '4\n0\n8\n', '0\n4\n8000\n', 'x\n', '', '0\n4\n8.5\n'],
)
def test_stale_index_is_found(tmp_path, index):
    path = _write(tmp_path / 'x.tsv', ['a\t1', 'b\t2', 'c\t3'])
    lineidx_path(path).write_text(index)
    with pytest.raises(StaleIndexError, match='delete it'):
        TSVFile(path, on_stale='raise')
    file = TSVFile(path)
    assert [file.row(i)[1] for i in range(3)] == [b'1', b'2', b'3']
    assert TSVFile(path, on_stale='raise').offsets.tolist() == [0, 4, 8]


def test_change_behind_an_open_file_is_found(tmp_path):
    path = _write(tmp_path / 'x.tsv', ['aaaa\t1', 'b\t2', 'c\t3'])
    file = TSVFile(path)
    _write(path, ['a\t1', 'bbbb\t2', 'c\t3'])
    with pytest.raises(StaleIndexError, match=r'x.lineidx'):
        file.row(1)


def test_composite_picks_and_their_limits(tmp_path):
    a = TSVFile(_write(tmp_path / 'a.tsv', ['a0\t0', 'a1\t1']))
    b = TSVFile(_write(tmp_path / 'b.tsv', ['b0\t0']))
    both = CompositeTSV([a, b], np.array([[1, 0], [0, 1]]))
    assert [both.row(i)[0] for i in range(2)] == [b'b0', b'a1']
    assert both.where(1).endswith('a.tsv row 1')
    for pick in ([2, 0], [1, 1], [-1, 0], [0, -1]):
        with pytest.raises(DataSetError, match='line 2'):
            CompositeTSV([a, b], np.array([[0, 0], pick]))


def test_linelist_forms(tmp_path):
    path = _write(tmp_path / 'l.tsv', ['3', '0', '2'])
    assert read_int_table(path, 1)[:, 0].tolist() == [3, 0, 2]
    assert read_int_table(_write(path, ['0\t3', '', '1\t0']), 2).tolist() == [[0, 3], [1, 0]]
    assert len(read_int_table(_write(path, [''], end=''), 1)) == 0
    with pytest.raises(DataSetError, match=r'line 2.*composite'):
        read_int_table(_write(path, ['1', '0\t3']), 1)


def test_reads_from_forked_and_copied_objects(tmp_path):
    path = _write(tmp_path / 'x.tsv', [f'{i}\t{"v" * i}' for i in range(200)])
    file = TSVFile(path)
    file.row(3)
    assert copy.deepcopy(file).row(7) == file.row(7)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            good = all(file.row(i)[1] == b'v' * i for _ in range(20) for i in range(200))
            os._exit(0 if good else 1)
        children.append(pid)
    assert all(file.row(i)[1] == b'v' * i for i in range(200))
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)


def test_writer_layout_equals_the_official_one(tmp_path, shared_dir):
    source = shared_dir / 'golden' / 'tsv' / 'a'
    img, label = TSVFile(source / 'train.img.tsv'), TSVFile(source / 'train.label.tsv')

    rows = [
        TSVRow(
            img.row(i)[0].decode(), base64.b64decode(img.row(i)[-1]), json.loads(label.row(i)[1])[0]
        )
        for i in range(len(img))
    ]
    rows[1].label = None
    write_tsv_set(tmp_path, 'train', rows)
    for name in ('train.img.tsv', 'train.img.lineidx', 'train.hw.tsv', 'train.hw.lineidx'):
        assert (tmp_path / name).read_bytes() == (source / name).read_bytes(), name
    assert (tmp_path / 'train.linelist.tsv').read_text() == '0\n2\n3\n'
    assert (tmp_path / 'train.yaml').read_text() == (source / 'train.yaml').read_text()


def test_shards_are_joined_in_order_and_resumed(tmp_path):
    image = b'not decoded'

    def rows(number):
        return [TSVRow(f'{number}_{i}', image, {'n': number}, (4, 5)) for i in range(2)]

    for number in (1, 0):
        with TSVSetWriter(tmp_path, 'train').shard(number) as shard:
            for row in rows(number):
                shard.add(row)
    writer = TSVSetWriter(tmp_path, 'train')
    with pytest.raises(RuntimeError), writer.shard(2) as shard:
        shard.add(rows(2)[0])
        raise RuntimeError('killed')
    assert [writer.has_shard(n) for n in range(3)] == [True, True, False]
    with pytest.raises(ValueError, match='1 of 3 shards'):
        writer.close(3)
    with writer.shard(2) as shard:
        shard.add(rows(2)[0])
        shard.skip('bad\tkey', 'no\nbox')
    writer.close(3)
    file = TSVFile(tmp_path / 'train.img.tsv', on_stale='raise')
    assert [file.row(i)[0].decode() for i in range(5)] == ['0_0', '0_1', '1_0', '1_1', '2_0']
    assert (tmp_path / 'train.skipped.tsv').read_text() == 'bad key\tno box\n'
    assert not [name for name in os.listdir(tmp_path) if name.startswith('.')]


def test_writer_refuses_bad_rows_and_foreign_shards(tmp_path):
    writer = TSVSetWriter(tmp_path, 'train', fingerprint='job 1')
    for row, message in (
        (TSVRow('a\tb', b'', None, (1, 1)), 'tab'),
        (TSVRow('a', b'', {'scale': float('nan')}, (1, 1)), 'finite'),
        (TSVRow('a', b'no image', None), 'decoded'),
    ):
        with pytest.raises(ValueError, match=message), writer.shard(0) as shard:
            shard.add(row)
    with pytest.raises(ValueError, match='other arguments'):
        TSVSetWriter(tmp_path, 'train', fingerprint='job 2')


@pytest.mark.parametrize('line', ['--5', '-', '9' * 30 + 'x', '1' + '0' * 30, '+3', '1_0'])
def test_numbers_that_are_none(tmp_path, line):
    path = _write(tmp_path / 'x.linelist.tsv', ['0', '', line])  # the blank line: read one by one
    with pytest.raises(DataSetError, match='line 3: expected 1 whole number'):
        read_int_table(path, 1)


@pytest.mark.parametrize(
    ('line', 'start', 'columns'),
    [
        (b'key\timage==\n', 0, [b'key', b'image==']),
        (b'\n key \r\t im age \r\n', 1, [b'key', b'im age']),
        (b'\t\n', 0, [b'', b'']),
        (b'\n', 1, [b'']),
        (b'', 0, [b'']),
    ],
)
def test_columns_are_those_of_split_and_strip(line, start, columns):
    from fastmetro_mm.datasets.tsv import _columns

    assert _columns(line, start) == columns
    assert columns == [column.strip() for column in line[start:].split(b'\t')]

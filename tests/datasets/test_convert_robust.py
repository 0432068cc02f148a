# SPDX-License-Identifier: Apache-2.0
"""Interrupted conversions go on; damaged releases end in one known error."""

import cv2
import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters import run
from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from tests.datasets.releases import MAKERS, file_of, open_release

JPEG = cv2.imencode('.jpg', np.full((20, 30, 3), 90, np.uint8))[1].tobytes()


class _Source:
    """Seven rows; can break down at one of them."""

    def __init__(self, breaks_at=None):
        self.breaks_at = breaks_at
        self.made = []

    def __len__(self):
        return 7

    def describe(self):
        return {'source': 'test'}

    def key(self, index):
        return f'{index}.jpg'

    def row(self, index):
        if index == self.breaks_at:
            raise OSError('the disk is gone')
        if index == 2:
            raise run.SkipRow('not good')
        self.made.append(index)
        return TSVRow(self.key(index), JPEG, make_label((5, 5), 0.1 + index))


@pytest.mark.parametrize('workers', [1, 2])
def test_interrupted_conversion_goes_on(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(run, '_SHARD_ROWS', 2)
    with pytest.raises(OSError, match='disk'):
        run.run_conversion(_Source(breaks_at=5), tmp_path / 'a', 'train', workers=workers)
    assert not (tmp_path / 'a' / 'train.yaml').exists()  # no half of a set
    with pytest.raises(ValueError, match='other arguments'):
        run.run_conversion(_Source(), tmp_path / 'a', 'train', limit=3)
    again, steps = _Source(), []
    report = run.run_conversion(
        again, tmp_path / 'a', 'train', progress=lambda done, total: steps.append((done, total))
    )
    if workers == 1:
        assert again.made == [4, 5, 6]  # rows 0 to 3 were there
    assert steps[-1] == (7, 7)
    assert (report.num_rows, report.num_skipped, report.reasons) == (6, 1, {'not good': 1})
    whole = run.run_conversion(_Source(), tmp_path / 'b', 'train', workers=workers)
    assert whole.checksum == report.checksum
    keys = [MeshTSVDataset(report.yaml_path).get_data_info(i)['img_key'] for i in range(6)]
    assert keys == [f'{i}.jpg' for i in (0, 1, 3, 4, 5, 6)]
    assert (tmp_path / 'a' / 'train.skipped.tsv').read_text() == '2.jpg\tnot good\n'
    few = run.run_conversion(_Source(), tmp_path / 'c', 'train', limit=2)
    assert few.num_rows == 2


def _damage(data: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(data)))
        if rng.integers(3):
            data[at] = rng.integers(256)
        elif rng.integers(4):
            del data[at : at + int(rng.integers(1, 20))]
        else:
            del data[at:]
    return bytes(data) or b'x'


def _use_all_rows(source) -> None:
    for index in range(len(source)):
        try:
            label = source.row(index).label
        except ValueError:
            continue
        for name in ('center', '2d_joints', '3d_joints', 'pose', 'betas'):
            assert np.isfinite(label[name]).all()


@pytest.mark.parametrize('name', ['emdb', 'humandata', 'eft', 'spin', 'pw3d', 'bedlam'])
def test_damaged_releases_end_in_one_clear_error(tmp_path, name):
    rng = np.random.default_rng(0)
    MAKERS[name](tmp_path)
    path = file_of(name, tmp_path)
    original, refused = path.read_bytes(), 0
    _use_all_rows(*open_release(name, tmp_path))
    for _ in range(300):
        path.write_bytes(_damage(original, rng))
        try:
            (source,) = open_release(name, tmp_path)
        except (ValueError, FileNotFoundError) as error:
            refused += 1
            assert '\n' not in str(error) and str(tmp_path) in str(error)
        else:
            _use_all_rows(source)
    assert refused > 30

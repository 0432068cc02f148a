# SPDX-License-Identifier: Apache-2.0
"""A conversion that was aborted goes on where its source is the same, else it starts again."""

import json
import os

import pytest

from fastmetro_mm.dataset_tools.converters import run
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets import MeshTSVDataset


def _coco(tmp_path, names, box):
    images = [dict(id=i, file_name=name) for i, name in enumerate(names)]
    annotations = [dict(id=i, image_id=i, bbox=box) for i in range(len(names))]
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(dict(images=images, annotations=annotations)))
    return ImageFolderSource(tmp_path / 'in', path)


def _break_at(source, index):
    row = source.row

    def broken(number):
        if number == index:
            raise OSError('aborted')
        return row(number)

    source.row = broken
    return source


def test_aborted_conversion_of_a_changed_source_starts_again(tmp_path, monkeypatch, write_image):
    monkeypatch.setattr(run, '_SHARD_ROWS', 2)
    for index in range(6):
        write_image(tmp_path / 'in' / f'{index}.jpg')
    names = [f'{i}.jpg' for i in range(6)]
    with pytest.raises(OSError, match='aborted'):
        run_conversion(
            _break_at(_coco(tmp_path, names, [10, 10, 20, 20]), 4), tmp_path / 'out', 'train'
        )
    assert len(list((tmp_path / 'out' / '.train.shards').glob('0*'))) == 2
    # all boxes moved, the names of the files are the same
    report = run_conversion(_coco(tmp_path, names, [30, 30, 40, 40]), tmp_path / 'out', 'train')
    dataset = MeshTSVDataset(report.yaml_path)
    assert [dataset.get_data_info(i)['center'].tolist() for i in range(6)] == [[50, 50]] * 6


def test_aborted_conversion_with_changed_images(tmp_path, monkeypatch, write_image):
    monkeypatch.setattr(run, '_SHARD_ROWS', 2)
    for index in range(6):
        write_image(tmp_path / 'in' / f'{index}.jpg')
    (tmp_path / 'in' / '1.jpg').unlink()
    names, made = [f'{i}.jpg' for i in range(6)], []
    with pytest.raises(OSError, match='aborted'):
        run_conversion(
            _break_at(_coco(tmp_path, names, [10, 10, 20, 20]), 5), tmp_path / 'out', 'train'
        )
    write_image(tmp_path / 'in' / '1.jpg')  # the missing one is there now
    source = _coco(tmp_path, names, [10, 10, 20, 20])
    os.utime(tmp_path / 'boxes.json', ns=(0, 0))
    stamp = (tmp_path / 'boxes.json').stat().st_mtime_ns
    row = source.row
    source.row = lambda index: made.append(index) or row(index)
    report = run_conversion(source, tmp_path / 'out', 'train')
    assert report.num_rows == 6 and made == [0, 1, 2, 3, 4, 5] and stamp == 0


def test_unchanged_source_goes_on(tmp_path, monkeypatch, write_image):
    monkeypatch.setattr(run, '_SHARD_ROWS', 2)
    for index in range(6):
        write_image(tmp_path / 'in' / f'{index}.jpg')
    source = ImageFolderSource(tmp_path / 'in')
    with pytest.raises(OSError, match='aborted'):
        run_conversion(_break_at(ImageFolderSource(tmp_path / 'in'), 4), tmp_path / 'out', 'train')
    (tmp_path / 'in' / '0.jpg').touch()  # one image is new: its shard alone is made again
    row, made = source.row, []
    source.row = lambda index: made.append(index) or row(index)
    run_conversion(source, tmp_path / 'out', 'train')
    assert made == [0, 1, 4, 5]


def test_resume_key_holds_root_and_options(tmp_path, write_image):
    keys = set()
    for folder in ('a', 'b'):
        write_image(tmp_path / folder / 'x' / 'in' / 'a.jpg')
        for options in ({}, dict(padding=1.5), dict(body='hand')):
            source = ImageFolderSource(tmp_path / folder / 'x' / 'in', **options)
            keys.add(json.dumps(source.describe(), sort_keys=True))
    assert len(keys) == 6

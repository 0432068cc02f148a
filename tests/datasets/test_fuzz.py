# SPDX-License-Identifier: Apache-2.0
"""Mutated files: every sample is good or refused by a known error, none is silently wrong."""

import base64
import json

import numpy as np
import pytest

from fastmetro_mm.datasets import DataRowError, DataSetError, MeshTSVDataset

PIPELINE = [
    dict(type='LoadMeshImage', crop_size=64),
    dict(type='MeshAugment', train=True),
    dict(type='MeshCrop', size=64, mode='fast'),
    dict(type='PackMeshInputs'),
]
VALUES = [
    float('nan'),
    float('inf'),
    -float('inf'),
    1e308,
    -1e9,
    0,
    '',
    'x',
    None,
    [],
    {},
    True,
    [[]],
    [None],
    10**400,
]


def _mutate_bytes(line: bytes, rng: np.random.Generator) -> bytes:
    line = bytearray(line)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(line))) if line else 0
        kind = rng.integers(5)
        if kind == 0:
            line[at : at + 1] = bytes([rng.integers(256)])
        elif kind == 1:
            del line[at : at + int(rng.integers(1, 50))]
        elif kind == 2:
            line = line[:at]
        elif kind == 3:
            line[at:at] = bytes([rng.integers(256)]) * int(rng.integers(1, 4))
        else:
            line = bytearray(line.replace(b'1', b'NaN', 1))
    return bytes(line)


def _mutate_label(line: bytes, rng: np.random.Generator) -> bytes:
    key, text = line.split(b'\t')
    label = json.loads(text)[0]
    name = list(label)[rng.integers(len(label))]
    value = VALUES[rng.integers(len(VALUES))]
    target = label[name]
    if isinstance(target, list) and rng.integers(2):
        while isinstance(target[0], list):
            target = target[rng.integers(len(target))]
        target[rng.integers(len(target))] = value
    else:
        label[name] = value
    return key + b'\t' + json.dumps([label]).encode()


def _mutate_image(line: bytes, rng: np.random.Generator) -> bytes:
    key, text = line.split(b'\t')
    data = bytearray(base64.b64decode(text))
    for at in rng.integers(len(data), size=rng.integers(1, 4)):
        data[at] = rng.integers(256)
    return key + b'\t' + base64.b64encode(data)


def _mutate(line: bytes, part: str, rng: np.random.Generator) -> bytes:
    mutate = _mutate_bytes
    if rng.integers(2):
        mutate = {'img': _mutate_image, 'label': _mutate_label}.get(part, mutate)
    return mutate(line, rng)


def _check_sample(packed: dict) -> None:
    assert packed['inputs'].shape == (3, 64, 64)
    labels = packed['data_samples'].gt_instance_labels
    for name in labels.keys():
        assert labels[name].isfinite().all(), name


def test_mutated_rows_never_pass_silently(make_set):
    """One set of 10,000 rows, each with one damaged part."""
    count = 10_000
    rng = np.random.default_rng(0)
    np.random.seed(0)
    yaml_path = make_set(3)
    paths = {part: yaml_path.with_name(f'train.{part}.tsv') for part in ('img', 'hw', 'label')}
    good = {part: path.read_bytes().splitlines() for part, path in paths.items()}
    damaged = [('img', 'hw', 'label')[row % 3] for row in range(count)]
    for part, path in paths.items():
        lines = [good[part][row % 3] for row in range(count)]
        for row in range(count):
            if damaged[row] == part:
                # A newline would move all later rows; whole files are damaged below.
                lines[row] = _mutate(lines[row], part, rng).replace(b'\n', b' ')
        path.write_bytes(b'\n'.join(lines) + b'\n')
    yaml_path.write_text('img: train.img.tsv\nhw: train.hw.tsv\nlabel: train.label.tsv\n')
    dataset = MeshTSVDataset(yaml_path, PIPELINE, test_mode=True)
    assert len(dataset) == count
    refused = 0
    for row in range(count):
        try:
            packed = dataset[row]
        except DataRowError as error:
            refused += 1
            assert '\n' not in str(error) and f'row {row}' in str(error), error
        else:
            _check_sample(packed)
    assert 0.4 < refused / count < 0.95, refused


@pytest.mark.parametrize(
    'part',
    ['yaml', 'img.tsv', 'label.tsv', 'hw.tsv', 'linelist.tsv', 'img.lineidx', 'label.lineidx'],
)
def test_damaged_files_are_refused_or_read_right(make_set, part):
    """Cut, overwritten or extended files: a known error, or a sample that is right."""
    rng = np.random.default_rng(len(part))
    np.random.seed(0)
    yaml_path = make_set(3)
    path = yaml_path.with_name(f'train.{part}')
    files = {p: p.read_bytes() for p in yaml_path.parent.iterdir()}
    want = MeshTSVDataset(yaml_path, test_mode=True).get_data_info(1)
    refused = 0
    for _ in range(60):
        path.write_bytes(_mutate_bytes(files[path], rng))
        try:
            dataset = MeshTSVDataset(yaml_path, PIPELINE, test_mode=True)
            info = dataset.get_data_info(min(1, len(dataset) - 1))
            packed = dataset[min(1, len(dataset) - 1)]
        except (DataRowError, DataSetError, FileNotFoundError) as error:
            refused += 1
            assert '\n' not in str(error) and str(yaml_path.parent) in str(error)
        else:
            _check_sample(packed)
            if part.endswith('lineidx'):  # made again from the file: nothing may differ
                assert info['img_bytes'] == want['img_bytes']
                np.testing.assert_array_equal(info['joints_3d'], want['joints_3d'])
        for changed, content in files.items():  # an index may have been made again
            changed.write_bytes(content)
    assert refused > 5 or part.endswith('lineidx')


@pytest.mark.parametrize('text', [
    'img: 5', 'img: [a, b]', 'img: {a: b}', 'composite: true\nimg: 5\nlinelist: train.linelist.tsv',
    'composite: true\nimg: [1, 2]\nlinelist: train.linelist.tsv', 'img: train.img.tsv\nlinelist: 5',
    'img: train.img.tsv\nhw: [train.hw.tsv]', '- img', 'img: ""', '"\\0"', '\t', 'img: "a\\0b"',
])  # fmt: skip
def test_yaml_of_another_form_is_refused(make_set, text):
    yaml_path = make_set(1)
    yaml_path.write_text(text)
    with pytest.raises((DataSetError, FileNotFoundError), match=r'train\.yaml|not found'):
        MeshTSVDataset(yaml_path)

# SPDX-License-Identifier: Apache-2.0
"""Mutated files: every sample is good or refused by a known error, none is silently wrong."""

import base64
import json

import numpy as np
import pytest

from fastmetro_mm.datasets import DataRowError, DataSetError, MeshTSVDataset

PIPELINE = [dict(type='LoadMeshImage', crop_size=64), dict(type='MeshAugment', train=True),
            dict(type='MeshCrop', size=64, mode='fast'), dict(type='PackMeshInputs')]
VALUES = [float('nan'), float('inf'), -float('inf'), 1e308, -1e9, 0, '', 'x', None, [], {}, True,
          [[]], [None], 10**400]


def _mutate_bytes(line: bytes, rng: np.random.Generator) -> bytes:
    line = bytearray(line)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(line))) if line else 0
        kind = rng.integers(5)
        if kind == 0:
            line[at:at + 1] = bytes([rng.integers(256)])
        elif kind == 1:
            del line[at:at + int(rng.integers(1, 50))]
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


@pytest.mark.parametrize('seed', range(4))
def test_mutated_rows_never_pass_silently(make_set, seed):
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    yaml_path = make_set(3, seed=seed)
    good, refused = 0, 0
    for trial in range(150):
        part = ('img', 'hw', 'label')[trial % 3]
        path = yaml_path.with_name(f'train.{part}.tsv')
        original = path.read_bytes()
        lines = original.split(b'\n')
        mutate = _mutate_bytes
        if rng.integers(2):
            mutate = {'img': _mutate_image, 'label': _mutate_label}.get(part, mutate)
        lines[1] = mutate(lines[1], rng)
        path.write_bytes(b'\n'.join(lines))
        try:
            packed = MeshTSVDataset(yaml_path, PIPELINE, test_mode=True)[1]
        except (DataRowError, DataSetError) as error:
            refused += 1
            assert '\n' not in str(error) and 'train' in str(error)
        else:
            good += 1
            labels = packed['data_samples'].gt_instance_labels
            assert packed['inputs'].shape == (3, 64, 64)
            for name in labels.keys():
                assert labels[name].isfinite().all(), name
        path.write_bytes(original)
    assert refused > 70 and good > 5, (refused, good)

# SPDX-License-Identifier: Apache-2.0
"""Predictions are written whole or not at all."""

import errno
import pickle

import pytest

from fastmetro_mm.errors import InputError
from fastmetro_mm.evaluation import MeshDumpResults


class Full:
    """Writes nothing when it is pickled: the disk is full."""

    def __reduce__(self):
        raise OSError(errno.ENOSPC, 'No space left on device')


def test_older_file_survives_a_full_disk(tmp_path):
    path = tmp_path / 'predictions.pkl'
    metric = MeshDumpResults(str(path))
    assert metric.compute_metrics([dict(a=1)]) == {}
    with pytest.raises(OSError, match='No space left') as caught:
        metric.compute_metrics([dict(a=bytes(100000)), Full()])
    assert caught.value.filename == str(path)
    assert pickle.loads(path.read_bytes()) == [dict(a=1)]
    assert [file.name for file in tmp_path.iterdir()] == ['predictions.pkl']


def test_link_is_not_replaced(tmp_path):
    (tmp_path / 'link.pkl').symlink_to(tmp_path / 'elsewhere.pkl')
    with pytest.raises(InputError, match='symbolic link'):
        MeshDumpResults(str(tmp_path / 'link.pkl'))


def test_no_folder_of_this_machine_is_kept(tmp_path):
    metric = MeshDumpResults(str(tmp_path / 'predictions.pkl'))
    body = dict(name='smpl', body_data_root=str(tmp_path), gender='neutral')
    samples = [dict(img_key='a', body=body), dict(img_key='b')]
    metric.process({}, samples)
    kept = [dict(img_key='a', body=dict(name='smpl', gender='neutral')), dict(img_key='b')]
    assert metric.results == kept
    assert samples[0]['body'] is body and 'body_data_root' in body  # other metrics read it

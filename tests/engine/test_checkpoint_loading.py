# SPDX-License-Identifier: Apache-2.0
"""Restricted reading, the choice of the file to resume from, atomic writes, wrong weights."""

import argparse
import os

import mmengine.runner
import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from fastmetro_mm.engine import (
    CheckpointError,
    CheckpointNotFoundError,
    UntrustedCheckpointError,
    check_state_dict,
    find_resume_checkpoint,
    read_checkpoint,
)
from fastmetro_mm.engine.checkpoints.atomic_backend import AtomicLocalBackend
from fastmetro_mm.engine.checkpoints.schemes import our_loaders
from fastmetro_mm.fileio import remove_partial_files, write_atomically


def write(folder, name, iteration, age):
    path = folder / name
    meta = dict(epoch=1, iter=iteration)
    torch.save(dict(meta=meta, state_dict={}, optimizer={}, message_hub={}), path)
    os.utime(path, (1000 - age, 1000 - age))
    return path


def test_trusted_files_are_read_whole(tmp_path, monkeypatch):
    """A foreign object is refused in one line, and read once the user trusts the file."""
    path = tmp_path / 'foreign.pth'
    torch.save(dict(state_dict=nn.Linear(2, 1).state_dict(), meta=argparse.Namespace(a=1)), path)
    with pytest.raises(UntrustedCheckpointError, match=r'argparse\.Namespace.*--trust-checkpoint'):
        read_checkpoint(path)
    monkeypatch.setenv('FASTMETRO_TRUST_CHECKPOINTS', '1')
    assert read_checkpoint(path)['meta'].a == 1


def test_loaders_of_the_process_are_ours_only_while_weights_are_initialised(tmp_path):
    """Other people's models load as they do without this package."""
    before = dict(CheckpointLoader._schemes)
    assert before[''].__module__.startswith('mmengine.')
    (tmp_path / 'a.pth').write_bytes(b'<html>')
    with pytest.raises(CheckpointError, match='web page'), our_loaders():
        mmengine.runner.load_checkpoint(nn.Linear(2, 1), str(tmp_path / 'a.pth'))
    assert CheckpointLoader._schemes == before
    with pytest.raises(CheckpointError, match='did you mean resnet50'), our_loaders():
        CheckpointLoader.load_checkpoint('torchvision://resnet5O')


def test_errors_are_one_line_and_name_the_file(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match=r'none\.pth: no such checkpoint file'):
        read_checkpoint(tmp_path / 'none.pth')
    (tmp_path / 'empty.pth').touch()
    whole = write(tmp_path, 'whole.pth', 1, 0).read_bytes()
    (tmp_path / 'half.pth').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'flipped.pth').write_bytes(whole.replace(b'meta', b'\xff\xff\xff\xff'))
    for name in ('empty.pth', 'half.pth', 'flipped.pth'):
        with pytest.raises(CheckpointError, match=name) as error:
            read_checkpoint(tmp_path / name)
        assert '\n' not in str(error.value)


def test_resume_takes_the_newest_readable(tmp_path):
    assert find_resume_checkpoint(tmp_path) is None
    write(tmp_path, 'epoch_60.pth', 600, age=90)  # left from an older, longer run
    second = write(tmp_path, 'epoch_2.pth', 20, age=50)
    (tmp_path / 'last_checkpoint').write_text(f'/moved/since/{second.name}')
    assert find_resume_checkpoint(tmp_path) == str(second)
    # Complete, but the run was killed before it wrote the pointer.
    third = write(tmp_path, 'epoch_3.pth', 30, age=20)
    assert find_resume_checkpoint(tmp_path) == str(third)
    third.write_bytes(third.read_bytes()[:100])
    assert find_resume_checkpoint(tmp_path) == str(second)
    # An empty pointer: the newest file that can be read.
    (tmp_path / 'last_checkpoint').write_text('')
    assert find_resume_checkpoint(tmp_path) == str(second)
    # The best checkpoint holds no optimizer, so training cannot go on from it.
    second.unlink()
    (tmp_path / 'epoch_60.pth').unlink()
    torch.save(dict(meta=dict(iter=5), state_dict={}), tmp_path / 'epoch_1.pth')
    assert find_resume_checkpoint(tmp_path) is None


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'epoch_1.pth'
    AtomicLocalBackend().put(b'old', path)

    def full(_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match='No space'):
            write_atomically(path, b'new', sync=True)
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['epoch_1.pth']
    (tmp_path / '.epoch_2.pth.x.partial').touch()
    assert remove_partial_files(tmp_path) == ['.epoch_2.pth.x.partial']
    assert os.listdir(tmp_path) == ['epoch_1.pth']


def test_weights_of_another_model():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    state = {
        f'module.{key}': value
        for key, value in model.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    check_state_dict(model, dict(state_dict=state), 'good.pth')
    state['module.0.weight'] = torch.zeros(5, 2)
    with pytest.raises(CheckpointError, match=r'only 7 of 8 tensors.*0\.weight has shape \(5, 2\)'):
        check_state_dict(model, state, 'wide.pth')
    check_state_dict(model, state, 'backbone.pth', least_match=0.1)
    with pytest.raises(CheckpointError, match='holds no weights'):
        check_state_dict(model, dict(meta={}), 'empty.pth')

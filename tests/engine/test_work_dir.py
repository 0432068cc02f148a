# SPDX-License-Identifier: Apache-2.0
"""A work directory belongs to one training."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastmetro_mm.engine import work_dir
from fastmetro_mm.errors import CliError

HOLDER = (
    'import sys, time\n'
    f'sys.path.insert(0, {str(Path(work_dir.__file__).parents[2])!r})\n'
    'from fastmetro_mm.engine.work_dir import locked\n'
    'import os\n'
    'with locked(sys.argv[1]):\n'
    '    worker = os.fork()\n'
    '    if worker == 0:\n'
    '        time.sleep(60)\n'
    '    print(worker, flush=True)\n'
    '    time.sleep(60)\n'
)


@pytest.fixture
def holder(tmp_path):
    """Another process, with a forked worker, that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    worker = int(process.stdout.readline())
    yield process
    os.kill(worker, signal.SIGKILL)
    process.kill()
    process.wait()


def test_second_training_is_refused_and_a_dead_one_is_not_waited_for(holder, tmp_path):
    with (
        pytest.raises(CliError, match=f'process {holder.pid} on .*--work-dir'),
        work_dir.locked(tmp_path),
    ):
        pass
    holder.kill()
    holder.wait()
    assert (tmp_path / work_dir.LOCK_NAME).exists()  # stale, and its worker still lives
    with work_dir.locked(tmp_path):
        assert f'process {os.getpid()} ' in (tmp_path / work_dir.LOCK_NAME).read_text()
    assert not (tmp_path / work_dir.LOCK_NAME).read_text()


@pytest.mark.parametrize(
    'name',
    [
        'epoch_1.pth',
        'iter_20.pth',
        'last_checkpoint',
        'best_MPJPE_epoch_3.pth',
        'interrupted_iter_7.pth',
    ],
)
def test_used_folder(tmp_path, name):
    folder = str(tmp_path / 'run')
    assert work_dir.free_work_dir(folder) == folder
    for used in (folder, f'{folder}_2'):
        os.mkdir(used)
        Path(used, 'scores.json').touch()
    assert work_dir.free_work_dir(folder) == folder  # logs alone are no training
    Path(folder, name).touch()
    with pytest.raises(CliError, match=r'run: holds the checkpoints.*--resume'):
        work_dir.free_work_dir(folder)
    assert work_dir.free_work_dir(folder, 'new') == f'{folder}_2'
    Path(f'{folder}_2', name).touch()
    assert work_dir.free_work_dir(folder, 'new') == f'{folder}_3'
    assert work_dir.free_work_dir(folder, 'overwrite') == folder

# SPDX-License-Identifier: Apache-2.0
"""Worker processes: same results for any number, and none left behind however a run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastmetro_mm.dataset_tools.converters import run
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.inspection import set_report
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.set_report import check_set
from fastmetro_mm.datasets.worker_pool import run_jobs
from fastmetro_mm.errors import DataSetError

_HOLDING = """
import sys, time
sys.path[:0] = [{repo!r}]
from fastmetro_mm.datasets.worker_pool import run_jobs

def work(folder, number):
    import os
    open(f'{{folder}}/{{os.getpid()}}', 'w').close()
    time.sleep(600)

if __name__ == '__main__':
    try:
        list(run_jobs(work, ({folder!r},), range(8), 2))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'


def _until(condition, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='processes are looked up in /proc')
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path, repo_dir, number):
    script, folder = tmp_path / 'hold.py', tmp_path / 'pids'
    folder.mkdir()
    script.write_text(_HOLDING.format(repo=str(repo_dir), folder=str(folder)))
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background of a shell script ignores Ctrl-C, and hands that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert _until(lambda: len(os.listdir(folder)) == 2)
        workers = [int(name) for name in os.listdir(folder)]
        assert all(map(_alive, workers))
        parent.send_signal(number)
        assert _until(lambda: not any(map(_alive, workers)))
        _, text = parent.communicate(timeout=60)
    finally:
        parent.kill()
    assert parent.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert 'Traceback' not in text


def _square(number, job):
    if job == 3 and number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * job


def test_jobs_and_a_killed_worker():
    jobs = range(20)
    expected = [2 * job for job in jobs]
    assert list(run_jobs(_square, (2,), jobs, 1)) == expected
    assert list(run_jobs(_square, (2,), jobs, 3, ordered=True)) == expected
    assert sorted(run_jobs(_square, (2,), jobs, 3)) == expected
    assert list(run_jobs(_square, (2,), [], 3)) == []
    with pytest.raises(DataSetError, match=r'ended from outside .* fewer --workers'):
        list(run_jobs(_square, (3,), jobs, 2))
    with pytest.raises(ValueError, match='workers is 0'):
        list(run_jobs(_square, (2,), jobs, 0))


def test_results_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch, write_image):
    monkeypatch.setattr(run, '_SHARD_ROWS', 3)
    monkeypatch.setattr(set_report, '_CHUNK', 4)
    rng = np.random.default_rng(0)
    count = 20
    for index in range(count):
        if index not in (4, 11):
            write_image(tmp_path / f'{index}.jpg', 60 + index % 3)
    joints = rng.normal(0, 0.4, (count, 24, 4))
    joints[..., 3] = 1
    joints[7, 0, 0] = np.nan
    np.savez(
        tmp_path / 'x.npz',
        imgname=[f'{i}.jpg' for i in range(count)],
        S=joints,
        center=np.tile([30.0, 40.0], (count, 1)),
        scale=np.full(count, 0.3),
        pose=rng.normal(0, 0.3, (count, 72)),
        shape=rng.normal(0, 1, (count, 10)),
    )
    mesh = LabelMesh('smpl', 'open_body')
    reports, sums = [], set()
    for workers in (1, 2, 3):
        out = tmp_path / f'out{workers}'
        report = run_conversion(
            SpinNpzSource(tmp_path / 'x.npz', tmp_path), out, 'train', workers=workers
        )
        assert (report.num_rows, report.num_skipped) == (17, 3)
        skipped = (out / 'train.skipped.tsv').read_text().splitlines()
        assert [line.split('\t')[0] for line in skipped] == ['4.jpg', '7.jpg', '11.jpg']
        sums.add(report.checksum)
        reports.append(check_set(tmp_path / 'out1' / 'train.yaml', 'smpl', mesh, workers).text())
    assert len(sums) == 1 and len(set(reports)) == 1
    assert 'mesh and 3D joints disagree' in reports[0]

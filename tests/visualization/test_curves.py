# SPDX-License-Identifier: Apache-2.0
"""Curves from what mmengine logs."""

import json

import cv2
import pytest

from fastmetro_mm.visualization.curves import curves_of, plot_curves, read_scalars


def write_run(folder, records, tail=''):
    folder = folder / 'vis_data'
    folder.mkdir(parents=True)
    text = '\n'.join(json.dumps(record) for record in records)
    (folder / 'scalars.json').write_text(text + tail)


def train(iteration, loss):
    return {'lr': 1e-4, 'loss': loss, 'time': 0.1, 'epoch': 1, 'iter': iteration, 'step': iteration}


@pytest.fixture
def work_dir(tmp_path):
    """A run that was resumed from iteration 20 and is still writing."""
    first = [train(10, 3.0), train(20, 2.0), {'MPJPE': 120.0, 'step': 1}, train(30, 9.0)]
    write_run(tmp_path / '20260101_000000', first)
    second = [train(30, 1.5), {'MPJPE': 90.0, 'step': 2}]
    write_run(tmp_path / '20260102_000000', second, '\n{"loss": 1.')
    return tmp_path


def test_resumed_run_gives_one_curve(work_dir):
    curves = curves_of(read_scalars(work_dir))
    assert curves['loss'] == ([10, 20, 30], [3.0, 2.0, 1.5])
    assert curves['MPJPE'] == ([1, 2], [120.0, 90.0])
    assert set(curves) == {'lr', 'loss', 'MPJPE'}


def test_not_a_number_is_left_out():
    assert curves_of([train(1, float('nan')), train(2, 1.0)])['loss'] == ([2], [1.0])


def test_plot_is_an_image(work_dir, tmp_path):
    path = plot_curves(work_dir, tmp_path / 'plots' / 'curves.png', title='quickstart')
    image = cv2.imread(str(path))
    assert image.shape[1] > 2 * image.shape[0]  # three panels side by side
    assert image.std() > 10


def test_missing_names_and_files_are_told(work_dir, tmp_path):
    with pytest.raises(ValueError, match='PA-MPJPE not logged; there are MPJPE, lr, loss'):
        plot_curves(work_dir, tmp_path / 'x.png', names=['PA-MPJPE'])
    with pytest.raises(FileNotFoundError, match='no scalars found'):
        read_scalars(tmp_path / 'nowhere')
    broken = tmp_path / 'scalars.json'
    broken.write_text('{"loss": 1}\nnot json\n{"loss": 2}\n')
    with pytest.raises(ValueError, match='line 2: not JSON'):
        read_scalars(broken)

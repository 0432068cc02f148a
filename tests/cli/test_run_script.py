# SPDX-License-Identifier: Apache-2.0
"""``fastmetro run``: mmpose's scripts in a process of their own, beside mmcv-lite."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from fastmetro_mm.cli import run_script
from fastmetro_mm.config_files import config_path


def run(*words, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'fastmetro_mm', 'run', *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope='module')
def weights_file(tmp_path_factory):
    """Untrained weights of the quickstart network."""
    import torch

    from fastmetro_mm.model_zoo.model_loading import load_network

    path = tmp_path_factory.mktemp('weights') / 'quickstart.pth'
    torch.save(dict(state_dict=load_network('quickstart', None, 'cpu').state_dict()), path)
    return path


def test_image_demo_draws(weights_file, tmp_path):
    cv2.imwrite(str(tmp_path / 'photo.jpg'), np.full((120, 160, 3), 90, np.uint8))
    done = run(
        'image_demo.py',
        'photo.jpg',
        config_path('quickstart'),
        weights_file,
        '--device',
        'cpu',
        '--out-file',
        'out.jpg',
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # the image with the mesh, and views beside it
    assert cv2.imread(str(tmp_path / 'out.jpg')).shape[1] > 160


def test_flops_are_counted(tmp_path):
    done = run('get_flops.py', config_path('quickstart'), '--input-shape', 96, 96, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'Flops' in done.stdout and '(1, 3, 96, 96)' in done.stdout


def test_detector_demo_starts(tmp_path):
    done = run('topdown_demo_with_mmdet.py', '--help', cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'det_checkpoint' in done.stdout


def test_data_sets_are_browsed_as_they_are_learned(tmp_path):
    from fastmetro_mm.datasets import TSVRow, write_tsv_set
    from fastmetro_mm.datasets.labels import make_label

    image = np.zeros((120, 160, 3), np.uint8)
    image[..., 2] = 200  # red
    # one joint far above the others, so that the drawing can be found
    joints = np.column_stack([np.full(24, 80.0), np.linspace(30, 90, 24), np.ones(24)])
    yaml = write_tsv_set(
        tmp_path / 'set',
        'train',
        [
            TSVRow(
                'red',
                cv2.imencode('.png', image)[1].tobytes(),
                make_label(np.array([80.0, 60.0]), 0.6, joints),
            )
        ],
    )
    done = run(
        'browse_dataset.py',
        config_path('quickstart'),
        '--output-dir',
        tmp_path / 'out',
        '--not-show',
        '--phase',
        'val',
        '--mode',
        'transformed',
        '--cfg-options',
        f'val_dataloader.dataset.ann_file={yaml}',
        'val_dataloader.dataset.data_root=',
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (drawn,) = (tmp_path / 'out').iterdir()
    drawing = cv2.imread(str(drawn))
    # the crop, red as the image, and joints drawn in its middle column
    assert drawing[2, 2].tolist() == pytest.approx([0, 0, 200], abs=12)
    middle = drawing[20:76, 44:52].reshape(-1, 3).astype(int)
    assert (abs(middle - [0, 0, 200]).sum(axis=1) > 100).any()


def test_a_script_of_mmpose_alone_gets_the_shipped_network(tmp_path):
    from fastmetro_mm.model_zoo import weight_file

    cv2.imwrite(str(tmp_path / 'photo.jpg'), np.full((120, 160, 3), 90, np.uint8))
    (tmp_path / 'own.py').write_text(
        'import sys\n'
        'from mmpose.apis import MMPoseInferencer\n'
        'inferencer = MMPoseInferencer(\n'
        "    sys.argv[1], sys.argv[2], device='cpu', det_model='whole_image')\n"
        "(result,) = inferencer('photo.jpg', return_datasamples=True)\n"
        "print(result['predictions'][0].pred_instances.vertices.shape)\n"
    )
    script = [tmp_path / 'own.py', config_path('open_body'), weight_file('open_body')]
    done = run(*script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == '(1, 6890, 3)'
    # mmpose's own way to a network by name knows its own networks only: docs/inference.md
    done = run(tmp_path / 'own.py', 'open_body', '', cwd=tmp_path)
    assert 'Cannot find model: open_body in mmpose' in done.stderr


def test_own_script_sees_its_arguments_and_neighbours(tmp_path):
    (tmp_path / 'neighbour.py').write_text('VALUE = 3\n')
    (tmp_path / 'own.py').write_text(
        'import sys\nfrom neighbour import VALUE\n'
        "if __name__ == '__main__':\n    print(VALUE, sys.argv[1:])\n    raise SystemExit(5)\n"
    )
    done = run(tmp_path / 'own.py', '--a', 'b')
    assert (done.returncode, done.stdout) == (5, "3 ['--a', 'b']\n")


def test_unknown_script_names_those_of_mmpose():
    with pytest.raises(FileNotFoundError, match=r'nothing\.py: no such script.*image_demo\.py'):
        run_script.find_script('nothing.py')

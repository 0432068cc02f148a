# SPDX-License-Identifier: Apache-2.0
"""``projects/million_images``: every image once, bad ones told, with Ray where it is."""

import io
import os
import sys
import textwrap
import time
from pathlib import Path
from subprocess import DEVNULL, Popen, run

import cv2
import numpy as np
import pytest

from projects.million_images import work
from projects.million_images.__main__ import main

PEOPLE = Path(__file__).parents[1] / 'data/free_model/several_people.jpg'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """An image of people, one of nobody below a folder, and a damaged one."""
    folder = tmp_path_factory.mktemp('images')
    (folder / 'a.jpg').write_bytes(PEOPLE.read_bytes())
    (folder / 'below').mkdir()
    cv2.imwrite(str(folder / 'below/b.png'), np.full((64, 64, 3), 120, np.uint8))
    (folder / 'c.jpg').write_bytes(PEOPLE.read_bytes()[:900])
    (folder / 'notes.txt').write_text('no image')
    return folder


def arguments(images, out, *more):
    return [str(images), str(out), '--shard-size', '2', *map(str, more)]


def test_all_images_are_in_the_shards_once(images, tmp_path, capsys):
    main(arguments(images, tmp_path, '--workers', 0))
    said = capsys.readouterr().out
    assert '2 shards, 2 to be made' in said
    assert '1 images that cannot be read; 3 of 3 images are in the shards once' in said
    first = np.load(tmp_path / 'shards/0000000.npz')
    assert set(first['image']) == {'a.jpg', 'below/b.png'}
    people = first['person'] >= 0
    assert people.sum() >= 2 and first['joints_3d'].shape == (len(people), 14, 3)
    assert np.isfinite(first['body_pose'][people]).all()
    assert np.isnan(first['betas'][~people]).all() and (~people).sum() == 1
    second = np.load(tmp_path / 'shards/0000001.npz')
    assert second['image'].tolist() == ['c.jpg'] and 'c.jpg' in str(second['error'][0])
    # nothing is made twice, and what is missing is made again
    main(arguments(images, tmp_path, '--workers', 0))
    assert '2 shards, 0 to be made' in capsys.readouterr().out
    (tmp_path / 'shards/0000001.npz').unlink()
    main(arguments(images, tmp_path, '--workers', 0))
    assert '2 shards, 1 to be made' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(images), str(tmp_path), '--shard-size', '3', '--workers', '0'])
    assert 'another size' in capsys.readouterr().err


_RUN = """
    import sys, time
    from pathlib import Path
    from types import SimpleNamespace
    from projects.million_images import work
    plan = work.Plan(Path('.'), tuple(f'{n:03d}.jpg' for n in range(60)), 3)
    class Slow:
        body = SimpleNamespace(joint_names=['Head'], is_hand=False)
        has_parameters = True
        def __call__(self, paths, keep_images, on_error):
            for path in paths:
                time.sleep(0.01)
                yield SimpleNamespace(image_path=str(path), people=[])
    for number in work.missing(plan, Path(sys.argv[1]), 'npz'):
        work.make_shard(Slow(), plan, number, Path(sys.argv[1]), 'npz')
"""


def test_killed_in_the_middle(tmp_path):
    """After kill -9 only whole shards are there, and the next run makes the others."""
    command = [sys.executable, '-c', textwrap.dedent(_RUN), str(tmp_path)]
    root = str(Path(work.__file__).parents[2])
    environment = {**os.environ, 'PYTHONPATH': root}
    process = Popen(command, env=environment, stdout=DEVNULL)
    while not (tmp_path / work.SHARDS / '0000004.npz').exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    counts = work.count_images(tmp_path, 'npz')
    assert 15 <= len(counts) < 60 and set(counts.values()) == {1}
    run(command, env=environment, check=True)
    counts = work.count_images(tmp_path, 'npz')
    assert counts == {f'{n:03d}.jpg': 1 for n in range(60)}


SHAPES = {'bbox_score': (), 'global_orient': (2, 2)}
NOBODY = {'image': 'b.jpg', 'person': -1, 'error': 'broken'}
SOMEBODY = {
    'image': 'a.jpg',
    'person': 0,
    'error': '',
    'bbox_score': np.array(0.5, np.float32),
    'global_orient': np.array([[1, 2], [3, 4]], np.float32),
}


def test_shards_have_the_same_columns_whoever_is_in_them():
    for rows in ([NOBODY, SOMEBODY], [NOBODY]):
        arrays = np.load(io.BytesIO(work.to_npz(rows, SHAPES)))
        assert set(arrays) == {'image', 'person', 'error', *SHAPES}
        assert arrays['bbox_score'].shape == (len(rows),) and np.isnan(arrays['bbox_score'][0])
        assert arrays['global_orient'].shape == (len(rows), 2, 2)
        assert np.isnan(arrays['global_orient'][0]).all()
        there = arrays['person'] >= 0
        assert arrays['global_orient'][there].tolist() == [[[1, 2], [3, 4]]][: len(rows) - 1]


def test_parquet_holds_the_same(tmp_path):
    pq = pytest.importorskip('pyarrow.parquet')
    # the shard that is read first has nobody in it: a reader takes its columns for all
    (tmp_path / '0.parquet').write_bytes(work.to_parquet([NOBODY], SHAPES))
    (tmp_path / '1.parquet').write_bytes(work.to_parquet([SOMEBODY, NOBODY], SHAPES))
    nothing = {'bbox_score': None, 'global_orient': None}
    assert pq.read_table(tmp_path).to_pylist() == [
        {**NOBODY, **nothing},
        {**SOMEBODY, 'bbox_score': 0.5, 'global_orient': [1.0, 2.0, 3.0, 4.0]},
        {**NOBODY, **nothing},
    ]


def test_two_workers(images, tmp_path, capsys):
    pytest.importorskip('ray')
    main(arguments(images, tmp_path, '--workers', 2))
    assert '3 of 3 images are in the shards once' in capsys.readouterr().out

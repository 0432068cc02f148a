# SPDX-License-Identifier: Apache-2.0
"""The command lines about data sets: wrong options at the start, every fault in one line."""

import errno
import importlib
import shutil
import sys

import numpy as np
import pytest

from fastmetro_mm.datasets import MeshTSVDataset
from fastmetro_mm.errors import DataSetError

MODULES = dict(convert='convert_set', doctor='check_set', browse='browse')


@pytest.fixture
def tool(monkeypatch):
    """Function (name, *arguments) -> exit status of a command."""

    def run(name, *args):
        module = importlib.import_module(f'fastmetro_mm.cli.{MODULES[name]}')
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, args)])
        for key, value in run.patches.items():
            monkeypatch.setattr(module, key, value)
        return module.main()

    run.patches = {}
    return run


@pytest.mark.parametrize(
    'options',
    [
        'images --limit 0',
        'images --limit -1',
        'images --workers 0',
        'images --padding 0',
        'images --padding -1',
        'images --padding nan',
        'images --padding inf',
        'images --limit x',
        'h36m --every 0',
        'shrink --margin 0',
        'shrink --max-box 0',
        'shrink --quality 0',
        'mixed --rows 0',
    ],
)
def test_wrong_options_are_refused_at_the_start(tool, tmp_path, capsys, options):
    name, option, value = options.split()
    with pytest.raises(SystemExit) as caught:
        tool('convert', name, '--in', tmp_path, '--out', tmp_path / 'out', option, value)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and not (tmp_path / 'out').exists()
    assert error.count('\n') == 1 and option in error and value in error


def test_faults_are_one_line_and_cost_nothing(tool, tmp_path, capsys, write_image):
    write_image(tmp_path / 'in' / 'a.jpg')
    args = ('convert', 'images', '--in', tmp_path / 'in', '--out', tmp_path / 'out', '--workers', 1)
    assert tool(*args) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
    (tmp_path / 'empty').mkdir()
    deep = tmp_path / 'deep.json'
    deep.write_text('[' * 100_000)
    capsys.readouterr()
    for more, words in (
        (('--in', tmp_path / 'empty'), 'holds no image'),
        (('--in', tmp_path / 'gone'), 'gone'),
        (('--annotations', deep), 'is not json'),
        (('--annotations', tmp_path / 'x'), 'not found'),
        (('--split', '../x'), 'split'),
        (('--out', deep), 'is a file'),
    ):
        assert tool(*args, *more) == 1
        captured = capsys.readouterr().err
        assert captured.startswith('error: ') and captured.count('\n') == 1 and words in captured
    after = {path.name: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
    assert after == before


def test_interrupted_and_full_disk(tool, tmp_path, capsys, write_image):
    write_image(tmp_path / 'in' / 'a.jpg')
    args = ('convert', 'images', '--in', tmp_path / 'in', '--out', tmp_path / 'out')

    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    tool.patches = dict(run_conversion=interrupt)
    assert tool(*args) == 130
    assert capsys.readouterr().err == '\ninterrupted; the same command goes on where it stopped\n'

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device', '/data/set')

    tool.patches = dict(run_conversion=full)
    assert tool(*args) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: /data/set: No space left on device')
    assert error.count('\n') == 1 and 'None' not in error


def test_doctor_tries_its_folder_before_the_work(tool, make_set, tmp_path, capsys):
    yaml_path = make_set(4)
    (tmp_path / 'file').write_text('x')

    def never(*_args, **_kwargs):
        raise AssertionError('the rows were read first')

    tool.patches = dict(check_set=never)
    out = tmp_path / 'file' / 'report'
    assert tool('doctor', yaml_path, '--out', out, '--body-model', 'none') == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert f'error: {out}: cannot write there (Not a directory): give another folder' in error


def test_doctor_tells_its_report_before_it_writes_it(tool, make_set, tmp_path, capsys):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, 'No space left on device', 'sheet.png')

    tool.patches = dict(write_report_sheet=full)
    assert tool('doctor', make_set(4), '--out', tmp_path / 'r', '--body-model', 'none') == 2
    captured = capsys.readouterr()
    assert '4 samples, 4 different rows opened, 0 unusable' in captured.out
    assert 'sheet.png: No space left on device' in captured.err
    tool.patches = {}
    for name, option in (
        ('doctor', '--limit'),
        ('doctor', '--workers'),
        ('browse', '--n'),
        ('browse', '--size'),
    ):
        with pytest.raises(SystemExit, match='2'):
            tool(name, make_set(4), option, 0)


def _without_labels(yaml_path):
    yaml_path.write_text('img: train.img.tsv\nhw: train.hw.tsv\n')
    return yaml_path


def test_sets_without_labels_are_refused_for_training_only(tool, make_set, tmp_path, capsys):
    yaml_path = _without_labels(make_set(4))
    pipeline = [
        dict(type='LoadMeshImage'),
        dict(type='BoxToCenterScale'),
        dict(type='MeshAugment'),
        dict(type='MeshCrop', mode='fast'),
        dict(type='PackMeshInputs'),
    ]
    with pytest.raises(DataSetError, match='no "label" entry and training needs labels'):
        MeshTSVDataset(yaml_path, pipeline)
    assert MeshTSVDataset(yaml_path, pipeline, test_mode=True)[0]['inputs'].shape == (3, 224, 224)
    out = tmp_path / 'r'
    assert tool('doctor', yaml_path, '--out', out, '--body-model', 'none', '--workers', 1) == 0
    assert tool('browse', yaml_path, '--out', tmp_path / 's.png', '--body-model', 'none') == 0
    assert (tmp_path / 's.png').is_file() and (out / 'report.txt').is_file()


def test_file_that_is_cut_while_it_is_used(make_set):
    """The offsets are right and the file is not: nobody is told to delete the offsets."""
    yaml_path = make_set(6)
    image = yaml_path.with_name('train.img.tsv')
    whole = image.read_bytes()
    starts = [0, *(np.flatnonzero(np.frombuffer(whole, np.uint8) == 10) + 1)]
    for cut in (starts[4] + 100, starts[4], starts[5] - 1, len(whole) - 9):
        dataset = MeshTSVDataset(yaml_path, on_error='skip')
        with open(image, 'r+b') as file:
            file.truncate(cut)
        with pytest.raises(
            DataSetError,
            match=rf'train.img.tsv was changed while it was in use '
            rf'\({len(whole)} bytes, now {cut}\): restore the file',
        ) as caught:
            for index in range(6):
                dataset[index]
        assert 'lineidx' not in str(caught.value)
        image.write_bytes(whole)
    image.unlink()
    with pytest.raises(FileNotFoundError, match=r'train\.img\.tsv'):
        MeshTSVDataset(yaml_path)


def test_yaml_of_other_systems(make_set):
    yaml_path = make_set(3)
    text = yaml_path.read_text().replace('train.', 'sub\\train.')
    shutil.copytree(yaml_path.parent, yaml_path.parent / 'sub')
    for encoding in ('utf-8', 'utf-8-sig', 'utf-16'):
        yaml_path.write_bytes(text.replace('\n', '\r\n').encode(encoding))
        assert len(MeshTSVDataset(yaml_path)) == 3
    yaml_path.with_name('train.linelist.tsv').write_bytes(b'\xef\xbb\xbf0\r\n2\r\n')
    yaml_path.write_text(
        yaml_path.read_bytes().decode('utf-16').replace('linelist: sub\\', 'linelist: ')
    )
    assert len(MeshTSVDataset(yaml_path)) == 2
    for content in (b'[' * 100_000, b'\xff\xfe\x00', b'img: [', b'3'):
        yaml_path.write_bytes(content)
        with pytest.raises(DataSetError, match=r'train\.yaml'):
            MeshTSVDataset(yaml_path)


def test_sizes_of_a_thousand_brackets(make_set):
    yaml_path = make_set(2)
    path = yaml_path.with_name('train.hw.tsv')
    key = path.read_bytes().split(b'\t')[0]
    path.write_bytes(
        key + b'\t' + b'[' * 100_000 + b'\n' + path.read_bytes().split(b'\n')[1] + b'\n'
    )
    with pytest.raises(ValueError, match='does not hold a height and width'):
        MeshTSVDataset(yaml_path, on_error='raise')[0]

# SPDX-License-Identifier: Apache-2.0
"""Rows and sets that cannot be used: one line that names file and row, or the next row."""

import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from fastmetro_mm.datasets import DataRowError, DataSetError, MeshTSVDataset
from tests.datasets.edited_sets import LOAD, edit_label, edit_row

BAD_LABELS = [
    (dict(center=[1, 2, 3]), 'center'), (dict(scale=0), 'scale'), (dict(scale=-1), 'scale'),
    (dict(scale=1e5), 'scale'), (dict(scale='x'), 'scale'), (dict(scale=...), 'scale'),
    ({'2d_joints': [[1, 2, 1]] * 23}, '2d_joints'), ({'3d_joints': [[1, 2, 3]] * 24}, '3d_joints'),
    ({'3d_joints': [[float('nan')] * 4] * 24}, '3d_joints'), (dict(pose=[0.0] * 71), 'pose'),
    (dict(betas=[float('inf')] * 10), 'betas'), (dict(betas=[1e30] * 10), 'betas'),
    (dict(has_smpl=2), 'has_smpl'), (dict(has_smpl=...), 'has_smpl'), (dict(pose=...), 'has_smpl'),
    (dict(has_2d_joints='1'), 'has_2d_joints'), (dict(gender=3), 'gender'),
]  # fmt: skip


@pytest.mark.parametrize('change,field', BAD_LABELS)
def test_bad_label_raises_one_line_with_file_and_row(make_set, change, field):
    yaml_path = make_set(3)
    edit_label(yaml_path, 2, **change)
    dataset = MeshTSVDataset(yaml_path, LOAD, test_mode=True)
    with pytest.raises(DataRowError, match=rf'train\.label\.tsv row 2: .*{field}') as error:
        dataset[2]
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('part,edit,message', [
    ('img', lambda line: line[:-5], 'row 1: .*(base64|cut off)'),
    ('img', lambda line: line[:len(line) // 2 // 4 * 4], 'row 1: .*(base64|cut off)'),
    ('img', lambda line: line.split(b'\t')[0] + b'\t', 'decoded'),
    ('img', lambda line: b'img_001.jpg', 'a key, a tab'),
    ('img', lambda line: b'', 'a key, a tab'),
    ('img', lambda line: b'\xff' + line, 'UTF-8'),
    ('img', lambda line: line.split(b'\t')[0] + b'\t%%%%', 'base64'),
    ('hw', lambda line: line.split(b'\t')[0] + b'\t[{"height": 3}]', 'height and width'),
    ('hw', lambda line: line.split(b'\t')[0] + b'\t160', 'height and width'),
    ('label', lambda line: line[:-9], 'not JSON'),
    ('label', lambda line: line.split(b'\t')[0] + b'\t[]', 'not a list with one object'),
    ('label', lambda line: b'other' + line, 'but the image is'),
])  # fmt: skip
def test_bad_row_raises_one_line_with_file_and_row(make_set, part, edit, message):
    yaml_path = make_set(3)
    edit_row(yaml_path, part, 1, edit)
    with pytest.raises(DataRowError, match=message) as error:
        MeshTSVDataset(yaml_path, LOAD, test_mode=True)[1]
    assert f'train.{part}.tsv row 1' in str(error.value) and '\n' not in str(error.value)


def test_training_skips_to_the_next_row_and_counts(make_set):
    yaml_path = make_set(4)
    edit_label(yaml_path, 1, scale=float('nan'))
    edit_label(yaml_path, 2, betas=[])
    dataset = MeshTSVDataset(yaml_path, LOAD)
    assert [dataset[i]['img_key'] for i in (0, 1, 2, 3)] == [
        'img_000.jpg',
        'img_003.jpg',
        'img_003.jpg',
        'img_003.jpg',
    ]
    assert dataset.num_skipped == 2
    loader = DataLoader(dataset, num_workers=2, collate_fn=pseudo_collate)
    assert [batch['img_key'][0] for batch in loader][1] == 'img_003.jpg'
    for row in (0, 3):
        edit_label(yaml_path, row, scale=float('nan'))
    dataset = MeshTSVDataset(yaml_path, LOAD)
    for _ in range(2):
        with pytest.raises(DataSetError, match='no usable row among 4'):
            dataset[0]
    with pytest.raises(ValueError, match='on_error'):
        MeshTSVDataset(yaml_path, LOAD, test_mode=True, on_error='skip')


def test_skips_in_workers_are_counted_in_the_parent(make_set):
    yaml_path = make_set(6)
    edit_label(yaml_path, 4, scale=0)
    dataset = MeshTSVDataset(yaml_path, LOAD)
    for _ in DataLoader(dataset, num_workers=2, collate_fn=pseudo_collate):
        pass
    assert dataset.num_skipped == 1


def test_programming_errors_are_not_skipped(make_set):
    def broken(results):
        raise KeyError('bug')

    with pytest.raises(KeyError):
        MeshTSVDataset(make_set(), [broken])[0]


def test_whole_set_errors(make_set, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere.yaml not found: set ann_file'):
        MeshTSVDataset('nowhere.yaml', data_root=str(tmp_path))
    yaml_path = make_set(3)
    good = yaml_path.read_text()
    for text, error, message in (
        ('{', DataSetError, 'not a yaml'),
        ('label: x', DataSetError, 'no "img"'),
        (good.replace('img.tsv', 'gone.tsv'), FileNotFoundError, 'gone.tsv not found'),
        (good.replace('linelist.tsv', 'gone.tsv'), FileNotFoundError, 'gone.tsv not found'),
        (good + 'composite: true', DataSetError, 'not a list of file names'),
        (
            'composite: true\nimg: [train.img.tsv]\nlinelist: train.linelist.tsv',
            DataSetError,
            'line 1: expected 2',
        ),
        (good.replace('train.img.tsv', '[train.img.tsv]'), DataSetError, 'composite: true'),
        ('composite: true\nimg: [train.img.tsv]', DataSetError, 'needs a "linelist"'),
    ):
        yaml_path.write_text(text)
        with pytest.raises(error, match=message) as caught:
            MeshTSVDataset(yaml_path)
        assert '\n' not in str(caught.value)
    yaml_path.write_text(good)
    (yaml_path.parent / 'train.linelist.tsv').write_text('0\n3\n')
    with pytest.raises(DataSetError, match='line 2: row 3 does not exist'):
        MeshTSVDataset(yaml_path)
    (yaml_path.parent / 'train.linelist.tsv').write_text('')
    with pytest.raises(DataSetError, match='no rows'):
        MeshTSVDataset(yaml_path)


def test_empty_tsv_and_row_count_mismatch(make_set):
    yaml_path = make_set(3)
    label = yaml_path.with_name('train.label.tsv')
    label.write_bytes(b'\n'.join(label.read_bytes().split(b'\n')[:2]) + b'\n')
    with pytest.raises(DataSetError, match=r'label.tsv has 2 rows but .*img.tsv has 3'):
        MeshTSVDataset(yaml_path)
    for part in ('img', 'hw', 'label'):
        yaml_path.with_name(f'train.{part}.tsv').write_bytes(b'')
    yaml_path.with_name('train.linelist.tsv').write_bytes(b'')
    with pytest.raises(DataSetError, match='no rows'):
        MeshTSVDataset(yaml_path)

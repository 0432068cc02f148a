# SPDX-License-Identifier: Apache-2.0
"""The sheet of worst cases, from evaluation to image."""

import json

import cv2
import numpy as np
import pytest

from fastmetro_mm.evaluation.worst_cases import read_worst

ROWS = [
    {'img_key': 'a.jpg', 'sample_idx': 3, 'MPJPE': 100.0, 'PA-MPJPE': 90.0},
    {'img_key': 'b.jpg', 'sample_idx': 1, 'MPJPE': None, 'PA-MPJPE': 80.0},
    {'img_key': 'c.jpg', 'sample_idx': 0, 'MPJPE': 120.0, 'PA-MPJPE': 70.0},
]
NOT_NUMBERS = [
    {'img_key': 'a.jpg', 'sample_idx': 3, 'MPJPE': 100.0},
    {'img_key': 'b.jpg', 'sample_idx': 1, 'MPJPE': float('nan')},
    {'img_key': 'c.jpg', 'sample_idx': 0},
]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ('by', 'expected'),
    [(None, ['a.jpg', 'b.jpg']), ('PA-MPJPE', ['a.jpg', 'b.jpg']), ('MPJPE', ['b.jpg', 'c.jpg'])],
)
def test_worst_first(by, expected, tmp_path):
    for content in (ROWS, {'joints_mm': {}, 'images': ROWS}):
        rows = read_worst(write(tmp_path / 'errors.json', content), 2, by)
        assert [row['img_key'] for row in rows] == expected


def test_errors_that_are_no_numbers_come_first(tmp_path):
    rows = read_worst(write(tmp_path / 'errors.json', NOT_NUMBERS), 3, 'MPJPE')
    assert [row['img_key'] for row in rows] == ['b.jpg', 'c.jpg', 'a.jpg']


@pytest.mark.parametrize(('content', 'message'), [
    ('[{', 'not JSON'), ([], 'no rows'), ({'MPJPE': 1.0}, 'no rows'), (['a'], 'row 0'),
    ([ROWS[0], {'img_key': 'a', 'sample_idx': None}], 'row 1'),
])  # fmt: skip
def test_bad_files_are_named(content, message, tmp_path):
    path = write(tmp_path / 'errors.json', content)
    with pytest.raises(ValueError, match=message) as error:
        read_worst(path, 2)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_missing_file_and_unknown_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='per_sample_file'):
        read_worst(tmp_path / 'none.json', 2)
    with pytest.raises(ValueError, match='choose one of MPJPE, PA-MPJPE'):
        read_worst(write(tmp_path / 'errors.json', ROWS), 2, 'MPVPE')


@pytest.fixture(scope='module')
def errors(run_tool, body_run, people, tmp_path_factory):
    """Per-sample file of an evaluation."""
    folder = tmp_path_factory.mktemp('errors')
    run_tool(
        'test', 'quickstart', body_run / 'epoch_2.pth', '--work-dir', folder,
        '--report', folder / 'report',
        **{
            'data_root': f'{people}/', 'test_evaluator.0.per_sample_file': folder / 'errors.json',
            'visualizer.renderer': 'software',
        },
    )  # fmt: skip
    return folder / 'errors.json'


def test_report_of_an_evaluation(errors):
    """The tables are about the same errors; the worst are drawn."""
    listed = json.loads(errors.read_text())
    report = json.loads((errors.parent / 'report/report.json').read_text())
    assert [row['img_key'] for row in report['images']] == [row['img_key'] for row in listed]
    everybody = report['everybody'][0]
    mean = np.mean([row['PA-MPJPE'] for row in listed])
    assert everybody['PA-MPJPE'] == pytest.approx(mean, abs=0.001)
    assert sum(row['PA-MPJPE'] for row in report['joints']) / 14 == pytest.approx(mean, abs=0.01)
    assert {'truncation', 'occlusion', 'view', 'size', 'pose'} <= set(report['attributes'])
    for rows in report['attributes'].values():
        assert sum(row['count'] for row in rows) == len(listed)
    page = (errors.parent / 'report/report.html').read_text()
    assert page.count('data:image/jpeg') == min(12, len(listed)) and 'R_Ankle' in page


def test_sheet_of_an_evaluation(run_tool, body_run, people, errors, tmp_path, capsys):
    listed = json.loads(errors.read_text())
    assert [row['PA-MPJPE'] for row in listed] == sorted(
        (row['PA-MPJPE'] for row in listed), reverse=True
    )
    sheet = tmp_path / 'sheet.png'
    options = {'data_root': f'{people}/', 'visualizer.renderer': 'software'}
    run_tool(
        'worst_cases',
        'quickstart',
        body_run / 'epoch_2.pth',
        errors,
        '--out',
        sheet,
        '--n',
        4,
        **options,
    )
    assert '4 samples' in capsys.readouterr().out
    image = cv2.imread(str(sheet))
    # two by two tiles, each the truth beside the prediction on a crop of 96 pixels, enlarged
    assert image.shape[0] >= 2 * 192 and image.shape[1] >= 4 * 192
    quarters = [half for row in np.array_split(image, 2) for half in np.array_split(row, 2, 1)]
    for quarter in quarters:
        assert quarter.std() > 10
    assert not np.array_equal(quarters[0], quarters[1])


def test_errors_of_another_set_are_refused(run_tool, body_run, people, errors, tmp_path, capsys):
    rows = json.loads(errors.read_text())
    rows[0]['img_key'] = 'somebody_else.jpg'
    with pytest.raises(SystemExit) as stop:
        run_tool(
            'worst_cases',
            'quickstart',
            body_run / 'epoch_2.pth',
            write(tmp_path / 'errors.json', rows),
            data_root=f'{people}/',
        )
    assert stop.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('error: ') and 'somebody_else.jpg' in message

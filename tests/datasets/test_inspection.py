# SPDX-License-Identifier: Apache-2.0
"""Doctor and browser: planted faults are found, drawn joints lie where the labels are."""

import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import J24, J24_FLIP
from fastmetro_mm.dataset_tools.converters.placement import (
    box_of_points,
    square_box,
    with_confidence,
)
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.spin_npz import SpinNpzSource
from fastmetro_mm.dataset_tools.inspection.browse import find_kind, write_browse_sheet
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.set_report import check_set, write_report_sheet
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow, write_tsv_set
from fastmetro_mm.visualization.label_skeleton import draw_skeleton

FOCAL, SIZE = 900.0, (300, 400)


@pytest.fixture(scope='module')
def open_body():
    return LabelMesh('smpl', 'open_body')


@pytest.fixture
def people(open_mesh):
    """Rows of upright open bodies whose labels agree, on grey images."""

    def make(count: int) -> list[TSVRow]:
        rng = np.random.default_rng(0)
        rows = []
        for index in range(count):
            pose, betas = rng.normal(0, 0.15, 72), rng.normal(0, 0.5, 10)
            pose[:3] = (np.pi - 0.1, 0.1, 0.05)  # upright where y points down
            joints = open_mesh.placed(pose, betas, (0, 0, 6.0))
            points = joints[:, :2] / joints[:, 2:] * FOCAL + np.array(SIZE[::-1]) / 2
            image = np.full((*SIZE, 3), 80 + index, np.uint8)
            rows.append(
                TSVRow(
                    f'{index}.jpg',
                    cv2.imencode('.jpg', image)[1].tobytes(),
                    make_label(
                        *square_box(*box_of_points(points), padding=1.3),
                        with_confidence(points),
                        with_confidence(joints),
                        pose,
                        betas,
                    ),
                )
            )
        return rows

    return make


def test_doctor_finds_images_that_are_grey_in_the_middle(people, open_body, tmp_path):
    rows = people(3)
    data, half = rows[1].image, len(rows[1].image) // 2
    rows[1].image = data[:half] + bytes(1000) + data[half + 1000 :]
    rows[1].size = rows[0].image_size()  # as older conversions wrote it
    report = check_set(write_tsv_set(tmp_path / 'set', 'train', rows), 'smpl', open_body)
    [(index, key, detail)] = report.problems['damaged']
    assert (index, key, report.num_unusable) == (1, rows[1].key, 0)
    assert detail.startswith('damaged JPEG')
    assert '1 rows: image is damaged, what is missing of it is grey in training' in report.text()


def test_doctor_finds_planted_faults(people, open_body, tmp_path):
    rows = people(12)
    labels = [row.label for row in rows]
    labels[1]['3d_joints'] = np.array(labels[1]['3d_joints'])[list(J24_FLIP)].tolist()
    labels[2]['betas'][3] = 7.0
    points = np.array(labels[3]['2d_joints'])
    points[:, 0] += 500
    labels[3]['2d_joints'] = points.tolist()
    labels[3]['center'][0] += 500
    labels[4]['scale'] = 0.05
    labels[5].update(has_2d_joints=0, has_3d_joints=0, has_smpl=0)
    labels[6]['2d_joints'] = (np.array(labels[6]['2d_joints']) * (1, 1, 0)).tolist()
    rows[8] = TSVRow('8.jpg', rows[7].image, labels[7])
    rows[9].size = (77, 88)
    yaml_path = write_tsv_set(tmp_path / 'set', 'train', rows)
    path = yaml_path.with_name('train.label.tsv')
    lines = path.read_text().splitlines()
    lines[10] = lines[10].replace('[{"center": [', '[{"center": [NaN, ')
    path.write_text('\n'.join(lines) + '\n')

    report = check_set(yaml_path, 'smpl', open_body, workers=2)
    found = {name: [index for index, *_ in entries] for name, entries in report.problems.items()}
    assert found == dict(
        unusable=[10],
        image_size=[9],
        box_size=[4],
        box_outside=[3],
        joints_outside=[3],
        no_label=[5],
        empty_joints=[6],
        projection=[1, 4],
        mesh=[1],
        betas=[2],
        duplicate=[8],
    )
    assert 'train.label.tsv row 10' in report.problems['unusable'][0][2]
    assert report.problems['duplicate'][0][2] == 'as sample 7'
    assert (report.num_rows, report.num_checked, report.num_unusable) == (12, 12, 1)
    assert report.flags == {
        name: pytest.approx(10 / 11) for name in ('has_2d', 'has_3d', 'has_smpl')
    }
    json.loads(report.write_json(tmp_path / 'r.json').read_text())
    sheet = cv2.imread(str(write_report_sheet(report, open_body, tmp_path / 's.png', 9)))
    assert sheet.shape[1] > 6 * 224


def test_agreeing_labels_have_no_problems(people, open_body, tmp_path):
    report = check_set(write_tsv_set(tmp_path, 'train', people(3)), 'smpl', open_body)
    assert report.problems == {} and 'no problems found' in report.text()
    assert report.numbers['mesh_error_mm'][-1] < 1e-3
    assert report.numbers['projection_error'][-1] < 0.04  # weak against full perspective
    none = check_set(tmp_path / 'train.yaml', 'smpl', LabelMesh('smpl', 'none'), limit=2)
    assert none.num_checked == 2 and 'mesh_error_mm' not in none.numbers


def test_hands_and_sets_without_labels(make_set, tmp_path):
    hands = make_set(3, 'hand', name='hands')
    assert find_kind(hands) == 'hand'
    report = check_set(hands, 'hand', LabelMesh('hand', 'open_hand'))
    assert report.num_checked == 3 and report.num_unusable == 0
    assert {'mesh', 'projection'} & set(report.problems)  # their labels are random
    bare = make_set(3, name='bare')
    bare.write_text('img: train.img.tsv\n')
    assert find_kind(bare) == 'smpl'
    report = check_set(bare, 'smpl', LabelMesh('smpl', 'none'))
    assert report.num_checked == 3 and report.problems == {}
    assert write_browse_sheet(bare, tmp_path / 'x.png').is_file()
    with pytest.raises(ValueError, match='does not fit'):
        LabelMesh('hand', 'open_body')


def test_skeleton_is_drawn_on_the_labelled_points():
    image = np.zeros((224, 224, 3), np.uint8)
    points = np.random.default_rng(0).uniform(20, 200, (24, 2))
    trusted = np.zeros(24, bool)
    rows = [J24.index(name) for name in ('R_Knee', 'R_Ankle', 'L_Wrist')]
    trusted[rows] = True
    drawn = draw_skeleton(image, points, trusted)
    assert not image.any()
    for row, color in zip(rows, ((255, 128, 0), (255, 128, 0), (0, 180, 60)), strict=True):
        x, y = np.round(points[row]).astype(int)
        assert drawn[y, x].tolist() == list(color)
    x, y = np.round(points[rows[:2]].mean(0)).astype(int)
    assert drawn[y - 1 : y + 2, x - 1 : x + 2].any()  # the link between the two
    assert not draw_skeleton(image, points, np.zeros(24, bool)).any()


def test_browse_real_h36m_images(shared_dir, open_body, tmp_path):
    """The sheet whose recipe is in docs/data.md comes out the same every time."""
    folder = shared_dir / 'data' / 'h36m_mini'
    if not folder.is_dir():
        pytest.skip('the Human3.6M sample images are not there')
    source = SpinNpzSource(folder / 'test_h36m.npz', folder / 'images')
    yaml_path = run_conversion(source, tmp_path / 'set', 'test').yaml_path
    plain = cv2.imread(str(write_browse_sheet(yaml_path, tmp_path / 'a.png', count=4)))
    full = cv2.imread(
        str(
            write_browse_sheet(yaml_path, tmp_path / 'b.png', count=4, augment=True, mesh=open_body)
        )
    )
    assert plain.shape[0] < 2 * 280 and full.shape[1] > 4 * 224
    again = cv2.imread(
        str(
            write_browse_sheet(
                yaml_path, tmp_path / 'c.png', [0, 1, 2, 3], augment=True, mesh=open_body
            )
        )
    )
    np.testing.assert_array_equal(full, again)  # same seed
    with pytest.raises(ValueError, match='no sample 4'):
        write_browse_sheet(yaml_path, tmp_path / 'x.png', [4])


def _run(repo_dir, monkeypatch, name, *args) -> int:
    spec = importlib.util.spec_from_file_location(name, repo_dir / f'tools/dataset/{name}.py')
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    spec.loader.exec_module(tool)
    monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, args)])
    return tool.main()


def test_command_lines(repo_dir, people, monkeypatch, capsys, tmp_path):
    yaml_path = write_tsv_set(tmp_path / 'set', 'train', people(3))
    args = ('--body-model', 'open_body')
    assert _run(repo_dir, monkeypatch, 'doctor', yaml_path, '--workers', 1, *args) == 0
    out = capsys.readouterr().out
    assert 'no problems found' in out and 'train.doctor' in out
    folder = tmp_path / 'set' / 'train.doctor'
    assert {p.name for p in folder.iterdir()} == {'report.txt', 'report.json', 'sheet.png'}
    image = yaml_path.with_name('train.img.tsv')
    image.write_bytes(image.read_bytes().replace(b'1.jpg\t/9j/', b'1.jpg\t/8j/'))
    assert _run(repo_dir, monkeypatch, 'doctor', yaml_path, '--workers', 1, *args) == 1
    assert 'image cannot be decoded' in capsys.readouterr().out
    out_file = tmp_path / 'sheet.png'
    assert (
        _run(repo_dir, monkeypatch, 'browse', yaml_path, '--out', out_file, '--index', 0, *args)
        == 0
    )
    assert out_file.is_file() and 'meshes of open_body' in capsys.readouterr().out
    for name, status in (('doctor', 2), ('browse', 1)):
        assert _run(repo_dir, monkeypatch, name, 'gone.yaml') == status
        error = capsys.readouterr().err
        assert error.startswith('error: ') and error.count('\n') == 1

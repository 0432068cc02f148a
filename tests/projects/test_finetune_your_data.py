# SPDX-License-Identifier: Apache-2.0
"""``projects/finetune_your_data``: faults of labels are told, the loss teaches by key points."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.body.joint_sets import J14, J14_FLIP
from fastmetro_mm.model_zoo import weight_file
from fastmetro_mm.structures import MeshPrediction, MeshTargets
from projects.finetune_your_data import ceiling, check, compare
from projects.finetune_your_data.labelled_photos import LabelledPerson, distance


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Two people to train on and one held out, drawn as somebody's own photos."""
    folder = tmp_path_factory.mktemp('ceiling')
    ceiling.main([str(folder), '--train', '2', '--test', '1'])
    return folder


def test_stand_in_photos_are_labelled(data):
    content = json.loads((data / 'train.json').read_text())
    assert [image['file_name'] for image in content['images']] == [
        'train_00000.jpg', 'train_00001.jpg',
    ]  # fmt: skip
    assert len(content['annotations'][0]['keypoints']) == 51
    assert (data / 'test.yaml').is_file() and (data / 'photos/test_00002.jpg').is_file()


def person(marks: np.ndarray) -> LabelledPerson:
    keypoints = np.column_stack([marks, np.ones(len(J14))])
    return LabelledPerson('a.jpg #0', None, np.array([0.0, 0, 100, 200]), keypoints)


def test_faults_are_found():
    marks = np.random.default_rng(0).uniform((10, 10), (90, 190), size=(len(J14), 2))
    assert check.findings(person(marks), marks) == []
    assert distance(marks + np.array([0, 20]), person(marks)) == pytest.approx(np.full(12, 0.1))
    swapped = check.findings(person(marks[list(J14_FLIP)]), marks)
    assert swapped == ['left and right may be exchanged']
    moved = check.findings(person(marks + np.array([0, 60])), marks)
    assert 'the shipped model sees the person elsewhere' in moved
    assert any('lie outside the box' in one for one in moved)


def test_check_tells_of_every_annotation(data, tmp_path, capsys):
    content = json.loads((data / 'train.json').read_text())
    content['annotations'].append({**content['annotations'][0], 'image_id': 99})
    content['annotations'].append({**content['annotations'][0], 'bbox': [5, 5, 0, 9]})
    labels = tmp_path / 'labels.json'
    labels.write_text(json.dumps(content))
    sheet = tmp_path / 'sheet.png'
    code = check.main([str(data / 'photos'), str(labels), '--sheet', str(sheet)])
    said = capsys.readouterr().out
    assert code == 1 and sheet.is_file()
    assert 'cannot be used: annotation 2: image_id is not among the images' in said
    assert 'cannot be used: annotation 3: the box has no area' in said
    assert '2 people can be used' in said and '2 cannot be used' in said


def test_compare_before_and_after(data, tmp_path, capsys):
    files = [data / 'photos', data / 'test.json', weight_file('open_body')]
    compare.main([*map(str, files), '--out', str(tmp_path / 'sheet.jpg')])
    before, after, path = capsys.readouterr().out.splitlines()
    assert before.startswith('before: 1 people')
    assert before.split(':')[1] == after.split(':')[1]  # the same weights
    assert path == str(tmp_path / 'sheet.jpg')


def test_key_points_alone_teach_the_network(repo_dir):
    """Some steps on one person without 3D labels bring the joints to their marks."""
    torch.manual_seed(0)
    path = repo_dir / 'projects/finetune_your_data/configs/own_data.py'
    model = Config.fromfile(path).model
    head = MODELS.build({**model.head, 'body': dict(name='open_body'), 'fit_steps': 0}).train()
    neck = MODELS.build({**model.neck, 'in_channels': None})
    keypoints = torch.rand(1, 17, 3)
    labels = torch.zeros(1, 24, 3)
    labels[0, :12] = torch.rand(12, 3)
    labels[0, :12, 2] = 1
    targets = MeshTargets(
        joints_2d=labels,
        has_smpl=torch.zeros(1),
        vertices=torch.zeros(1, 6890, 3),
        joints_3d=torch.zeros(1, 24, 4),
        pose=torch.zeros(1, 72),
        betas=torch.zeros(1, 10),
        has_2d=torch.ones(1),
        has_3d=torch.zeros(1),
    )
    optimizer = torch.optim.Adam([*neck.parameters(), *head.parameters()], lr=1e-3)
    marks = []
    for _ in range(8):
        prediction: MeshPrediction = head(neck((keypoints,)))
        losses = head.loss(prediction, targets)
        optimizer.zero_grad()
        losses['loss_mesh'].backward()
        optimizer.step()
        marks.append(float(losses['marks']))
    assert marks[-1] < 0.8 * marks[0]
    # without labels of a body only key points and priors pull
    assert float(losses['rotation']) == float(losses['vertices']) == float(losses['joints_3d']) == 0
    assert all(float(losses[name]) > 0 for name in ('pose_prior', 'shape_prior'))

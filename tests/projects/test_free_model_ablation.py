# SPDX-License-Identifier: Apache-2.0
"""``projects/free_model/ablation``: variants differ in one thing, the fit is exact, the command."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from projects.free_model.ablation import __main__ as command
from projects.free_model.ablation import fit, real, trial
from projects.free_model.ablation.evidence import People
from projects.free_model.ablation.plainer import ADDITIONS, PlainerStudio
from projects.free_model.lifting.filmed import View


@pytest.fixture(scope='module')
def h36m(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey image with joints somewhere, in SPIN's layout."""
    folder = tmp_path_factory.mktemp('h36m')
    (folder / 'images').mkdir()
    cv2.imwrite(str(folder / 'images/a.png'), np.full((100, 100, 3), 90, np.uint8))
    joints = np.random.default_rng(0).normal(size=(1, 24, 4)).astype(np.float32)
    rows = dict(imgname=['a.png'], center=[[50.0, 50.0]], scale=[0.3], pose=np.zeros((1, 72)))
    np.savez(folder / 'test_h36m.npz', S=joints, **rows)
    return folder


def _take(studio: PlainerStudio, number: int) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng((3, number))
    plan = studio.plan(rng)
    photo, label = studio.take_photo(rng, plan, studio.pose([plan])[0])
    return photo.image, label


@pytest.fixture(scope='module')
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('backgrounds')
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    cv2.imwrite(str(folder / 'noise.png'), noise)
    return folder


@pytest.fixture(scope='module')
def drawn(backgrounds: Path) -> list[tuple[np.ndarray, dict]]:
    studio = PlainerStudio((64, 64), backgrounds)
    return [_take(studio, number) for number in range(60)]


@pytest.mark.parametrize('name', ADDITIONS)
def test_what_is_left_out_changes_images_and_nothing_else(name, backgrounds, drawn):
    studio = PlainerStudio((64, 64), backgrounds, [name])
    changed = 0
    for number, (image, label) in enumerate(drawn):
        other, its_label = _take(studio, number)
        changed += bool((image != other).any())
        assert its_label['betas'] == label['betas']
        if name not in ('motions', 'contact'):
            assert its_label['pose'] == label['pose']
        if name not in ('motions', 'contact', 'truncation', 'perspective'):
            assert its_label['2d_joints'] == label['2d_joints']
            assert its_label['center'] == label['center']
        if changed and number > 4:
            break
    assert changed
    if name == 'companions':
        assert len(its_label['people']) == 1


def test_a_person_counted_twice_is_a_person_given_twice():
    rng = np.random.default_rng(0)
    points, wanted = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    counts = np.array([2, 0, 1, 1, 3, 1])
    rows = np.repeat(np.arange(6), counts)
    weights, constant = fit.solve(points @ points.T, wanted, 0.7, counts)
    again, same = fit.solve(points[rows] @ points[rows].T, wanted[rows], 0.7)
    np.testing.assert_allclose(constant, same, atol=1e-12)
    np.testing.assert_allclose(points.T @ weights, points[rows].T @ again, atol=1e-9)


def test_ridge_regression_finds_a_linear_map():
    rng = np.random.default_rng(0)
    points, truth = rng.normal(size=(40, 5)), rng.normal(size=(5, 3))
    points -= points.mean(0)
    weights, constant = fit.solve(points @ points.T, points @ truth + 2.0, 1e-9)
    np.testing.assert_allclose(constant, 2.0, atol=1e-9)
    np.testing.assert_allclose(points.T @ weights, truth, atol=1e-6)


def test_errors_of_known_answers():
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(2, 14, 3)).astype(np.float32)
    places = np.full((2, 14, 2), 0.1, np.float32)
    places[:, fit.HIPS, 1] = 0.6  # a torso of half a crop's half
    places[1, 3] = 1.4  # not shown
    people = People(*(np.zeros((2, 1)) for _ in range(3)), joints, places, np.arange(2))
    answer = fit.targets(people, np.zeros((2, 14, 3)))
    found = fit.errors(answer, people, np.zeros((2, 14, 3)))
    np.testing.assert_allclose(found['map'], 0, atol=1e-3)
    np.testing.assert_allclose(found['beside'], 0, atol=1e-3)
    answer[1, 42:44] += 0.2
    np.testing.assert_allclose(fit.errors(answer, people, joints)['close'], [100, 100 * 12 / 13])
    people.joints[0, 5:] = np.nan  # errors are of the joints that are known
    assert np.isfinite(fit.errors(answer, people, joints)['map']).all()


def test_filmed_people_shown_in_other_ways():
    image = np.full((200, 300, 3), 90, np.uint8)
    keypoints = np.stack([np.linspace(110, 150, 12), np.linspace(30, 170, 12)], 1)
    for x, y in keypoints:
        cv2.circle(image, (int(x), int(y)), 2, (0, 0, 255), -1)  # BGR
    view = View(image, np.array([100.0, 20, 160, 180]), np.ones((12, 3)), keypoints)
    crops = {look: real._crop(view, look, 7, np.random.default_rng(0)) for look in real.LOOKS}
    assert image.max() == 255 and (crops['as they are'].image != crops['blurred'].image).any()
    marked = {}
    for look, crop in crops.items():
        places = crop.places[real._LIMB_ROWS]
        assert crop.cluster == 7 and np.isfinite(crop.joints).all(1).sum() == 12
        shown = np.flatnonzero((np.abs(places) < 1).all(1))
        x, y = ((places[shown] + 1) * 128).astype(int).T
        seen = crop.image[y, x].astype(int)
        marked[look] = set(shown[seen[:, 0] > seen[:, 1] + 60])  # red where the joints are
    assert marked['as they are'] == set(range(12))
    assert marked['cut off'] == {k for k, y in enumerate(keypoints[:, 1]) if y < 20 + 0.55 * 160}
    assert 0 < len(marked['hidden in part']) < 12


def test_verdicts():
    assert trial.verdict({'a': (3.0, 1.0), 'b': (-2.0, 1.0), 'c': (-9.0, 2.0)}) == (
        'helps: a; hurts: c'
    )
    assert trial.verdict({'a': (1.9, 1.0)}) == 'no difference that can be resolved'


def test_the_command_goes_on_where_it_stopped(tmp_path, backgrounds, h36m, capsys):
    options = '--count 6 --unseen 4 --rounds 3 --leave-out light --h36m'.split()
    options = [str(tmp_path), *options, str(h36m), '--backgrounds', str(backgrounds)]
    command.main(options)
    first = capsys.readouterr().out
    rows = [line for line in first.splitlines() if line.startswith('| ')]
    assert [row.split('|')[1].strip() for row in rows] == [
        'left out', 'nothing', ADDITIONS['light'], 'everything'
    ]  # fmt: skip
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores['all']) == set(scores['light']) == set(scores['none'])
    assert all(np.isfinite(change) for change in scores['light'].values() for change in change)
    whole = (tmp_path / 'light' / '0000000-0000006.npz').read_bytes()
    (tmp_path / 'light' / '0000000-0000006.npz').unlink()
    command.main(options)
    second = capsys.readouterr().out
    assert 'light' in second and f'{tmp_path}/all' not in second  # only what was missing is drawn
    assert second.splitlines()[-4:] == first.splitlines()[-4:]
    assert (tmp_path / 'light' / '0000000-0000006.npz').read_bytes() == whole
    with pytest.raises(SystemExit):
        command.main([*options, '--seed', '1'])
    assert 'drawn with another seed' in capsys.readouterr().err

# SPDX-License-Identifier: Apache-2.0
"""All recipes from data to scores at the size of a quickstart, through the tools."""

import json
import zipfile

import cv2
import numpy as np
import pytest
import torch

from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.dataset_tools.converters.freihand import FreiHANDSource
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets import HandMeshTSVDataset

TRAIN, TEST, BATCH = 16, 6, 4
IMAGE = 2 * 96  # side of a drawn crop of 96 pixels
OFFICIAL_SCORES = {
    'xyz_mean3d_cm', 'xyz_auc3d', 'xyz_al_mean3d_cm', 'xyz_al_auc3d', 'mesh_mean3d_cm',
    'mesh_auc3d', 'mesh_al_mean3d_cm', 'mesh_al_auc3d', 'f_score_5', 'f_score_15',
    'f_al_score_5', 'f_al_score_15',
}  # fmt: skip


def read_log(work_dir):
    """Everything that the runs in a work directory logged, in order of time."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def learning_rates(work_dir):
    return {record['lr'] for record in read_log(work_dir) if 'lr' in record}


def test_body(body_run, run_tool, people, tmp_path):
    """Train, evaluate, draw from other sides."""
    log = read_log(body_run)
    losses = [record['loss'] for record in log if 'loss' in record]
    assert len(losses) == 2 * TRAIN // BATCH
    assert np.mean(losses[-2:]) < np.mean(losses[:2])
    terms = {'j3d_token', 'j3d_mesh', 'v_coarse', 'v_mid', 'v_fine', 'edge_gt', 'edge_self',
             'normal', 'j2d_token', 'j2d_mesh', 'loss_mesh', 'grad_norm'}  # fmt: skip
    assert terms <= set(log[0])
    validated = [record for record in log if 'PA-MPJPE' in record]
    assert len(validated) == 2
    for metric in ('PA-MPJPE', 'MPJPE'):
        assert len(list(body_run.glob(f'best_{metric}_epoch_*.pth'))) == 1

    run_tool(
        'test', 'quickstart', body_run / 'epoch_2.pth', '--work-dir', tmp_path, '--out',
        tmp_path / 'scores.json', '--show-dir', tmp_path / 'images',
        **{'data_root': f'{people}/', 'visualizer.views': '[front,side,back,top]',
           'visualizer.renderer': 'software', 'default_hooks.visualization.max_samples': 3},
    )  # fmt: skip
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores) == {'PA-MPJPE', 'MPJPE', 'MPVPE'}
    # the validation of the last epoch saw the same images with the same weights
    for name, value in scores.items():
        assert value == pytest.approx(validated[-1][name], rel=1e-4)
    images = list((tmp_path / 'images').rglob('*.jpg'))
    assert len(images) == 3
    for path in images:
        image = cv2.imread(str(path))
        # truth and prediction below each other, each with its four views
        assert image.shape[1] >= 5 * IMAGE and image.shape[0] >= 2 * IMAGE
        true_mesh_from_above = image[30:IMAGE, -IMAGE:-6]
        assert true_mesh_from_above.std() > 10


def test_resume_goes_on_with_the_next_epoch(train, body_run, people, tmp_path):
    """From the checkpoint of epoch 1, epoch 2 again: the weights are those of the whole run."""
    (tmp_path / 'epoch_1.pth').symlink_to(body_run / 'epoch_1.pth')
    train('quickstart', tmp_path, people, '--resume', epochs=2)
    assert {record['epoch'] for record in read_log(tmp_path) if 'lr' in record} == {2}
    resumed, whole = weights(tmp_path / 'epoch_2.pth'), weights(body_run / 'epoch_2.pth')
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-6, atol=1e-7, msg=name)


def test_fine_tuning(train, body_run, people, tmp_path):
    """The 3DPW recipe: a constant 2e-5 from a trained checkpoint."""
    train('quickstart_finetune', tmp_path, people, load_from=body_run / 'epoch_2.pth')
    assert learning_rates(tmp_path) == {2e-5}
    start, end = weights(body_run / 'epoch_2.pth'), weights(tmp_path / 'epoch_1.pth')
    steps = TRAIN // BATCH
    moved = (end['head.xyz_regressor.weight'] - start['head.xyz_regressor.weight']).abs()
    # a step of Adam at the start is about the rate, in one direction or the other
    assert 0 < moved.max() < 1.5 * steps * 2e-5
    assert 'MPVPE' in [key for record in read_log(tmp_path) for key in record]


def test_smpl_head_on_the_frozen_network_then_jointly(train, run_tool, body_run, people, tmp_path):
    """Two stages as officially: the head alone, then everything at 2e-5."""
    head = train('quickstart_smpl', tmp_path / 'head', people, load_from=body_run / 'epoch_2.pth')
    before, after = weights(body_run / 'epoch_2.pth'), weights(head / 'epoch_1.pth')
    for name, value in before.items():
        assert torch.equal(after[name], value), f'{name} of the frozen network has changed'
    assert any(name.startswith('smpl_head.') for name in after)
    log = read_log(head)
    assert 'loss_smpl' in log[0] and 'loss_mesh' not in log[0]
    smpl = {'SMPL/PA-MPJPE', 'SMPL/MPJPE', 'SMPL/MPVPE'}
    assert smpl <= set(log[-1])
    assert list(head.glob('best_SMPL_PA-MPJPE_epoch_1.pth'))

    joint = train(
        'quickstart_smpl', tmp_path / 'joint', people,
        **{'load_from': head / 'epoch_1.pth', 'model.freeze_mesh': False,
           'optim_wrapper.optimizer.lr': 2e-5},
    )  # fmt: skip
    log = read_log(joint)
    assert {'loss_smpl', 'loss_mesh'} <= set(log[0])
    moved = weights(joint / 'epoch_1.pth')
    for name in ('backbone.conv1.weight', 'head.xyz_regressor.weight',
                 'smpl_head.regressor.3.weight'):  # fmt: skip
        assert not torch.equal(moved[name], after[name])

    run_tool(
        'test', 'quickstart_smpl', joint / 'epoch_1.pth', '--work-dir', tmp_path, '--show-dir',
        tmp_path / 'images', data_root=f'{people}/',
        **{'visualizer.renderer': 'software', 'default_hooks.visualization.max_samples': 1},
    )  # fmt: skip
    (drawing,) = (tmp_path / 'images').rglob('*.jpg')
    # three rows: truth, prediction, mesh of the SMPL head
    assert cv2.imread(str(drawing)).shape[0] >= 3 * IMAGE


@pytest.fixture(scope='module')
def freihand_release(hands, tmp_path_factory):
    """The synthetic test hands in the layout of the FreiHAND release.

    Images are 224 x 224 with the hand where the release has it, named by number; truth is in
    metres in camera coordinates, in two lists beside them.
    """
    root = tmp_path_factory.mktemp('freihand')
    (root / 'evaluation' / 'rgb').mkdir(parents=True)
    dataset = HandMeshTSVDataset(hands / 'test.yaml', test_mode=True)
    model = build_body_model('open_hand')
    tips = load_model_arrays('open_hand')['fingertip_ids']
    xyz, verts = [], []
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        image = cv2.imdecode(np.frombuffer(info['img_bytes'], np.uint8), cv2.IMREAD_COLOR)
        zoom = 0.9 / float(info['scale'])
        shift = 112 - zoom * np.asarray(info['center'])
        image = cv2.warpAffine(image, np.c_[zoom * np.eye(2), shift], (224, 224))
        cv2.imwrite(str(root / f'evaluation/rgb/{number:08d}.jpg'), image)
        posed = model(
            *(torch.tensor(info[key], dtype=torch.float32)[None] for key in ('pose', 'betas'))
        )
        in_camera = posed.vertices[0].numpy() + np.array((0.02, -0.01, 0.7))
        joints = np.asarray(info['joints_3d'])[:, :3]
        # labels are about the wrist: the tip of the thumb says where that is
        xyz.append((joints + in_camera[tips[0]] - joints[4]).tolist())
        verts.append(in_camera.tolist())
    intrinsics = [[[480.0, 0, 112], [0, 480, 112], [0, 0, 1]]] * len(dataset)
    (root / 'evaluation_K.json').write_text(json.dumps(intrinsics))
    released = root / 'released'
    released.mkdir()
    (released / 'evaluation_xyz.json').write_text(json.dumps(xyz))
    (released / 'evaluation_verts.json').write_text(json.dumps(verts))
    return root


@pytest.fixture(scope='module')
def hand_run(train, hands, tmp_path_factory):
    """Work directory of the hand recipe after an epoch."""
    folder = tmp_path_factory.mktemp('hand')
    pred = {f'{name}_evaluator.0.pred_file': folder / 'pred.json' for name in ('val', 'test')}
    return train('quickstart_hand', folder / 'work', hands, **pred)


def test_hand_ends_with_official_scores(train, run_tool, hands, freihand_release, tmp_path):
    """Train on hands; predictions and scores for a set in the released layout."""
    pred = tmp_path / 'pred.json'
    for_all = {'val_evaluator.0.pred_file': pred, 'test_evaluator.0.pred_file': pred}
    work_dir = train('quickstart_hand', tmp_path / 'work', hands, epochs=2, **for_all)
    log = read_log(work_dir)
    losses = [record['loss'] for record in log if 'loss' in record]
    assert np.mean(losses[-2:]) < np.mean(losses[:2])
    assert {'j3d_token', 'v_coarse', 'v_fine', 'edge_gt', 'normal'} <= set(log[0])
    assert 'v_mid' not in log[0]
    assert OFFICIAL_SCORES <= set(log[-1])
    assert len(list(work_dir.glob('best_PA-MPJPE_epoch_*.pth'))) == 1
    pred.unlink()

    source = FreiHANDSource(freihand_release, 'evaluation')
    converted = run_conversion(source, tmp_path / 'converted', 'test')
    released = freihand_release / 'released'
    run_tool(
        'test', 'quickstart_hand', work_dir / 'epoch_2.pth', '--work-dir', tmp_path / 'test',
        '--out', tmp_path / 'scores.json',
        **{'data_root': f'{converted.yaml_path.parent}/', **for_all,
           'test_evaluator.0.xyz_file': released / 'evaluation_xyz.json',
           'test_evaluator.0.verts_file': released / 'evaluation_verts.json'},
    )  # fmt: skip
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert OFFICIAL_SCORES <= set(scores)
    # hardly trained, but aligned it is a hand; its place in front of the camera is not predicted
    assert 0 < scores['xyz_al_mean3d_cm'] < 6 < 60 < scores['xyz_mean3d_cm']
    assert scores['xyz_mean3d_cm'] == pytest.approx(70, abs=10)
    assert scores['f_al_score_5'] <= scores['f_al_score_15']

    xyz, verts = json.loads(pred.read_text())
    assert np.shape(xyz) == (TEST, 21, 3) and np.shape(verts) == (TEST, 778, 3)
    with zipfile.ZipFile(pred.with_suffix('.zip')) as archive:
        assert archive.namelist() == ['pred.json']
        assert json.loads(archive.read('pred.json')) == [xyz, verts]


def test_hands_on_several_views(run_tool, hands, hand_run, tmp_path, capsys):
    """``--rot --sc`` looks at one view, as the official hand script; ``--tta`` averages several."""
    pred = tmp_path / 'pred.json'

    def test(*arguments):
        run_tool(
            'test', 'quickstart_hand', hand_run / 'epoch_1.pth', '--work-dir', tmp_path / 'test',
            '--out', tmp_path / 'scores.json', *arguments,
            **{'data_root': f'{hands}/', 'test_evaluator.0.pred_file': pred},
        )  # fmt: skip
        return json.loads((tmp_path / 'scores.json').read_text())

    plain = test()
    turned = test('--rot', -90, '--sc', 0.9)
    name = 'pred-sc09_rot-90'  # FastMETRO-sc09_rot-90-pred.zip of the official script
    with zipfile.ZipFile(tmp_path / f'{name}.zip') as archive:
        assert archive.namelist() == ['pred.json']
        assert json.loads(archive.read('pred.json')) == json.loads(
            (tmp_path / f'{name}.json').read_text()
        )
    # labels were turned with the crop: the error is that of a hand which looks the other way
    assert turned['xyz_mean3d_cm'] != plain['xyz_mean3d_cm']
    assert 0.5 < turned['xyz_mean3d_cm'] / plain['xyz_mean3d_cm'] < 2
    averaged = test('--tta', 'rot=-10,10', '--show-dir', tmp_path / 'images')
    assert set(averaged) == set(plain)
    assert averaged['xyz_al_mean3d_cm'] == pytest.approx(plain['xyz_al_mean3d_cm'], rel=0.3)
    assert list((tmp_path / 'images').rglob('*.jpg'))
    for arguments, says in (
        (('--tta', 'flip'), 'mirror image of a right hand'),
        (('--tta', 'rot=1', '--rot', 5), 'give one of both'),
        (('--sc', 9), 'scale=9 must lie between 0.25 and 4'),
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            test(*arguments)
        assert says in capsys.readouterr().err

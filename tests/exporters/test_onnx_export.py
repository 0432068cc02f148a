# SPDX-License-Identifier: Apache-2.0
"""The exported graph against the PyTorch network, and against it without torch."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.registry import MODELS

import fastmetro_mm
from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters import numpy_runtime
from fastmetro_mm.exporters.onnx_export import (
    ExportedNetwork,
    crop_size_of,
    export_contract,
    export_onnx,
)

RUNTIME = Path(numpy_runtime.__file__)
BOXES = [[60, 40, 210, 300], [-30, 100, 120, 420], [200.5, 10.25, 380, 210]]


SIDE = crop_size_of(Config.fromfile(fastmetro_mm.config_path('quickstart')))


@pytest.fixture(scope='module')
def config():
    """The quickstart config with one small transformer and the SMPL head."""
    cfg = Config.fromfile(fastmetro_mm.config_path('quickstart'))
    cfg.model.neck.embed_dims = (64, 32)
    cfg.model.head.in_channels = 32
    cfg.model.smpl_head = dict(type='SMPLRegressorHead', hidden_dim=32)
    return cfg


@pytest.fixture(scope='module')
def model(config):
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    # A network that was never trained may have a camera of negative scale.
    torch.nn.init.constant_(model.head.cam_predictor.bias, 1.0)
    return model


@pytest.fixture(scope='module')
def exported(model, config, tmp_path_factory):
    """Graph and contract side by side; gives the graph."""
    pytest.importorskip('onnx', reason='the export extra is not installed')
    pytest.importorskip('onnxscript', reason='the export extra is not installed')
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    export_onnx(model, path, crop_size_of(config))
    export_contract(model, config, path.with_suffix('.npz'))
    return path


@pytest.fixture(scope='module')
def session(exported):
    runtime = pytest.importorskip('onnxruntime', reason='the export extra is not installed')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(str(exported), options, providers=['CPUExecutionProvider'])


@pytest.fixture(scope='module')
def image():
    """A blurred random image: crops of it differ everywhere, smoothly."""
    noise = np.random.default_rng(0).integers(0, 256, (360, 400, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 5) * 3


def predict(model, config, image, boxes=BOXES) -> dict[str, np.ndarray]:
    """Predictions of the PyTorch path, from the image on."""
    pipeline = Compose(config.test_dataloader.dataset.pipeline)
    samples = [
        pipeline(dict(img=image[..., ::-1].copy(), bbox=np.array([box], np.float32)))
        for box in boxes
    ]
    with torch.no_grad():
        found = model.test_step(pseudo_collate(samples))
    fields = ('vertices', 'joints_3d', 'camera', 'keypoints', 'global_orient', 'body_pose', 'betas')
    people = {
        name: np.concatenate([getattr(sample.pred_instances, name) for sample in found])
        for name in fields
    }
    people['rotmat'] = np.concatenate([people['global_orient'][:, None], people['body_pose']], 1)
    return people


@pytest.mark.parametrize('batch', [1, 3])
def test_random_inputs_give_the_same_outputs(batch, session, model):
    network = ExportedNetwork(model)
    assert tuple(output.name for output in session.get_outputs()) == network.output_names
    crops = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        expected = network(crops)
    found = session.run(None, {'image': crops.numpy()})
    for name, ours, theirs in zip(network.output_names, expected, found, strict=True):
        assert theirs.shape == tuple(ours.shape) and theirs.dtype == np.float32, name
        assert np.abs(ours.numpy() - theirs).max() < 1e-5, name


def test_the_model_is_left_as_it_was(exported, model):
    assert not model.training and model.body.sampling.method == 'auto'
    # Tracing runs on tensors without values; none may stay behind in what the neck keeps.
    with torch.no_grad():
        vertices = model._forward(torch.zeros(1, 3, SIDE, SIDE)).vertices
    assert type(vertices) is torch.Tensor and torch.isfinite(vertices).all()


@pytest.mark.parametrize('mode', ['fast', 'official'])
def test_an_image_gives_the_same_people(mode, session, exported, model, config, image):
    config = copy.deepcopy(config)
    contract = numpy_runtime.read_contract(exported.with_suffix('.npz'))
    assert str(contract['crop_mode']) == 'fast'
    contract['crop_mode'] = np.array(mode)
    next(s for s in config.test_dataloader.dataset.pipeline if 'mode' in s)['mode'] = mode
    people = numpy_runtime.MeshRuntime(session, contract)(image, BOXES, batch_size=2)
    expected = predict(model, config, image)
    for name, limit in dict(
        vertices=1e-5, joints_3d=1e-5, camera=1e-5, keypoints=1e-2, rotmat=1e-4, betas=1e-4
    ).items():
        assert people[name].shape == expected[name].shape, name
        assert np.abs(people[name] - expected[name]).max() < limit, name


def test_without_torch(exported, model, config, image, tmp_path):
    pytest.importorskip('onnxruntime', reason='the export extra is not installed')
    file = tmp_path / 'image.png'
    cv2.imwrite(str(file), image[..., ::-1])
    boxes = [str(value) for box in BOXES for value in ('--box', *box)]
    out = tmp_path / 'people.npz'
    arguments = [str(exported), str(file), *boxes, '--out', str(out)]
    script = (
        'import json, runpy, sys\n'
        f'sys.argv = {[str(RUNTIME), *arguments]!r}\n'
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "print(json.dumps(sorted(name.split('.')[0] for name in sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {'torch', 'mmengine', 'mmcv', 'mmpose', 'fastmetro_mm', 'scipy'}
    expected = predict(model, config, image)
    with np.load(out) as people:
        assert np.abs(people['vertices'] - expected['vertices']).max() < 1e-4
        assert np.abs(people['joints_3d'] - expected['joints_3d']).max() < 1e-4


def test_ten_photos(session, exported, model, config, shared_dir):
    paths = sorted((shared_dir / 'data' / 'images').glob('*.jpg'))[:10]
    assert len(paths) == 10
    contract = numpy_runtime.read_contract(exported.with_suffix('.npz'))
    runtime = numpy_runtime.MeshRuntime(session, contract)
    for path in paths:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        height, width = image.shape[:2]
        boxes = [[0.2 * width, 0.1 * height, 0.7 * width, 1.05 * height]]
        people, expected = runtime(image, boxes), predict(model, config, image, boxes)
        for name in ('vertices', 'joints_3d'):
            assert np.abs(people[name] - expected[name]).max() < 1e-4, (path.name, name)


def test_hands(tmp_path):
    pytest.importorskip('onnxscript', reason='the export extra is not installed')
    runtime = pytest.importorskip('onnxruntime', reason='the export extra is not installed')
    cfg = Config.fromfile(fastmetro_mm.config_path('quickstart'))
    cfg.model.update(body=dict(name='open_hand'))
    cfg.model.neck.update(num_joints=21, embed_dims=(64, 32))
    cfg.model.head.update(in_channels=32, criterion=None)
    torch.manual_seed(1)
    model = MODELS.build(cfg.model).train()
    path = export_onnx(model, tmp_path / 'hand.onnx', SIDE)
    assert model.training
    model.eval()
    contract = numpy_runtime.read_contract(export_contract(model, cfg, path.with_suffix('.npz')))
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    assert names == ['camera', 'joints', 'vertices_coarse', 'vertices']
    crops = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    people = numpy_runtime.MeshRuntime(session, contract).run_crops(crops)
    with torch.no_grad():
        image = torch.from_numpy(numpy_runtime.normalise(crops, contract))
        vertices, joints = model.head.centre(model._forward(image))
    assert people['vertices'].shape == (2, 778, 3) and people['joints_3d'].shape == (2, 21, 3)
    assert np.abs(people['vertices'] - vertices.numpy()).max() < 1e-5
    assert np.abs(people['joints_3d'] - joints.numpy()).max() < 1e-5
    assert not people['joints_3d'][:, 0].any()  # the wrist is the origin


def test_joints_may_come_from_the_tokens(model, exported):
    contract = numpy_runtime.read_contract(exported.with_suffix('.npz'))
    contract['joints_from'] = np.array('tokens')

    class Outputs:
        def get_outputs(self):
            return []

    crops = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        prediction = model._forward(crops)
        model.head.joints_from = 'tokens'
        expected = model.head.centre(prediction)
        model.head.joints_from = 'mesh'
    found = numpy_runtime.MeshRuntime(Outputs(), contract).centre(
        prediction.vertices.numpy(), prediction.joints.numpy()
    )
    for ours, theirs in zip(expected, found, strict=True):
        assert np.abs(ours.numpy() - theirs).max() < 1e-5


def test_reflections_are_negated_as_in_the_official_code():
    mirror = np.diag([2.0, 3.0, -1.0])
    assert np.allclose(numpy_runtime.project_to_rotation(mirror[None]), np.diag([-1, -1, 1]))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda m: export_onnx(m, 'a.pt'), 'must end with .onnx'),
        (lambda m: export_onnx(m, 'a.onnx', opset=11), 'opset 11 is too old'),
        (lambda m: crop_size_of(Config(dict(test_dataloader=dict(dataset=dict(pipeline=[]))))),
         'has no MeshCrop'),
    ],
)  # fmt: skip
def test_mistakes_are_named(call, message, model):
    with pytest.raises(ExportError, match=message):
        call(model)


def test_runtime_names_bad_input(tmp_path):
    np.savez(tmp_path / 'a.npz', vertices=np.zeros(3))
    with pytest.raises(ValueError, match='format is None, expected fastmetro_mm'):
        numpy_runtime.read_contract(tmp_path / 'a.npz')
    contract = dict(crop_size=np.array(SIDE), box_padding=np.array(1.2))
    image = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match='is not a box'):
        numpy_runtime.crop_from_box(image, [5, 5, 5, 9], contract)
    with pytest.raises(ValueError, match='has only 0'):
        numpy_runtime.crop_from_box(image, [5.2, 5.2, 5.3, 5.3], contract)

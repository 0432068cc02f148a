# SPDX-License-Identifier: Apache-2.0
"""A network is recorded once for every shape of batch; nothing in it waits for a GPU."""

import dataclasses
from collections import Counter

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS, OPTIM_WRAPPERS
from torch.utils._python_dispatch import TorchDispatchMode

from fastmetro_mm.config_files import config_path
from fastmetro_mm.model_zoo.lookup import find_model
from fastmetro_mm.model_zoo.model_loading import load_network
from fastmetro_mm.models.data_preprocessor import MeshDataPreprocessor
from fastmetro_mm.speed import cuda_graphs
from fastmetro_mm.speed.acceleration import accelerate, replay_graphs, restore
from fastmetro_mm.speed.cuda_graphs import CudaGraphs
from fastmetro_mm.structures import TokenFeatures


def double(x):
    return TokenFeatures(camera=2 * x, joints=x, vertices=x)


@pytest.fixture
def recorded(monkeypatch):
    """Lets batches on the CPU pass for ones on a GPU; the shapes that were recorded."""
    monkeypatch.setattr(cuda_graphs, '_replayable', lambda inputs: True)
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', object)
    shapes = []

    def record(function, example, pool):
        assert not torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
        if example.shape[0] == 7:
            raise RuntimeError('operation not permitted when stream is capturing')
        shapes.append(tuple(example.shape))
        return function

    return shapes, record


def test_each_shape_is_recorded_once_and_anew_when_weights_move(recorded):
    shapes, record = recorded
    anchor = torch.nn.Parameter(torch.zeros(3))
    graphs = CudaGraphs(double, anchor, record)
    with torch.inference_mode():
        for batch in (1, 2, 1, 2):
            assert torch.equal(graphs(torch.ones(batch, 3)).camera, torch.full((batch, 3), 2.0))
    assert shapes == [(1, 3), (2, 3)]
    anchor.data = torch.zeros(3)
    graphs(torch.ones(1, 3))
    assert shapes == [(1, 3), (2, 3), (1, 3)]


def test_what_cannot_be_recorded_is_called(recorded, monkeypatch):
    shapes, record = recorded
    monkeypatch.setattr(cuda_graphs, '_MOST_SHAPES', 2)
    said = []
    monkeypatch.setattr(cuda_graphs, 'print_log', lambda text, *_: said.append(text))
    graphs = CudaGraphs(double, torch.nn.Parameter(torch.zeros(3)), record)
    for batch in (7, 7, 1, 2, 2):  # the third shape is one too many
        assert torch.equal(graphs(torch.ones(batch, 3)).camera, torch.full((batch, 3), 2.0))
    assert shapes == [(1, 3)]
    assert len(said) == 1 and '(7, 3)' in said[0] and 'capturing' in said[0]


def test_without_a_gpu_the_function_is_called():
    def fails(*_):
        raise AssertionError('recorded')

    with torch.no_grad():
        graphs = CudaGraphs(double, torch.nn.Parameter(torch.zeros(3)), fails)
        assert torch.equal(graphs(torch.ones(1, 3)).joints, torch.ones(1, 3))


def test_results_are_copied():
    given = double(torch.ones(1, 3))
    copied = cuda_graphs.copy_of(given)
    given.joints.zero_()
    assert torch.equal(copied.joints, torch.ones(1, 3)) and copied.keypoints is None


@pytest.mark.parametrize(('name', 'part'), [('quickstart', 'mesh_of'), ('open_body', None)])
def test_a_network_is_recorded_as_far_as_its_head_allows(name, part, images):
    network = MODELS.build(Config.fromfile(config_path(name)).model).eval()
    before = vars(network).keys() & {'mesh_of', 'extract_feat'}
    accelerate(network)
    replay_graphs(network)
    changed = vars(network).keys() & {'mesh_of', 'extract_feat'}
    assert not before and changed == {part or 'extract_feat'}
    assert isinstance(getattr(network, part or 'extract_feat'), CudaGraphs)
    with torch.no_grad():
        assert torch.isfinite(network(images[name], None, mode='tensor').vertices).all()
    restore(network)
    assert not vars(network).keys() & {'mesh_of', 'extract_feat'}


@pytest.fixture(scope='module')
def images():
    generator = torch.Generator().manual_seed(0)
    sizes = dict(quickstart=128, open_body=256, open_hand=224)
    return {name: torch.randn(2, 3, s, s, generator=generator) for name, s in sizes.items()}


class Watch(TorchDispatchMode):
    """Counts operations that wait for a GPU, or copy numbers of Python to it."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = str(operation).split('.')[1]
        if name in ('_local_scalar_dense', 'lift_fresh', 'nonzero', 'masked_select', '_unique2'):
            self.seen[name] += 1
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize('name', ['quickstart', 'open_body', 'open_hand'])
def test_a_forward_pass_waits_for_nothing(name, images):
    found = find_model(name)
    network = load_network(found.config, None, 'cpu')
    network.flip_test = None
    with torch.no_grad(), Watch() as watch:
        network(images[name], None, mode='tensor')
    assert not watch.seen


def test_a_training_step_waits_for_the_norm_of_the_gradient_alone(training_batch):
    cfg = Config.fromfile(config_path('quickstart'))
    network = MODELS.build(cfg.model).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=0.3))
    )
    batch = network.data_preprocessor(training_batch, True)
    with Watch() as watch:
        losses, _ = network.parse_losses(network.loss(batch['inputs'], batch['data_samples']))
        wrapper.backward(losses)
    assert not watch.seen
    with Watch() as watch:
        wrapper._clip_grad()  # mmengine logs the norm
    assert watch.seen == {'_local_scalar_dense': 1}


@pytest.fixture
def training_batch():
    from mmengine.structures import InstanceData

    from fastmetro_mm.structures import LABELS, MeshDataSample

    shapes = dict(joints_2d=(24, 3), joints_3d=(24, 4), pose=(72,), betas=(10,))
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        sample = MeshDataSample(metainfo=dict(input_size=(128, 128), img_shape=(128, 128)))
        sample.gt_instance_labels = InstanceData(
            **{
                name: torch.rand(1, *shapes[name], generator=generator)
                if name in shapes
                else torch.ones(1)
                for name in LABELS
            }
        )
        samples.append(sample)
    crops = [torch.randint(0, 256, (3, 128, 128), dtype=torch.uint8, generator=generator)
             for _ in samples]  # fmt: skip
    return dict(inputs=crops, data_samples=samples)


def test_a_batch_is_sent_at_once_with_the_same_numbers(training_batch, monkeypatch):
    options = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    ours = MeshDataPreprocessor(**options)
    expected = ours(dict(training_batch))['inputs']
    sent = []

    class Elsewhere(MeshDataPreprocessor):
        # passes for a GPU
        device = property(lambda self: torch.device('meta') if not sent else torch.device('cpu'))

        def _stack(self, crops):
            sent.append(len(crops))
            return super()._stack(crops)

    found = Elsewhere(**options)(dict(training_batch))
    assert sent == [2] and torch.equal(found['inputs'], expected)
    assert found['data_samples'] == training_batch['data_samples']
    assert found['data_samples'][0].pad_shape == (128, 128)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('name', ['quickstart', 'open_body'])
def test_replays_answer_as_calls_do(name, images):
    network = load_network(find_model(name).config, None, 'cuda')
    network.flip_test = None
    image = images[name].cuda()

    def answers():
        with torch.no_grad():
            return [
                dataclasses.asdict(network(x, None, mode='tensor'))['vertices'].clone()
                for x in (image, image[:1], image.flip(-1), image)
            ]

    expected = answers()
    accelerate(network, 'exact', compiled=True)
    for found, wanted in zip(answers(), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)

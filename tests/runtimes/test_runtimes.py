# SPDX-License-Identifier: Apache-2.0
"""Networks run by other libraries answer as in torch; conversions and measurements are kept."""

import copy
import functools
import json
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from fastmetro_mm.config_files import config_path
from fastmetro_mm.errors import ConfigError, ExportError, InputError, MissingPackageError
from fastmetro_mm.models.backbones import HandLandmark, MoveNet
from fastmetro_mm.runtimes import choice, graphs, names, preparing
from fastmetro_mm.runtimes.mesh_graphs import MeshGraphs, mesh_graphs, prove
from fastmetro_mm.runtimes.names import Runtime, parse_runtime
from fastmetro_mm.speed import acceleration

CPU = torch.device('cpu')
LIBRARIES = [name for name in ('openvino', 'onnxruntime') if names.is_installed(name)]
CONVERTERS = [name for name in ('onnx', 'onnxscript') if names.is_installed(name)]
needs_converter = pytest.mark.skipif(
    len(CONVERTERS) < 2 or not LIBRARIES, reason='the export extra is not installed'
)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cache')
    before = os.environ.get('FASTMETRO_CACHE')
    os.environ['FASTMETRO_CACHE'] = str(folder)
    yield folder
    os.environ.pop('FASTMETRO_CACHE')
    if before is not None:
        os.environ['FASTMETRO_CACHE'] = before


def build(kind: str) -> torch.nn.Module:
    """A small network: a mesh after two transformers, or a body posed by key points."""
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path('open_body' if kind == 'keypoints' else 'quickstart'))
    if kind != 'keypoints':
        cfg.model.neck.embed_dims = (64, 32)
        cfg.model.head.in_channels = 32
    else:
        cfg.model.backbone.update(arch='lightning', weights=None)
        cfg.model.neck.update(hidden_dims=64, embed_dims=32, num_layers=1)
        cfg.model.head.in_channels = 32
    if kind == 'smpl':
        cfg.model.smpl_head = dict(type='SMPLRegressorHead', hidden_dim=32)
    network = MODELS.build(cfg.model).eval()
    network.cfg = cfg
    if kind == 'keypoints':  # an untrained one looks everywhere alike
        for parameter in network.backbone.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 1.5 / parameter[0].numel() ** 0.5)
    return network


@pytest.fixture(scope='module', params=['mesh', 'smpl', 'keypoints'])
def network(request):
    return build(request.param)


@pytest.fixture(scope='module')
def crops(network):
    size = graphs.crop_size(network)
    coarse = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(coarse, (size, size), mode='bicubic')


def answer(network, crops):
    with torch.no_grad():
        return network(crops, None, mode='tensor')


@needs_converter
@pytest.mark.parametrize('library', LIBRARIES)
def test_every_library_gives_the_same_people(network, crops, cache, library):
    expected = answer(network, crops)
    made = preparing.prepare_network(copy.deepcopy(network), 'exact', library)
    for count in (3, 1):
        found = answer(made, crops[:count])
        for name in ('vertices', 'joints', 'pred_cam'):
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name)[:count], rtol=1e-3, atol=2e-4
            )
        if network.smpl_head is not None:
            torch.testing.assert_close(found.betas, expected.betas[:count], rtol=1e-3, atol=2e-4)
            torch.testing.assert_close(found.rotmat, expected.rotmat[:count], rtol=0, atol=2e-2)
    with pytest.raises(ConfigError, match='load the checkpoint again'):
        made.state_dict()
    with pytest.raises(ExportError, match='converted for'):
        answer(made, crops[..., :64, :64])
    # converted once, proved once for each version
    folder = graphs.graphs_folder(network)
    assert list(folder.glob(f'{library}-*.proved'))
    assert not list(folder.parent.glob('.partial-*'))
    before = (folder / 'begin.onnx').stat().st_mtime_ns
    preparing.prepare_network(copy.deepcopy(network), 'exact', library)
    assert (folder / 'begin.onnx').stat().st_mtime_ns == before


def test_the_smpl_head_is_asked_whatever_the_mesh_came_with(crops, monkeypatch):
    network = build('smpl')
    crops = torch.nn.functional.interpolate(crops, (96, 96))
    expected, mesh_of = answer(network, crops), network.mesh_of

    def posed(inputs):
        prediction = mesh_of(inputs)
        prediction.rotmat = torch.zeros(len(inputs), 24, 3, 3)
        return prediction

    monkeypatch.setattr(network, 'mesh_of', posed)
    torch.testing.assert_close(answer(network, crops).rotmat, expected.rotmat)


@needs_converter
def test_a_damaged_conversion_is_made_anew(cache):
    network = build('mesh')
    folder = graphs.graphs_folder(network)
    graphs.make_graphs(network, folder)
    assert graphs.find_graphs(folder) is not None
    (folder / 'finish.onnx').write_bytes(b'cut off')
    assert graphs.find_graphs(folder) is None
    graphs.make_graphs(network, folder)
    assert graphs.find_graphs(folder).outputs == graphs.MESH


@needs_converter
@pytest.mark.parametrize('library', LIBRARIES)
def test_a_file_whose_bytes_changed_is_made_anew(cache, library):
    """Its size is the same, so that nobody knows before it is loaded."""
    network, runtime = build('mesh'), parse_runtime(library, CPU)
    crops = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    folder = graphs.graphs_folder(network)
    made = graphs.find_graphs(folder) or graphs.make_graphs(network, folder)
    assert graphs.are_as_written(made) and stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055
    (folder / f'{library}-mark.proved').touch()  # of the damaged ones
    made.ending.write_bytes(b'\xff' * made.ending.stat().st_size)
    assert graphs.find_graphs(folder) is not None and not graphs.are_as_written(made)
    found = mesh_graphs(network, runtime, 'exact')(crops)
    torch.testing.assert_close(found.vertices, answer(network, crops).vertices, rtol=0, atol=2e-4)
    assert graphs.are_as_written(made) and not (folder / f'{library}-mark.proved').exists()


@needs_converter
def test_a_cache_that_cannot_be_written(tmp_path, cache, monkeypatch):
    said = []
    monkeypatch.setattr(choice, 'print_log', lambda text, *rest: said.append(text))
    network, runtime = build('mesh'), parse_runtime(LIBRARIES[0], CPU)
    (tmp_path / 'file').touch()
    with monkeypatch.context() as patch:
        patch.setenv('FASTMETRO_CACHE', str(tmp_path / 'file'))
        with pytest.raises(InputError, match=r'file/graphs: .*Not a directory.*FASTMETRO_CACHE'):
            mesh_graphs(network, runtime, 'exact')
        assert choice.fastest(network, 'exact') == Runtime('torch')
    assert sum('is left out' in text for text in said) == len(LIBRARIES)
    assert 'measured again' in said[-1]
    # one that was filled before can be used all the same
    folder = graphs.graphs_folder(network)
    if graphs.find_graphs(folder) is None:
        graphs.make_graphs(network, folder)
    for mark in folder.glob('*.proved'):
        mark.unlink()

    def refuse(path, content):
        raise OSError(30, 'Read-only file system', str(path))

    monkeypatch.setattr('fastmetro_mm.runtimes.mesh_graphs.write_atomically', refuse)
    assert mesh_graphs(network, runtime, 'exact').crop_size == 96
    assert not list(folder.glob('*.proved'))


def test_threads_that_come_at_once_share_one_core_of_openvino(monkeypatch):
    # the real one must not go
    monkeypatch.setattr(names, '_core', functools.cache(names._core.__wrapped__))
    made = []

    def core():
        made.append(object())
        time.sleep(0.1)
        return made[-1]

    monkeypatch.setitem(sys.modules, 'openvino', SimpleNamespace(Core=core))
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: names.openvino_core(), range(4)))
    assert found == set(made) and len(made) == 1


@needs_converter
def test_a_graph_of_other_weights_is_refused(cache):
    network = build('mesh')
    runtime = parse_runtime(LIBRARIES[0], CPU)
    folder = graphs.graphs_folder(network)
    made = graphs.find_graphs(folder) or graphs.make_graphs(network, folder)
    features = MeshGraphs(made, runtime, torch.float32, CPU, network.head)
    prove(features, network)
    with torch.no_grad():
        network.neck.dim_reduce_dec.weight.neg_()
    with pytest.raises(ExportError, match='answers otherwise than torch'):
        prove(features, network)


def test_the_folder_follows_every_number(cache):
    network = build('mesh')
    first = graphs.graphs_folder(network)
    assert first == graphs.graphs_folder(copy.deepcopy(network)) and first.parent.parent == cache
    network.neck.position_2[3, 5] += 1e-3  # a buffer that no state dict holds
    second = graphs.graphs_folder(network)
    network.cfg.model.neck.num_heads += 1
    assert len({first, second, graphs.graphs_folder(network)}) == 3


def test_names_are_read(monkeypatch):
    cuda = torch.device('cuda')
    expected = {
        ('torch', CPU): Runtime('torch'),
        ('auto', cuda): Runtime('auto'),
        ('openvino', CPU): Runtime('openvino', 'CPU'),
        ('openvino:gpu', CPU): Runtime('openvino', 'GPU'),
        ('onnxruntime', CPU): Runtime('onnxruntime', 'CPUExecutionProvider'),
        ('onnxruntime', cuda): Runtime('onnxruntime', 'CUDAExecutionProvider'),
        ('onnxruntime:tensorrt', cuda): Runtime('onnxruntime', 'TensorrtExecutionProvider'),
        ('onnxruntime:XnnpackExecutionProvider', CPU): Runtime(
            'onnxruntime', 'XnnpackExecutionProvider'
        ),
    }
    for (text, device), runtime in expected.items():
        assert parse_runtime(text, device) == runtime
    for text, device, said in (
        ('onnx', CPU, 'choose from torch, openvino, onnxruntime, auto'),
        ('torch:cuda', CPU, 'said by device'),
        ('openvino', cuda, 'does not run on cuda'),
    ):
        with pytest.raises(InputError, match=said):
            parse_runtime(text, device)
    monkeypatch.setattr(names, 'is_installed', lambda library: False)
    with pytest.raises(MissingPackageError, match=r"pip install 'fastmetro_mm\[openvino\]'"):
        names.check_runtime('openvino', 'cpu')
    monkeypatch.setattr(names, 'is_installed', lambda library: True)
    monkeypatch.setattr(names, 'available_targets', lambda library: ['CPUExecutionProvider'])
    with pytest.raises(InputError, match='cannot run on CUDAExecutionProvider here, only on CPU'):
        names.check_runtime('onnxruntime:cuda', 'cpu')


def test_auto_measures_once_and_remembers(cache, monkeypatch):
    network = build('mesh')
    folder = graphs.graphs_folder(network)
    folder.mkdir(parents=True, exist_ok=True)
    other = Runtime('onnxruntime', 'CPUExecutionProvider')
    monkeypatch.setattr(choice, '_candidates', lambda device, converted: [other])
    measured = []

    def measure(network, runtimes, speed):
        measured.append(speed)
        return {'torch': 9.0, str(other): 4.0 if speed == 'fast' else 12.0}

    monkeypatch.setattr(choice, 'measure', measure)
    for _ in range(2):
        assert choice.fastest(network, 'fast') == other
        assert choice.fastest(network, 'exact') == Runtime('torch')
    assert measured == ['fast', 'exact']
    kept = [json.loads(path.read_text()) for path in folder.glob('fastest-*.json')]
    assert sorted(one['milliseconds']['torch'] for one in kept) == [9.0, 9.0]
    for path in folder.glob('fastest-*.json'):
        path.write_text('{"fast')
    assert choice.fastest(network, 'fast') == other and len(measured) == 3
    monkeypatch.setattr(choice, '_candidates', lambda device, converted: [])
    assert choice.fastest(network, 'fast') == Runtime('torch') and len(measured) == 3


@needs_converter
def test_times_are_those_of_what_can_run(cache, monkeypatch):
    network = build('mesh')
    good, bad = parse_runtime(LIBRARIES[0], CPU), Runtime(LIBRARIES[0], 'NOWHERE')
    times = choice.measure(network, [Runtime('torch'), good, bad], 'exact')
    assert set(times) == {'torch', str(good)} and min(times.values()) > 0
    assert 'backbone.conv1.weight' in network.state_dict()  # left as it was


def test_key_points_are_not_computed_in_half_precision(monkeypatch):
    half, bfloat = torch.float16, torch.bfloat16
    bears = {
        MoveNet('lightning', with_keypoints=True): {bfloat: False, half: False},
        MoveNet('lightning', with_keypoints=False): {bfloat: True, half: True},
        HandLandmark(parts=(), with_keypoints=True): {bfloat: False, half: False},
    }
    for backbone, wanted in bears.items():
        network = torch.nn.Module()
        network.backbone = backbone
        for dtype, is_borne in wanted.items():
            monkeypatch.setattr(acceleration, 'half_precision', lambda device, dtype=dtype: dtype)
            assert acceleration.working_type(network, 'fast') == (
                dtype if is_borne else torch.float32
            )
            assert acceleration.working_type(network, 'exact') == torch.float32


def test_the_fast_open_body_is_the_exact_one(crops, network, monkeypatch):
    if not isinstance(network.backbone, MoveNet):
        pytest.skip('the other network has no key points')
    monkeypatch.setattr(acceleration, 'half_precision', lambda device: torch.bfloat16)
    fast = acceleration.accelerate(copy.deepcopy(network), 'fast')
    off = answer(fast, crops).vertices - answer(network, crops).vertices
    assert np.abs(off.numpy()).max() < 1e-4

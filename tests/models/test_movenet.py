# SPDX-License-Identifier: Apache-2.0
"""MoveNet: equal to the source graph, to stored numbers, and well-behaved as a backbone."""

import os
from pathlib import Path

import cv2
import pytest
import torch
from mmpose.registry import MODELS
from safetensors.torch import save_file
from torch import Tensor, nn

from fastmetro_mm.model_zoo import load_weights, weight_file
from fastmetro_mm.models.backbones.movenet import (
    INPUT_MEAN,
    INPUT_STD,
    WIDTHS,
    MoveNet,
    decode_single,
)
from fastmetro_mm.speed.acceleration import accelerate, cpu_has_bfloat16
from projects.free_model.convert import convert
from projects.free_model.tfjs_graph import TfjsGraph

ROOT = 'StatefulPartitionedCall/'
TRUNK = ROOT + 'center_net_mobile_net_v2fpn_feature_extractor/model_1/'
NODES = {
    'deep': TRUNK + 'model/out_relu/Relu6',
    'heatmaps': ROOT + 'Sigmoid',
    'centers': ROOT + 'Sigmoid_1',
    'regressions': ROOT + 'kpt_regress_0/conv2d_6/BiasAdd',
    'offsets': ROOT + 'kpt_offset_0/conv2d_7/BiasAdd',
    'fpn': TRUNK + 're_lu_2/Relu',
}
# Thunder's on `drawn_image(256, 256)`, float32 on a CPU
DEEP_MEAN = 0.196587
HEAT_MAX = 0.162728
KEYPOINTS = [  # nose, left wrist, right ankle
    [114.9014, 106.9208, 0.026269],
    [132.8498, 223.7254, 0.073965],
    [77.0242, 174.7397, 0.048103],
]
SIZES = {'lightning': 2_317_974, 'multipose': 4_717_726, 'thunder': 6_226_046}


@pytest.fixture(scope='module')
def source() -> Path:
    """Folder with the source networks."""
    if 'FREE_MODEL_SOURCE' not in os.environ:
        pytest.skip('FREE_MODEL_SOURCE does not name a folder filled by projects.free_model.source')
    return Path(os.environ['FREE_MODEL_SOURCE'])


def drawn_image(height: int, width: int) -> Tensor:
    """Edges of every direction, whole numbers of 0 to 255 (1, 3, H, W)."""
    rows = torch.arange(height).view(-1, 1)
    columns = torch.arange(width).view(1, -1)
    planes = [rows * columns // 61, (rows - columns) ** 2 // 53, (rows + 2 * columns) * 3]
    return torch.stack(planes).remainder(256).float()[None]


def normalised(image: Tensor) -> Tensor:
    return (image - INPUT_MEAN) / INPUT_STD


@pytest.mark.parametrize(('arch', 'size'), [('thunder', 256), ('lightning', 192)])
def test_equals_the_source_graph(source, arch, size):
    network = MoveNet(arch).eval()
    network.net.load_state_dict(convert(f'movenet_{arch}', source))
    image = drawn_image(size, size)
    graph = TfjsGraph(source / f'movenet-{arch}.json')
    integers = image.permute(0, 2, 3, 1).int()
    expected, *maps = graph.run({'input': integers}, ['Identity', *NODES.values()])
    with torch.no_grad():
        evidence = network.evidence(normalised(image))
    for name, value in zip(NODES, maps, strict=True):
        torch.testing.assert_close(
            evidence[name].permute(0, 2, 3, 1), value, rtol=1e-5, atol=1e-4, msg=name
        )
    keypoints = network.keypoints(normalised(image))[0]
    # the graph divides cells by the map's size in half precision; undo its rounding
    scale = graph.weights[ROOT + 'Reshape_13'].flatten()
    places = (expected[0, 0, :, :2] / scale).flip(-1) * 4
    torch.testing.assert_close(keypoints[:, :2], places, rtol=0, atol=1e-4)
    torch.testing.assert_close(keypoints[:, 2], expected[0, 0, :, 2], rtol=0, atol=1e-4)


def test_shipped_weights_give_the_stored_numbers():
    network = MoveNet('thunder', weights='movenet_thunder').eval()
    network.init_weights()
    image = normalised(drawn_image(256, 256))
    with torch.no_grad():
        evidence = network.evidence(image)
    assert evidence['deep'].mean().item() == pytest.approx(DEEP_MEAN, abs=1e-5)
    assert evidence['heatmaps'].amax().item() == pytest.approx(HEAT_MAX, abs=1e-5)
    keypoints = network.keypoints(image)[0]
    torch.testing.assert_close(keypoints[[0, 9, 16]], torch.tensor(KEYPOINTS), rtol=0, atol=1e-3)


def test_backbone_gives_one_grid_of_located_evidence():
    backbone = MODELS.build(dict(type='MoveNet', arch='lightning')).eval()
    with torch.no_grad():
        evidence = backbone.evidence(normalised(drawn_image(64, 96)))
        (grid,) = backbone(normalised(drawn_image(64, 96)))
    assert grid.shape == (1, backbone.out_channels, 2, 3) and backbone.out_channels == 2464
    torch.testing.assert_close(grid[:, :1280], evidence['deep'])
    # channel 64 k + 8 row + column holds heat map k at that place of the cell
    heat = evidence['heatmaps'][0, 5, 8 + 3, 16 + 6]
    torch.testing.assert_close(grid[0, 1280 + 64 * 5 + 8 * 3 + 6, 1, 2], heat)
    fpn = evidence['fpn'][0, 7, 4:8, 20:24].mean()
    torch.testing.assert_close(grid[0, 1280 + 1088 + 4 * 7 + 2 * 1 + 1, 0, 2], fpn)


def test_parts_choose_the_channels():
    backbone = MoveNet('lightning', parts=['deep', 'fpn'])
    assert backbone.out_channels == backbone(torch.zeros(1, 3, 64, 64))[0].shape[1] == 1376


@pytest.fixture(scope='module')
def soft_image() -> Tensor:
    """`drawn_image` with the softness of a photo, normalised (1, 3, 256, 256)."""
    image = cv2.GaussianBlur(drawn_image(256, 256)[0].permute(1, 2, 0).numpy(), (0, 0), 4)
    return normalised(torch.from_numpy(image).permute(2, 0, 1)[None])


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize(('dtype', 'bar'), [(torch.bfloat16, 0.12), (torch.float16, 0.01)])
def test_half_precision_and_channels_last_stay_close(soft_image, dtype, bar):
    network = MoveNet('thunder', weights='movenet_thunder').eval()
    network.init_weights()
    with torch.no_grad():
        exact = network.evidence(soft_image)['deep']
        network.to(memory_format=torch.channels_last)
        with torch.autocast('cpu', dtype):
            fast = network.evidence(soft_image.contiguous(memory_format=torch.channels_last))
    assert relative_error(fast['deep'], exact) < bar


class Accelerated(nn.Module):
    """What `accelerate` needs of an estimator."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, nn.Linear(4, 4)
        self.neck.lower_precision = lambda dtype: None


@pytest.mark.skipif(not cpu_has_bfloat16(), reason='no half precision on this processor')
def test_accelerated_network_keeps_the_digits_it_needs(soft_image):
    backbone = MoveNet('thunder', weights='movenet_thunder').eval()
    backbone.init_weights()
    with torch.no_grad():
        exact = backbone.evidence(soft_image)['deep']
        network = accelerate(Accelerated(backbone).eval(), 'fast')
        fast = network.backbone.evidence(soft_image.bfloat16())['deep']
    assert fast.dtype == torch.bfloat16 and relative_error(fast, exact) < 0.12


def test_decoding_takes_the_person_in_the_middle():
    heatmaps = torch.full((1, 17, 48, 48), 0.01)
    heatmaps[:, :, 20, 10] = 0.6  # beside the predicted place
    heatmaps[:, :, 40, 40] = 0.9  # another person's
    centers = torch.zeros(1, 1, 48, 48)
    centers[:, :, 22, 26] = 0.5
    centers[:, :, 2, 2] = 0.9
    regressions = torch.zeros(1, 34, 48, 48)
    regressions[:, 0::2, 22, 26] = -2.5
    regressions[:, 1::2, 22, 26] = -15.0
    offsets = torch.zeros(1, 34, 48, 48)
    offsets[:, 0::2, 20, 10] = 0.25
    offsets[:, 1::2, 20, 10] = 0.75
    keypoints = decode_single(heatmaps, centers, regressions, offsets)
    assert keypoints.shape == (1, 17, 3)
    torch.testing.assert_close(keypoints[0, 3], torch.tensor([43.0, 81.0, 0.6]))


def test_frozen_stages_keep_their_weights():
    def trained(stages: int) -> set[str]:
        network = MoveNet('lightning', frozen_stages=stages)
        (grid,) = network(torch.rand(1, 3, 64, 64))
        if grid.requires_grad:
            grid.sum().backward()
        return {name for name, value in network.named_parameters() if value.grad is not None}

    assert trained(18) == set()
    assert 'net.stem.weight' in trained(-1)
    partly = trained(4)
    assert 'net.blocks.3.expand.weight' not in partly and 'net.blocks.4.expand.weight' in partly


def test_odd_sizes_and_unknown_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'100x64 px.*multiples of 32'):
        MoveNet('lightning')(torch.zeros(1, 3, 64, 100))
    with pytest.raises(ValueError, match=r"'storm'.*lightning"):
        MoveNet('storm')
    with pytest.raises(FileNotFoundError, match=r'movenet_storm.*movenet_thunder'):
        load_weights('movenet_storm')
    damaged = tmp_path / 'damaged.safetensors'
    damaged.write_bytes(weight_file('movenet_thunder').read_bytes()[:1000])
    with pytest.raises(ValueError, match=r'damaged\.safetensors: not a whole'):
        load_weights(damaged)


def test_weights_come_back_as_float32(tmp_path):
    path = tmp_path / 'tiny.safetensors'
    save_file({'a': torch.tensor([0.5], dtype=torch.float16), 'b': torch.tensor([3])}, path)
    entries = load_weights(path)
    assert entries['a'].dtype == torch.float32 and entries['a'].item() == 0.5
    assert entries['b'].dtype == torch.int64


def test_number_of_weights():
    for arch in WIDTHS:
        assert sum(value.numel() for value in MoveNet(arch).parameters()) == SIZES[arch]

# SPDX-License-Identifier: Apache-2.0
"""Source networks to safetensors files with the names of our modules.

``python -m projects.free_model.convert SOURCE OUT NETWORK...``, where ``SOURCE`` is the folder that
``projects.free_model.source`` has filled.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.models.backbones.hand_landmark import BLOCKS, HandNet
from fastmetro_mm.models.backbones.mobilenet_fpn import MobileNetFPN
from fastmetro_mm.models.backbones.movenet import HEADS, WIDTHS
from fastmetro_mm.models.multipose import MultiPose
from fastmetro_mm.models.nanodet import BINS, SIDES, STAGES, NanoDetNet
from fastmetro_mm.models.palm_detection import PalmNet
from projects.free_model.source import PACKAGE
from projects.free_model.tfjs_graph import TfjsGraph, sources_of

ROOT = 'StatefulPartitionedCall/'
TRUNK = ROOT + 'center_net_mobile_net_v2fpn_feature_extractor/model_1/'
# our head: the source's head, number of its separable convolution, number of its last convolution
SINGLE_HEADS = {
    'centers': ('center_0', 3, 4),
    'heatmaps': ('kpt_heatmap_0', 4, 5),
    'regressions': ('kpt_regress_0', 5, 6),
    'offsets': ('kpt_offset_0', 6, 7),
}
MULTI_HEADS = {
    'centers': ('center_0', 3, 4),
    'box_scales': ('box_scale_0', 4, 5),
    'box_offsets': ('box_offset_0', 5, 6),
    'heatmaps': ('kpt_heatmap_0', 6, 7),
    'regressions': ('kpt_regress_0', 7, 8),
    'offsets': ('kpt_offset_0', 8, 9),
}


def convolution(weight: Tensor, depthwise: bool = False) -> Tensor:
    """A kernel from TensorFlow's order (rows, columns, in, out or multiplier) to torch's."""
    order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    return weight.permute(*order).contiguous()


def movenet(graph: TfjsGraph, heads: dict[str, tuple[str, int, int]]) -> dict[str, Tensor]:
    """Weights of a MoveNet, named as in ``MobileNetFPN``.

    Args:
        graph: The source.
        heads: Where each head is in the source.

    Returns:
        A state dict.
    """
    entries: dict[str, Tensor] = {}

    def add(target: str, weight: str, bias: str | None, depthwise: bool = False) -> None:
        entries[f'{target}.weight'] = convolution(graph.weights[weight], depthwise)
        if bias is not None:
            entries[f'{target}.bias'] = graph.weights[bias]

    def folded(target: str, name: str) -> None:
        stem = TRUNK + 'model/' + name
        add(target, f'{stem}/Conv2D_weights', f'{stem}/Conv2D_bn_offset')

    def unfolded(target: str, name: str) -> None:
        add(target, f'{name}/Conv2D/ReadVariableOp', f'{name}/BiasAdd/ReadVariableOp')

    folded('stem', 'Conv1')
    for index in range(17):
        block = f'block_{index}' if index else 'expanded_conv'
        if index:
            folded(f'blocks.{index}.expand', f'{block}_expand')
        stem = f'{TRUNK}model/{block}_depthwise/depthwise'
        add(f'blocks.{index}.depthwise', f'{stem}_weights', f'{stem}_bn_offset', depthwise=True)
        folded(f'blocks.{index}.project', f'{block}_project')
    folded('deep', 'Conv_1')
    unfolded('top', TRUNK + 'conv2d')
    for index in range(3):
        unfolded(f'laterals.{index}', f'{TRUNK}conv2d_{index + 1}')
        stem = f'{TRUNK}separable_conv2d{f"_{index}" if index else ""}/separable_conv2d'
        add(f'merges.{index}.depthwise', f'{stem}/ReadVariableOp', None, depthwise=True)
        add(f'merges.{index}.pointwise', f'{stem}_weights', f'{stem}_bn_offset')
    for head, (name, separable, last) in heads.items():
        stem = f'{ROOT}{name}/separable_conv2d_{separable}'
        kernels = f'{stem}/separable_conv2d/ReadVariableOp'
        add(f'heads.{head}.0.depthwise', kernels, None, depthwise=True)
        add(f'heads.{head}.0.pointwise', f'{kernels}_1', f'{stem}/BiasAdd/ReadVariableOp')
        unfolded(f'heads.{head}.1', f'{ROOT}{name}/conv2d_{last}')
    return entries


def hand_landmark(graph: TfjsGraph) -> dict[str, Tensor]:
    """Weights of the hand landmark network, named as in ``HandNet``.

    Its convolutions come one after the other, each with a later addition of its bias.

    Args:
        graph: The source.

    Returns:
        A state dict.
    """
    names = ['stem', 'blocks.0.depthwise', 'blocks.0.project']
    for index in range(1, len(BLOCKS)):
        names += [f'blocks.{index}.{part}' for part in ('expand', 'depthwise', 'project')]
    names += ['expand', 'depthwise']
    entries: dict[str, Tensor] = {}
    for name, (kernel, bias, depthwise) in zip(names, convolutions(graph), strict=True):
        entries[f'{name}.weight'] = convolution(kernel, depthwise)
        entries[f'{name}.bias'] = bias
    dense = {
        'landmarks': 'Identity_dense',
        'world_landmarks': 'Identity_3_dense',
        'presence': 'model_1/model/conv_handflag/MatMul_model_1/model/conv_handflag/BiasAdd_dense',
        'handedness': (
            'model_1/model/conv_handedness/MatMul_model_1/model/conv_handedness/BiasAdd_dense'
        ),
    }
    for name, source in dense.items():
        entries[f'outputs.{name}.weight'] = graph.weights[f'{source}/kernel'].T.contiguous()
        entries[f'outputs.{name}.bias'] = graph.weights[f'{source}/bias']
    return entries


def convolutions(graph: TfjsGraph) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Kernel, bias and whether it is depthwise, of every unfused convolution in order.

    The order is that of evaluation, or of numbers where the convolutions have no other names. The
    bias is the first constant that is added downstream.
    """
    users: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        for source in sources_of(node):
            users.setdefault(source, []).append(name)
    order = graph.order([name for name in graph.nodes if name.startswith('Identity')])
    for name in sorted(order, key=_number):
        node = graph.nodes[name]
        if node['op'] not in ('Conv2D', 'DepthwiseConv2dNative'):
            continue
        kernel = graph.weights[sources_of(node)[1]]
        added: list[str] = []
        while not added:
            (name,) = users[name]
            added = [source for source in sources_of(graph.nodes[name]) if source in graph.weights]
        yield kernel, graph.weights[added[0]], node['op'] == 'DepthwiseConv2dNative'


def _number(name: str) -> int:
    """Number of a convolution that has no other name; 0 of other nodes."""
    found = re.fullmatch(r'PartitionedCall/convolution_(\d+)', name)
    return int(found[1]) if found else 0


def nanodet(graph: TfjsGraph) -> dict[str, Tensor]:
    """Weights of NanoDet, named as in ``NanoDetNet``.

    Args:
        graph: The source.

    Returns:
        A state dict; of the 80 classes only the first, people, is in it.
    """
    names = ['stem']
    for stage, (_, _, count) in enumerate(STAGES):
        pairs = [f'pairs.{pair}.{index}' for pair in range(count) for index in (0, 1)]
        names += [f'stages.{stage}.{name}' for name in ('first', *pairs, 'last')]
    names += [f'laterals.{level}' for level in range(3)]
    names += [f'{part}.{level}' for level in range(3) for part in ('towers', 'outputs')]
    entries: dict[str, Tensor] = {}
    for name, (kernel, bias, _) in zip(names, convolutions(graph), strict=True):
        weight = convolution(kernel)
        if name.startswith('outputs'):
            kept = [0, *range(len(bias) - SIDES * BINS, len(bias))]
            weight, bias = weight[kept], bias[kept]
        entries[f'{name}.weight'], entries[f'{name}.bias'] = weight, bias
    return entries


def palm_detection(graph: TfjsGraph) -> dict[str, Tensor]:
    """Weights of the palm detector, named as in ``PalmNet``.

    Args:
        graph: The source.

    Returns:
        A state dict.
    """
    root = ROOT + 'model/'
    entries: dict[str, Tensor] = {}

    def add(target: str, node: str, depthwise: bool = False) -> None:
        weight, *bias = sources_of(graph.nodes[root + node])[1:]
        entries[f'{target}.weight'] = convolution(graph.weights[weight], depthwise)
        if bias:
            entries[f'{target}.bias'] = graph.weights[bias[0]]

    add('stem', 'activation/Relu')
    groups = [7, 8, 8, 8, 8]
    blocks = [f'groups.{g}.{index}' for g, count in enumerate(groups) for index in range(count)]
    # the normalisations between the last ones belong to the transposed convolutions
    norms = [*range(1, 40), 41, 43]
    for index, (target, norm) in enumerate(
        zip([*blocks, 'merges.0', 'merges.1'], norms, strict=True)
    ):
        number = f'_{index}' if index else ''
        add(f'{target}.depthwise', f'depthwise_conv2d{number}/depthwise', depthwise=True)
        add(f'{target}.pointwise', f'batch_normalization_{norm}/FusedBatchNormV3')
    for index, number in enumerate(('', '_1')):
        transposed = graph.nodes[f'{root}conv2d_transpose{number}/conv2d_transpose']
        norm = f'{root}batch_normalization_{40 + 2 * index}/FusedBatchNormV3'
        kernel = graph.weights[sources_of(transposed)[1]]  # rows, columns, out, in
        scale = graph.weights[sources_of(graph.nodes[norm + '/Mul'])[0]]
        kernel = kernel * scale.view(-1, 1)
        entries[f'ups.{index}.weight'] = kernel.permute(3, 2, 0, 1).contiguous()
        entries[f'ups.{index}.bias'] = graph.weights[sources_of(graph.nodes[norm])[1]]
    for stride in (8, 16, 32):
        add(f'scores.stride{stride}', f'classificator_{stride}/BiasAdd')
        add(f'values.stride{stride}', f'regressor_{stride}/BiasAdd')
    return entries


# shipped name: source network, conversion, our module
NETWORKS: dict[str, tuple[str, Callable, Callable[[], nn.Module]]] = {
    f'movenet_{arch}': (
        f'movenet-{arch}',
        lambda graph: movenet(graph, SINGLE_HEADS),
        lambda arch=arch: MobileNetFPN(WIDTHS[arch], HEADS),
    )
    for arch in ('thunder', 'lightning')
} | {
    'movenet_multipose': (
        'movenet-multipose',
        lambda graph: movenet(graph, MULTI_HEADS),
        lambda: MultiPose(weights=None).net,
    ),
    'nanodet': ('nanodet', nanodet, NanoDetNet),
    'hand_landmark': ('handlandmark-full', hand_landmark, HandNet),
    'palm_detection': ('handdetect', palm_detection, PalmNet),
}


def convert(name: str, source: Path) -> dict[str, Tensor]:
    """Convert a network and load it into our module, which must take every entry.

    Args:
        name: Of ``NETWORKS``.
        source: The folder with the source networks.

    Returns:
        The state dict, float32.
    """
    network, translate, build = NETWORKS[name]
    entries = translate(TfjsGraph(source / f'{network}.json'))
    build().load_state_dict(entries)
    return entries


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, help='folder with the source networks')
    parser.add_argument('out', type=Path, help='folder for the safetensors files')
    parser.add_argument('networks', nargs='*', help=f'default: {" ".join(sorted(NETWORKS))}')
    args = parser.parse_args()
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f'unknown networks {sorted(unknown)}, expected some of {sorted(NETWORKS)}')
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.networks or sorted(NETWORKS):
        entries = {
            key: value.to(torch.float16) for key, value in convert(name, args.source).items()
        }
        target = args.out / f'{name}.safetensors'
        metadata = {'source': f'{PACKAGE}, {NETWORKS[name][0]}'}
        write_atomically(target, save(entries, metadata))
        print(target, f'{target.stat().st_size:,} bytes')


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""The TensorFlow operators that the source networks use, on NHWC torch tensors.

Every operator takes the node's attributes and its inputs.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

DTYPES = {
    'DT_FLOAT': torch.float32,
    'DT_INT32': torch.int32,
    'DT_INT64': torch.int64,
    'DT_BOOL': torch.bool,
}


def _integers(tensor: Tensor) -> list[int]:
    return [int(value) for value in tensor.reshape(-1)]


def _pad_same(image: Tensor, kernel: list[int], stride: list[int], value: float) -> Tensor:
    """TensorFlow's SAME: the odd pixel of padding goes to the right and the bottom (NCHW)."""
    padding: list[int] = []
    for size, width, step in zip(image.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = max((math.ceil(size / step) - 1) * step + width - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(image, padding, value=value)


def _convolution(attributes: dict, x: Tensor, weight: Tensor, *extra: Tensor) -> Tensor:
    x = x.permute(0, 3, 1, 2)
    stride = attributes['strides'][1:3]
    if set(attributes.get('dilations', [1])) != {1}:
        raise NotImplementedError('dilated convolution')
    kernel = list(weight.shape[:2])
    if attributes['padding'] == 'SAME':
        x = _pad_same(x, kernel, stride, 0.0)
    elif attributes['padding'] != 'VALID':
        raise NotImplementedError(f'padding {attributes["padding"]}')
    y = F.conv2d(x, weight.permute(3, 2, 0, 1), stride=stride)
    return _fused(attributes, y.permute(0, 2, 3, 1), *extra)


def _depthwise(attributes: dict, x: Tensor, weight: Tensor, *extra: Tensor) -> Tensor:
    rows, columns, channels, multiplier = weight.shape
    stride = attributes['strides'][1:3]
    x = x.permute(0, 3, 1, 2)
    if attributes['padding'] == 'SAME':
        x = _pad_same(x, [rows, columns], stride, 0.0)
    weight = weight.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, rows, columns)
    y = F.conv2d(x, weight, stride=stride, groups=channels)
    return _fused(attributes, y.permute(0, 2, 3, 1), *extra)


def _fused(attributes: dict, y: Tensor, *extra: Tensor) -> Tensor:
    remaining = list(extra)
    for name in attributes.get('fused_ops', []):
        if name == 'BiasAdd':
            y = y + remaining.pop(0)
        elif name == 'Relu':
            y = y.relu()
        elif name == 'Relu6':
            y = y.clamp(0, 6)
        elif name == 'Prelu':
            y = torch.where(y > 0, y, y * remaining.pop(0))
        else:
            raise NotImplementedError(f'fused {name}')
    return y


def _transposed_convolution(attributes: dict, size: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    stride = attributes['strides'][1:3]
    y = F.conv_transpose2d(x.permute(0, 3, 1, 2), weight.permute(3, 2, 0, 1), stride=stride)
    height, width = _integers(size)[1:3]
    top, left = max(y.shape[2] - height, 0) // 2, max(y.shape[3] - width, 0) // 2
    return y[:, :, top : top + height, left : left + width].permute(0, 2, 3, 1)


def _matrix_product(attributes: dict, x: Tensor, weight: Tensor, *extra: Tensor) -> Tensor:
    return _fused(attributes, x @ (weight.T if attributes.get('transpose_b') else weight), *extra)


def _max_pool(attributes: dict, x: Tensor) -> Tensor:
    kernel, stride = attributes['ksize'][1:3], attributes['strides'][1:3]
    x = x.permute(0, 3, 1, 2)
    if attributes['padding'] == 'SAME':
        x = _pad_same(x, kernel, stride, -math.inf)
    return F.max_pool2d(x, kernel, stride).permute(0, 2, 3, 1)


def _resize(attributes: dict, x: Tensor, size: Tensor) -> Tensor:
    if not attributes.get('half_pixel_centers') or attributes.get('align_corners'):
        raise NotImplementedError('ResizeBilinear without half_pixel_centers')
    y = F.interpolate(x.permute(0, 3, 1, 2), _integers(size), mode='bilinear')
    return y.permute(0, 2, 3, 1)


def _pad(attributes: dict, x: Tensor, amounts: Tensor, value: Tensor | None = None) -> Tensor:
    flat = [int(amount) for pair in amounts.flip(0) for amount in pair]
    return F.pad(x, flat, value=0.0 if value is None else float(value))


def _gather_nd(attributes: dict, x: Tensor, index: Tensor) -> Tensor:
    return x[tuple(index.long().unbind(-1))]


def _strided_slice(attributes: dict, x: Tensor, begin: Tensor, end: Tensor, step: Tensor) -> Tensor:
    index: list[Any] = []
    for axis, (first, last, by) in enumerate(
        zip(_integers(begin), _integers(end), _integers(step), strict=True)
    ):
        bits = {
            name: attributes.get(f'{name}_mask', 0) >> axis & 1
            for name in ('begin', 'end', 'shrink_axis', 'new_axis', 'ellipsis')
        }
        if bits['ellipsis']:
            raise NotImplementedError('ellipsis in StridedSlice')
        if bits['new_axis']:
            index.append(None)
        elif bits['shrink_axis']:
            index.append(first)
        else:
            ends = (None if bits['begin'] else first, None if bits['end'] else last)
            index.append(slice(*ends, by))
    return x[tuple(index)]


def _squeeze(attributes: dict, x: Tensor) -> Tensor:
    axes = attributes.get('squeeze_dims', [])
    return x.squeeze(tuple(axes)) if axes else x.squeeze()


def _sparse_to_dense(
    attributes: dict, index: Tensor, size: Tensor, values: Tensor, default: Tensor
) -> Tensor:
    y = torch.full(_integers(size), default.item(), dtype=default.dtype)
    return y.index_put(tuple(index.long().reshape(len(values), y.ndim).T), values)


def _top_k(attributes: dict, x: Tensor, count: Tensor) -> list[Tensor]:
    values, indices = x.topk(int(count))
    return [values, indices.int()]


def _reduce(function: Callable) -> Callable:
    return lambda attributes, x, axes: function(
        x, _integers(axes), keepdim=bool(attributes.get('keep_dims'))
    )


def _plain(function: Callable) -> Callable:
    return lambda attributes, *inputs: function(*inputs)


OPERATORS: dict[str, Callable] = {
    'Conv2D': _convolution,
    '_FusedConv2D': _convolution,
    'DepthwiseConv2dNative': _depthwise,
    'FusedDepthwiseConv2dNative': _depthwise,
    'Conv2DBackpropInput': _transposed_convolution,
    'MatMul': _matrix_product,
    '_FusedMatMul': _matrix_product,
    'MaxPool': _max_pool,
    'ResizeBilinear': _resize,
    'Pad': _pad,
    'PadV2': _pad,
    'GatherNd': _gather_nd,
    'StridedSlice': _strided_slice,
    'Squeeze': _squeeze,
    'SparseToDense': _sparse_to_dense,
    'SplitV': lambda attributes, x, sizes, axis: list(x.split(_integers(sizes), int(axis))),
    'LeakyRelu': lambda attributes, x: F.leaky_relu(x, attributes['alpha']),
    'TopKV2': _top_k,
    'Mean': _reduce(torch.mean),
    'Sum': _reduce(torch.sum),
    'Max': _reduce(torch.amax),
    'Cast': lambda attributes, x: x.to(DTYPES[attributes['DstT']]),
    'ArgMax': lambda attributes, x, axis: x.argmax(int(axis)).int(),
    'Pack': lambda attributes, *x: torch.stack(
        [torch.as_tensor(value) for value in x], attributes.get('axis', 0)
    ),
    'Unpack': lambda attributes, x: list(x.unbind(attributes.get('axis', 0))),
    'Split': lambda attributes, axis, x: list(x.chunk(attributes['num_split'], int(axis))),
    'ConcatV2': lambda attributes, *x: torch.cat(x[:-1], int(x[-1])),
    'AddN': lambda attributes, *x: sum(x[1:], x[0]),
    'Range': _plain(lambda a, b, c: torch.arange(int(a), int(b), int(c), dtype=a.dtype)),
    'Fill': _plain(lambda size, value: torch.full(_integers(size), value.item()).to(value)),
    'Tile': _plain(lambda x, counts: x.repeat(_integers(counts))),
    'Reshape': _plain(lambda x, shape: x.reshape(_integers(shape))),
    'ExpandDims': _plain(lambda x, axis: x.unsqueeze(int(axis))),
    'Transpose': _plain(lambda x, axes: x.permute(_integers(axes))),
    'Shape': _plain(lambda x: torch.tensor(x.shape, dtype=torch.int32)),
    'Size': _plain(lambda x: torch.tensor(x.numel(), dtype=torch.int32)),
    'FloorDiv': _plain(lambda a, b: torch.div(a, b, rounding_mode='floor')),
    'SquaredDifference': _plain(lambda a, b: (a - b) ** 2),
    'Relu6': _plain(lambda x: x.clamp(0, 6)),
    'Identity': _plain(lambda x: x),
    'Add': _plain(torch.add),
    'AddV2': _plain(torch.add),
    'BiasAdd': _plain(torch.add),
    'Sub': _plain(torch.sub),
    'Mul': _plain(torch.mul),
    'RealDiv': _plain(torch.true_divide),
    'Maximum': _plain(torch.maximum),
    'Minimum': _plain(torch.minimum),
    'Less': _plain(torch.lt),
    'Greater': _plain(torch.gt),
    'GreaterEqual': _plain(torch.ge),
    'Equal': _plain(torch.eq),
    'LogicalAnd': _plain(torch.logical_and),
    'Select': _plain(torch.where),
    'Relu': _plain(torch.relu),
    'Sigmoid': _plain(torch.sigmoid),
    'Sqrt': _plain(torch.sqrt),
    'Exp': _plain(torch.exp),
    'Abs': _plain(torch.abs),
    'Reciprocal': _plain(torch.reciprocal),
}

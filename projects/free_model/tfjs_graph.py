# SPDX-License-Identifier: Apache-2.0
"""TensorFlow.js graph models, read and evaluated with torch.

Only for conversion and for comparing a converted network with its source: every tensor is NHWC, one
node after the other, nothing is fused.
"""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from projects.free_model.tfjs_operators import OPERATORS


class TfjsGraph:
    """A graph model: ``name.json`` with the nodes, and the weights beside it.

    Attributes:
        weights: The constants by node name; half-precision ones widened to float32.
        nodes: The nodes by name.

    Args:
        path: The ``.json`` file.

    Raises:
        ValueError: The weight file is shorter or longer than the constants need.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        model = json.loads(path.read_text(encoding='utf-8'))
        self.path = path
        self.nodes = {node['name']: node for node in model['modelTopology']['node']}
        self.weights: dict[str, Tensor] = {}
        for group in model['weightsManifest']:
            data = b''.join((path.parent / name).read_bytes() for name in group['paths'])
            self._read_group(group['weights'], data)

    def _read_group(self, entries: Sequence[dict], data: bytes) -> None:
        start = 0
        for entry in entries:
            stored = entry.get('quantization', {}).get('dtype', entry['dtype'])
            count = math.prod(entry['shape'])
            size = count * np.dtype(stored).itemsize
            if start + size > len(data):
                raise ValueError(f'{self.path}: weights end inside {entry["name"]}')
            values = np.frombuffer(data, stored, count, start).reshape(entry['shape'])
            self.weights[entry['name']] = torch.from_numpy(values.astype(entry['dtype']))
            start += size
        if start != len(data):
            raise ValueError(f'{self.path}: {len(data) - start} bytes of weights are left over')

    def run(self, inputs: dict[str, Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Evaluate nodes.

        Args:
            inputs: Values of the placeholders by name, NHWC.
            outputs: Names of nodes, ``name`` or ``name:1`` for a further output of a node.

        Returns:
            The values, in the order asked for.
        """
        values: dict[str, Any] = dict(inputs)
        for name in self.order(outputs, inputs):
            node = self.nodes[name]
            if node['op'] == 'Const':
                values[name] = self.weights[name]
                continue
            if node['op'] not in OPERATORS:
                raise NotImplementedError(f'{self.path}: node {name} is a {node["op"]}')
            arguments = [_pick(values, source) for source in sources_of(node)]
            attributes = {key: _decode(value) for key, value in node.get('attr', {}).items()}
            values[name] = OPERATORS[node['op']](attributes, *arguments)
        return [_pick(values, name) for name in outputs]

    def order(self, outputs: Sequence[str], known: Iterable[str] = ()) -> list[str]:
        """Names of the nodes that outputs need, sources first.

        Args:
            outputs: Names of nodes.
            known: Nodes to stop at.

        Returns:
            Names of nodes, without the known ones.
        """
        order: list[str] = []
        entered = set(known)
        stack = [(name.split(':')[0], False) for name in outputs]
        while stack:
            name, sources_done = stack.pop()
            if sources_done:
                order.append(name)
            elif name not in entered:
                entered.add(name)
                stack.append((name, True))
                sources = sources_of(self.nodes[name])
                stack += [(source.split(':')[0], False) for source in sources]
        return order


def sources_of(node: dict) -> list[str]:
    """Inputs of a node without those (``^name``) that only order the execution."""
    return [source for source in node.get('input', []) if not source.startswith('^')]


def _pick(values: dict[str, Any], name: str) -> Any:
    name, _, index = name.partition(':')
    value = values[name]
    return value[int(index or 0)] if isinstance(value, list | tuple) else value


def _decode(attribute: dict) -> Any:
    """An attribute as a Python value: strings are base64, integers are strings."""
    (kind, value), *_ = attribute.items() or [('list', {})]
    if kind == 's':
        return base64.b64decode(value).decode()
    if kind == 'i':
        return int(value)
    if kind == 'list':
        return [_decode({key: item}) for key, items in value.items() for item in items]
    return value

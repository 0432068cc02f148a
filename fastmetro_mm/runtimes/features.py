# SPDX-License-Identifier: Apache-2.0
"""Tokens out of the two graphs, in the place of a network's backbone and neck."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.errors import ExportError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.runtimes.engines import build_engine
from fastmetro_mm.runtimes.graphs import (
    Beginning,
    Ending,
    Graphs,
    find_graphs,
    given_tokens,
    graphs_folder,
    make_graphs,
)
from fastmetro_mm.runtimes.names import Runtime
from fastmetro_mm.speed.acceleration import working_type
from fastmetro_mm.structures import TokenFeatures

_PROOF_CROPS = 3
_TOLERANCE = 1e-3
"""Of the largest value of an output; the libraries differ by some 1e-6."""


class GraphFeatures:
    """What replaces ``extract_feat`` of an estimator.

    Args:
        graphs: The two ONNX files.
        runtime: Library and target.
        dtype: What the first of them computes in; the second is float32 always.
        device: Where the tokens go.
    """

    def __init__(
        self, graphs: Graphs, runtime: Runtime, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.crop_size, self.outputs, self.device = graphs.crop_size, graphs.outputs, device
        self.runtime = runtime
        threads = torch.get_num_threads()
        self._begin = build_engine(graphs.beginning, runtime, dtype, threads)
        self._finish = build_engine(graphs.ending, runtime, torch.float32, threads)

    def __call__(self, inputs: Tensor) -> TokenFeatures:
        """Run both graphs.

        Args:
            inputs: Normalised RGB crops. (B, 3, S, S)

        Returns:
            The tokens.

        Raises:
            ExportError: If the crops are not of the size that the graphs were made for.
        """
        size = tuple(inputs.shape[2:])
        if size != (self.crop_size, self.crop_size):
            raise ExportError(
                f'crops of {size[1]}x{size[0]} px: the network was converted for '
                f'{self.crop_size}x{self.crop_size}, as its config cuts them'
            )
        array = inputs.detach().float().contiguous().cpu().numpy()
        found = self._finish(self._begin([array]))
        tokens = {
            name: torch.from_numpy(np.array(value, np.float32)).to(self.device)
            for name, value in zip(self.outputs, found, strict=True)
        }
        if 'vertices' not in tokens:
            token = tokens['cam_token']
            tokens['vertices'] = token.new_zeros(len(token), 0, token.shape[-1])
        return TokenFeatures(**tokens)


@torch.no_grad()
def prove(features: GraphFeatures, network: Any) -> None:
    """Compare a converted network with itself.

    Args:
        features: The graphs, in float32.
        network: The network, as it was loaded.

    Raises:
        ExportError: If they answer otherwise.
    """
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(0)
    size = features.crop_size
    # smooth, like photos; noise has many maxima that differ by less than rounding
    coarse = torch.randn(_PROOF_CROPS, 3, size // 16, size // 16, generator=generator)
    crops = nn.functional.interpolate(coarse, (size, size), mode='bicubic').to(device)
    expected = given_tokens(Ending(network).tokens(*Beginning(network)(crops)))
    try:
        found = given_tokens(features(crops))
    except Exception as error:  # each library raises its own
        raise ExportError(
            f'{features.runtime} cannot run the converted network '
            f"({' '.join(str(error).split())[:200]}): use runtime='torch'"
        ) from error
    for name, wanted in expected.items():
        limit = _TOLERANCE * float(wanted.abs().max()) + 1e-6
        off = float((found[name].to(device) - wanted).abs().max())
        if not off <= limit:
            raise ExportError(
                f'{features.runtime} answers otherwise than torch (token {name}: off by {off:.2g}, '
                f"at most {limit:.2g} expected): use runtime='torch' and tell us of the network"
            )


def graph_features(network: Any, runtime: Runtime, speed: str) -> GraphFeatures:
    """The converted network, converted now if it never was.

    Args:
        network: As it was loaded.
        runtime: OpenVINO or ONNX Runtime.
        speed: ``'exact'`` or ``'fast'``.

    Returns:
        What takes the place of ``extract_feat``; proved equal in float32 once for each version of
        the library.
    """
    folder = graphs_folder(network)
    graphs = find_graphs(folder) or make_graphs(network, folder)
    device = next(network.parameters()).device
    mark = _proof_mark(graphs, runtime)
    if not mark.is_file():
        prove(GraphFeatures(graphs, runtime, torch.float32, device), network)
        write_atomically(mark, b'')
    return GraphFeatures(graphs, runtime, working_type(network, speed), device)


def _proof_mark(graphs: Graphs, runtime: Runtime) -> Path:
    """Empty file that says that this version of the library answered as torch did."""
    try:
        version = importlib.metadata.version(runtime.library)
    except importlib.metadata.PackageNotFoundError:  # onnxruntime-gpu
        version = 'unknown'
    return graphs.folder / f'{runtime.library}-{version}-{runtime.target}.proved'

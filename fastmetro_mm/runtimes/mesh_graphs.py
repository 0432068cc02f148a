# SPDX-License-Identifier: Apache-2.0
"""Meshes out of the graphs, in the place of a network's backbone, neck and head."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.errors import ExportError, UserError
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.runtimes.engines import build_engine
from fastmetro_mm.runtimes.graphs import (
    SMPL,
    Beginning,
    Ending,
    Graphs,
    are_as_written,
    find_graphs,
    graphs_folder,
    make_graphs,
)
from fastmetro_mm.runtimes.names import Runtime
from fastmetro_mm.speed.acceleration import working_type
from fastmetro_mm.structures import MeshPrediction, TokenFeatures

_PROOF_CROPS = 3
_TOLERANCE = 1e-3
"""Of the largest value of an output; the libraries differ by some 1e-6."""


class MeshGraphs:
    """What replaces ``mesh_of`` of an estimator.

    Args:
        graphs: The two ONNX files.
        runtime: Library and target.
        dtype: What the first of them computes in; the second is float32 always.
        device: Where the results go.
        head: Makes the mesh where the graphs end with tokens.
        smpl_head: Makes rotations of what they give, if the network has it.

    Attributes:
        gives_smpl: Whether the prediction has the SMPL head's rotations and shape already.
    """

    def __init__(
        self,
        graphs: Graphs,
        runtime: Runtime,
        dtype: torch.dtype,
        device: torch.device,
        head: nn.Module,
        smpl_head: Any = None,
    ) -> None:
        self.crop_size, self.outputs, self.device = graphs.crop_size, graphs.outputs, device
        self.runtime, self.head, self.smpl_head = runtime, head, smpl_head
        self.gives_smpl = SMPL in graphs.outputs
        threads = torch.get_num_threads()
        self._begin = build_engine(graphs.beginning, runtime, dtype, threads)
        self._finish = build_engine(graphs.ending, runtime, torch.float32, threads)

    def __call__(self, inputs: Tensor) -> MeshPrediction:
        """Run the graphs.

        Args:
            inputs: Normalised RGB crops. (B, 3, S, S)

        Returns:
            Raw, uncentred prediction in metres.

        Raises:
            ExportError: If the crops are not of the size that the graphs were made for.
        """
        found = self.named(inputs)
        if 'pred_cam' in found:
            raw: Any = found.pop(SMPL, None)
            prediction = MeshPrediction(**found)
            if self.gives_smpl:
                prediction.rotmat, prediction.betas = self.smpl_head.parameters_of(raw)
            return prediction
        if 'vertices' not in found:
            token = found['cam_token']
            found['vertices'] = token.new_zeros(len(token), 0, token.shape[-1])
        return self.head(TokenFeatures(**found))

    def named(self, inputs: Tensor) -> dict[str, Tensor]:
        """What the second graph gives, by name; arguments and errors as above."""
        size = tuple(inputs.shape[2:])
        if size != (self.crop_size, self.crop_size):
            raise ExportError(
                f'crops of {size[1]}x{size[0]} px: the network was converted for '
                f'{self.crop_size}x{self.crop_size}, as its config cuts them'
            )
        array = inputs.detach().float().contiguous().cpu().numpy()
        found = self._finish(self._begin([array]))
        return {
            name: _tensor(value, self.device)
            for name, value in zip(self.outputs, found, strict=True)
        }


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    # a copy: the library's buffer holds until its next call
    return torch.from_numpy(np.array(array, np.float32)).to(device)


@torch.no_grad()
def prove(graphs: MeshGraphs, network: Any) -> None:
    """Compare a converted network with itself.

    Args:
        graphs: The graphs, in float32.
        network: The network, as it was loaded.

    Raises:
        ExportError: If they answer otherwise.
    """
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(0)
    size = graphs.crop_size
    # smooth, like photos; noise has many maxima that differ by less than rounding
    coarse = torch.randn(_PROOF_CROPS, 3, size // 16, size // 16, generator=generator)
    crops = nn.functional.interpolate(coarse, (size, size), mode='bicubic').to(device)
    expected = Ending(network).named(*Beginning(network)(crops))
    try:
        found = graphs.named(crops)
    except Exception as error:  # each library raises its own
        raise ExportError(
            f'{graphs.runtime} cannot run the converted network '
            f"({' '.join(str(error).split())[:200]}): use runtime='torch'"
        ) from error
    for name, wanted in expected.items():
        limit = _TOLERANCE * float(wanted.abs().max()) + 1e-6
        off = float((found[name].to(device) - wanted).abs().max())
        if not off <= limit:
            raise ExportError(
                f'{graphs.runtime} answers otherwise than torch ({name}: off by {off:.2g}, '
                f"at most {limit:.2g} expected): use runtime='torch' and tell us of the network"
            )


def mesh_graphs(network: Any, runtime: Runtime, speed: str) -> MeshGraphs:
    """The converted network, converted now if it never was.

    Args:
        network: As it was loaded.
        runtime: OpenVINO or ONNX Runtime.
        speed: ``'exact'`` or ``'fast'``.

    Returns:
        What takes the place of ``mesh_of``; proved equal in float32 once for each version of the
        library.
    """
    folder = graphs_folder(network)
    graphs = find_graphs(folder)
    if graphs is not None:
        try:
            return _proved(graphs, network, runtime, speed)
        except UserError:
            if are_as_written(graphs):
                raise  # it is not because the files were damaged
    return _proved(make_graphs(network, folder), network, runtime, speed)


def _proved(graphs: Graphs, network: Any, runtime: Runtime, speed: str) -> MeshGraphs:
    device = next(network.parameters()).device
    mark = _proof_mark(graphs, runtime)
    heads = (network.head, network.smpl_head)
    if not mark.is_file():
        prove(MeshGraphs(graphs, runtime, torch.float32, device, *heads), network)
        with suppress(OSError):  # proved again the next time
            write_atomically(mark, b'')
    return MeshGraphs(graphs, runtime, working_type(network, speed), device, *heads)


def _proof_mark(graphs: Graphs, runtime: Runtime) -> Path:
    """Empty file that says that this version of the library answered as torch did."""
    return graphs.folder / f'{runtime.library}-{runtime.version}-{runtime.target}.proved'

# SPDX-License-Identifier: Apache-2.0
"""A network as graphs in the cache folder: what bears half precision, what does not.

The mesh head goes along, since threads of torch between two calls of a library stand in its way;
heads that solve and pose stay in torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastmetro_mm import __version__
from fastmetro_mm.errors import InputError
from fastmetro_mm.exporters.onnx_export import crop_size_of, export_graph, ready_for_export
from fastmetro_mm.fileio import CACHE_VARIABLE, cache_folder, write_json
from fastmetro_mm.models.heads import FastMETROHead
from fastmetro_mm.speed.local_attention import attend_locally

FORMAT = 3
"""Counted up where graphs of an earlier version of this package would answer otherwise."""
TOKENS = ('cam_token', 'joints', 'vertices', 'keypoints')
SMPL = 'smpl_raw'
MESH = ('pred_cam', 'joints', 'vertices_coarse', 'vertices_mid', 'vertices')


class Beginning(nn.Module):
    """Backbone, and what of the neck bears half precision.

    Args:
        network: ``TopdownMeshEstimator``.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone, self.neck = network.backbone, network.neck

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB crops (B, 3, H, W) to what the neck's ``finish`` takes."""
        feats = self.backbone(image)
        if not hasattr(self.neck, 'begin'):  # of another package
            return tuple(feats) if isinstance(feats, (tuple, list)) else (feats,)
        return self.neck.begin(feats)


class Ending(nn.Module):
    """The rest of the neck, the mesh head and the layers of the SMPL head, in float32.

    Args:
        network: ``TopdownMeshEstimator``.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.neck = network.neck
        self.head, self.regressor = None, None
        if type(network.head) is FastMETROHead:
            self.head = network.head
            self.regressor = getattr(network.smpl_head, 'regressor', None)

    def named(self, *parts: Tensor) -> dict[str, Tensor]:
        """What :class:`Beginning` gives to a mesh, or to tokens for a head of another kind.

        Without those that are none: a graph has no empty outputs.
        """
        tokens = self.neck.finish(*parts) if hasattr(self.neck, 'finish') else self.neck(parts)
        found = tokens if self.head is None else self.head(tokens)
        names = TOKENS if self.head is None else MESH
        named = {name: getattr(found, name) for name in names}
        if self.regressor is not None:
            named[SMPL] = self.regressor(found.vertices_mid.flatten(1))
        return {name: value for name, value in named.items() if value is not None and value.numel()}

    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """The same as a tuple."""
        return tuple(self.named(*parts).values())


@dataclass(frozen=True)
class Graphs:
    """Two ONNX files."""

    folder: Path  # where they lie
    crop_size: int  # side of the crops that they take, pixels
    # what the second one gives: :data:`MESH` and perhaps :data:`SMPL`, or of :data:`TOKENS`
    outputs: tuple[str, ...]

    @property
    def beginning(self) -> Path:
        """From the image to what the second one takes."""
        return self.folder / 'begin.onnx'

    @property
    def ending(self) -> Path:
        """From there to the mesh or to tokens."""
        return self.folder / 'finish.onnx'


def graphs_folder(network: Any) -> Path:
    """Where the graphs of a network lie, or will lie: the same numbers, the same folder.

    Args:
        network: ``TopdownMeshEstimator`` with its ``cfg``, weights loaded.

    Returns:
        A folder named by the hash of weights, config and versions.
    """
    known = hashlib.sha256()
    known.update(
        json.dumps(
            [
                FORMAT,
                __version__,
                torch.__version__,
                str(network.cfg.model),
                str(crop_size(network)),
            ]
        ).encode()
    )
    # buffers too: positions and masks come from files of the body and are in no state dict
    parts: list[nn.Module] = [network.backbone, network.neck, network.head]
    for part in parts + ([network.smpl_head] if network.smpl_head is not None else []):
        for name, tensor in (*part.named_parameters(), *part.named_buffers()):
            known.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            known.update(flat.view(torch.uint8).numpy().data)
    return cache_folder() / 'graphs' / known.hexdigest()[:32]


def crop_size(network: Any) -> int:
    """Side of the crops that a network is given, pixels."""
    return crop_size_of(network.cfg)


def find_graphs(folder: Path) -> Graphs | None:
    """Graphs that were made before.

    Args:
        folder: From :func:`graphs_folder`.

    Returns:
        The graphs; None if there are none, or a file is not as it was written.
    """
    try:
        said = json.loads((folder / 'graphs.json').read_text())
        graphs = Graphs(folder, said['crop_size'], tuple(said['outputs']))
        # sizes alone: to read the files twice would double the time of loading them
        whole = all((folder / name).stat().st_size == size for name, size in said['sizes'].items())
        return graphs if whole and said['hashes'] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def are_as_written(graphs: Graphs) -> bool:
    """Whether no byte of the files has changed, for graphs that cannot be loaded."""
    try:
        said = json.loads((graphs.folder / 'graphs.json').read_text())
        return said['hashes'] == _hashes(graphs.folder)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make_graphs(network: Any, folder: Path) -> Graphs:
    """Export a network, in the place of graphs that lie there.

    Args:
        network: ``TopdownMeshEstimator`` in evaluation mode, as it was loaded.
        folder: From :func:`graphs_folder`; appears whole or not at all.

    Raises:
        MissingPackageError: onnx or onnxscript is not installed.
        InputError: The cache folder cannot be written.
    """
    try:
        return _make_graphs(network, folder)
    except OSError as error:
        raise InputError(
            f'{folder.parent}: the converted network cannot be kept there ({error.strerror}): set '
            f"{CACHE_VARIABLE} to another folder, or use runtime='torch'"
        ) from error


def _make_graphs(network: Any, folder: Path) -> Graphs:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # not mkdtemp, whose folders are private: a cache may be that of several users
    unfinished = folder.parent / f'.partial-{secrets.token_hex(8)}'
    unfinished.mkdir()
    try:
        size = crop_size(network)
        device = next(network.parameters()).device
        begin, finish = Beginning(network).eval(), Ending(network).eval()
        begin.neck = finish.neck = copy.deepcopy(network.neck)
        attend_locally(begin.neck)
        image = torch.zeros(2, 3, size, size, device=device)
        with ready_for_export(network):
            with torch.no_grad():
                between = begin(image)
                outputs = tuple(finish.named(*between))
            names = [f'between_{number}' for number in range(len(between))]
            graphs = Graphs(unfinished, size, outputs)
            export_graph(begin, graphs.beginning, {'image': image}, names)
            inputs = dict(zip(names, between, strict=True))
            export_graph(finish, graphs.ending, inputs, outputs)
        sizes = {path.name: path.stat().st_size for path in sorted(unfinished.glob('*.onnx'))}
        said = dict(crop_size=size, outputs=outputs, sizes=sizes, hashes=_hashes(unfinished))
        write_json(unfinished / 'graphs.json', said)
        try:
            there = find_graphs(folder)
            if there is None or not are_as_written(there):
                shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            os.rename(unfinished, folder)
        except OSError:
            if find_graphs(folder) is None:  # not because another process was first
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Graphs(folder, size, outputs)


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob('*.onnx'))
    }

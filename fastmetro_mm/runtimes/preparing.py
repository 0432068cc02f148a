# SPDX-License-Identifier: Apache-2.0
"""A loaded network made ready for inference in the library that a user chose."""

from __future__ import annotations

from typing import Any

from torch import nn

from fastmetro_mm.errors import InputError
from fastmetro_mm.runtimes.choice import fastest
from fastmetro_mm.runtimes.mesh_graphs import MeshGraphs, mesh_graphs
from fastmetro_mm.runtimes.names import AUTO, check_runtime
from fastmetro_mm.speed.acceleration import PlainParts, accelerate


def prepare_network(
    network: Any, speed: str = 'exact', runtime: str = 'torch', compiled: bool = False
) -> nn.Module:
    """Rebuild a network for inference, in place; its weights are gone afterwards.

    Args:
        network: ``TopdownMeshEstimator`` in evaluation mode with its ``cfg``, weights loaded.
        speed: See :func:`~fastmetro_mm.speed.acceleration.accelerate`; ``fast`` also leaves out the
            mirror images of a config with ``test_cfg=dict(flip_test=True)``.
        runtime: See :func:`~fastmetro_mm.runtimes.names.parse_runtime`; ``auto`` is what
            was fastest here when it was measured.
        compiled: See ``accelerate``; for torch only.

    Returns:
        The network. It runs in any number of threads.

    Raises:
        MissingPackageError: If the library is not installed.
        ExportError: If the converted network answers otherwise than in torch.
    """
    if speed == 'fast':
        network.flip_test = None  # half the time
    device = next(network.parameters()).device
    chosen = check_runtime(runtime, device)
    if compiled and chosen.library != 'torch':
        raise InputError("compiled=True is for runtime='torch': leave one of them out")
    if chosen.library == AUTO:
        chosen = fastest(network, speed)
    if chosen.library == 'torch':
        return accelerate(network, speed, compiled, keep_plain=False)
    return run_by_graphs(network, mesh_graphs(network, chosen, speed))


def run_by_graphs(network: Any, graphs: MeshGraphs) -> nn.Module:
    """Put graphs in the place of backbone, neck and head.

    Args:
        network: The network; backbone and neck are dropped, the head still centres and projects.
        graphs: What runs instead.
    """
    network._plain = PlainParts(network, keep=False)
    network.backbone, network.neck = nn.Identity(), nn.Identity()
    network.image_layout = {}
    network.mesh_of = graphs
    return network

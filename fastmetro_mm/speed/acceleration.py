# SPDX-License-Identifier: Apache-2.0
"""Make a trained network answer faster."""

from __future__ import annotations

import copy
import platform
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn.utils.fuse_conv_bn import fuse_conv_bn
from mmpose.models.backbones import HRNet, ResNet
from torch import Tensor, nn

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.backbones import FusedHRNet
from fastmetro_mm.speed.cuda_graphs import CudaGraphs
from fastmetro_mm.speed.packed import can_pack, pack
from fastmetro_mm.speed.processor import cpuinfo

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def accelerate(
    network: Any, speed: str = 'exact', compiled: bool = False, keep_plain: bool = True
) -> nn.Module:
    """Rebuild a network for inference, in place.

    It cannot be trained or loaded into afterwards; :func:`restore` puts it back as it was. Until
    then ``state_dict()`` gives the weights it had before.

    ``'exact'`` multiplies every BatchNorm into the convolution before it, keeps images in
    channels-last order, and on a CPU runs convolutions and linear layers with weights packed once
    (see ``packed.py``): the same numbers up to float32 rounding. ``'fast'`` also computes the
    backbone and the first transformer in half precision where the processor has instructions for
    it; the second transformer, coordinates, camera and everything after them stay float32. What
    that changes in millimetres is measured in docs/performance.md.

    Args:
        network: A :class:`TopdownMeshEstimator` in evaluation mode, weights loaded.
        speed: ``'exact'`` or ``'fast'``.
        compiled: On a GPU, also record the network as CUDA graphs, once for every batch size, and
            replay them (see ``cuda_graphs.py``). On the CPU packed weights are faster than
            compiling (measured), and it is refused.
        keep_plain: Whether the parts that are replaced are kept, which takes their memory a
            second time. Without them ``state_dict()`` and :func:`restore` are refused.

    Returns:
        The network.

    Raises:
        ValueError: If the network is in training mode, ``speed`` is neither, or compiling is
            asked for on a CPU.
    """
    if speed not in ('exact', 'fast'):
        raise ConfigError(f"speed must be 'exact' or 'fast', got {speed!r}")
    if network.training:
        raise ConfigError('accelerate works on a network in evaluation mode: call eval() first')
    device = next(network.parameters()).device
    if compiled and device.type != 'cuda':
        raise ConfigError('compiled=True is for GPUs: on the CPU packed weights are faster')
    if getattr(network, '_plain', None) is not None:
        raise ConfigError('the network is accelerated already: restore() it first')
    network._plain = PlainParts(network, keep_plain)
    if keep_plain:
        network.backbone, network.neck = copy.deepcopy((network.backbone, network.neck))
    network.backbone = _without_batch_norm(network.backbone)
    network.backbone.to(memory_format=torch.channels_last)
    dtype = working_type(network, speed)
    packs = can_pack(device)
    # backbones of ours know which of their layers need all digits
    getattr(network.backbone, 'lower_precision', network.backbone.to)(dtype)
    if dtype != torch.float32:
        network.neck.lower_precision(dtype)
    for part in (network.backbone, network.neck):
        part.requires_grad_(False)
        if packs:
            pack(part)
    network.image_layout = dict(dtype=dtype, memory_format=torch.channels_last)
    if compiled:
        replay_graphs(network)
    return network


def replay_graphs(network: Any) -> None:
    """Let a network replay CUDA graphs, in place: all of it, or what comes before its head."""
    name = 'mesh_of' if network.head.never_waits else 'extract_feat'
    anchor = next(network.head.parameters())
    setattr(network, name, CudaGraphs(getattr(network, name), anchor))


def restore(network: Any) -> nn.Module:
    """Put an accelerated network back as it was, in place.

    Args:
        network: What :func:`accelerate` was given.

    Returns:
        The network; it can be trained and loaded into.

    Raises:
        ConfigError: If it is not accelerated, or its parts were not kept.
    """
    plain = getattr(network, '_plain', None)
    if plain is None:
        raise ConfigError('the network is not accelerated: there is nothing to restore')
    plain.put_back(network)
    network._plain = None
    return network


class PlainParts:
    """What a network was before, and the guards of its state dict while it is not."""

    def __init__(self, network: Any, keep: bool) -> None:
        self.parts = {name: getattr(network, name) for name in ('backbone', 'neck')} if keep else {}
        self.image_layout = getattr(network, 'image_layout', {})
        self._hooks = (
            network._register_state_dict_hook(_complete_state),
            network._register_load_state_dict_pre_hook(_refuse_loading, with_module=True),
        )

    def require_parts(self) -> dict[str, nn.Module]:
        """The plain parts, if they were kept."""
        if not self.parts:
            raise ConfigError(
                'the network was accelerated with keep_plain=False, its weights are '
                'gone: load the checkpoint again'
            )
        return self.parts

    def put_back(self, network: Any) -> None:
        """Give the network its parts back."""
        device = next(network.head.parameters()).device
        for name, part in self.require_parts().items():
            setattr(network, name, part.to(device))
        network.image_layout = self.image_layout
        for name in ('extract_feat', 'mesh_of'):  # the recorded ones
            network.__dict__.pop(name, None)
        for handle in self._hooks:
            handle.remove()


def _complete_state(network: Any, state: dict, prefix: str, metadata: dict) -> None:
    """The weights of the plain parts instead of those of the rebuilt ones."""
    if network._plain is None:
        return
    for name, part in network._plain.require_parts().items():
        for key in [key for key in state if key.startswith(f'{prefix}{name}.')]:
            del state[key]
        part.state_dict(destination=state, prefix=f'{prefix}{name}.')


def _refuse_loading(network: Any, *_: Any) -> None:
    if network._plain is not None:
        raise ConfigError(
            'weights cannot be loaded into an accelerated network: call '
            'fastmetro_mm.speed.acceleration.restore(network) first'
        )


@torch.no_grad()
def _without_batch_norm(backbone: nn.Module) -> nn.Module:
    """Multiply BatchNorms into convolutions where that is right.

    mmcv takes a BatchNorm to belong to the convolution defined before it. That holds for the
    shipped backbones; any other one is checked on an image and left as it is where it does not.
    """
    if not any(isinstance(layer, _NORMS) for layer in backbone.modules()):
        return backbone
    if type(backbone) in (ResNet, HRNet, FusedHRNet):
        return fuse_conv_bn(backbone)
    parameter = next(backbone.parameters())
    image = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    image = image.to(parameter.device, parameter.dtype)
    fused = fuse_conv_bn(copy.deepcopy(backbone))
    try:
        expected, found = backbone(image), fused(image)
    except RuntimeError:  # it wants another size
        return backbone
    pairs = zip(_maps(expected), _maps(found), strict=True)
    same = all(torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max())) for a, b in pairs)
    return fused if same else backbone


def _maps(features: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [features] if isinstance(features, Tensor) else features


def working_type(network: Any, speed: str) -> torch.dtype:
    """What backbone and first transformer compute in.

    Args:
        network: The network.
        speed: ``'exact'`` or ``'fast'``.

    Returns:
        float32, or for ``'fast'`` what :func:`half_precision` gives, if the backbone bears it.
    """
    if speed == 'exact':
        return torch.float32
    dtype = half_precision(next(network.parameters()).device)
    bears = getattr(network.backbone, 'bears_precision', None)
    return dtype if bears is None or bears(dtype) else torch.float32


def half_precision(device: torch.device) -> torch.dtype:
    """The fastest type with enough digits: half precision where it is native, else float32.

    Args:
        device: Where the network runs.

    Returns:
        float16 on GPUs (its three more digits than bfloat16 matter more than range here),
        bfloat16 on CPUs with instructions for it, float32 on others.
    """
    if device.type == 'cuda':
        return torch.float16
    return torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX, or ARM's)."""
    flags = cpuinfo()
    if not flags:
        return platform.machine() == 'arm64' and platform.system() == 'Darwin'
    return any(name in flags for name in ('avx512_bf16', 'amx_bf16', ' bf16'))

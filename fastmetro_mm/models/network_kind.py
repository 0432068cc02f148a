# SPDX-License-Identifier: Apache-2.0
"""Which FastMETRO network a state dict belongs to, told from its names and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from fastmetro_mm.config_files import config_names
from fastmetro_mm.models.official_checkpoint import is_official, to_ours

_SIZES = {1: 'S', 2: 'M', 3: 'L'}
# (blocks, has bottlenecks) of the ResNets
_DEPTHS = {(8, False): 18, (16, False): 34, (16, True): 50, (33, True): 101, (50, True): 152}


@dataclass(frozen=True)
class NetworkKind:
    """What distinguishes one FastMETRO network from another."""

    part: str  # ``'body'`` or ``'hand'``
    size: str  # 'S', 'M' or 'L'; the number of layers as text where it is none of these
    backbone: str  # 'R50', 'H64', ... or a description of another one.
    has_smpl_head: bool  # carries the SMPL parameter regressor

    def __str__(self) -> str:
        smpl = ' with SMPL head' if self.has_smpl_head else ''
        return f'FastMETRO-{self.size}-{self.backbone} ({self.part}{smpl})'

    @property
    def config(self) -> str | None:
        """A shipped config of this kind, e.g. ``configs/fastmetro_s_r50_h36m.py``; None if none."""
        smpl = 'smpl_' if self.has_smpl_head else ''
        data = 'freihand' if self.part == 'hand' else 'h36m'
        name = f'fastmetro_{smpl}{self.size}_{self.backbone}_{data}'.lower()
        return f'configs/{name}.py' if name in config_names() else None


def kind_of(state_dict: Mapping[str, Tensor]) -> NetworkKind | None:
    """Kind of the network that a state dict is from; None if it is no FastMETRO.

    Args:
        state_dict: With our names or the official ones; shapes alone are looked at.
    """
    if is_official(state_dict):
        state_dict, _ = to_ours(state_dict)
    tokens = state_dict.get('neck.joint_token_embed.weight')
    layers = {
        key.split('.')[4]
        for key in state_dict
        if key.startswith('neck.transformer_1.encoder.layers.')
    }
    if tokens is None or not layers or not tokens.shape:
        return None
    return NetworkKind(
        part='hand' if tokens.shape[0] == 21 else 'body',
        size=_SIZES.get(len(layers), f'{len(layers)}-layer'),
        backbone=_backbone(state_dict),
        has_smpl_head=any(key.startswith('smpl_head.') for key in state_dict),
    )


def model_kind(model: nn.Module) -> NetworkKind | None:
    """The same for one of our estimators; None for one with another neck, as the shipped ones."""
    return kind_of(model.state_dict())


def _backbone(state_dict: Mapping[str, Tensor]) -> str:
    branch = state_dict.get('backbone.stage4.0.branches.0.0.conv1.weight')
    if branch is not None and branch.shape:
        return f'H{branch.shape[0]}'
    blocks = {
        tuple(key.split('.')[1:3])
        for key in state_dict
        if key.startswith('backbone.layer') and len(key.split('.')) > 3
    }
    if not blocks:
        return 'another backbone'
    has_bottlenecks = 'backbone.layer1.0.conv3.weight' in state_dict
    depth = _DEPTHS.get((len(blocks), has_bottlenecks))
    return f'ResNet of {len(blocks)} blocks' if depth is None else f'R{depth}'

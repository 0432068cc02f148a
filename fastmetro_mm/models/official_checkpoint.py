# SPDX-License-Identifier: Apache-2.0
"""Released FastMETRO weights: what a file is, its names in our terms, and back.

Official files are plain state dicts (``FastMETRO-*_state_dict.bin``). Nothing in them is
computed anew: every entry is renamed, and the 1000-way ImageNet classifier that HRNet files carry
without using it is set aside.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from fastmetro_mm.errors import CheckpointError

# Our prefix of every official one, except the positional ResNet names below.
_PREFIXES = {
    'transformer_1.': 'neck.transformer_1.',
    'transformer_2.': 'neck.transformer_2.',
    'dim_reduce_enc_cam.': 'neck.dim_reduce_enc_cam.',
    'dim_reduce_enc_img.': 'neck.dim_reduce_enc_img.',
    'dim_reduce_dec.': 'neck.dim_reduce_dec.',
    'cam_token_embed.': 'neck.cam_token_embed.',
    'joint_token_embed.': 'neck.joint_token_embed.',
    'vertex_token_embed.': 'neck.vertex_token_embed.',
    'conv_1x1.': 'neck.conv_1x1.',
    'xyz_regressor.': 'head.xyz_regressor.',
    'cam_predictor.': 'head.cam_predictor.',
    'coarse2intermediate_upsample.': 'head.coarse2intermediate_upsample.',
    'smpl_parameter_regressor.': 'smpl_head.',
}

# torchvision's ResNet as nn.Sequential of its children: conv1, bn1, relu, maxpool, layer1-4.
_RESNET = {'0': 'conv1', '1': 'bn1', '4': 'layer1', '5': 'layer2', '6': 'layer3', '7': 'layer4'}
_RESNET_BACK = {name: number for number, name in _RESNET.items()}
_CLASSIFIER = re.compile(r'^backbone\.classifier\.')


# Entries that every FastMETRO network has, in the official and in our terms.
MARKS = ('cam_token_embed.weight', 'transformer_1.encoder.norm.weight')
OUR_MARKS = tuple(f'neck.{name}' for name in MARKS)


def is_official(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether a state dict carries the names of the official FastMETRO code."""
    return all(name in state_dict for name in MARKS)


def foreign_model(state_dict: Mapping[str, Tensor]) -> str | None:
    """Name of the sister project a state dict comes from, or None."""
    if not any(key.startswith('trans_encoder.') for key in state_dict):
        return None
    if any('graph_conv' in key or key.startswith('grid_feat_dim') for key in state_dict):
        return 'Mesh Graphormer'
    return 'METRO'


def to_ours(official: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename an official state dict.

    Args:
        official: State dict with official names.

    Returns:
        Our state dict, and what has no place in the network: the ImageNet classifier.
    """
    ours, unused, unknown = {}, {}, []
    for key, value in official.items():
        if _CLASSIFIER.match(key):
            unused[key] = value
            continue
        if key.startswith('backbone.'):
            head, _, tail = key[len('backbone.') :].partition('.')
            ours[f'backbone.{_RESNET.get(head, head)}.{tail}'] = value
            continue
        prefix = next((prefix for prefix in _PREFIXES if key.startswith(prefix)), None)
        if prefix is None:
            unknown.append(key)
        else:
            ours[_PREFIXES[prefix] + key[len(prefix) :]] = value
    if unknown:
        raise CheckpointError(
            f'{len(unknown)} entries are not part of any FastMETRO network, e.g. {unknown[0]!r}'
        )
    return ours, unused


def to_official(
    ours: Mapping[str, Tensor], unused: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Undo :func:`to_ours`.

    Args:
        ours: State dict with our names.
        unused: What :func:`to_ours` set aside, to be put back.

    Returns:
        State dict with official names.
    """
    back = {prefix: official for official, prefix in _PREFIXES.items()}
    official, unknown = dict(unused or {}), []
    for key, value in ours.items():
        if key.startswith('backbone.'):
            head, _, tail = key[len('backbone.') :].partition('.')
            # conv1/bn1 of HRNet keep their names; only a ResNet has layer2
            is_resnet = any(name.startswith('backbone.layer2.') for name in ours)
            head = _RESNET_BACK.get(head, head) if is_resnet else head
            official[f'backbone.{head}.{tail}'] = value
            continue
        prefix = next((prefix for prefix in back if key.startswith(prefix)), None)
        if prefix is None:
            unknown.append(key)
        else:
            official[back[prefix] + key[len(prefix) :]] = value
    if unknown:
        raise CheckpointError(
            f'{len(unknown)} entries have no place in an official file, e.g. {unknown[0]!r}'
        )
    return official

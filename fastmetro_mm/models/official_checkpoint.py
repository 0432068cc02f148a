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

    Raises:
        ValueError: If an entry has no known place.
    """
    unused = {key: value for key, value in official.items() if _CLASSIFIER.match(key)}
    rest = {key: value for key, value in official.items() if key not in unused}
    return _renamed(rest, _PREFIXES, _RESNET, 'are not part of any FastMETRO network'), unused


def to_official(
    ours: Mapping[str, Tensor], unused: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Undo :func:`to_ours`.

    Args:
        ours: State dict with our names.
        unused: What :func:`to_ours` set aside, to be put back.

    Returns:
        State dict with official names.

    Raises:
        ValueError: If an entry does not exist in the official networks.
    """
    back = {prefix: official for official, prefix in _PREFIXES.items()}
    # conv1/bn1 of HRNet keep their names; only a ResNet has layer2
    is_resnet = any(name.startswith('backbone.layer2.') for name in ours)
    stages = {name: number for number, name in _RESNET.items()} if is_resnet else {}
    official = _renamed(ours, back, stages, 'have no place in an official file')
    return {**(unused or {}), **official}


def _renamed(
    weights: Mapping[str, Tensor],
    prefixes: Mapping[str, str],
    stages: Mapping[str, str],
    fault: str,
) -> dict[str, Tensor]:
    renamed, unknown = {}, []
    for key, value in weights.items():
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        if key.startswith('backbone.'):
            head, dot, tail = key.removeprefix('backbone.').partition('.')
            renamed[f'backbone.{stages.get(head, head)}{dot}{tail}'] = value
        elif prefix is not None:
            renamed[prefixes[prefix] + key.removeprefix(prefix)] = value
        else:
            unknown.append(key)
    if unknown:
        raise CheckpointError(f'{len(unknown)} entries {fault}, e.g. {unknown[0]!r}')
    return renamed

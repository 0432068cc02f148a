# SPDX-License-Identifier: Apache-2.0
"""Released FastMETRO weights: what a file is, its names in our terms, and back.

Official files are plain state dicts (``FastMETRO-*_state_dict.bin``). Nothing in them is
computed anew: every entry is renamed, and the 1000-way ImageNet classifier that HRNet files carry
without using it is set aside.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.logging import print_log
from torch import Tensor, nn

from fastmetro_mm.errors import CheckpointError

SIZES = {1: 'S', 2: 'M', 3: 'L'}

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


@dataclass(frozen=True)
class ModelKind:
    """What distinguishes one FastMETRO network from another.

    Attributes:
        part: 'body' or 'hand'.
        size: 'S', 'M' or 'L'; the number of layers as text where it is none of these.
        backbone: 'R50', 'H64', ... or another backbone's class name.
        has_smpl_head: Carries the SMPL parameter regressor.
    """

    part: str
    size: str
    backbone: str
    has_smpl_head: bool

    def __str__(self) -> str:
        smpl = ' with SMPL head' if self.has_smpl_head else ''
        return f'FastMETRO-{self.size}-{self.backbone} ({self.part}{smpl})'

    @property
    def config(self) -> str:
        """Name of a config of this kind."""
        smpl = 'smpl_' if self.has_smpl_head else ''
        data = 'freihand' if self.part == 'hand' else 'h36m'
        return f'configs/fastmetro_{smpl}{self.size}_{self.backbone}_{data}.py'.lower()


def is_official(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether a state dict carries the names of the official FastMETRO code."""
    return (
        'cam_token_embed.weight' in state_dict and 'transformer_1.encoder.norm.weight' in state_dict
    )


def foreign_model(state_dict: Mapping[str, Tensor]) -> str | None:
    """Name of the sister project a state dict comes from, or None."""
    if not any(key.startswith('trans_encoder.') for key in state_dict):
        return None
    if any('graph_conv' in key or key.startswith('grid_feat_dim') for key in state_dict):
        return 'Mesh Graphormer'
    return 'METRO'


def official_kind(state_dict: Mapping[str, Tensor]) -> ModelKind:
    """Tell from names and shapes which network an official state dict belongs to."""
    layers = {
        key.split('.')[3] for key in state_dict if key.startswith('transformer_1.encoder.layers.')
    }
    if 'backbone.stage4.0.branches.0.0.conv1.weight' in state_dict:
        width = state_dict['backbone.stage4.0.branches.0.0.conv1.weight'].shape[0]
        backbone = f'H{width}'
    else:
        blocks = {
            tuple(key.split('.')[1:3]) for key in state_dict if re.match(r'backbone\.[4-7]\.', key)
        }
        # torchvision's ResNets with bottlenecks by their number of blocks
        backbone = {16: 'R50', 33: 'R101', 50: 'R152'}.get(
            len(blocks), f'{len(blocks)}-block ResNet'
        )
    return ModelKind(
        part='hand' if state_dict['joint_token_embed.weight'].shape[0] == 21 else 'body',
        size=SIZES.get(len(layers), f'{len(layers)}-layer'),
        backbone=backbone,
        has_smpl_head=any(key.startswith('smpl_parameter_regressor.') for key in state_dict),
    )


def model_kind(model: nn.Module) -> ModelKind:
    """The same for one of our estimators."""
    backbone = type(model.backbone).__name__
    state = model.state_dict()
    if 'backbone.stage4.0.branches.0.0.conv1.weight' in state:
        backbone = f'H{state["backbone.stage4.0.branches.0.0.conv1.weight"].shape[0]}'
    elif backbone == 'ResNet':
        backbone = f'R{model.backbone.depth}'
    layers = len(model.neck.transformer_1.encoder.layers)
    return ModelKind(
        part='hand' if model.neck.num_joints == 21 else 'body',
        size=SIZES.get(layers, f'{layers}-layer'),
        backbone=backbone,
        has_smpl_head=model.smpl_head is not None,
    )


def to_ours(official: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename an official state dict.

    Args:
        official: State dict with official names.

    Returns:
        Our state dict, and what has no place in the network: the ImageNet classifier.

    Raises:
        ValueError: If an entry has no known place.
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

    Raises:
        ValueError: If an entry does not exist in the official networks.
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


def convert_while_loading(
    model: nn.Module, state_dict: dict, prefix: str, local_metadata: dict, *args
) -> None:
    """Load hook of the estimator, see :func:`fit_to_model`; arguments are PyTorch's.

    mmengine only warns about what does not fit and goes on with random weights, so this raises.
    """
    if not prefix:  # parts of larger models are none of our business
        fit_to_model(model, state_dict)


def fit_to_model(model: nn.Module, state_dict: dict[str, Tensor]) -> None:
    """Rename official entries in place and refuse weights of another network.

    Args:
        model: The estimator they are meant for.
        state_dict: Entries; changed in place.

    Raises:
        ValueError: If the file belongs to another network; the message names the right config.
    """
    foreign = foreign_model(state_dict)
    if foreign is not None:
        raise CheckpointError(
            f'this checkpoint is a {foreign} network, not FastMETRO: use a '
            'FastMETRO-*_state_dict.bin or a checkpoint trained here'
        )
    if is_official(state_dict):
        kind, wanted = official_kind(state_dict), model_kind(model)
        bare = ModelKind(wanted.part, wanted.size, wanted.backbone, False)
        fits = kind == wanted or (wanted.has_smpl_head and model.freeze_mesh and kind == bare)
        if not fits and not model.partial_checkpoint:
            raise CheckpointError(
                f'this checkpoint is {kind} but the config describes {wanted}: use {kind.config} '
                'or another config of that network'
            )
        renamed, unused = to_ours(state_dict)
        state_dict.clear()
        state_dict.update(renamed)
        if unused:
            names = ', '.join(sorted(unused))
            print_log(f'Left out the unused ImageNet classifier of the official file: {names}')
    _refuse_other_network(model, state_dict)


def _refuse_other_network(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    wrong = [key for key in own if key in state_dict and state_dict[key].shape != own[key].shape]
    missing = [key for key in own if key not in state_dict and 'num_batches_tracked' not in key]
    if model.freeze_mesh and any(key.startswith('smpl_head.') for key in missing):
        print_log('The checkpoint has no SMPL head: it starts from random weights', 'current')
        missing = [key for key in missing if not key.startswith('smpl_head.')]
    if model.partial_checkpoint:
        print_log(
            f'Partial checkpoint: {len(missing)} of {len(own)} entries are missing and '
            f'{len(wrong)} have another shape; these start from their initial values',
            'current',
        )
        return
    mend = (
        'use the config it was trained with, or take over what fits with '
        'model.partial_checkpoint=True'
    )
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f'this checkpoint does not fit the config: {key} is {tuple(state_dict[key].shape)} in '
            f'the file but {tuple(own[key].shape)} in the network ({len(wrong)} such entries); '
            f'{mend}'
        )
    if missing:
        raise CheckpointError(
            f'this checkpoint does not fit the config: {len(missing)} of {len(own)} entries are '
            f'missing in the file, e.g. {missing[0]}; {mend}'
        )

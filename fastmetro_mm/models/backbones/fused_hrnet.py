# SPDX-License-Identifier: Apache-2.0
"""HRNet with the trunk of its ImageNet classifier: four branches become one 2048-channel map."""

import re
from itertools import pairwise
from typing import Any

from mmengine.logging import print_log
from mmpose.models.backbones import HRNet
from mmpose.models.backbones.resnet import Bottleneck
from mmpose.registry import MODELS
from torch import Tensor, nn

from fastmetro_mm.errors import ConfigError

TRUNK_CHANNELS = (128, 256, 512, 1024)
OUT_CHANNELS = 2048


@MODELS.register_module()
class FusedHRNet(HRNet):
    """HRNet-W``width`` as FastMETRO uses it.

    mmpose's HRNet stops at its four branches. FastMETRO keeps what the ImageNet classifier does
    next: a bottleneck block a branch widens them to 128, 256, 512 and 1024 channels, strided 3x3
    convolutions add them up from fine to coarse, and a 1x1 convolution ends in 2048 channels.
    The entries are named as in the official HRNet classification weights, which timm uses too;
    OpenMMLab's names (``backbone.*``, ``neck.increase_layers.*``) are mapped while loading.

    Args:
        width: Channels of the finest branch: 18, 30, 32, 40, 44, 48 or 64.
        norm_cfg: Normalisation layers; BatchNorm by default.
        norm_eval: Keep BatchNorm statistics fixed while training.
        frozen_stages: See mmpose's ``HRNet``.
        with_cp: Trade time for memory by recomputing activations.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` for ImageNet weights. ``type`` must
            be that string, not the class: mmpose's HRNet compares strings.
    """

    def __init__(
        self,
        width: int = 64,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        if width not in (18, 30, 32, 40, 44, 48, 64):
            raise ConfigError(f'FusedHRNet: width is {width}: use 18, 30, 32, 40, 44, 48 or 64')
        super().__init__(
            extra=_stages(width),
            norm_cfg=norm_cfg or dict(type='BN'),
            norm_eval=norm_eval,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg
            or [
                dict(type='Kaiming', mode='fan_out', layer='Conv2d'),
                dict(type='Constant', val=1, layer=['_BatchNorm']),
            ],
        )
        self.incre_modules = nn.ModuleList(
            self._make_layer(Bottleneck, width * 2**branch, channels, 1)
            for branch, channels in enumerate(TRUNK_CHANNELS)
        )
        self.downsamp_modules = nn.ModuleList(
            _conv_bn_relu(fine, coarse, kernel_size=3, stride=2)
            for fine, coarse in pairwise(TRUNK_CHANNELS)
        )
        self.final_layer = _conv_bn_relu(TRUNK_CHANNELS[-1], OUT_CHANNELS, kernel_size=1, stride=1)
        self._register_load_state_dict_pre_hook(_rename_imagenet_entries)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Extract features.

        Args:
            x: Normalised RGB images. (B, 3, 224, 224)

        Returns:
            One map, stride 32. ((B, 2048, 7, 7),)
        """
        branches = super().forward(x)
        fused = self.incre_modules[0](branches[0])  # (B, 128, 56, 56)
        for widen, shrink, branch in zip(
            self.incre_modules[1:], self.downsamp_modules, branches[1:], strict=True
        ):
            fused = widen(branch) + shrink(fused)
        return (self.final_layer(fused),)


def _stages(width: int) -> dict:
    """Branches of HRNet for image classification (cls_hrnet_w*.yaml of the HRNet authors)."""
    extra: dict[str, Any] = dict(
        stage1=dict(
            num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)
        )
    )
    for branches, modules in ((2, 1), (3, 4), (4, 3)):
        extra[f'stage{branches}'] = dict(
            num_modules=modules,
            num_branches=branches,
            block='BASIC',
            num_blocks=(4,) * branches,
            num_channels=tuple(width * 2**i for i in range(branches)),
        )
    extra['stage4']['multiscale_output'] = True
    return extra


def _conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


# OpenMMLab splits the classifier's trunk off as a neck (mmpretrain's HRFuseScales).
_OPENMMLAB = (
    (r'^backbone\.', ''),
    (r'^neck\.increase_layers\.', 'incre_modules.'),
    (r'^neck\.downsample_layers\.(\d+)\.conv\.', r'downsamp_modules.\1.0.'),
    (r'^neck\.downsample_layers\.(\d+)\.bn\.', r'downsamp_modules.\1.1.'),
    (r'^neck\.final_layer\.conv\.', 'final_layer.0.'),
    (r'^neck\.final_layer\.bn\.', 'final_layer.1.'),
)


def _rename_imagenet_entries(state_dict: dict, prefix: str, *args) -> None:
    """Map OpenMMLab's names to ours and drop the 1000-way classifier, in place."""
    classifier = [
        key
        for key in state_dict
        if key in (f'{prefix}classifier.weight', f'{prefix}classifier.bias')
        or (not prefix and key.startswith('head.'))
    ]
    for key in classifier:
        del state_dict[key]
    if classifier:
        print_log('FusedHRNet: left out the ImageNet classifier: ' + ', '.join(classifier))
    if prefix:
        return
    for key in list(state_dict):
        renamed = key
        for pattern, replacement in _OPENMMLAB:
            renamed = re.sub(pattern, replacement, renamed)
        if renamed != key:
            state_dict[renamed] = state_dict.pop(key)

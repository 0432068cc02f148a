# SPDX-License-Identifier: Apache-2.0
"""What backbones that begin from a shipped keypoint network have in common."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.backbones.inverted_residual import lower_precision
from fastmetro_mm.models.weight_files import load_weights


class ShippedBackbone(BaseModule):
    """A network of ``stem`` and ``blocks``, some of it frozen, that gives parts of its maps.

    Args:
        net: The network.
        known: Channels of every part that it can give.
        parts: The parts that ``forward`` puts together.
        frozen_stages: How much keeps its weights: -1 nothing, 0 the stem, ``n`` the first ``n``
            blocks too, more than there are blocks: the whole network, without gradients.
        with_keypoints: ``forward`` gives the keypoints too, in front of the map; for
            ``KeypointNeck``.
        weights: Where ``init_weights`` takes the weights from: the name of a shipped network
            (``'movenet_thunder'``, ``'hand_landmark'``), or a safetensors file. None: random ones.
        init_cfg: See mmengine's ``BaseModule``.

    Attributes:
        out_channels: Channels of the map that ``forward`` returns.

    Raises:
        ConfigError: Unknown parts.
    """

    def __init__(
        self,
        net: Any,
        known: Mapping[str, int],
        parts: Sequence[str],
        frozen_stages: int = -1,
        with_keypoints: bool = False,
        weights: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Kaiming', mode='fan_in', nonlinearity='relu', layer='Conv2d')
        )
        if set(parts) - set(known):
            raise ConfigError(
                f'{type(self).__name__}: parts are {tuple(parts)}, expected some of {tuple(known)}'
            )
        self.parts = tuple(parts)
        self.out_channels = sum(known[part] for part in self.parts)
        self.with_keypoints = with_keypoints
        self.weights = weights
        self.net: Any = net
        self.frozen_stages = frozen_stages
        for module in self._frozen_modules():
            module.requires_grad_(False)

    @property
    def _is_frozen(self) -> bool:
        return self.frozen_stages > len(self.net.blocks)

    def _frozen_modules(self) -> list[nn.Module]:
        if self._is_frozen:
            return [self.net]
        if self.frozen_stages < 0:
            return []
        return [self.net.stem, *self.net.blocks[: self.frozen_stages]]

    def _without_gradients_if_frozen(self) -> AbstractContextManager:
        return torch.no_grad() if self._is_frozen else nullcontext()

    def bears_precision(self, dtype: torch.dtype) -> bool:
        """Whether meshes made of the key points stay within a millimetre.

        A key point is a maximum of a map, and in half precision another cell wins here and there:
        meshes of drawn people moved by 5.4 mm on average in bfloat16; in float16 on a GPU by
        2.7 mm, one of 32 by 48 mm. Of forty drawn hands one turned round.

        Args:
            dtype: Of weights and maps.
        """
        return not self.with_keypoints or dtype == torch.float32

    def init_weights(self) -> None:
        """Take the converted weights, or random ones where none are named."""
        if self.weights is None:
            super().init_weights()
        elif not self.is_init:
            self.net.load_state_dict(load_weights(self.weights))
            self._is_init = True

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Compute in half precision, where that does no harm."""
        lower_precision(self, dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Keypoints, where asked for, and the map of the parts."""
        raise NotImplementedError

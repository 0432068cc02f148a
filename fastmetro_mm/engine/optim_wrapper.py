# SPDX-License-Identifier: Apache-2.0
"""Mixed precision on the CPU as well as on GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from fastmetro_mm.errors import ConfigError


def choose_dtype(name: str, device: str) -> torch.dtype:
    """The autocast type for a device.

    Args:
        name: ``'auto'``, ``'bfloat16'`` or ``'float16'``.
        device: ``'cpu'`` or ``'cuda'``.

    Raises:
        ValueError: for another name, and for float16 on the CPU.
    """
    if name == 'auto':
        if device == 'cuda' and not torch.cuda.is_bf16_supported():
            return torch.float16
        return torch.bfloat16
    if name not in ('bfloat16', 'float16'):
        raise ConfigError(f"optim_wrapper.dtype={name!r}: expected 'auto', 'bfloat16' or 'float16'")
    if name == 'float16' and device == 'cpu':
        raise ConfigError("optim_wrapper.dtype='float16' needs a GPU: use 'bfloat16' on the CPU")
    return getattr(torch, name)


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(OptimWrapper):
    """Autocast to bfloat16, or to float16 with loss scaling.

    mmengine's ``AmpOptimWrapper`` asserts that there is a GPU and scales the loss for bfloat16
    too, which has the exponent range of float32 and needs none.

    Args:
        dtype: ``'auto'`` (bfloat16 where the device has it, else float16), ``'bfloat16'`` or
            ``'float16'`` (GPU only).
        loss_scale: For float16: ``'dynamic'`` or the fixed scale.
        **kwargs: As ``OptimWrapper`` (``optimizer``, ``clip_grad``, ``accumulative_counts``...).
    """

    def __init__(self, dtype: str = 'auto', loss_scale: str | float = 'dynamic', **kwargs) -> None:
        super().__init__(**kwargs)
        device = get_device()
        self.device_type = 'cuda' if device.startswith('cuda') else 'cpu'
        self.cast_dtype = choose_dtype(dtype, self.device_type)
        self.loss_scaler = None
        if self.cast_dtype == torch.float16:
            options: dict[str, Any] = (
                {}
                if loss_scale == 'dynamic'
                else dict(init_scale=float(loss_scale), growth_interval=2**31 - 1)
            )
            self.loss_scaler = torch.amp.GradScaler(self.device_type, **options)

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Back-propagate, scaled where float16 needs it."""
        if self.loss_scaler is not None:
            loss = self.loss_scaler.scale(loss)
        super().backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Update the parameters; gradients are clipped at their true size."""
        if self.loss_scaler is None:
            super().step(**kwargs)
            return
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    def state_dict(self) -> dict:
        """State of the optimizer and, for float16, of the loss scaler."""
        state = super().state_dict()
        if self.loss_scaler is not None:
            state['loss_scaler'] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restore what :meth:`state_dict` gave; a float32 run may go on with float16."""
        state_dict = dict(state_dict)
        scaler = state_dict.pop('loss_scaler', None)
        if scaler and self.loss_scaler is not None:
            self.loss_scaler.load_state_dict(scaler)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass, and mmengine's gradient accumulation."""
        with super().optim_context(model), torch.autocast(self.device_type, self.cast_dtype):
            yield

# SPDX-License-Identifier: Apache-2.0
"""Mixed precision on the CPU."""

import mmengine.device.utils
import pytest
import torch
from torch import nn

from fastmetro_mm.engine.optim_wrapper import MixedPrecisionOptimWrapper, choose_dtype


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(mmengine.device.utils, 'DEVICE', 'cpu')


def test_bfloat16_training_on_the_cpu():
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    wrapper = MixedPrecisionOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1), clip_grad=dict(max_norm=1.0)
    )
    inputs = torch.randn(16, 4)
    targets = inputs.sum(1, keepdim=True)
    losses = []
    for _ in range(50):
        with wrapper.optim_context(model):
            outputs = model(inputs)
        assert outputs.dtype == torch.bfloat16
        loss = (outputs.float() - targets).square().mean()
        wrapper.update_params(loss)
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    assert model.weight.dtype == torch.float32
    assert 'loss_scaler' not in wrapper.state_dict()


def test_state_of_a_float16_run_is_accepted():
    model = nn.Linear(2, 1)
    wrapper = MixedPrecisionOptimWrapper(optimizer=torch.optim.AdamW(model.parameters(), lr=0.1))
    state = wrapper.state_dict()
    state['loss_scaler'] = {'scale': 1024.0}
    wrapper.load_state_dict(state)
    assert wrapper.get_lr()['lr'] == [0.1]


def test_types():
    assert choose_dtype('auto', 'cpu') == torch.bfloat16
    with pytest.raises(ValueError, match='needs a GPU'):
        choose_dtype('float16', 'cpu')
    with pytest.raises(ValueError, match='expected'):
        choose_dtype('float32', 'cpu')

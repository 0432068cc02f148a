# SPDX-License-Identifier: Apache-2.0
"""The same seed gives the same training, bit for bit, whoever loads the data."""

import torch


def test_same_seed_gives_the_same_losses_and_weights(train, people, tmp_path):
    runs = []
    for number, workers in enumerate((0, 0, 2)):
        work_dir = train(
            'quickstart',
            tmp_path / str(number),
            people,
            '--no-validate',
            epochs=2,
            **{'train_dataloader.num_workers': workers},
        )
        runs.append(torch.load(work_dir / 'epoch_2.pth', weights_only=True))
    losses = [run['message_hub']['log_scalars']['train/loss']['log'] for run in runs]
    assert len(losses[0]) == 8 and len(losses[0].unique()) == 8
    for other, run in zip(losses[1:], runs[1:], strict=True):
        assert torch.equal(other, losses[0])
        for name, value in run['state_dict'].items():
            assert torch.equal(value, runs[0]['state_dict'][name]), name

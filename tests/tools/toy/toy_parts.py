# SPDX-License-Identifier: Apache-2.0
"""A network, data and hooks that train in a second, for tests of the tools."""

import multiprocessing
import os
import signal

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from fastmetro_mm.datasets.sample_seed import SampleSeed


class ToyModel(BaseModel):
    """Linear regression with dropout, so that random states matter."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.Dropout(0.3), nn.Linear(width, 1))

    def forward(self, inputs, targets, mode='tensor'):
        inputs, targets = torch.stack(inputs), torch.stack(targets)
        outputs = self.layers(inputs)
        if mode == 'loss':
            return dict(loss_toy=(outputs[:, 0] - targets).square().mean())
        return [dict(error=float(e)) for e in (outputs[:, 0] - targets).abs()]


class ToyDataset(Dataset):
    """Points with noise drawn at every access, as an augmentation would."""

    METAINFO = dict(colors=np.arange(6).reshape(2, 3), sigmas=np.array([0.1, 0.2]))

    def __init__(
        self, data_root: str, ann_file: str, length: int = 12, seeded: bool = False
    ) -> None:
        ann_file = os.path.join(data_root, ann_file)
        if not os.path.isfile(ann_file):
            raise FileNotFoundError(2, 'No such file or directory', ann_file)
        self.metainfo = self.METAINFO
        self.seed = SampleSeed()
        if seeded:  # as the data sets of the package
            self.set_augmentation_seed = self.seed.set
        self.points = np.random.RandomState(0).randn(length, 3).astype(np.float32)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> dict:
        with self.seed.of(index):
            noise = np.random.randn(3).astype(np.float32)
        point = torch.from_numpy(self.points[index] + 0.1 * noise)
        return dict(inputs=point, targets=point.sum())


class ToyMetric(BaseMetric):
    """Mean error under the names of the real metrics."""

    def process(self, data_batch, data_samples) -> None:
        self.results.extend(sample['error'] for sample in data_samples)

    def compute_metrics(self, results) -> dict:
        return {'PA-MPJPE': np.float64(np.mean(results)), 'MPJPE': float(np.max(results))}


class KillHook(Hook):
    """Send the process SIGKILL, or TOY_KILL_SIGNAL, where the environment says.

    TOY_KILL_ITER: after that iteration; TOY_KILL_WRITE: in the middle of writing the checkpoint
    of that epoch; TOY_KILL_VAL: in the validation of that epoch; TOY_KILL_RANK: only there;
    TOY_KILL_WORKER: after that iteration, its data worker instead.
    TOY_KILL_ONCE: a file, made on the first kill, that prevents a second one.
    """

    def _kill(self, *args) -> None:
        once = os.environ.get('TOY_KILL_ONCE')
        if once and os.path.exists(once):
            return
        if os.environ.get('RANK', '0') != os.environ.get('TOY_KILL_RANK', '0'):
            return
        if once:
            with open(once, 'w', encoding='utf-8'):
                pass
        # to this thread: Python runs the handler before the next iteration, not some time later
        signal.raise_signal(getattr(signal, os.environ.get('TOY_KILL_SIGNAL', 'SIGKILL')))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if str(runner.iter + 1) == os.environ.get('TOY_KILL_ITER'):
            self._kill()
        if str(runner.iter + 1) == os.environ.get('TOY_KILL_WORKER'):
            for worker in multiprocessing.active_children():
                worker.kill()
                worker.join()

    def before_save_checkpoint(self, runner, checkpoint) -> None:
        if str(checkpoint['meta']['epoch']) == os.environ.get('TOY_KILL_WRITE'):
            os.fsync = self._kill  # the temporary file is on its way, the rename has not happened

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if str(runner.epoch) == os.environ.get('TOY_KILL_VAL'):
            self._kill()

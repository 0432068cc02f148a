# SPDX-License-Identifier: Apache-2.0
"""Images of predictions beside the truth, made while a model is trained or tested."""

import copy
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmengine.fileio as fileio
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.errors import ConfigError, DataRowError
from fastmetro_mm.models.tta_model import MeshTTAModel
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.visualization.crop_images import crop_with_sample
from fastmetro_mm.visualization.mesh_visualizer import MeshVisualizer
from fastmetro_mm.visualization.true_meshes import add_true_meshes


@HOOKS.register_module()
class MeshVisualizationHook(Hook):
    """Draws some predictions of every ``interval``-th batch, the truth beside them.

    The full image is drawn on where a sample knows its ``img_path``; otherwise (TSV data) the
    crop that the network saw. Needs ``visualizer=dict(type='MeshVisualizer', ...)`` in the config.

    Args:
        enable: Whether to draw at all.
        interval: Draw every so many batches of validation and test, beginning with the first.
        max_samples: Most people drawn of one batch.
        train_interval: Draw every so many training iterations; 0 for never. The batch is predicted
            again in evaluation mode, so training goes on as if nothing had been drawn.
        out_dir: Folder of the images; ``visualization`` in the work directory if not given.
        show: Whether to open a window for each image.
        wait_time: How long a window stays, seconds.
        kpt_thr: Keypoints with a lower score are not drawn.
        draw_gt: Whether to draw the truth.
        draw_bbox: Whether to draw boxes.
        backend_args: Arguments of mmengine's file backend for reading images.

    Raises:
        ValueError: If an interval or ``max_samples`` is out of range.
    """

    # After the hooks that may still change outputs or weights of the iteration.
    priority = 'LOW'

    def __init__(
        self,
        enable: bool = False,
        interval: int = 50,
        max_samples: int = 4,
        train_interval: int = 0,
        out_dir: str | None = None,
        show: bool = False,
        wait_time: float = 0.0,
        kpt_thr: float = 0.3,
        draw_gt: bool = True,
        draw_bbox: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        if interval < 1 or max_samples < 1 or train_interval < 0:
            raise ConfigError(
                'MeshVisualizationHook needs interval >= 1, max_samples >= 1 and train_interval '
                f'>= 0, got {interval}, {max_samples} and {train_interval}'
            )
        self.enable = enable
        self.interval = interval
        self.max_samples = max_samples
        self.train_interval = train_interval
        self.out_dir = out_dir
        self.show = show
        self.wait_time = wait_time
        self.kpt_thr = kpt_thr
        self.draw_gt = draw_gt
        self.draw_bbox = draw_bbox
        self.backend_args = backend_args
        self._truth_works = True

    def before_run(self, runner: Runner) -> None:
        """Check the visualizer before any work is done.

        Raises:
            ValueError: If the config's visualizer draws no meshes.
        """
        if not self.enable:
            return
        if not isinstance(runner.visualizer, MeshVisualizer):
            raise ConfigError(
                'MeshVisualizationHook is enabled, but the config has visualizer.type = '
                f"'{type(runner.visualizer).__name__}'; set visualizer=dict(type='MeshVisualizer', "
                "body=dict(name='smpl'), ...) or visualization.enable=False"
            )

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw predictions of a validation batch."""
        if self._is_due(batch_idx):
            epoch, iteration = _training_progress(runner)
            folder = f'val_epoch_{epoch}' if epoch else f'val_iter_{iteration}'
            meta = runner.val_evaluator.dataset_meta
            self._draw(runner, folder, batch_idx, data_batch, outputs, meta)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw predictions of a test batch."""
        if self._is_due(batch_idx):
            meta = runner.test_evaluator.dataset_meta
            self._draw(runner, 'test', batch_idx, data_batch, outputs, meta)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Predict a training batch in evaluation mode and draw it."""
        if not (self.enable and self.train_interval and is_main_process()):
            return
        if (runner.iter + 1) % self.train_interval:
            return
        part = {
            'inputs': data_batch['inputs'][: self.max_samples],
            # Predictions are written into the samples; training must not see them.
            'data_samples': copy.deepcopy(data_batch['data_samples'][: self.max_samples]),
        }
        model = _unwrap(runner.model)
        with _evaluation_mode(model):
            predicted = model.test_step(part)
        meta = getattr(runner.train_dataloader.dataset, 'metainfo', None)
        self._draw(runner, 'train', runner.iter + 1, part, predicted, meta)

    def _is_due(self, batch_idx: int) -> bool:
        return self.enable and batch_idx % self.interval == 0 and is_main_process()

    def _draw(
        self,
        runner: Runner,
        folder: str,
        number: int,
        data_batch: dict,
        outputs: Sequence[MeshDataSample],
        dataset_meta: dict | None,
    ) -> None:
        """Draw the first people of a batch into files."""
        visualizer: Any = runner.visualizer
        if dataset_meta:
            visualizer.set_dataset_meta(dataset_meta)
        model = _unwrap(runner.model)
        out_dir = Path(self.out_dir or os.path.join(runner.work_dir, 'visualization')) / folder
        samples = [copy.deepcopy(sample) for sample in outputs[: self.max_samples]]
        if self.draw_gt:
            self._add_true_meshes(model, samples)
        for index, sample in enumerate(samples):
            image = self._full_image(sample)
            if image is None:
                inputs = data_batch['inputs']
                # of several views the first
                inputs = inputs[0] if isinstance(inputs[0], (list, tuple)) else inputs
                image, sample = crop_with_sample(inputs[index], sample, model)
            key = re.sub(r'[^\w-]+', '_', str(sample.get('img_key', '')))[-60:]
            name = f'{number:06d}_{index}{"_" if key else ""}{key}.jpg'
            visualizer.add_datasample(
                f'{folder}/{name}',
                image,
                sample,
                draw_gt=self.draw_gt,
                draw_bbox=self.draw_bbox,
                show=self.show,
                wait_time=self.wait_time,
                kpt_thr=self.kpt_thr,
                out_file=str(out_dir / name),
                step=_training_progress(runner)[1],
            )

    def _full_image(self, sample: MeshDataSample) -> np.ndarray | None:
        """RGB image a sample was cut from, or None if it has no readable file."""
        path = sample.get('img_path')
        if not path or not fileio.exists(path, backend_args=self.backend_args):
            return None
        try:  # as the network got it: turned and laid on white where the file says so
            return decode_image(fileio.get(path, backend_args=self.backend_args))
        except DataRowError:
            return None

    def _add_true_meshes(self, model: torch.nn.Module, samples: list[MeshDataSample]) -> None:
        """Pose the body model with the labels, so that the true mesh can be drawn."""
        if not self._truth_works:
            return
        try:
            add_true_meshes(model, samples)
        except FileNotFoundError as error:
            # The skeleton of the labels is drawn instead; it needs no licensed body file.
            print_log(f'True meshes are not drawn: {error}', logger='current')
            self._truth_works = False


def _training_progress(runner: Runner) -> tuple[int, int]:
    """Epoch and iteration; zeros where nothing is trained.

    ``runner.iter`` would build the training data set, which a test need not have: until somebody
    trains, the loop is its config.
    """
    loop: Any = runner._train_loop
    return (0, 0) if loop is None or isinstance(loop, dict) else (loop.epoch, loop.iter)


def _unwrap(model: Any) -> Any:
    wrapped = is_model_wrapper(model) or isinstance(model, MeshTTAModel)
    return model.module if wrapped else model


@contextmanager
def _evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module is in the mode it was in."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in training:
            module.training = mode

# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that survive ``kill -9`` at any moment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop
from mmpose.registry import HOOKS

from fastmetro_mm.engine.checkpoints.atomic_backend import ATOMIC_LOCAL
from fastmetro_mm.engine.hooks.graceful_stop_hook import remove_interrupted
from fastmetro_mm.fileio import remove_partial_files, write_atomically


@HOOKS.register_module()
class MeshCheckpointHook(CheckpointHook):
    """mmengine's checkpoint hook, in an order that never leaves a gap.

    Differences from ``CheckpointHook``:

    - files and ``last_checkpoint`` are written under a temporary name and renamed;
    - the new file is complete before an old one is deleted (mmengine deletes first);
    - a run killed between its checkpoint and the end of the validation of that epoch makes up
      for the validation on resume, so the best checkpoint is not missed;
    - a metric of ``save_best`` that the evaluation does not report is skipped with a warning.

    Args:
        save_best: Metrics with a best checkpoint each. Default: PA-MPJPE and MPJPE, less is
            better. Pass ``save_best=None`` for none.
        rule: ``'less'`` or ``'greater'``, one for all or one each.
        **kwargs: As ``CheckpointHook``.
    """

    def __init__(
        self,
        *args,
        save_best: str | Sequence[str] | None = ('PA-MPJPE', 'MPJPE'),
        rule: str | list[str] | None = 'less',
        backend_args: dict | None = None,
        **kwargs,
    ) -> None:
        best: Any = list(save_best) if isinstance(save_best, (list, tuple)) else save_best
        super().__init__(
            *args,
            save_best=best,
            rule=rule if save_best is not None else None,
            backend_args=backend_args or dict(backend=ATOMIC_LOCAL),
            **kwargs,
        )
        self._warned: set[str] = set()

    def before_train(self, runner) -> None:
        """Prepare the folder; after a resume, make up for a validation that was cut off."""
        super().before_train(runner)
        if is_main_process() and Path(self.out_dir).is_dir():
            for name in remove_partial_files(self.out_dir):
                runner.logger.info(f'Removed {name}, left half-written by a run that was killed')
        loop = runner.train_loop
        epoch = runner.epoch
        if epoch == 0 or not isinstance(loop, EpochBasedTrainLoop):
            return
        self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
        due = epoch >= loop.val_begin and (
            epoch % loop.val_interval == 0 or epoch == loop.max_epochs
        )
        done = runner.message_hub.runtime_info.get('epoch_validated') == epoch
        if due and not done and runner.val_loop is not None:
            runner.logger.info(
                f'The checkpoint of epoch {epoch} was written before its validation ended: '
                'validating it now'
            )
            runner.val_loop.run()

    def after_val_epoch(self, runner, metrics: dict) -> None:
        """Note that this epoch has been validated and keep the best checkpoints."""
        runner.message_hub.update_info('epoch_validated', runner.epoch)
        super().after_val_epoch(runner, metrics)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Write the checkpoint, then the pointer to it, then delete the outdated one."""
        hub = runner.message_hub
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.keep_ckpt_ids.popleft()
            self.keep_ckpt_ids.append(step)
            hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            filename,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_atomically(
            Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt.encode(), sync=True
        )
        remove_interrupted(runner.work_dir)
        if outdated is not None:
            self._remove(
                self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated))
            )

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _best_names(self, metric: str) -> tuple[str, str]:
        """Names of the best score and file in the message hub, as mmengine chooses them."""
        if len(self.key_indicators) == 1:
            return 'best_score', 'best_ckpt'
        return f'best_score_{metric}', f'best_ckpt_{metric}'

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        """Keep one checkpoint per metric; the previous best goes after the new one is there."""
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        hub = runner.message_hub
        step = runner.epoch if self.by_epoch else runner.iter
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        improved, replaced = [], []
        for metric, rule in zip(self.key_indicators, self.rules, strict=True):
            if metrics.get(metric) is None:
                if metric not in self._warned:
                    self._warned.add(metric)
                    runner.logger.warning(
                        f'save_best names {metric!r}, but the evaluation reports '
                        f'{", ".join(map(str, metrics))}: no best checkpoint by it; fix with '
                        'default_hooks.checkpoint.save_best'
                    )
                continue
            score_name, path_name = self._best_names(metric)
            best = hub.runtime_info.get(score_name, self.init_value_map[rule])
            score = float(metrics[metric])
            if not self.is_better_than[metric](score, best):
                continue
            filename = f'best_{metric}_{self.filename_tmpl.format(step)}'.replace('/', '_')
            path = self.file_backend.join_path(self.out_dir, filename)
            replaced.append((hub.runtime_info.get(path_name), path))
            improved.append((metric, score, filename))
            hub.update_info(score_name, score)
            hub.update_info(path_name, path)
            if len(self.key_indicators) == 1:
                self.best_ckpt_path = path
            else:
                self.best_ckpt_path_dict[metric] = path
        for metric, score, filename in improved:
            runner.save_checkpoint(
                self.out_dir,
                filename,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(meta),
                by_epoch=False,
                backend_args=self.backend_args,
            )
            runner.logger.info(f'New best {metric} {score:.4f}: saved to {filename}')
        # The epoch's checkpoint was written before the validation: write it again, so that a
        # resumed run knows the new best scores and files.
        if improved and self.last_ckpt is not None:
            self._save_checkpoint_with_step(runner, step, meta)
        if is_main_process():
            for old, new in replaced:
                # a run that goes on from another folder's checkpoint leaves that folder alone
                if old and old != new and Path(old).parent == Path(new).parent:
                    self._remove(old)

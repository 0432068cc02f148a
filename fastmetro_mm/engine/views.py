# SPDX-License-Identifier: Apache-2.0
"""Evaluation on other views than the crop as it is: one of them, or the average of several."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from fastmetro_mm.datasets.transforms.views import View, all_views, one_view, parse_views
from fastmetro_mm.errors import CliError

# dotted paths instead of classes, so that the dumped config can be read again
_MODEL = 'fastmetro_mm.models.tta_model.MeshTTAModel'
_HOOK = 'fastmetro_mm.engine.hooks.tta_hook.MeshTTAHook'


def choose_views(
    cfg: Config, tta: Sequence[str] | None, rot: float | None, scale: float | None
) -> None:
    """Change the test pipeline, in place.

    Args:
        cfg: Config with ``test_dataloader``.
        tta: Views to average, see :func:`parse_views`. A ``tta_pipeline`` or ``tta_model`` of the
            config is used instead of ours.
        rot: Or one view: degrees.
        scale: Or one view: factor. As in the official hand script its labels are turned along and
            its results are those of the turned crop; ``pred_file`` gets them in its name, as
            official prediction files do.

    Raises:
        InputError: If a view means nothing.
    """
    dataset = cfg.test_dataloader.dataset
    if 'pipeline' not in dataset:
        raise CliError('--tta: test_dataloader.dataset has no pipeline of its own')
    if tta is None:
        view = View(False, float(rot or 0.0), 1.0 if scale is None else float(scale))
        parse_views({'rot': view.rot, 'scale': [view.scale, 2.0]})  # the limits
        dataset.pipeline = one_view(dataset.pipeline, view)
        _name_predictions(cfg, view)
        return
    if rot is not None or scale is not None:
        raise CliError('--tta averages views, --rot and --sc look at one: give one of both')
    views = parse_views(tta)
    dataset.pipeline = cfg.get('tta_pipeline') or all_views(dataset.pipeline, views)
    model = cfg.get('tta_model') or ConfigDict(type=_MODEL)
    flips = any(view.flip for view in views)
    cfg.custom_hooks = [
        *(cfg.get('custom_hooks') or []),
        dict(type=_HOOK, tta_cfg=model, flips=flips),
    ]


def _name_predictions(cfg: Config, view: View) -> None:
    metrics = cfg.test_evaluator
    for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
        if metric.get('pred_file'):
            path = Path(metric.pred_file)
            setting = f'sc{int(view.scale * 10):02d}_rot{int(view.rot)}'
            metric.pred_file = str(path.with_name(f'{path.stem}-{setting}{path.suffix}'))

# SPDX-License-Identifier: Apache-2.0
"""Load a config file and merge what the command line says."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmengine.device.utils
import torch
from mmengine.config import Config

from fastmetro_mm.config_files import config_names, config_path, read_config
from fastmetro_mm.engine.checkpoints.resume import find_resume_checkpoint
from fastmetro_mm.engine.work_dir import free_work_dir
from fastmetro_mm.errors import CliError
from fastmetro_mm.fileio import writable_folder

# Settings of the Runner that a config may leave out, so naming them is no spelling mistake.
_RUNNER_SETTINGS = {
    'auto_scale_lr', 'cfg', 'compile', 'custom_hooks', 'data_preprocessor', 'default_hooks',
    'default_scope', 'env_cfg', 'experiment_name', 'find_unused_parameters', 'launcher',
    'load_from', 'log_level', 'log_processor', 'model', 'model_wrapper_cfg', 'optim_wrapper',
    'param_scheduler', 'randomness', 'resume', 'runner_type', 'strategy', 'sync_bn', 'test_cfg',
    'test_dataloader', 'test_evaluator', 'train_cfg', 'train_dataloader', 'val_cfg',
    'val_dataloader', 'val_evaluator', 'vis_backends', 'visualizer', 'work_dir',
    'activation_checkpointing', 'efficient_conv_bn_eval',
}  # fmt: skip


def load_config(path: str) -> Config:
    """Read a config.

    Args:
        path: File, or name of a shipped config.

    Raises:
        CliError: if there is no such file; names those that look alike.
    """
    if path.removesuffix('.py') in config_names() and not os.path.isfile(path):
        path = config_path(path)
    if not os.path.isfile(path):
        folder = Path(path).parent
        there = [str(file) for file in folder.glob('*.py')] if folder.is_dir() else []
        alike = difflib.get_close_matches(path, there, n=3, cutoff=0.7)
        fix = f'did you mean {" or ".join(alike)}?' if alike else 'check the path (see configs/)'
        raise CliError(f'{path}: no such config file: {fix}')
    return read_config(path)


def _walk(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (container, key, value) of all nested entries of dicts and lists."""
    if isinstance(node, dict):
        entries = list(node.items())
    elif isinstance(node, list):
        entries = list(enumerate(node))
    else:
        return
    for key, value in entries:
        yield node, key, value
        yield from _walk(value)


def propagate_folders(cfg: Config, before: dict[str, str]) -> None:
    """Carry top-level folders to the nested settings of the same name, in place.

    A pure-Python config uses ``data_root`` and the like as variables, so replacing the variable
    afterwards changes nothing else.

    Args:
        cfg: The config after merging.
        before: Old values of the top-level folders that were changed; nested settings that hold
            another one are left alone.
    """
    for container, key, value in _walk(cfg._cfg_dict):
        if key in before and value == before[key]:
            container[key] = cfg[key]


def merge_options(cfg: Config, options: dict[str, Any] | None) -> None:
    """Merge ``--cfg-options`` into a config, in place, and propagate changed folders.

    Raises:
        CliError: for a name that no config has (with the nearest one), or a value that does not
            fit into what is there.
    """
    options = options or {}
    known = set(cfg.keys()) | _RUNNER_SETTINGS
    for name in options:
        first = name.split('.')[0]
        if first not in known:
            alike = difflib.get_close_matches(first, known, n=1)
            fix = f'did you mean {alike[0]}?' if alike else 'see the config for the names'
            raise CliError(f'--cfg-options {name}: the config has no {first!r}: {fix}')
    before = {
        name: cfg[name]
        for name in options
        if name in cfg and isinstance(cfg[name], str) and name.endswith(('_root', '_dir'))
    }
    for name, value in options.items():
        try:
            cfg.merge_from_dict({name: value})
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            reason = ' '.join(str(error).strip('"\'').split())
            raise CliError(f'--cfg-options {name}={value}: {reason}') from error
    before.pop('work_dir', None)
    propagate_folders(cfg, before)


def choose_work_dir(
    cfg: Config, config_path: str, work_dir: str | None, policy: str = 'overwrite'
) -> None:
    """Set ``cfg.work_dir`` (command line, then config, then the config's name) and try it.

    Args:
        cfg: Config, changed in place.
        config_path: Its file; the name is the default.
        work_dir: What the command line says.
        policy: See :func:`work_dir.free_work_dir`.

    Raises:
        CliError: if nothing can be written there, or nothing may.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(config_path).stem)
    cfg.work_dir = free_work_dir(cfg.work_dir, policy)
    writable_folder(cfg.work_dir, '--work-dir', CliError)


def choose_start(cfg: Config, resume: str | None) -> None:
    """Say where a training starts, in place, after the work directory was chosen.

    Args:
        cfg: The config.
        resume: A checkpoint, a work directory, ``'auto'`` for the config's own work directory, or
            None. Where that holds no checkpoint yet, as on the first start of a job that restarts
            itself, the training starts as the config says: from ``load_from``, if there is one.
    """
    if resume is None:
        return
    if resume != 'auto':
        cfg.resume, cfg.load_from = True, resume
    elif find_resume_checkpoint(cfg.work_dir) is not None:
        cfg.resume, cfg.load_from = True, None
    else:
        cfg.resume = False
        start = f'the weights of {cfg.load_from}' if cfg.get('load_from') else 'the beginning'
        print(f'No checkpoint to resume in {cfg.work_dir}: starting from {start}', flush=True)


def choose_device(device: str) -> None:
    """Make mmengine use a device: ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.

    Raises:
        CliError: for another name, or a GPU that is not there.
    """
    if device == 'auto':
        return
    kind, _, number = device.partition(':')
    if kind == 'cpu' and not number:
        # mmengine has no setter; get_device() returns this variable.
        mmengine.device.utils.DEVICE = 'cpu'
        return
    if kind != 'cuda' or (number and not number.isdigit()):
        raise CliError(f"--device {device}: expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    count = torch.cuda.device_count()
    if int(number or 0) >= count:
        raise CliError(
            f'--device {device}: torch sees {count} GPUs: use --device cpu, or check '
            'the driver with python -m fastmetro_mm.doctor'
        )
    if number:
        torch.cuda.set_device(int(number))
    mmengine.device.utils.DEVICE = 'cuda'


def enable_amp(cfg: Config) -> None:
    """Switch mixed precision on, in place.

    Raises:
        CliError: if the config has an optimizer wrapper of another kind.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    name = (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
    if name == 'MixedPrecisionOptimWrapper':
        return
    if name not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise CliError(
            f'--amp: the config has optim_wrapper.type={name}, which it cannot replace: '
            'leave --amp out'
        )
    # A dotted path instead of the class, so that the dumped config can be read again.
    cfg.optim_wrapper.type = 'fastmetro_mm.engine.optim_wrapper.MixedPrecisionOptimWrapper'
    if cfg.optim_wrapper.get('dtype') not in ('bfloat16', 'float16'):
        cfg.optim_wrapper.dtype = 'auto'


def enable_drawing(
    cfg: Config, show_dir: str | None, show: bool, interval: int | None, wait_time: float
) -> None:
    """Switch the visualization hook on if the user asked for images, in place."""
    if not show and show_dir is None:
        return
    if 'default_hooks' not in cfg:
        cfg.default_hooks = {}
    if cfg.default_hooks.get('visualization') is None:
        cfg.default_hooks.visualization = dict(
            type='fastmetro_mm.engine.hooks.mesh_visualization_hook.MeshVisualizationHook'
        )
    hook: Any = cfg.default_hooks.visualization
    hook.update(enable=True, show=show, out_dir=show_dir, wait_time=wait_time)
    if interval is not None:
        hook.interval = interval


def ensure_hooks(cfg: Config) -> None:
    """Add the hooks that every run should have to a config that lacks them, in place.

    Plain checkpoints, the watch over NaN, and the checkpoint on SIGTERM.
    """
    custom = list(cfg.get('custom_hooks') or [])
    default = cfg.setdefault('default_hooks', {})
    there = {_type_name(hook) for hook in (*custom, *default.values())}
    folder = 'fastmetro_mm.engine.hooks'
    if 'PlainCheckpointHook' not in there:
        custom.append(dict(type=f'{folder}.plain_checkpoint_hook.PlainCheckpointHook'))
        cfg.custom_hooks = custom
    if 'NonFiniteHook' not in there:
        default['non_finite'] = dict(type=f'{folder}.non_finite_hook.NonFiniteHook')
    if 'GracefulStopHook' not in there:
        default['graceful_stop'] = dict(type=f'{folder}.graceful_stop_hook.GracefulStopHook')


def _type_name(hook: Any) -> str:
    """Class name of a hook or of its config, without the module."""
    kind = hook.get('type') if isinstance(hook, dict) else type(hook)
    return (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).rpartition('.')[2]

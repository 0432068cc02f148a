# SPDX-License-Identifier: Apache-2.0
"""Tiny synthetic sets, and the tools run in this process."""

import importlib.util
import itertools
from pathlib import Path

import pytest

from fastmetro_mm import config_path
from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions

TRAIN, TEST = 16, 6
_NUMBER = itertools.count()


def _draw(folder: Path, **options) -> Path:
    make_synthetic_set(
        folder, SyntheticSetOptions(train=TRAIN, test=TEST, scene='studio', **options),
        workers=0, show_progress=False,
    )  # fmt: skip
    return folder


@pytest.fixture(scope='package')
def people(tmp_path_factory):
    """Set of bodies, 96 pixels."""
    return _draw(tmp_path_factory.mktemp('people'), size=(96, 96))


@pytest.fixture(scope='package')
def hands(tmp_path_factory):
    """Set of right hands, as large as FreiHAND's images."""
    return _draw(tmp_path_factory.mktemp('hands'), size=(224, 224), kind='hand')


@pytest.fixture(scope='package')
def run_tool(repo_dir):
    """Call main() of a tool; its name, its positional arguments and options."""

    def run(name, config, *arguments, **options):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', repo_dir / f'tools/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # mmengine keeps loggers and visualizers by name as long as the process lives
        unique = f'recipe_{next(_NUMBER)}'
        options = {'experiment_name': unique, 'visualizer.name': unique, **options}
        module.main([
            config_path(config), *map(str, arguments), '--device', 'cpu', '--cfg-options',
            *(f'{key}={value}' for key, value in options.items()),
        ])  # fmt: skip

    return run


@pytest.fixture(scope='package')
def train(run_tool):
    """Train a config for an epoch or two; gives the work directory."""

    def run(config, work_dir, data, *arguments, epochs=1, **options):
        sizes = {
            'data_root': f'{data}/', 'train_dataloader.batch_size': 4,
            'train_cfg.max_epochs': epochs, 'train_cfg.val_interval': 1,
            'default_hooks.logger.interval': 1,
        }  # fmt: skip
        run_tool('train', config, '--work-dir', work_dir, *arguments, **{**sizes, **options})
        return work_dir

    return run


@pytest.fixture(scope='package')
def body_run(train, people, tmp_path_factory):
    """Work directory of the body recipe after two epochs.

    At the recipe's own rate eight steps may end anywhere, also at a camera that cannot be drawn.
    """
    return train(
        'quickstart',
        tmp_path_factory.mktemp('body'),
        people,
        epochs=2,
        **{'optim_wrapper.optimizer.lr': 1e-4},
    )

# SPDX-License-Identifier: Apache-2.0
"""Names that configs of old trainings hold still lead to the classes, and to no second copy."""

import importlib

import pytest
from mmengine.config import Config

from fastmetro_mm.body import joint_sets
from fastmetro_mm.compat.old_names import MOVED, new_name
from fastmetro_mm.engine.hooks.mesh_visualization_hook import MeshVisualizationHook


def test_a_moved_module_is_the_same_module():
    assert importlib.import_module('fastmetro_mm.body_models.joint_sets') is joint_sets
    old = importlib.import_module('fastmetro_mm.engine.mesh_visualization_hook')
    assert old.MeshVisualizationHook is MeshVisualizationHook
    assert joint_sets.__name__ == joint_sets.__spec__.name == 'fastmetro_mm.body.joint_sets'


@pytest.mark.parametrize('old', MOVED)
def test_every_old_name_leads_somewhere(old):
    name = f'fastmetro_mm.{old}'
    assert importlib.import_module(name) is importlib.import_module(new_name(name))


def test_a_config_of_an_old_training_is_read(tmp_path):
    path = tmp_path / 'dumped.py'
    path.write_text(
        'default_hooks = dict(visualization=dict(type='
        "'fastmetro_mm.engine.mesh_visualization_hook.MeshVisualizationHook'))\n"
    )
    from mmpose.registry import HOOKS

    hook = HOOKS.build(Config.fromfile(path).default_hooks.visualization)
    assert type(hook) is MeshVisualizationHook


def test_other_names_are_left_alone():
    assert new_name('fastmetro_mm.body.joint_sets') is None
    assert new_name('other.body_models') is None
    with pytest.raises(ModuleNotFoundError, match=r'body\.no_such'):
        importlib.import_module('fastmetro_mm.body_models.no_such')

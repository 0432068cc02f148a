# SPDX-License-Identifier: Apache-2.0
"""The import hook: lazy, complete, and out of the way of a real mmcv.ops."""

import importlib
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import fastmetro_mm.compat
from fastmetro_mm.compat.mmcv_ops import has_compiled_ops
from fastmetro_mm.compat.placeholders import FullMMCVRequiredError

needs_stand_in = pytest.mark.skipif(has_compiled_ops(), reason='full mmcv is installed')


def run_python(code: str, *paths: str) -> str:
    """Run code in a fresh interpreter, with ``paths`` in front of its import path."""
    head = f'import sys; sys.path[:0] = {list(paths)!r}\n'
    # the last word makes the package leave out its own subpackages (its __init__.py), so that
    # it can be imported beside a fake mmcv
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', head + textwrap.dedent(code), 'fastmetro_mm.doctor'],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_stand_in
def test_mmpose_and_mmdet_import_whole(repo_dir):
    out = run_python(
        """
        import fastmetro_mm.compat
        fastmetro_mm.compat.apply()
        import mmpose.models, mmpose.apis, mmdet.models, mmdet.apis
        print(mmdet.apis.inference_detector.__name__, fastmetro_mm.compat.is_stand_in())
        """,
        str(repo_dir),
    )
    assert out == 'inference_detector True'


def test_full_mmcv_is_not_overridden(repo_dir, tmp_path):
    ops = tmp_path / 'mmcv' / 'ops'
    ops.mkdir(parents=True)
    (tmp_path / 'mmcv' / '__init__.py').write_text('')
    (tmp_path / 'mmcv' / '_ext.py').write_text('')
    (ops / '__init__.py').write_text('nms = "compiled"\n')
    out = run_python(
        """
        import fastmetro_mm.compat
        fastmetro_mm.compat.apply()
        from mmcv.ops import nms
        print(nms, fastmetro_mm.compat.is_stand_in())
        """,
        str(tmp_path),
        str(repo_dir),
    )
    assert out == 'compiled False'


def test_broken_extension_warns_and_gets_stand_ins(repo_dir, tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').write_text('')
    (tmp_path / 'mmcv' / '_ext.py').write_text('raise ImportError("undefined symbol: _ZN3c10")')
    out = run_python(
        """
        import warnings
        import fastmetro_mm.compat
        fastmetro_mm.compat.apply()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            import mmcv.ops
        print([str(w.message) for w in caught if 'undefined symbol' in str(w.message)])
        print(fastmetro_mm.compat.is_stand_in())
        """,
        str(tmp_path),
        str(repo_dir),
    )
    warning, stand_in = out.splitlines()
    assert 'mmcv-lite==2.1.0' in warning
    assert stand_in == 'True'


def test_apply_twice_adds_one_hook():
    fastmetro_mm.compat.apply()
    before = len(sys.meta_path)
    fastmetro_mm.compat.apply()
    assert len(sys.meta_path) == before


@needs_stand_in
def test_every_name_of_mmcv_can_be_imported():
    # mmcv-lite ships the sources of mmcv.ops; its list of names is the contract
    import ast

    import mmcv

    source = importlib.util.find_spec('mmcv').submodule_search_locations[0] + '/ops/__init__.py'
    try:
        tree = ast.parse(open(source, encoding='utf-8').read())
    except FileNotFoundError:
        pytest.skip(f'mmcv {mmcv.__version__} has no sources of its ops')
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == '__all__'
    )
    ops = importlib.import_module('mmcv.ops')
    assert set(names) == set(ops.__all__)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            submodule = importlib.import_module(f'mmcv.ops.{node.module}')
            for alias in node.names:
                if alias.asname is None:
                    assert getattr(submodule, alias.name) is getattr(ops, alias.name)


@needs_stand_in
def test_missing_op_raises_on_use_only():
    from mmcv.ops import CARAFEPack, knn, sigmoid_focal_loss
    from mmcv.ops.merge_cells import SumCell

    class Derived(SumCell):
        pass

    assert not isinstance(nn.Linear(1, 1), CARAFEPack)
    for use, name in (
        (CARAFEPack, 'CARAFEPack'),
        (Derived, 'SumCell'),
        (knn, 'knn'),
        (sigmoid_focal_loss, 'sigmoid_focal_loss'),
    ):
        with pytest.raises(FullMMCVRequiredError, match=f'mmcv.ops.{name} needs full mmcv'):
            use(3, 4, 5)
    with pytest.raises(AttributeError):
        getattr(importlib.import_module('mmcv.ops'), 'no_such_op')  # noqa: B009 - the point
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('mmcv.ops.no_such_module')


@needs_stand_in
def test_layers_are_registered_for_configs():
    importlib.import_module('mmcv.ops')
    from mmcv.cnn import build_conv_layer

    layer = build_conv_layer(dict(type='DCNv2', deform_groups=2), 4, 6, 3, padding=1)
    assert layer(torch.zeros(1, 4, 5, 7)).shape == (1, 6, 5, 7)
    with pytest.raises(FullMMCVRequiredError, match='SAConv2d'):
        build_conv_layer(dict(type='SAC'), 4, 6, 3)

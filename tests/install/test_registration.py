# SPDX-License-Identifier: Apache-2.0
"""Importing the package costs nothing, and mmpose finds its classes however it is asked."""

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from fastmetro_mm.registration import LOCATIONS


def run_python(code: str, *arguments: str, cwd=None) -> str:
    """Run code in a fresh interpreter, as a user's script."""
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code), *arguments], cwd=cwd,
                          capture_output=True, text=True, timeout=240, check=False,
                          env={**os.environ, 'PYTHONWARNINGS': 'default'})
    assert done.returncode == 0, done.stderr[-3000:]
    # a warning that its users can do nothing about
    assert 'pkg_resources' not in done.stderr
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_mmpose():
    heavy = run_python('''
        import sys
        import fastmetro_mm
        fastmetro_mm.config_path('quickstart')
        print(sorted({'torch', 'numpy', 'mmengine', 'mmcv', 'mmpose', 'mmdet', 'cv2', 'scipy'}
                     & set(sys.modules)))
        ''')
    assert heavy == '[]'


def test_every_registered_class_is_found_by_name(repo_dir):
    pattern = re.compile(r'^@(\w+)\.register_module\(\)\s*\n(?:@.*\n)*class (\w+)', re.MULTILINE)
    classes = [found for path in sorted((repo_dir / 'fastmetro_mm').rglob('*.py'))
               for found in pattern.findall(path.read_text(encoding='utf-8'))]
    assert len(classes) > 40 and {name for name, _ in classes} == set(LOCATIONS)
    found = run_python('''
        import json, sys
        import fastmetro_mm
        import mmpose.registry
        # from those that import least to those that import most
        for kind, name in sorted(json.loads(sys.argv[1]), key=lambda pair: pair[0] == 'HOOKS'):
            found = getattr(mmpose.registry, kind).get(name)
            print(json.dumps([kind, name, found and found.__module__]))
        ''', json.dumps(classes))
    rows = [json.loads(line) for line in found.splitlines() if line.startswith('["')]
    assert len(rows) == len(classes)
    assert [row for row in rows if not (row[2] or '').startswith(LOCATIONS[row[0]])] == []


def test_registries_that_were_asked_before_look_again():
    out = run_python('''
        from mmpose.registry import DATASETS, HOOKS
        assert HOOKS.get('ExpMomentumEMA') is None and HOOKS.get('EpochSeedHook') is None
        import fastmetro_mm
        print(HOOKS.get('EpochSeedHook').__name__)
        from mmengine.registry import HOOKS as ROOT
        print(ROOT.get('mmpose.PlainCheckpointHook').__name__)
        ''')
    assert out.splitlines()[-2:] == ['EpochSeedHook', 'PlainCheckpointHook']


def test_registry_without_locations_still_gets_all_of_mmpose():
    code = '''
        import sys
        {first}
        from mmpose.registry import RUNNERS
        RUNNERS.get('Runner')
        print('mmpose.codecs' in sys.modules, 'mmpose.models' in sys.modules)
        '''
    assert run_python(code.format(first='import fastmetro_mm')).endswith('True True')


@pytest.mark.parametrize('way', ['lazy', 'text', 'merged'])
def test_configs_of_every_style_build(way, tmp_path):
    if way == 'lazy':
        code = '''
            import fastmetro_mm
            from mmengine.config import Config
            config = Config.fromfile(fastmetro_mm.config_path('quickstart'))
            from mmengine.registry import MODELS
            config.model.backbone.init_cfg = None
            print(type(MODELS.build(config.model)).__name__)
            '''
    elif way == 'text':
        config = tmp_path / 'mine.py'
        config.write_text(textwrap.dedent('''
            custom_imports = dict(imports=['fastmetro_mm'])
            default_scope = 'mmpose'
            model = dict(type='FastMETROLoss', body=dict(name='open_body'))
            data = dict(type='MeshCrop', size=96)
            '''))
        code = '''
            from mmengine.config import Config
            config = Config.fromfile('mine.py')
            from mmpose.registry import MODELS, TRANSFORMS
            TRANSFORMS.build(config.data)
            print(type(MODELS.build(config.model)).__name__)
            '''
    else:  # mmpose first, then us
        code = '''
            from mmpose.registry import MODELS
            import fastmetro_mm
            model = MODELS.build(dict(type='FastMETROLoss', body=dict(name='open_body')))
            print(type(model).__name__)
            '''
    expected = 'TopdownMeshEstimator' if way == 'lazy' else 'FastMETROLoss'
    assert run_python(code, cwd=tmp_path).splitlines()[-1] == expected


def test_mmengine_reads_checkpoints_through_our_loaders(tmp_path):
    out = run_python('''
        import fastmetro_mm
        from mmengine.runner import CheckpointLoader, load_checkpoint
        from torch import nn
        try:
            load_checkpoint(nn.Linear(2, 2), 'missing.pth')
        except FileNotFoundError as error:
            print(type(error).__name__)
        ''', cwd=tmp_path)
    assert out.splitlines()[-1] == 'CheckpointNotFoundError'


def test_missing_stack_is_one_line(tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(textwrap.dedent('''
        import importlib.machinery
        real = importlib.machinery.PathFinder.find_spec
        importlib.machinery.PathFinder.find_spec = lambda name, *rest, **more: (
            None if name == 'mmpose' else real(name, *rest, **more))
        '''))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    environment = {**os.environ, 'PYTHONPATH': path}
    done = subprocess.run([sys.executable, '-c', 'import fastmetro_mm'], env=environment,
                          capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert 'needs mmpose, not installed here; fix: python -m fastmetro_mm doctor --fix' in last
    for words in (['--help'], ['train', '--help'], ['models']):
        done = subprocess.run([sys.executable, '-m', 'fastmetro_mm', *words], env=environment,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, '-m', 'fastmetro_mm', 'train', 'quickstart'],
                          env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith('error: fastmetro_mm needs mmpose')

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
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, 'PYTHONWARNINGS': 'default'},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # a warning that its users can do nothing about
    assert 'pkg_resources' not in done.stderr
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_mmpose():
    heavy = run_python("""
        import sys
        import fastmetro_mm
        fastmetro_mm.config_path('quickstart')
        print(sorted({'torch', 'numpy', 'mmengine', 'mmcv', 'mmpose', 'mmdet', 'cv2', 'scipy'}
                     & set(sys.modules)))
        """)
    assert heavy == '[]'


def test_every_registered_class_is_found_by_name(repo_dir):
    pattern = re.compile(r'^@(\w+)\.register_module\(\)\s*\n(?:@.*\n)*class (\w+)', re.MULTILINE)
    classes = [
        found
        for path in sorted((repo_dir / 'fastmetro_mm').rglob('*.py'))
        for found in pattern.findall(path.read_text(encoding='utf-8'))
    ]
    assert len(classes) > 40 and {name for name, _ in classes} == set(LOCATIONS)
    found = run_python(
        """
        import json, sys
        import fastmetro_mm
        import mmpose.registry
        # from those that import least to those that import most
        for kind, name in sorted(json.loads(sys.argv[1]), key=lambda pair: pair[0] == 'HOOKS'):
            found = getattr(mmpose.registry, kind).get(name)
            print(json.dumps([kind, name, found and found.__module__]))
        """,
        json.dumps(classes),
    )
    rows = [json.loads(line) for line in found.splitlines() if line.startswith('["')]
    assert len(rows) == len(classes)
    assert [row for row in rows if not (row[2] or '').startswith(LOCATIONS[row[0]])] == []


def test_registries_that_were_asked_before_look_again():
    out = run_python("""
        from mmpose.registry import DATASETS, HOOKS
        assert HOOKS.get('ExpMomentumEMA') is None and HOOKS.get('EpochSeedHook') is None
        import fastmetro_mm
        print(HOOKS.get('EpochSeedHook').__name__)
        from mmengine.registry import HOOKS as ROOT
        print(ROOT.get('mmpose.PlainCheckpointHook').__name__)
        """)
    assert out.splitlines()[-2:] == ['EpochSeedHook', 'PlainCheckpointHook']


def test_registry_without_locations_still_gets_all_of_mmpose():
    code = """
        import sys
        {first}
        from mmpose.registry import RUNNERS
        RUNNERS.get('Runner')
        print('mmpose.codecs' in sys.modules, 'mmpose.models' in sys.modules)
        """
    assert run_python(code.format(first='import fastmetro_mm')).endswith('True True')


@pytest.mark.parametrize('way', ['lazy', 'text', 'merged'])
def test_configs_of_every_style_build(way, tmp_path):
    if way == 'lazy':
        code = """
            import fastmetro_mm
            from mmengine.config import Config
            config = Config.fromfile(fastmetro_mm.config_path('quickstart'))
            from mmengine.registry import MODELS
            config.model.backbone.init_cfg = None
            print(type(MODELS.build(config.model)).__name__)
            """
    elif way == 'text':
        config = tmp_path / 'mine.py'
        config.write_text(
            textwrap.dedent("""
            custom_imports = dict(imports=['fastmetro_mm'])
            default_scope = 'mmpose'
            model = dict(type='FastMETROLoss', body=dict(name='open_body'))
            data = dict(type='MeshCrop', size=96)
            """)
        )
        code = """
            from mmengine.config import Config
            config = Config.fromfile('mine.py')
            from mmpose.registry import MODELS, TRANSFORMS
            TRANSFORMS.build(config.data)
            print(type(MODELS.build(config.model)).__name__)
            """
    else:  # mmpose first, then us
        code = """
            from mmpose.registry import MODELS
            import fastmetro_mm
            model = MODELS.build(dict(type='FastMETROLoss', body=dict(name='open_body')))
            print(type(model).__name__)
            """
    expected = 'TopdownMeshEstimator' if way == 'lazy' else 'FastMETROLoss'
    assert run_python(code, cwd=tmp_path).splitlines()[-1] == expected


def test_other_peoples_models_load_as_without_us_and_their_files_are_read(tmp_path):
    """The loaders of mmengine stay; NumPy values and log history are allowed."""
    out = run_python(
        """
        import fastmetro_mm, pickle
        import numpy as np, torch
        from mmengine.logging import HistoryBuffer
        from mmengine.runner import CheckpointLoader, load_checkpoint
        from torch import nn
        print(sorted({loader.__module__ for loader in CheckpointLoader._schemes.values()}))
        weights = nn.Linear(2, 2).state_dict()
        meta = dict(dataset_meta=dict(sigmas=np.full(17, 0.1), num=np.int64(17),
                                      names=np.array(['a', None], object), texts=np.array(['b'])))
        hub = dict(log_scalars=dict(loss=HistoryBuffer([1.0, 3.0], [1, 1])))
        torch.save(dict(state_dict=weights, meta=meta, message_hub=hub), 'other.pth')
        model = nn.Linear(2, 2)
        back = load_checkpoint(model, 'other.pth', map_location='cpu')
        assert torch.equal(model.weight, weights['weight'])
        history = back['message_hub']['log_scalars']['loss']
        history.update(5.0)
        print(type(history).__name__, history.mean(), history.statistics('max'))
        print(back['meta']['dataset_meta']['sigmas'].sum().round(3))

        class Escape:
            def __reduce__(self):
                return getattr, (HistoryBuffer, '__init__')

        for evil in (Escape(), {'a': Escape()}):
            torch.save(evil, 'evil.pth')
            try:
                load_checkpoint(model, 'evil.pth')
                print('read')
            except (pickle.UnpicklingError, ValueError) as error:
                print('refused')
        """,
        cwd=tmp_path,
    )
    lines = [line for line in out.splitlines() if not line.startswith('Loads checkpoint')][-5:]
    assert lines == [
        "['mmengine.runner.checkpoint']",
        'HistoryBuffer 3.0 5.0',
        '1.7',
        'refused',
        'refused',
    ]


def test_init_model_reads_weights_of_ours_through_our_reader(tmp_path):
    """Formats that mmengine does not know, and one line about what is no checkpoint."""
    out = run_python(
        """
        import fastmetro_mm, torch
        from mmengine.config import Config
        from fastmetro_mm.config_files import config_path
        from mmpose.apis import init_model
        from safetensors.torch import save_file
        config = Config.fromfile(config_path('quickstart'))
        model = init_model(config, device='cpu')
        state = {name: value.clone() for name, value in model.state_dict().items()}
        save_file(state, 'a.safetensors')
        torch.save({'params': {'module.' + name: value for name, value in state.items()}},
                   'b.pth', pickle_protocol=5)
        for file in ('a.safetensors', 'b.pth'):
            other = init_model(config, file, device='cpu')
            own = other.state_dict()
            print(all(torch.equal(value, own[name]) for name, value in state.items()))
        open('c.pth', 'w').write('<html>Sign in</html>')
        torch.save({'weight': torch.zeros(2)}, 'd.pth')
        for file in ('c.pth', 'd.pth'):
            try:
                init_model(config, file, device='cpu')
            except ValueError as error:
                print(error)
        """,
        cwd=tmp_path,
    )
    lines = out.splitlines()[-4:]
    assert lines[:2] == ['True', 'True']
    assert lines[2].startswith('c.pth: expected a checkpoint, but the file is a web page')
    assert lines[3].startswith('d.pth: does not fit the config: ')


def test_missing_stack_is_one_line(tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(
        textwrap.dedent("""
        import importlib.machinery
        real = importlib.machinery.PathFinder.find_spec
        importlib.machinery.PathFinder.find_spec = lambda name, *rest, **more: (
            None if name == 'mmpose' else real(name, *rest, **more))
        """)
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    environment = {**os.environ, 'PYTHONPATH': path}
    done = subprocess.run(
        [sys.executable, '-c', 'import fastmetro_mm'],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert 'needs mmpose, not installed here; fix: python -m fastmetro_mm doctor --fix' in last
    for words in (['--help'], ['train', '--help'], ['models']):
        done = subprocess.run(
            [sys.executable, '-m', 'fastmetro_mm', *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    script = tmp_path / 'bin' / 'fastmetro'  # as pip writes it
    script.parent.mkdir()
    script.write_text('import sys\nfrom fastmetro_mm.cli import main\nsys.exit(main())\n')
    for start in (['-m', 'fastmetro_mm'], [str(script)]):
        done = subprocess.run(
            [sys.executable, *start, 'train', 'quickstart'],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert done.stderr.startswith('error: fastmetro_mm needs mmpose')

# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed into a second environment without the checkout, is complete."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Reads every config through the installed wheel and builds its transforms, metrics and model. The
# licensed bodies are exchanged for the open ones, which have the same sizes.
CHECK = """
import json
import fastmetro_mm
from mmengine import Config
from mmpose.registry import METRICS, MODELS, TRANSFORMS

OPEN = {'smpl': 'open_body', 'mano': 'open_hand'}

def as_list(value):
    return value if isinstance(value, (list, tuple)) else [value]

def use_open_bodies(value):
    if isinstance(value, dict):
        if value.get('name') in OPEN:
            value['name'] = OPEN[value['name']]
        children = value.values()
    else:
        children = value if isinstance(value, (list, tuple)) else ()
    for child in children:
        use_open_bodies(child)

parameters = {}
for name in fastmetro_mm.config_names():
    config = Config.fromfile(fastmetro_mm.config_path(name))
    use_open_bodies(config._cfg_dict)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in config[loader].dataset.pipeline:
            TRANSFORMS.build(transform)
    for metric in as_list(config.val_evaluator) + as_list(config.test_evaluator):
        METRICS.build(metric)
    parameters[name] = sum(p.numel() for p in MODELS.build(config.model).parameters())
from fastmetro_mm.body.assets import load_body_assets
print(json.dumps(dict(
    file=fastmetro_mm.__file__, parameters=parameters,
    open_body=load_body_assets('open_body').num_vertices,
    open_hand=load_body_assets('open_hand').num_vertices)))
"""


@pytest.fixture(scope='module')
def wheel(repo_dir, tmp_path_factory) -> Path:
    """The wheel, built from a copy so that no build folder appears in the checkout."""
    source = tmp_path_factory.mktemp('source')
    skip = shutil.ignore_patterns('__pycache__', '*.py[cod]')
    for folder in ('fastmetro_mm', 'configs', 'tools', 'requirements'):
        if (repo_dir / folder).is_dir():
            shutil.copytree(repo_dir / folder, source / folder, ignore=skip)
    for name in (
        'setup.py',
        'pyproject.toml',
        'MANIFEST.in',
        'LICENSE',
        'README.md',
        'model-index.yml',
    ):
        if (repo_dir / name).is_file():
            shutil.copy(repo_dir / name, source)
    out = tmp_path_factory.mktemp('wheel')
    run(
        [
            sys.executable,
            '-m',
            'pip',
            'wheel',
            '--no-build-isolation',
            '--no-deps',
            '--no-index',
            '--quiet',
            '--wheel-dir',
            str(out),
            str(source),
        ]
    )
    (path,) = out.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installed_python(wheel, tmp_path_factory) -> Path:
    """Interpreter of a second environment that holds the wheel and sees our dependencies."""
    folder = tmp_path_factory.mktemp('clean') / 'venv'
    venv.create(folder, with_pip=False)
    python = folder / 'bin' / 'python'
    site = Path(run([str(python), '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']))
    # A path from a .pth file does not run the .pth files in it, so the editable install of the
    # checkout stays out of sight.
    (site / 'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')
    run(
        [
            sys.executable,
            '-m',
            'pip',
            '--python',
            str(python),
            'install',
            '--no-deps',
            '--no-index',
            '--quiet',
            '--force-reinstall',
            '--target',
            str(site),
            str(wheel),
        ]
    )
    return python


def run(command: list[str], **options) -> str:
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_wheel_holds_data_configs_and_notices(wheel, repo_dir):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(n for n in names if n.endswith('/METADATA'))).decode()
    for source in (repo_dir / 'configs').rglob('*.py'):
        assert f'fastmetro_mm/.mim/configs/{source.relative_to(repo_dir / "configs")}' in names
    for folder in ('body/open_body', 'model_zoo/weights'):
        for source in (repo_dir / 'fastmetro_mm' / folder).iterdir():
            if source.is_file():
                assert f'fastmetro_mm/{folder}/{source.name}' in names
    for source in (repo_dir / 'fastmetro_mm').rglob('*.py'):
        assert source.relative_to(repo_dir).as_posix() in names
    assert any(name.endswith('LICENSE') and 'dist-info' in name for name in names)
    assert not any(name.startswith('tests/') or name.endswith('.pyc') for name in names)
    assert 'Requires-Python: >=3.10' in metadata
    # mmpose would pull chumpy, which cannot be built; a fork of mmengine or mmcv must stay
    assert not re.search(r'Requires-Dist: (?:mmpose|mmcv|mmengine|mmdet)(?!.*extra ==)', metadata)
    # what setup.sh installs for running is what pip installs with the wheel
    stack = [
        Requirement(line)
        for line in (repo_dir / 'requirements/stack.txt').read_text().splitlines()
        if line and not line.startswith('#')
    ]
    # building xtcocotools, and the extras
    apart = {'wheel', 'cython', 'smplx', 'pyrender', 'trimesh'}
    asked = {
        Requirement(line).name.lower()
        for line in re.findall(r'Requires-Dist: (.*)', metadata)
        if 'extra ==' not in line
    }
    assert {requirement.name.lower() for requirement in stack} - apart <= asked
    assert {'fastmetro_mm/py.typed', 'fastmetro_mm/.mim/model-index.yml'} <= names
    assert wheel.stat().st_size < 60 << 20


@pytest.mark.filterwarnings('ignore')
def test_every_config_loads_and_builds_through_the_wheel(installed_python, repo_dir, tmp_path):
    result = json.loads(
        run([str(installed_python), '-W', 'ignore', '-c', CHECK], cwd=tmp_path).splitlines()[-1]
    )
    assert not Path(result['file']).is_relative_to(repo_dir)
    assert result['open_body'] == [6890, 1723, 431] and result['open_hand'] == [778, 195]
    assert set(result['parameters']) == {path.stem for path in (repo_dir / 'configs').glob('*.py')}
    assert min(result['parameters'].values()) > 1e6


def test_installed_doctor_finds_the_configs(installed_python, tmp_path):
    code = (
        'from fastmetro_mm.doctor.software import check_configs; '
        'finding = check_configs(); print(finding.state, finding.detail)'
    )
    out = run(
        [str(installed_python), '-W', 'ignore', '-c', code, 'fastmetro_mm.doctor'], cwd=tmp_path
    )
    assert out.startswith('ok ') and out.endswith('.mim/configs')

# SPDX-License-Identifier: Apache-2.0
"""The package imports without its optional parts, and names what a missing required one needs."""

import subprocess
import sys
import textwrap

import pytest


def run_without(repo_dir, blocked: list[str], code: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter in which some modules cannot be imported."""
    head = (
        f'import sys\nsys.path.insert(0, {str(repo_dir)!r})\n'
        f'sys.modules.update(dict.fromkeys({blocked!r}))\n'
    )
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', head + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_package_needs_neither_detector_nor_opengl_nor_smplx(repo_dir):
    done = run_without(
        repo_dir,
        ['mmdet', 'OpenGL', 'pyrender', 'smplx'],
        """
        import fastmetro_mm
        import mmpose.apis, mmpose.models
        from mmpose.registry import MODELS
        assert 'RTMOHead' in MODELS and 'TopdownMeshEstimator' in MODELS
        # nothing pretends that mmdet is there
        assert sys.modules['mmdet'] is None and 'mmdet.utils' not in sys.modules
        from mmpose.models.heads.hybrid_heads.rtmo_head import reduce_mean
        try:
            reduce_mean(1)
        except RuntimeError as error:
            print(error)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert 'needs mmdet' in done.stdout and 'mmdet==3.3.0' in done.stdout


def test_package_loads_none_of_the_optional_parts(repo_dir):
    done = run_without(
        repo_dir,
        [],
        """
        import fastmetro_mm
        # not mmdet: mmpose.apis loads it itself where it is installed
        names = ('OpenGL', 'pyrender', 'smplx', 'chumpy')
        print([name for name in names if name in sys.modules])
        from mmpose.models.heads.hybrid_heads.rtmo_head import reduce_mean
        import torch
        print(reduce_mean(torch.tensor(2.)))
        """,
    )
    assert done.stdout.splitlines() == ['[]', 'tensor(2.)'], done.stderr


@pytest.mark.parametrize(
    ('missing', 'fix'),
    [
        ('mmpose', 'pip install --no-deps mmengine==0.10.7 mmcv-lite==2.1.0 mmpose==1.3.2'),
        ('munkres', 'pip install addict json_tricks'),
    ],
)
def test_missing_requirement_is_one_clear_error(repo_dir, missing, fix):
    done = run_without(repo_dir, [missing], 'import fastmetro_mm')
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f'ModuleNotFoundError: fastmetro_mm needs {missing}')
    assert fix in last and 'fix: python -m fastmetro_mm doctor --fix' in last

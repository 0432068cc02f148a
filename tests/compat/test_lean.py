# SPDX-License-Identifier: Apache-2.0
"""Packages that wait: nothing heavy for a photo, nothing missing for whoever asks."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from fastmetro_mm.compat.lean import without_garbage_collection

# what a photo has no use for
HEAVY = (
    'mmdet',
    'mmpose.apis',
    'mmpose.visualization',
    'torchvision',
    'scipy.optimize',
    'scipy.stats',
    'matplotlib',
    'sympy',
    'torch.distributed.fsdp',
    'torch._dynamo',
)


def run(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        # tests of OpenGL set it for their process
        env={name: value for name, value in os.environ.items() if name != 'PYOPENGL_PLATFORM'},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize('lean', ['lean', 'plain'])
def test_one_image_imports_little_and_gives_the_same_mesh(lean, tmp_path_factory):
    out = json.loads(
        run(
            """
        import json, sys
        import numpy as np
        import fastmetro_mm
        from fastmetro_mm.compat import lean
        if sys.argv[1] == 'lean':
            lean.use()
        import torch
        from fastmetro_mm.apis import MeshInferencer
        torch.manual_seed(0)
        inferencer = MeshInferencer('quickstart')
        image = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8)
        frame, = inferencer(image, bboxes=[[10, 10, 110, 110]])
        print(json.dumps(dict(
            sum=float(np.abs(frame.people[0].vertices).sum()),
            heavy=[name for name in sys.argv[2:] if name in sys.modules])))
        """,
            lean,
            *HEAVY,
        )
    )
    if lean == 'lean':
        assert out['heavy'] == []
    results.setdefault('sum', out['sum'])
    assert out['sum'] == pytest.approx(results['sum'], rel=1e-6)


results: dict[str, float] = {}

# what the demo draws, finds and saves without
UNUSED = (
    *HEAVY, 'OpenGL', 'pyrender', 'trimesh', 'mmpose.models.heads', 'mmpose.models.losses', 'av',
    'scipy.spatial', 'fastmetro_mm.evaluation',
)  # fmt: skip


def test_the_demo_imports_only_what_the_shipped_model_uses(repo_dir, tmp_path):
    """From a checkout, with the package's own detector, to all default files."""
    out = json.loads(
        run(
            """
        import json, runpy, sys
        demo, image, out, *unused = sys.argv[1:]
        sys.argv = [demo, image, '--out', out, '--quiet']
        try:
            runpy.run_path(demo, run_name='__main__')
        except SystemExit as end:
            code = end.code
        heavy = [name for name in unused if name in sys.modules]
        print(json.dumps(dict(code=code, heavy=heavy)))
        """,
            str(repo_dir / 'tools' / 'demo.py'),
            str(repo_dir / 'tests' / 'data' / 'free_model' / 'several_people.jpg'),
            str(tmp_path),
            *UNUSED,
        )
    )
    assert out == {'code': 0, 'heavy': []}
    ends = {path.name.removeprefix('several_people') for path in tmp_path.iterdir()}
    assert ends == {'_overlay.jpg', '.npz', '.json', '.glb', '.html'}


def test_garbage_is_collected_again_after_imports():
    import gc

    with pytest.raises(ImportError), without_garbage_collection():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_whatever_is_asked_for_is_there():
    out = run("""
        import fastmetro_mm
        from fastmetro_mm.compat import lean
        lean.use()
        from mmengine.model import BaseModule
        from mmpose.models.backbones import ResNet
        import sys
        assert 'mmpose.models.heads' not in sys.modules
        from mmpose.registry import HOOKS, MODELS, TRANSFORMS
        assert MODELS.get('TopdownPoseEstimator') is not None          # fills the shells
        assert MODELS.get('ResNet') is ResNet and MODELS.get('NoSuchThing') is None
        assert TRANSFORMS.get('TopdownAffine') is not None
        assert HOOKS.get('EpochSeedHook') is not None
        from mmengine.model import BaseModule as again, MMDistributedDataParallel
        from mmengine.runner import Runner
        from mmengine.optim import AmpOptimWrapper
        import mmpose.datasets, mmpose.apis
        assert again is BaseModule and mmpose.datasets.CombinedDataset is not None
        try:
            mmpose.models.no_such_name
        except AttributeError as error:
            print(error)
        """)
    assert out == "module 'mmpose.models' has no attribute 'no_such_name'"

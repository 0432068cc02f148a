# SPDX-License-Identifier: Apache-2.0
"""Compiling or exporting after drawing: two LLVMs in one process."""

import subprocess
import sys

import pytest

CODE = """
import os
from fastmetro_mm.errors import RendererUnavailableError
from fastmetro_mm.visualization.pyrender_renderer import PyrenderRenderer, _shared_offscreen
try:
    PyrenderRenderer()
    _shared_offscreen(os.getpid())
except RendererUnavailableError:
    print('unavailable')
    raise SystemExit
import torch._dynamo
print('both')
"""


def test_torch_compiles_after_opengl_was_used():
    pytest.importorskip('triton')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', CODE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    if done.stdout.strip() == 'unavailable':
        pytest.skip('pyrender does not draw here')
    assert done.stdout.strip() == 'both'

# SPDX-License-Identifier: Apache-2.0
"""FastMETRO mesh recovery as a plugin for mmpose 1.x.

Importing the package makes its classes known to mmpose's registries, which import them when they
are asked for one, and lets mmpose run without compiled operators. It imports neither torch nor
mmpose, and needs no OpenGL, mmdet, smplx or body file.
"""

import importlib
import os
import sys

from fastmetro_mm import compat, registration
from fastmetro_mm.compat.stack import require_stack
from fastmetro_mm.config_files import config_names, config_path

__version__ = '0.1.0'
__all__ = ['config_names', 'config_path']

# Subpackages that `import fastmetro_mm` alone gives access to, imported when used.
_SUBPACKAGES = ('apis', 'datasets', 'engine', 'evaluation', 'models', 'visualization')


def __getattr__(name: str):
    if name in _SUBPACKAGES:
        return importlib.import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


# before anything of ours (or of the user) imports mmpose.models or mmdet
compat.apply()
registration.install()
# Our command line says itself what a command lacks: help and the doctor must run without the stack.
# (orig_argv: `python -m fastmetro_mm ...` or `python .../bin/fastmetro ...`)
if not {'fastmetro', 'fastmetro_mm', 'fastmetro_mm.doctor'} & {
    os.path.basename(word) for word in sys.orig_argv
}:
    require_stack()

# SPDX-License-Identifier: Apache-2.0
"""FastMETRO mesh recovery as a plugin for mmpose 1.x.

Importing the package registers its classes in mmpose's registries. It needs no OpenGL, mmdet,
smplx or body file.
"""

import importlib
import sys

from fastmetro_mm import compat
from fastmetro_mm.compat.stack import DOCTOR, SETUP_SCRIPT, mend_for
from fastmetro_mm.config_files import config_names, config_path

__version__ = '0.1.0'
__all__ = ['config_names', 'config_path']

# Subpackages with registered classes.
REGISTERING = ('models', 'datasets', 'evaluation', 'engine', 'visualization')


def _register() -> None:
    """Import the subpackages with registered classes."""
    try:
        for name in REGISTERING:
            importlib.import_module(f'{__name__}.{name}')
    except ModuleNotFoundError as error:
        missing = (error.name or '').split('.')[0]
        if missing in ('', __name__):
            raise
        raise ModuleNotFoundError(
            f'fastmetro_mm needs {error.name}, which is not installed; mend: {mend_for(missing)} '
            f'(or everything: {SETUP_SCRIPT}; a full report: {DOCTOR})', name=error.name) from error


# before anything of ours (or of the user) imports mmpose.models or mmdet
compat.apply()
# The doctor must run where the stack is incomplete; it imports the subpackages itself.
if 'fastmetro_mm.doctor' not in sys.orig_argv:
    _register()

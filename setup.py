# SPDX-License-Identifier: Apache-2.0
"""The build step that carries configs and scripts into the wheel; metadata: pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# Folders of the checkout that users of the wheel need too. `.mim` is where mim and
# mmengine.hub look for the configs of an installed OpenMMLab package.
CARRIED = ('configs', 'tools', 'model-index.yml')


class BuildPyWithConfigs(build_py):
    """Copies them into the built package; an editable install uses the checkout."""

    def run(self) -> None:
        """Build the modules, then add what is carried."""
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        for name in CARRIED:
            source, target = ROOT / name, Path(self.build_lib) / 'fastmetro_mm' / '.mim' / name
            if source.is_dir():
                # a file deleted from the checkout must not live on in build/
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(
                    source, target, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]')
                )
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


setup(cmdclass={'build_py': BuildPyWithConfigs})

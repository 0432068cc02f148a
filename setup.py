# SPDX-License-Identifier: Apache-2.0
"""Package metadata of fastmetro_mm; the tool settings are in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# Folders of the checkout that users of the wheel need too. `.mim` is where mim and
# mmengine.hub look for the configs of an installed OpenMMLab package.
CARRIED = ('configs', 'tools')


def read_version() -> str:
    """Version from the package, without importing it (and with it torch)."""
    text = (ROOT / 'fastmetro_mm' / '__init__.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("fastmetro_mm/__init__.py has no line __version__ = '...'")
    return found.group(1)


def read_long_description() -> str:
    """The README, or nothing in a tree without one."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


class BuildPyWithConfigs(build_py):
    """Copies configs and tools into the built package; an editable install uses the checkout."""

    def run(self) -> None:
        """Build the modules, then add the carried folders."""
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        for name in CARRIED:
            target = Path(self.build_lib) / 'fastmetro_mm' / '.mim' / name
            # a file deleted from the checkout must not live on in build/
            shutil.rmtree(target, ignore_errors=True)
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, target, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))


setup(
    name='fastmetro_mm',
    version=read_version(),
    description='FastMETRO mesh recovery as a plugin for mmpose 1.x',
    long_description=read_long_description(),
    long_description_content_type='text/markdown',
    author='The fastmetro_mm authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='computer vision, human mesh recovery, pose estimation, transformer, mmpose',
    python_requires='>=3.10',
    packages=find_packages(include=['fastmetro_mm', 'fastmetro_mm.*']),
    package_data={
        'fastmetro_mm.body.open_body': ['*.npz', '*.md', '*.txt', 'LICENSE*', 'NOTICE*'],
        # a data folder need not be a package of its own
        'fastmetro_mm.body': ['open_body/*'],
        'fastmetro_mm.model_zoo': ['weights/*'],
        'fastmetro_mm.synthetic': ['assets/*'],
    },
    cmdclass={'build_py': BuildPyWithConfigs},
    zip_safe=False,
    # mmpose, mmdet, mmcv(-lite) and xtcocotools are left out on purpose: mmpose 1.3.2 would pull
    # chumpy, which does not build today; mmcv and mmcv-lite are the same folder; xtcocotools must
    # be built against the installed NumPy. tools/setup.sh installs them, and both the error at
    # import and `python -m fastmetro_mm.doctor` name the command.
    install_requires=[
        'json_tricks',
        'matplotlib',
        'mmengine>=0.10.4,<0.11',
        'munkres',
        'numpy',
        'pillow',
        'PyYAML',
        'safetensors',
        'scipy',
        'setuptools<81',  # mmengine 0.10 imports pkg_resources
        'shapely',
        'terminaltables',
        'torch>=2.4',  # fused AdamW and autocast queries on the CPU
        'torchvision>=0.19',
        'tqdm',
    ],
    extras_require={
        'render': ['pyrender>=0.1.45', 'trimesh'],
        'smpl': ['smplx>=0.1.28'],
        'export': ['onnx', 'onnxscript', 'onnxruntime'],
        'dev': ['pytest>=8', 'pytest-xdist', 'ruff'],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)

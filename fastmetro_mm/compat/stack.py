# SPDX-License-Identifier: Apache-2.0
"""Which third-party modules the package needs, and the command that installs each."""

import importlib.util
from dataclasses import dataclass

TORCH = 'pip install torch==2.14.1 torchvision==0.29.1'
OPENMMLAB = 'pip install --no-deps mmengine==0.10.7 mmcv-lite==2.1.0 mmpose==1.3.2 mmdet==3.3.0'
# what mmpose and mmdet need at run time, without chumpy (which does not build and is not imported)
OPENMMLAB_NEEDS = (
    'pip install addict json_tricks matplotlib munkres pycocotools rich shapely six '
    'termcolor terminaltables yapf "setuptools<81"'
)
XTCOCOTOOLS = (
    'pip install "Cython<4" "setuptools<81" wheel && pip install --no-build-isolation '
    '--no-binary xtcocotools xtcocotools==1.14.3'
)
SETUP_SCRIPT = 'bash tools/setup.sh'
DOCTOR = 'python -m fastmetro_mm doctor'
DOCTOR_FIX = f'{DOCTOR} --fix'


@dataclass(frozen=True)
class Need:
    """A third-party module."""

    module: str  # name for ``import``
    # names under which an installer knows it; the first one found counts
    distributions: tuple[str, ...]
    fix: str  # command that installs it
    required: bool = True  # whether training and inference on the open body need it
    purpose: str = ''  # what is missing without it


NEEDS = (
    Need('numpy', ('numpy',), 'pip install numpy'),
    Need('scipy', ('scipy',), 'pip install scipy'),
    Need('torch', ('torch',), TORCH),
    Need('torchvision', ('torchvision',), TORCH),
    Need(
        'cv2',
        (
            'opencv-python-headless',
            'opencv-python',
            'opencv-contrib-python',
            'opencv-contrib-python-headless',
        ),
        'pip install opencv-python-headless',
    ),
    Need('pkg_resources', ('setuptools',), 'pip install "setuptools<81"'),
    Need('mmengine', ('mmengine', 'mmengine-lite', 'onedl-mmengine'), OPENMMLAB),
    Need('mmcv', ('mmcv', 'mmcv-lite', 'onedl-mmcv'), OPENMMLAB),
    Need('mmpose', ('mmpose',), OPENMMLAB),
    Need('json_tricks', ('json-tricks',), OPENMMLAB_NEEDS),
    Need('munkres', ('munkres',), OPENMMLAB_NEEDS),
    Need('pycocotools', ('pycocotools',), 'pip install pycocotools'),
    Need('av', ('av',), 'pip install av'),
    Need('simplejpeg', ('simplejpeg',), 'pip install simplejpeg'),
    Need('safetensors', ('safetensors',), 'pip install safetensors'),
    # a stand-in on pycocotools serves where it is missing, fastmetro_mm.compat.xtcocotools
    Need(
        'xtcocotools._mask',
        ('xtcocotools',),
        XTCOCOTOOLS,
        False,
        "mmpose's scores for key points of crowds and whole bodies",
    ),
    Need(
        'mmdet',
        ('mmdet', 'onedl-mmdetection'),
        f'{OPENMMLAB} && {OPENMMLAB_NEEDS}',
        False,
        'finding people in whole images',
    ),
    Need(
        'smplx', ('smplx',), 'pip install smplx==0.1.28', False, "body models with backend='smplx'"
    ),
    Need(
        'pyrender',
        ('pyrender',),
        'pip install pyrender==0.1.45',
        False,
        'fast drawing through OpenGL',
    ),
)


def fix_for(module: str) -> str:
    """Command that installs the distribution of a top-level module."""
    for need in NEEDS:
        if need.module.split('.')[0] == module:
            return need.fix
    return f'pip install {module}'


def missing_modules() -> list[Need]:
    """Required modules that are not installed; imports none of them."""
    return [
        need for need in NEEDS if need.required and importlib.util.find_spec(need.module) is None
    ]


def require_stack() -> None:
    """Check that the modules without which nothing works are there; imports none of them.

    Raises:
        ModuleNotFoundError: Some are missing; the message is one line with the command.
    """
    missing = missing_modules()
    if missing:
        names = ', '.join(need.module for need in missing)
        raise ModuleNotFoundError(
            f'fastmetro_mm needs {names}, not installed here; fix: {DOCTOR_FIX} (in a checkout: '
            f'{SETUP_SCRIPT}; or by hand: {missing[0].fix})',
            name=missing[0].module,
        )

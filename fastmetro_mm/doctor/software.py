# SPDX-License-Identifier: Apache-2.0
"""Checks of Python, the installed modules, torch and the package itself."""

import importlib
import importlib.metadata
import platform
import sys
import warnings

from fastmetro_mm.compat.mmcv_ops import has_compiled_ops
from fastmetro_mm.compat.stack import NEEDS, OPENMMLAB, TORCH, Need
from fastmetro_mm.doctor.finding import Finding


def one_line(error: BaseException) -> str:
    """Class and first line of an error."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0] if lines else "no message"}'


def check_python() -> Finding:
    """Version of the interpreter."""
    detail = f'{platform.python_version()} ({sys.executable})'
    if sys.version_info >= (3, 10):  # noqa: UP036 - run by whatever Python the user has
        return Finding('python', 'ok', detail)
    return Finding(
        'python',
        'problem',
        f'{detail}; >= 3.10 is needed',
        'bash tools/setup.sh --python python3.11',
    )


def installed_version(need: Need) -> str:
    """Names and versions of the installed distributions of a module, or '' if there is none."""
    found = []
    for name in need.distributions:
        try:
            found.append(f'{name} {importlib.metadata.version(name)}')
        except importlib.metadata.PackageNotFoundError:
            continue
    return ', '.join(found)


def check_module(need: Need) -> Finding:
    """Import a module and report its version."""
    name = need.module.split('.')[0]
    version = installed_version(need)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module(need.module)
    # whatever the import of a foreign package raises is the finding: AssertionError of version
    # checks, AttributeError and OSError of missing system libraries, ValueError of NumPy's ABI
    except Exception as error:
        reason = 'not installed' if not version else f'{version} does not load ({one_line(error)})'
        if need.purpose:
            reason += f'; needed for {need.purpose}'
        return Finding(name, 'problem' if need.required else 'note', reason, need.fix)
    return Finding(name, 'ok', version or 'present, version unknown')


def check_modules() -> list[Finding]:
    """All third-party modules."""
    return [check_module(need) for need in NEEDS]


def check_mmcv_ops() -> Finding:
    """Full mmcv, or the stand-ins."""
    try:
        if has_compiled_ops():
            return Finding('mmcv.ops', 'ok', 'full mmcv: compiled operators')
        importlib.import_module('mmcv.ops')
    except Exception as error:
        return Finding('mmcv.ops', 'problem', one_line(error), OPENMMLAB)
    return Finding(
        'mmcv.ops',
        'ok',
        'mmcv-lite: stand-ins for nms, roi_align and deformable convolution; others '
        'raise an error when used',
    )


def check_torchvision_ops() -> Finding:
    """Run one compiled torchvision operator: a build for another torch imports, but has none."""
    name = 'torchvision.ops'
    try:
        import torch
        import torchvision

        kept = torchvision.ops.nms(
            torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]), torch.tensor([0.5, 0.9]), 0.5
        )
    except Exception as error:
        return Finding(name, 'problem', one_line(error), TORCH)
    if kept.tolist() != [1]:
        return Finding(name, 'problem', f'nms gave {kept.tolist()} instead of [1]', TORCH)
    return Finding(name, 'ok', 'run')


def check_cuda() -> Finding:
    """CUDA devices of torch."""
    try:
        import torch

        build = torch.version.cuda
        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        works = torch.cuda.is_available()
    except Exception as error:
        return Finding('cuda', 'note', one_line(error), 'bash tools/setup.sh --torch cuda')
    if works:
        return Finding('cuda', 'ok', f'CUDA {build}: {", ".join(devices)}')
    if build is None:
        return Finding(
            'cuda',
            'note',
            'torch is a CPU build; everything runs, but slowly',
            'bash tools/setup.sh --torch cuda --torch-index URL',
        )
    return Finding(
        'cuda',
        'note',
        f'no device (torch is built for CUDA {build}); everything runs on the CPU, but slowly',
        'check the driver with nvidia-smi',
    )


def check_package() -> Finding:
    """Import everything of the package that is registered."""
    import fastmetro_mm

    detail = f'{fastmetro_mm.__version__} in {fastmetro_mm.__path__[0]}'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            fastmetro_mm.registration.import_all()
    except Exception as error:
        return Finding(
            'fastmetro_mm',
            'problem',
            f'{detail} does not load ({one_line(error)})',
            'fix the problems above, or run bash tools/setup.sh',
        )
    return Finding('fastmetro_mm', 'ok', detail)


def check_configs() -> Finding:
    """The shipped configs."""
    from fastmetro_mm.config_files import config_names, config_root

    try:
        return Finding('configs', 'ok', f'{len(config_names())} in {config_root()}')
    except FileNotFoundError as error:
        return Finding('configs', 'problem', str(error), 'install fastmetro_mm again')

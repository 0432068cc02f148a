# SPDX-License-Identifier: Apache-2.0
"""The only place where a file may run code: the user has vouched for that very file."""

import os
from typing import Any

import torch

from fastmetro_mm.foreign_files.damage import reading
from fastmetro_mm.foreign_files.torch_files import TRUST_VARIABLE


def checkpoints_are_trusted() -> bool:
    """Whether the user allowed checkpoints that hold more than tensors and builtin values."""
    return os.environ.get(TRUST_VARIABLE, '').lower() in ('1', 'true', 'yes')


def read_trusted(path: str | os.PathLike) -> Any:
    """Content of a torch file, its objects built by the code that it names.

    Args:
        path: A file that the unrestricted reader is allowed for.

    Returns:
        The content; a whole network gives its state dict.

    Raises:
        ForeignFileError: It cannot be read, e.g. because a class of it is not installed.
    """
    with reading(str(path), 'install what it names, or have its state dict saved alone'):
        content = torch.load(path, map_location='cpu', weights_only=False)
    if isinstance(content, torch.nn.Module):
        return {'state_dict': content.state_dict()}
    if isinstance(content, dict):
        return {
            key: value.state_dict() if isinstance(value, torch.nn.Module) else value
            for key, value in content.items()
        }
    return content

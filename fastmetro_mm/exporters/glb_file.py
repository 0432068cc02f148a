# SPDX-License-Identifier: Apache-2.0
"""The GLB container: JSON that describes a scene, and one block of binary arrays.

Reference: Khronos, glTF 2.0 specification, sections 3.6 (accessors) and 4 (GLB).
"""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fastmetro_mm.exporters.scene import check_ending
from fastmetro_mm.fileio import write_atomically
from fastmetro_mm.result_marks import MARK

_COMPONENT = {'float32': 5126, 'uint32': 5125, 'uint16': 5123, 'uint8': 5121}
_SHAPE = {(): 'SCALAR', (3,): 'VEC3', (4,): 'VEC4', (4, 4): 'MAT4'}
VERTEX_DATA, INDEX_DATA = 34962, 34963
"""Targets of buffer views."""


class GlbFile:
    """Collects the parts of a scene; every ``add_*`` gives the index of what was added.

    Attributes:
        content: The JSON. Anything may be set in it directly.
    """

    def __init__(self) -> None:
        self.content: dict[str, Any] = {
            'asset': {'version': '2.0', 'generator': MARK},
            'scene': 0,
            'scenes': [{'nodes': []}],
        }
        self._data = bytearray()

    def add(self, kind: str, **item: Any) -> int:
        """Add an item to a list of the JSON, e.g. ``add('nodes', name='camera', camera=0)``."""
        items = self.content.setdefault(kind, [])
        items.append({name: value for name, value in item.items() if value is not None})
        return len(items) - 1

    def add_root(self, node: int) -> None:
        """Put a node into the scene."""
        self.content['scenes'][0]['nodes'].append(node)

    def add_array(self, array: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Add an accessor with its data.

        Args:
            array: float32, uint8, uint16 or uint32; (N,), (N, 3), (N, 4) or, column-major as
                glTF wants, (N, 4, 4).
            target: :data:`VERTEX_DATA`, :data:`INDEX_DATA` or None.
            bounds: Whether to state the smallest and largest values, which positions and times
                need.

        Returns:
            Index of the accessor.
        """
        array = np.ascontiguousarray(array)
        self._data += b'\0' * (-len(self._data) % 4)
        view = self.add(
            'bufferViews', buffer=0, byteOffset=len(self._data), byteLength=array.nbytes,
            target=target,
        )  # fmt: skip
        self._data += array.astype(array.dtype.newbyteorder('<')).tobytes()
        limits = {}
        if bounds:
            limits = {
                'min': np.atleast_1d(array.min(0)).tolist(),
                'max': np.atleast_1d(array.max(0)).tolist(),
            }
        return self.add(
            'accessors', bufferView=view, componentType=_COMPONENT[array.dtype.name],
            count=len(array), type=_SHAPE[array.shape[1:]], **limits,
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """The file."""
        content = {**self.content, 'buffers': [{'byteLength': len(self._data)}]}
        text = json.dumps(content, separators=(',', ':'), allow_nan=False).encode()
        text += b' ' * (-len(text) % 4)
        data = bytes(self._data) + b'\0' * (-len(self._data) % 4)
        chunks = struct.pack('<I4s', len(text), b'JSON') + text
        chunks += struct.pack('<I4s', len(data), b'BIN\0') + data
        return struct.pack('<4sII', b'glTF', 2, 12 + len(chunks)) + chunks

    def write(self, path: str | os.PathLike) -> Path:
        """Write the file in one step.

        Args:
            path: File to write, ending in ``.glb``.

        Raises:
            OSError: The file cannot be written.
        """
        return write_atomically(check_ending(path, '.glb'), self.to_bytes())

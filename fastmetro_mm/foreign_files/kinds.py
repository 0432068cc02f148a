# SPDX-License-Identifier: Apache-2.0
"""What a file is, told from its first bytes, and one sentence about it.

Names are no evidence: browsers save login pages as ``model.pkl``, a clone without Git LFS leaves
pointers called ``weights.pth``. The sentences name the thing and the fix, for readers to append to
the file's name.
"""

import os
import string
import struct
import zipfile
from pathlib import Path

from fastmetro_mm.foreign_files.damage import one_line

HEAD = 512
_TORCH_MAGIC = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # the number that old torch files begin with
_LONGEST_HEADER = 100 << 20  # of a safetensors file, as in its specification

# First bytes -> kind, for formats with a signature of their own.
_SIGNATURES = {
    b'\x1f\x8b': 'gzip',
    b'BZh': 'bzip2',
    b'\xfd7zXZ\x00': 'xz',
    b'\x28\xb5\x2f\xfd': 'zstd',
    b'7z\xbc\xaf\x27\x1c': '7z',
    b'Rar!\x1a\x07': 'rar',
    b'\x93NUMPY': 'npy',
    b'\x89HDF\r\n\x1a\n': 'hdf5',
    b'\x89PNG': 'image',
    b'\xff\xd8\xff': 'image',
    b'%PDF': 'pdf',
    b'version https://git-lfs': 'lfs',
}

_UNPACK = 'unpack it and give the file inside'
_AGAIN = 'copy or download it again'
_SENTENCES = {
    'empty': f'is empty (0 bytes): {_AGAIN}',
    'zeros': f'holds zero bytes only, its copy or download was cut off: {_AGAIN}',
    'lfs': 'is a Git LFS pointer instead of the file: run `git lfs pull` where it was cloned, or '
    'download the file itself',
    'html': 'is a web page (HTML), probably of a login or of an error: download the file in a '
    'browser where you are logged in',
    'xml': f"is an XML text, probably a server's error: {_AGAIN}",
    'gzip': f'is packed with gzip: {_UNPACK} (gunzip, or tar -xzf)',
    'bzip2': f'is packed with bzip2: {_UNPACK} (bunzip2, or tar -xjf)',
    'xz': f'is packed with xz: {_UNPACK} (unxz, or tar -xJf)',
    'zstd': f'is packed with zstd: {_UNPACK} (unzstd)',
    '7z': f'is a 7z archive: {_UNPACK}',
    'rar': f'is a RAR archive: {_UNPACK}',
    'tar': f'is a tar archive: {_UNPACK} (tar -xf)',
    'zip cut': f'is a zip file whose end is missing (truncated): {_AGAIN}',
    'npy': 'is a NumPy array (.npy)',
    'npz': 'is a NumPy archive (.npz)',
    'torchscript': 'is a TorchScript program, not a file of weights: save the weights with '
    'torch.save(torch.jit.load(FILE).state_dict(), NEW)',
    'torch': 'is a torch checkpoint',
    'old torch': 'is a torch checkpoint of the format before 1.6',
    'safetensors': 'is a safetensors file',
    'pickle': 'is a Python pickle',
    'hdf5': 'is an HDF5 file',
    'image': 'is an image',
    'pdf': 'is a PDF document',
    'json': 'is a JSON text',
    'text': 'is a text',
    'unknown': f'is of no kind that is known here, or damaged: {_AGAIN}',
}


def recognise(path: str | os.PathLike) -> str:
    """Kind of a file by its content.

    Args:
        path: The file, which must exist.

    Returns:
        ``'torch'``, ``'old torch'``, ``'torchscript'``, ``'safetensors'``, ``'pickle'``,
        ``'npz'``, ``'npy'``, ``'zip'``, ``'zip cut'``, ``'empty'``, ``'zeros'``, ``'lfs'``,
        ``'html'``, ``'json'``, ``'text'``, ``'gzip'``... or ``'unknown'``.

    Raises:
        OSError: The file cannot be opened.
    """
    with open(path, 'rb') as stream:
        head = stream.read(HEAD)
        size = os.fstat(stream.fileno()).st_size
        if head[:2] == b'PK':
            return _zip_kind(stream)
    return kind_of_bytes(head, size)


def kind_of_bytes(head: bytes, size: int) -> str:
    """The same for the first bytes of anything but a zip file.

    Args:
        head: At least the first 512 bytes, or all of a shorter file.
        size: Size of the whole file.
    """
    if not head:
        return 'empty'
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if not head.strip(b'\0'):
        return 'zeros'
    if head[257:262] == b'ustar':
        return 'tar'
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return 'old torch' if _TORCH_MAGIC in head[:40] else 'pickle'
    if len(head) > 8 and head[8:9] == b'{':
        length = struct.unpack('<Q', head[:8])[0]
        if 2 <= length <= min(size - 8, _LONGEST_HEADER):
            return 'safetensors'
    return _text_kind(head)


def sentence(kind: str, path: str | os.PathLike | None = None) -> str:
    """What a kind is and what to do, to follow the name of a file.

    Args:
        kind: As :func:`recognise` gives it.
        path: The file, to name the members of a zip archive.
    """
    if kind == 'zip':
        inside = '' if path is None else _members(path)
        return f'is a zip archive{inside}: {_UNPACK}'
    return _SENTENCES[kind]


def _members(path: str | os.PathLike) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith('/')]
    shown = ', '.join(one_line(Path(name).name)[:60] for name in names[:3])
    return f' of {", ".join([shown, "..."] if len(names) > 3 else [shown])}' if names else ''


def _zip_kind(stream) -> str:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError):
        return 'zip cut'
    inner = {name.partition('/')[2] for name in names}
    if 'data.pkl' in inner:
        return 'torchscript' if 'constants.pkl' in inner else 'torch'
    if names and all(name.endswith('.npy') for name in names):
        return 'npz'
    return 'zip'


def _text_kind(head: bytes) -> str:
    if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
        text = head.decode('utf-16', 'ignore')
    else:
        # the last character may be cut in two
        try:
            text = head[:-3].decode() if len(head) >= HEAD else head.decode()
        except UnicodeDecodeError:
            return 'unknown'
    allowed = set(string.whitespace) | {'\ufeff', '\x1b'}
    if any(not letter.isprintable() and letter not in allowed for letter in text):
        return 'unknown'
    start = text.lstrip('\ufeff' + string.whitespace).lower()
    if start.startswith('<'):
        return 'html' if '<html' in start or '<!doctype html' in start else 'xml'
    return 'json' if start.startswith(('{', '[')) else 'text'

# SPDX-License-Identifier: Apache-2.0
"""The doors: each takes any bytes and may answer with a ``UserError`` of one line, nothing else.

The first byte chooses how deep the rest goes in: as a whole file, or as the part of a file that a
checksum would keep random bytes from reaching.
"""

import io
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.apis.boxes import parse_box
from fastmetro_mm.apis.given import Given, read_boxes
from fastmetro_mm.apis.image_reading import read_image
from fastmetro_mm.body.model_files import read_model_file
from fastmetro_mm.datasets.labels import LAYOUTS, make_label, parse_label
from fastmetro_mm.datasets.mesh_dataset import MeshTSVDataset
from fastmetro_mm.engine.checkpoints.loading import read_checkpoint
from fastmetro_mm.errors import UserError
from fastmetro_mm.foreign_files.archives import NpzFile, load_npy
from fastmetro_mm.foreign_files.damage import reading
from fastmetro_mm.foreign_files.pickles import load_allow_listed, read_pickle
from fastmetro_mm.foreign_files.records import deep_plain
from fastmetro_mm.foreign_files.state_dicts import as_tensor, find_weights, strip_prefixes
from fastmetro_mm.models.network_kind import kind_of
from fastmetro_mm.models.official_checkpoint import MARKS, OUR_MARKS

_FOLDER = Path(tempfile.mkdtemp(dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None))


def _file(name: str, content: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(content)
    return path


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tsv(data: bytes) -> None:
    if data[:1] < b'\xe0':
        parse_label(data[1:], LAYOUTS['hand' if data[:1] < b'\x20' else 'smpl'])
        return
    part = ('train.yaml', 'train.hw.tsv', 'train.label.tsv', 'train.img.lineidx')[data[0] % 4]
    files = {
        'train.yaml': b'img: train.img.tsv\nhw: train.hw.tsv\nlabel: train.label.tsv\n',
        'train.img.tsv': b'a\tAAAA\n',
        'train.hw.tsv': b'a\t[{"height": 9, "width": 9}]\n',
        'train.label.tsv': b'a\t' + _LABEL + b'\n',
        'train.img.lineidx': b'0\n',
        part: data[1:],
    }
    for path in _FOLDER.glob('train.*'):
        path.unlink()
    for name, content in files.items():
        _file(name, content)
    dataset = MeshTSVDataset(_FOLDER / 'train.yaml', test_mode=True)
    dataset.get_data_info(0)


def _pickle(data: bytes) -> None:
    if data[:1] < b'\xf0':
        with reading('pickle'):
            deep_plain(load_allow_listed(io.BytesIO(data[1:]), 'pickle'))
    else:
        read_pickle(_file('a.pkl', data[1:]))


def _npz(data: bytes) -> None:
    if data[:1] < b'\x80':  # the member whole, its checksum right
        file = NpzFile(_file('a.npz', _zip({'a.npy': data[1:]})))
    elif data[:1] < b'\xa0':
        load_npy(_file('a.npy', data[1:]))
        return
    elif data[:1] < b'\xc0':
        read_model_file(
            _file(
                'MANO_RIGHT.npz',
                _zip(
                    {
                        f'{key}.npy': data[1:]
                        for key in (
                            'v_template',
                            'f',
                            'weights',
                            'J_regressor',
                            'shapedirs',
                            'posedirs',
                            'kintree_table',
                        )
                    }
                ),
            )
        )
        return
    else:
        file = NpzFile(_file('a.npz', data[1:]))
    for name in file.names:
        file.read(name)


def _checkpoint(data: bytes) -> None:
    content = data[1:]
    if data[:1] < b'\xa0':  # the pickle of a zip checkpoint with two storages
        content = _zip({'a/data.pkl': content, 'a/data/0': bytes(24), 'a/data/1': bytes(8)})
    checkpoint = read_checkpoint(_file('a.pth', content))
    weights = strip_prefixes(find_weights(checkpoint), (*MARKS, *OUR_MARKS))
    for name, value in weights.items():
        as_tensor(name, value, None)
    kind_of(weights)


def _image(data: bytes) -> None:
    read_image(data)


def _boxes(data: bytes) -> None:
    if data[:1] < b'\x80':
        read_boxes(_file('boxes.json', data[1:]))
        return
    try:
        value = json.loads(data[1:])
    except (ValueError, RecursionError):
        return
    parse_box(value, 'box')
    Given(value)


_LABEL = json.dumps(
    [
        make_label(
            np.array([5.0, 5.0]),
            0.1,
            np.ones((24, 3)),
            np.ones((24, 4)),
            np.zeros(72),
            np.zeros(10),
        )
    ]
).encode()


def _saved(write: Callable, content: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    write(buffer, content, **options)
    return buffer.getvalue()


def _tsv_seeds() -> list[bytes]:
    return [
        b'\x80' + _LABEL,
        b'\xe0img: a.tsv\n',
        b'\xe1a\t[{"height": 9, "width": 9}]\n',
        b'\xe2a\t' + _LABEL + b'\n',
        b'\xe30\n',
        b'\x80[{"center": [1, 2], "scale": 0.5}]',
    ]


def _pickle_seeds() -> list[bytes]:
    value = {
        'a': np.arange(3.0),
        'b': np.array(['x', None], object),
        'c': np.float32(1),
        'd': b'',
        'e': 'text',
        'f': [1, (2, 3)],
        'g': {4},
    }
    return [bytes([protocol]) + pickle.dumps(value, protocol=protocol) for protocol in range(6)]


def _npz_seeds() -> list[bytes]:
    arrays = {
        'v_template': np.zeros((2, 3)),
        'f': np.zeros((1, 3), np.uint32),
        'o': np.array([{'a': 1}], object),
        's': np.array(['x']),
    }
    whole = _saved(lambda file, content: np.savez(file, **content), arrays)
    members = [_saved(np.save, array) for array in arrays.values()]
    return [
        b'\xff' + whole,
        *(b'\x00' + m for m in members),
        *(b'\x90' + m for m in members),
        *(b'\xa0' + m for m in members),
    ]


def _checkpoint_seeds() -> list[bytes]:
    state = {'neck.a': torch.arange(6.0).reshape(2, 3), 'neck.b': torch.tensor([1])}
    content = {'state_dict': state, 'meta': {'epoch': 1, 'x': np.float64(2)}}
    seeds = []
    for protocol in (2, 4, 5):
        whole = _saved(
            lambda file, value, p=protocol: torch.save(value, file, pickle_protocol=p), content
        )
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            seeds.append(b'\x00' + archive.read('archive/data.pkl'))
        seeds += [
            b'\xff' + whole,
            b'\xff'
            + _saved(
                lambda file, value, p=protocol: torch.save(
                    value, file, pickle_protocol=p, _use_new_zipfile_serialization=False
                ),
                content,
            ),
        ]
    from safetensors.torch import save

    return [*seeds, b'\xff' + save(state), b'\xff' + pickle.dumps({'a': np.zeros(2)})]


def _image_seeds() -> list[bytes]:
    import cv2

    image = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    return [
        cv2.imencode(ending, image)[1].tobytes()
        for ending in ('.jpg', '.png', '.webp', '.bmp', '.tiff')
    ]


def _box_seeds() -> list[bytes]:
    texts = [
        '[[1, 2, 3, 4]]',
        '{"a.jpg": [[1, 2, 3, 4]], "b.jpg": []}',
        '[1, 2, 3, 4, 0.5]',
        '{"bbox": [1, 2, 3, 4], "side": "left", "score": 0.5, "track_id": 3}',
        '[[[1, 2, 3, 4]], [[1, 2, 3, 4]]]',
    ]
    return [lead + text.encode() for text in texts for lead in (b'\x00', b'\xff')]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    'tsv': (_tsv, _tsv_seeds),
    'pickle': (_pickle, _pickle_seeds),
    'npz': (_npz, _npz_seeds),
    'checkpoint': (_checkpoint, _checkpoint_seeds),
    'image': (_image, _image_seeds),
    'boxes': (_boxes, _box_seeds),
}


def try_input(name: str, data: bytes) -> str | None:
    """Give bytes to a door.

    Args:
        name: A key of :data:`TARGETS`.
        data: Anything.

    Returns:
        The message of the refusal; None if the bytes were taken.

    Raises:
        AssertionError: The message is not one line.
        Exception: A finding: anything but a ``UserError``.
    """
    try:
        TARGETS[name][0](data)
    except UserError as error:
        assert str(error) and '\n' not in str(error), repr(error)
        return str(error)
    return None

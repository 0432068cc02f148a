# SPDX-License-Identifier: Apache-2.0
"""What is to be done, what is done, and one shard of it; no Ray in here."""

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.body.joint_sets import MANO16, SMPL24
from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import remove_partial_files, write_atomically, write_json
from fastmetro_mm.images.formats import IMAGE_ENDINGS
from fastmetro_mm.structures.results import FrameResult

PLAN, SHARDS = 'plan.json', 'shards'
TEXTS = ('image', 'person', 'error')


@dataclass(frozen=True)
class Plan:
    """The images of a run, cut into shards that never change.

    Attributes:
        images: Folder.
        names: Images below it, sorted.
        size: Images a shard.
    """

    images: Path
    names: tuple[str, ...]
    size: int

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return -(-len(self.names) // self.size)

    def shard(self, number: int) -> tuple[str, ...]:
        """Names of one shard."""
        return self.names[number * self.size : (number + 1) * self.size]


def make_plan(images: Path, out: Path, size: int, settings: dict) -> Plan:
    """List the images once; a resumed run takes the list of the first.

    Args:
        images: Folder, read with those below it.
        out: Folder of the results.
        size: Images a shard.
        settings: What else the results depend on.

    Raises:
        InputError: No image there, or ``out`` holds a run over other images or settings.
    """
    names = tuple(
        sorted(
            path.relative_to(images).as_posix()
            for path in images.rglob('*')
            if path.suffix.lower() in IMAGE_ENDINGS and path.is_file()
        )
    )
    if not names:
        raise InputError(f'{images}: no image there ({" ".join(IMAGE_ENDINGS)})')
    digest = hashlib.sha256('\n'.join(names).encode()).hexdigest()
    about = {'images': str(images.resolve()), 'count': len(names), 'names_sha256': digest}
    about |= {'size': size, **settings}
    path = out / PLAN
    if not path.exists():
        write_json(path, about, indent=1)
    elif (found := json.loads(path.read_text())) != about:
        keys = ', '.join(key for key in about if found.get(key) != about[key])
        raise InputError(f'{out}: holds a run with another {keys}: choose another --out')
    remove_partial_files(out / SHARDS)  # of killed workers
    return Plan(images, names, size)


def shard_path(out: Path, number: int, kind: str) -> Path:
    """File of a shard; it is there when the shard is whole."""
    return out / SHARDS / f'{number:07d}.{kind}'


def missing(plan: Plan, out: Path, kind: str) -> list[int]:
    """Numbers of the shards that are still to be made."""
    return [n for n in range(plan.num_shards) if not shard_path(out, n, kind).exists()]


def make_shard(
    inferencer: MeshInferencer, plan: Plan, number: int, out: Path, kind: str
) -> dict[str, int]:
    """Detect and mesh everybody in the images of a shard and write its file in one step.

    Args:
        inferencer: The network with its detector.
        plan: All images.
        number: Of the shard.
        out: Folder of the results.
        kind: ``'npz'`` or ``'parquet'``.

    Returns:
        Number of ``images``, ``people`` and images that could not be read (``failed``).
    """
    shapes = column_shapes(inferencer)
    rows = list(rows_of(inferencer, plan.images, plan.shard(number), shapes))
    data = to_npz(rows, shapes) if kind == 'npz' else to_parquet(rows, shapes)
    write_atomically(shard_path(out, number, kind), data)
    return {
        'images': len(plan.shard(number)),
        'people': sum(row['person'] >= 0 for row in rows),
        'failed': sum(row['error'] != '' for row in rows),
    }


def column_shapes(inferencer: MeshInferencer) -> dict[str, tuple[int, ...]]:
    """The numbers of a row and their shapes, the same in every shard, people in it or not."""
    body = inferencer.body
    joints = len(body.joint_names)
    shapes: dict[str, tuple[int, ...]] = dict(
        bbox=(4,), bbox_score=(), camera=(3,), translation=(3,),
        joints_3d=(joints, 3), keypoints=(joints, 2), image_size=(2,), intrinsics=(3, 3),
    )  # fmt: skip
    if inferencer.has_parameters:
        turns = len(MANO16 if body.is_hand else SMPL24)
        shapes |= dict(global_orient=(3, 3), body_pose=(turns - 1, 3, 3), betas=(10,))
    return shapes


def rows_of(
    inferencer: MeshInferencer, images: Path, names: Sequence[str], wanted: Collection[str]
) -> Iterator[dict]:
    """A row a person; an image without people, or that cannot be read, has a row of its own."""
    paths = {str(images / name): name for name in names}
    errors: list[str] = []
    results = inferencer(
        [Path(path) for path in paths],
        keep_images=False,
        on_error=lambda error: errors.append(' '.join(str(error).split())),
    )
    frames = {str(frame.image_path): frame for frame in results}
    for path, name in paths.items():
        if path not in frames:
            reason = next((error for error in errors if path in error), 'cannot be read')
            yield {'image': name, 'person': -1, 'error': reason}
        elif not frames[path].people:
            yield {'image': name, 'person': -1, 'error': ''}
        else:
            people = range(len(frames[path].people))
            yield from (_row(name, number, frames[path], wanted) for number in people)


def _row(name: str, number: int, frame: FrameResult, wanted: Collection[str]) -> dict:
    person = frame.people[number]
    values = {
        key: getattr(frame if key in ('image_size', 'intrinsics') else person, key)
        for key in wanted
    }
    numbers = {key: np.asarray(value, np.float32) for key, value in values.items()}
    return {'image': name, 'person': number, 'error': '', **numbers}


def to_npz(rows: Sequence[dict], shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A compressed npz: ``image``, ``person``, ``error`` and an array a column, NaN for nothing."""
    arrays = {name: np.array([row[name] for row in rows]) for name in TEXTS}
    for name, shape in shapes.items():
        nothing = np.full(shape, np.nan, np.float32)
        arrays[name] = np.stack([row.get(name, nothing) for row in rows])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def to_parquet(rows: Sequence[dict], shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """A Parquet table; arrays are flat lists, null for nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {'image': pa.string(), 'person': pa.int32(), 'error': pa.string()}
    for name, shape in shapes.items():
        types[name] = pa.list_(pa.float32(), math.prod(shape)) if shape else pa.float32()
    table = {name: [row.get(name) for row in rows] for name in types}
    for name, shape in shapes.items():
        plain = np.ravel if shape else float
        table[name] = [None if value is None else plain(value) for value in table[name]]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table, pa.schema(types)), sink)
    return sink.getvalue().to_pybytes()


def count_images(out: Path, kind: str) -> dict[str, int]:
    """How often every image is in the shards, for the proof that each is there once."""
    counts: dict[str, int] = {}
    for path in sorted((out / SHARDS).glob(f'*.{kind}')):
        if kind == 'npz':
            with zipfile.ZipFile(path) as archive, archive.open('image.npy') as member:
                names = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
        else:
            import pyarrow.parquet as pq

            names = pq.read_table(path, columns=['image'])['image'].to_pylist()
        for name in set(map(str, names)):
            counts[name] = counts.get(name, 0) + 1
    return counts

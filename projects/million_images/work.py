# SPDX-License-Identifier: Apache-2.0
"""What is to be done, what is done, and one shard of it; no Ray in here."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.errors import InputError
from fastmetro_mm.fileio import remove_partial_files, write_atomically, write_json
from fastmetro_mm.images.formats import IMAGE_ENDINGS
from fastmetro_mm.structures.results import FrameResult

PLAN, SHARDS = 'plan.json', 'shards'
ARRAYS = ('bbox', 'bbox_score', 'camera', 'translation', 'joints_3d', 'keypoints')
PARAMETERS = ('global_orient', 'body_pose', 'betas')


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
    rows = list(rows_of(inferencer, plan.images, plan.shard(number)))
    data = to_npz(rows) if kind == 'npz' else to_parquet(rows)
    write_atomically(shard_path(out, number, kind), data)
    return {
        'images': len(plan.shard(number)),
        'people': sum(row['person'] >= 0 for row in rows),
        'failed': sum(row['error'] != '' for row in rows),
    }


def rows_of(inferencer: MeshInferencer, images: Path, names: Sequence[str]) -> Iterator[dict]:
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
            yield from (_row(name, number, frames[path]) for number in people)


def _row(name: str, number: int, frame: FrameResult) -> dict:
    person = frame.people[number]
    values = {key: getattr(person, key) for key in (*ARRAYS, *PARAMETERS)}
    values |= {'image_size': frame.image_size, 'intrinsics': frame.intrinsics}
    return {
        'image': name,
        'person': number,
        'error': '',
        **{
            key: np.asarray(value, np.float32) for key, value in values.items() if value is not None
        },
    }


def columns(rows: Sequence[dict]) -> dict[str, list]:
    """Rows as columns; None where a row has nothing."""
    names = dict.fromkeys(key for row in rows for key in row)
    return {name: [row.get(name) for row in rows] for name in names}


def to_npz(rows: Sequence[dict]) -> bytes:
    """A compressed npz: ``image``, ``person``, ``error`` and an array a column, NaN for nothing."""
    arrays = {}
    for name, values in columns(rows).items():
        shape = next((value.shape for value in values if isinstance(value, np.ndarray)), None)
        if shape is not None:
            values = [np.full(shape, np.nan, np.float32) if v is None else v for v in values]
        arrays[name] = np.array(values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def to_parquet(rows: Sequence[dict]) -> bytes:
    """A Parquet table; arrays are flat lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {
        name: [value.ravel().tolist() if isinstance(value, np.ndarray) else value for value in part]
        for name, part in columns(rows).items()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table), sink)
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

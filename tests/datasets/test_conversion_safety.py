# SPDX-License-Identifier: Apache-2.0
"""A conversion never costs a finished set."""

import io
import os
import resource
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from fastmetro_mm.dataset_tools.converters import run
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.mixed import write_mixed_set
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.dataset_tools.converters.shrink import ShrunkSource
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.set_files import SetFolder
from fastmetro_mm.datasets.transforms.loading import decode_image
from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter, write_tsv_set
from fastmetro_mm.errors import ConfigError, DataRowError, InputError

JPEG = cv2.imencode('.jpg', np.full((20, 30, 3), 90, np.uint8))[1].tobytes()


class Rows:
    """Rows 0.jpg, 1.jpg ... whose box has the given scale."""

    def __init__(self, count=4, scale=0.1, bad=(), broken=None):
        self.count, self.scale, self.bad, self.broken = count, scale, bad, broken

    def __len__(self):
        return self.count

    def describe(self):
        return {'source': 'test'}

    def key(self, index):
        return f'{index}.jpg'

    def row(self, index):
        if index in self.bad:
            raise run.SkipRow('not good')
        if index == self.broken:
            raise OSError('the disk is gone')
        return TSVRow(self.key(index), JPEG, make_label((5, 5), self.scale))


def content(folder) -> dict:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def old(tmp_path):
    """Folder of a finished set and its content."""
    run_conversion(Rows(), tmp_path / 'set', 'train')
    files = content(tmp_path / 'set')
    assert set(files) == {
        'train.yaml',
        *(
            f'train.{part}.{end}'
            for part in ('img', 'hw', 'label', 'linelist')
            for end in ('tsv', 'lineidx')
        ),
    }
    return tmp_path / 'set', files


@pytest.mark.parametrize(('source', 'options', 'message'), [
    (Rows(0), {}, 'no rows'),
    (Rows(3, bad=(0, 1, 2)), {}, 'none of 3 rows could be converted.*not good'),
    (Rows(), dict(limit=0), 'limit is 0'),
    (Rows(), dict(limit=-1), 'limit is -1'),
    (Rows(), dict(workers=0), 'workers is 0'),
    (Rows(broken=2), {}, 'the disk is gone'),
])  # fmt: skip
def test_failed_conversion_leaves_the_old_set_whole(old, source, options, message):
    folder, files = old
    with pytest.raises((ValueError, OSError), match=message):
        run_conversion(source, folder, 'train', **options)
    left = {
        name: data for name, data in content_or_folders(folder).items() if not name.startswith('.')
    }
    assert left == files
    assert len(MeshTSVDataset(folder / 'train.yaml')) == 4


def content_or_folders(folder) -> dict:
    return {
        path.name: path.read_bytes() if path.is_file() else b'' for path in sorted(folder.iterdir())
    }


def test_empty_folder_of_images_leaves_the_old_set_whole(tmp_path, write_image):
    write_image(tmp_path / 'in' / 'a.jpg')
    run_conversion(ImageFolderSource(tmp_path / 'in'), tmp_path / 'out', 'train')
    files = content(tmp_path / 'out')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty' / 'a.mp4').write_bytes(b'x')
    with pytest.raises(DataSetError, match=r'holds no image .*left out: 1 \.mp4'):
        ImageFolderSource(tmp_path / 'empty')
    (tmp_path / 'none.json').write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataSetError, match=r'none.json holds no annotation'):
        ImageFolderSource(tmp_path / 'in', tmp_path / 'none.json')
    assert content(tmp_path / 'out') == files


def test_new_set_replaces_the_old_one_completely(old):
    folder, _ = old
    run_conversion(Rows(3, 0.2, bad=(1,)), folder, 'train')
    assert (folder / 'train.skipped.tsv').read_text() == '1.jpg\tnot good\n'
    dataset = MeshTSVDataset(folder / 'train.yaml')
    assert [dataset.get_data_info(i)['scale'] for i in range(2)] == [0.2, 0.2]
    run_conversion(Rows(), folder, 'train')
    assert not (folder / 'train.skipped.tsv').exists()  # belonged to the set before
    assert not [path for path in folder.iterdir() if path.name.startswith('.')]


@contextmanager
def small_files(limit: int):
    """No file may grow beyond `limit` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('limit', [100, 2000])  # the first shard; joining the shards
def test_full_disk_leaves_the_old_set_and_no_rests(old, monkeypatch, limit):
    folder, files = old
    monkeypatch.setattr(run, '_SHARD_ROWS', 1)
    with small_files(limit), pytest.raises(OSError, match='too large') as caught:
        run_conversion(Rows(20, 0.3), folder, 'train')
    assert str(folder) in str(caught.value.filename)
    left = sorted(path.name for path in folder.iterdir())
    assert left == sorted([*files, *(['.train.shards'] if limit > 100 else [])])
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert not list(folder.rglob('*.tmp'))
    report = run_conversion(Rows(20, 0.3), folder, 'train')  # goes on when there is room again
    assert report.num_rows == 20


def test_full_disk_in_a_first_conversion_leaves_no_yaml(tmp_path):
    with small_files(100), pytest.raises(OSError, match='too large'):
        write_tsv_set(tmp_path / 'set', 'train', [Rows().row(i) for i in range(9)])
    assert not (tmp_path / 'set' / 'train.yaml').exists()
    assert not list((tmp_path / 'set').rglob('*.tmp'))


def test_killed_while_files_are_put_in_place(old, monkeypatch):
    """Whatever rename was the last one: the set is refused, and whole after the next start."""
    folder, files = old
    replace, moves = os.replace, []

    class Killed(BaseException):
        pass

    def stop_at(number):
        moves.clear()

        def limited(source, target):
            if '.ready' in str(source):
                moves.append(target)
                if len(moves) > number:
                    raise Killed
            replace(source, target)

        return limited

    for number in range(9):
        with monkeypatch.context() as patch:
            patch.setattr(os, 'replace', stop_at(number))
            with pytest.raises(Killed):
                run_conversion(Rows(3, 0.2), folder, 'train')
        with pytest.raises(DataSetError, match='run the same command again'):
            MeshTSVDataset(folder / 'train.yaml')
        with SetFolder(folder, 'train').hold():
            pass  # the next writer finishes first
        dataset = MeshTSVDataset(folder / 'train.yaml')
        assert [dataset.get_data_info(i)['scale'] for i in range(len(dataset))] == [0.2] * 3
        run_conversion(Rows(), folder, 'train')
        assert {name: data for name, data in content_or_folders(folder).items()} == files


def test_two_conversions_into_one_set(tmp_path):
    with SetFolder(tmp_path, 'train').hold():
        with pytest.raises(DataSetError, match='another run is writing this set'):
            run_conversion(Rows(), tmp_path, 'train')
        assert run_conversion(Rows(), tmp_path, 'test').num_rows == 4  # another set
    assert run_conversion(Rows(), tmp_path, 'train').num_rows == 4
    assert not list(tmp_path.glob('.*'))


def test_links_devices_and_bad_names_are_not_replaced(tmp_path):
    big = tmp_path / 'big'
    run_conversion(Rows(), big, 'train')
    linked = tmp_path / 'linked'
    linked.mkdir()
    for path in big.iterdir():
        (linked / path.name).symlink_to(path)
    with pytest.raises(InputError, match='symbolic link'):
        run_conversion(Rows(3), linked, 'train')
    assert len(MeshTSVDataset(linked / 'train.yaml')) == 4  # read through the links
    (tmp_path / 'folder' / 'train.img.tsv').mkdir(parents=True)
    with pytest.raises(InputError, match='is a folder'):
        run_conversion(Rows(), tmp_path / 'folder', 'train')
    (tmp_path / 'file').write_text('x')
    with pytest.raises(ConfigError, match='is a file'):
        run_conversion(Rows(), tmp_path / 'file', 'train')
    for split in ('../x', 'a/b', '.x', 'a b', '', 'a\tb'):
        with pytest.raises(ConfigError, match='split'):
            run_conversion(Rows(), tmp_path / 'out', split)
    assert not (tmp_path / 'out').exists()


def test_linked_yaml_finds_its_files(old, tmp_path):
    folder, _ = old
    (tmp_path / 'link.yaml').symlink_to(folder / 'train.yaml')
    assert len(MeshTSVDataset(tmp_path / 'link.yaml')) == 4
    (tmp_path / 'place').symlink_to(folder, target_is_directory=True)
    assert len(MeshTSVDataset(tmp_path / 'place' / 'train.yaml')) == 4


def test_a_set_is_not_made_from_itself(old, tmp_path):
    folder, files = old
    with pytest.raises(DataSetError, match='the new set would replace it'):
        run_conversion(ShrunkSource(folder / 'train.yaml'), folder, 'train')
    for out in (folder, tmp_path / 'place'):
        if out != folder:
            out.symlink_to(folder, target_is_directory=True)
        with pytest.raises(DataSetError, match=r'replace it|rows of its own'):
            write_mixed_set([folder / 'train.yaml'], out, 'train')
    assert content(folder) == files
    other = write_tsv_set(tmp_path / 'other', 'train', [Rows(2).row(0)])
    with pytest.raises(DataSetError, match='rows of its own'):
        write_mixed_set([other], folder, 'train')  # would lose the rows that are there
    assert content(folder) == files


def test_mixed_set_in_a_linked_folder(old, tmp_path):
    folder, _ = old
    far = tmp_path / 'far' / 'away'
    far.mkdir(parents=True)
    (tmp_path / 'mix').symlink_to(far, target_is_directory=True)
    report = write_mixed_set([folder / 'train.yaml'], tmp_path / 'mix', 'train')
    assert len(MeshTSVDataset(report.yaml_path)) == 4
    before = content(far)
    with pytest.raises(ConfigError, match='rows is 0'):
        write_mixed_set([folder / 'train.yaml'], tmp_path / 'mix', 'train', total=0)
    assert content(far) == before


def test_shards_of_other_options_are_refused(tmp_path):
    writer = TSVSetWriter(tmp_path, 'train', 'one job')
    with writer.shard(0) as shard:
        shard.add(Rows().row(0))
    with pytest.raises(DataSetError, match='delete that folder'):
        TSVSetWriter(tmp_path, 'train', 'another job')


def test_stale_offsets_behind_a_link_stay_as_they_are(old, tmp_path):
    folder, _ = old
    linked = tmp_path / 'linked'
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    stale = folder / 'train.img.lineidx'
    stale.write_text('0\n1\n2\n3\n')
    dataset = MeshTSVDataset(linked / 'train.yaml')
    assert [dataset.get_data_info(i)['img_key'] for i in range(4)] == [f'{i}.jpg' for i in range(4)]
    assert (linked / 'train.img.lineidx').is_symlink() and stale.read_text() == '0\n1\n2\n3\n'


def test_damaged_images_are_not_stored(tmp_path):
    """Zeroed in the middle, cut with an end marker, HEIC, turned by metadata that few read."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    data = cv2.imencode('.jpg', noise)[1].tobytes()
    half = len(data) // 2
    (tmp_path / 'in').mkdir()
    for name, content_ in (
        ('good.jpg', data),
        ('zeroed.jpg', data[:half] + bytes(4000) + data[half + 4000 :]),
        ('cut.jpg', data[:half] + b'\xff\xd9'),
        ('half.jpg', data[:half]),
        ('x.heic', b'\0\0\0\x18ftypheic' + bytes(400)),
        ('no.png', b'x'),
    ):
        (tmp_path / 'in' / name).write_bytes(content_)
    report = run_conversion(ImageFolderSource(tmp_path / 'in'), tmp_path / 'out', 'train')
    assert (report.num_rows, report.num_skipped) == (1, 5)
    skipped = (tmp_path / 'out' / 'train.skipped.tsv').read_text()
    for words in (
        'cut.jpg\trow cut.jpg: damaged JPEG',
        'half.jpg\trow half.jpg: the JPEG is cut',
        'zeroed.jpg\trow zeroed.jpg: damaged JPEG',
        'x.heic\trow x.heic: HEIC is not read in training: save it as .jpg',
        'no.png\trow no.png: the image cannot be decoded',
    ):
        assert words in skipped


def test_size_of_a_turned_photo_is_that_of_the_upright_one():
    image = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for ending in ('jpg', 'png', 'webp'):
        stream = io.BytesIO()
        image.save(stream, {'jpg': 'jpeg'}.get(ending, ending), exif=exif)
        row = TSVRow(f'a.{ending}', stream.getvalue())
        try:
            size = row.image_size()
        except DataRowError as error:  # the decoder of this machine knows no such turn
            assert ending != 'jpg' and 'turned by its metadata' in str(error)
        else:
            assert size == (30, 20) == decode_image(row.image).shape[:2]

# SPDX-License-Identifier: Apache-2.0
"""One way of writing files: whole or not at all, and never over something that is not a file."""

import os
import stat

import pytest

from fastmetro_mm.errors import CliError, InputError
from fastmetro_mm.fileio import remove_partial_files, writable_folder, write_atomically, write_json


def test_bytes_and_functions_arrive_whole(tmp_path):
    path = tmp_path / 'new' / 'a.npz'
    seen = []

    def fill(name):
        seen.append(name)
        name.write_bytes(b'second')

    assert write_atomically(path, b'first', sync=True) == path and path.read_bytes() == b'first'
    write_atomically(path, fill)
    assert path.read_bytes() == b'second' and os.listdir(path.parent) == ['a.npz']
    assert seen[0].suffix == '.npz' and seen[0].parent == path.parent and seen[0] != path
    assert write_json(tmp_path / 'b.json', {'a': 1}).read_text() == '{"a": 1}'


def test_a_folder_is_made_and_tried(tmp_path):
    assert writable_folder(tmp_path / 'a' / 'b').is_dir() and not os.listdir(tmp_path / 'a' / 'b')
    (tmp_path / 'file').touch()
    for folder, reason in ((tmp_path / 'file' / 'x', 'Not a directory'), ('/proc/no', '')):
        with pytest.raises(InputError, match=rf'cannot write there \({reason}.*another .* --out'):
            writable_folder(folder)
    with pytest.raises(CliError, match='--work-dir'):
        writable_folder(tmp_path / 'file', '--work-dir', CliError)


def test_files_get_the_rights_that_open_gives(tmp_path, monkeypatch):
    """Without a look at the umask, which would change it for all threads for a moment."""
    before = os.umask(0o027)
    monkeypatch.setattr(os, 'umask', None)
    try:
        write_atomically(tmp_path / 'ours', b'')
        write_atomically(tmp_path / 'ours', b'again')
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'ours').stat().st_mode) == 0o640


def test_a_failed_write_keeps_the_old_file_and_names_it(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def fail(name):
        name.write_text('half')
        raise OSError(28, 'No space left on device')

    with pytest.raises(OSError, match='No space') as caught:
        write_atomically(path, fail)
    assert caught.value.filename == str(path)
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.txt']


def test_what_is_not_a_plain_file_is_never_replaced(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'target').write_text('kept')
    (tmp_path / 'link').symlink_to(tmp_path / 'target')
    os.mkfifo(tmp_path / 'pipe')
    before = sorted(os.listdir(tmp_path))
    for name, reason in (('folder', 'is a folder'), ('link', 'symbolic link'), ('pipe', 'a pipe')):
        with pytest.raises(InputError, match=reason):
            write_atomically(tmp_path / name, b'new')
    with pytest.raises(InputError, match='/dev/null: is a device'):
        write_atomically('/dev/null', b'new')
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / 'target').read_text() == 'kept'


def test_only_half_written_files_are_removed(tmp_path):
    for name in ('.a.pth.x1.partial.pth', '.hidden', 'a.partial'):
        (tmp_path / name).touch()
    assert remove_partial_files(tmp_path) == ['.a.pth.x1.partial.pth']
    assert sorted(os.listdir(tmp_path)) == ['.hidden', 'a.partial']

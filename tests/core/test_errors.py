# SPDX-License-Identifier: Apache-2.0
"""A user's mistake is one line; a fault of the program keeps its traceback."""

import pytest

from fastmetro_mm import errors
from fastmetro_mm.engine.cli import explain, friendly_errors
from fastmetro_mm.geometry.alignment import similarity_align

CLASSES = [value for value in vars(errors).values() if isinstance(value, type)]


@pytest.mark.parametrize('kind', CLASSES)
def test_every_class_carries_its_message(kind):
    assert issubclass(kind, errors.UserError)
    assert str(kind('a.txt: give b.txt')) == 'a.txt: give b.txt'
    assert explain(kind('a.txt: give\n  b.txt')) == 'a.txt: give b.txt'


def test_the_builtin_classes_still_catch_them():
    for kind in (errors.ConfigError, errors.InputError, errors.DataRowError, errors.BodyDataError):
        assert issubclass(kind, ValueError)
    for kind in (
        errors.MissingFileError,
        errors.MissingBodyFileError,
        errors.CheckpointNotFoundError,
    ):
        assert issubclass(kind, FileNotFoundError)
    assert issubclass(errors.MissingPackageError, ModuleNotFoundError)


def test_faults_of_the_package_keep_their_traceback(capsys):
    with pytest.raises(ValueError, match='shape'), friendly_errors():
        similarity_align([[1.0]], [[2.0]])  # raised inside the package, but no user's mistake
    assert explain(ValueError('boom')) is None
    assert capsys.readouterr().err == ''


def test_errors_of_the_disk_name_the_path():
    assert explain(OSError(28, 'No space left on device', 'out/a.npz')).startswith(
        'out/a.npz: No space left on device'
    )
    assert explain(PermissionError(13, 'Permission denied', 'out')).startswith(
        'out: Permission denied'
    )
    assert explain(OSError(5, 'Input/output error', 'out')) is None


def test_errors_of_data_workers():
    text = (
        'Caught DataRowError in DataLoader worker process 0.\nOriginal Traceback:\n'
        '  File "x.py", line 1, in f\nfastmetro_mm.errors.DataRowError: a.tsv row 3: cut off'
    )
    assert explain(errors.DataRowError(text)) == 'a.tsv row 3: cut off'
    assert explain(ValueError(text)) is None

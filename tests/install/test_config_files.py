# SPDX-License-Identifier: Apache-2.0
"""The accessor of the shipped configs."""

from pathlib import Path

import pytest

from fastmetro_mm import config_files


def test_every_config_of_the_checkout_is_listed_without_bases(repo_dir):
    names = config_files.config_names()
    assert 'fastmetro_l_h64_h36m' in names
    assert set(names) == {path.stem for path in (repo_dir / 'configs').glob('*.py')}


def test_path_with_and_without_ending(repo_dir):
    expected = repo_dir / 'configs' / 'fastmetro_l_h64_h36m.py'
    for name in ('fastmetro_l_h64_h36m', 'fastmetro_l_h64_h36m.py'):
        assert Path(config_files.config_path(name)) == expected


def test_unknown_name_gets_a_suggestion():
    with pytest.raises(FileNotFoundError, match=r'did you mean .*fastmetro_l_h64_h36m'):
        config_files.config_path('fastmetro_l_h64_h63m')


def test_installed_copy_is_used_outside_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'fastmetro_mm'
    monkeypatch.setattr(config_files, '_PACKAGE', package)
    # some other folder named configs beside the installed package is not ours
    (tmp_path / 'site-packages' / 'configs').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match='installation is incomplete'):
        config_files.config_root()
    (package / '.mim' / 'configs').mkdir(parents=True)
    assert config_files.config_root() == package / '.mim' / 'configs'

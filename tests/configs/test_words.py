# SPDX-License-Identifier: Apache-2.0
"""File names in texts are those that the configs write."""

import re

import pytest
from mmengine.config import Config

from fastmetro_mm.config_files import config_names, config_path


def test_checkpoints_in_texts_are_the_last_ones_of_their_config(repo_dir):
    found = set()
    for pattern in (
        'README.md',
        'docs/*.md',
        'configs/*.py',
        'tools/**/*.py',
        'tools/*.sh',
        'fastmetro_mm/**/*.py',
    ):
        for path in repo_dir.glob(pattern):
            text = path.read_text(encoding='utf-8')
            found |= {
                (match[1], int(match[2]), path.name)
                for match in re.finditer(r'work_dirs/(\w+)/epoch_(\d+)\.pth', text)
                if match[1] in config_names()
            }
    assert len(found) > 3
    for name, epoch, where in found:
        last = Config.fromfile(config_path(name)).train_cfg.max_epochs
        assert epoch == last, f'{where} names epoch {epoch} of {name}, which ends at {last}'


def test_configs_in_texts_and_messages_exist(repo_dir):
    named = set()
    for pattern in (
        '*.md',
        'docs/**/*.md',
        'tools/**/*.py',
        'tools/*.sh',
        'configs/**/*.py',
        'fastmetro_mm/**/*.py',
        'projects/**/*.py',
        'projects/**/*.md',
    ):
        for path in repo_dir.glob(pattern):
            text = path.read_text(encoding='utf-8')
            found = re.findall(r'(?:projects/\w+/)?configs/[\w/]+\.py', text)
            named |= {(name, path) for name in found}
    assert len(named) > 10
    for name, where in named:
        if not name.startswith('configs/my_'):  # a file that the reader is told to write
            there = (repo_dir / name).is_file() or (where.parent / name).is_file()
            assert there, f'{where} names {name}'


def test_widths_of_the_backbone_are_those_in_its_text():
    from fastmetro_mm.models.backbones.fused_hrnet import FusedHRNet

    told = re.search(r'width: Channels of the finest branch: ([^.]*)\.', FusedHRNet.__doc__)
    for width in re.findall(r'\d+', told[1]):
        FusedHRNet(width=int(width))
    with pytest.raises(ValueError, match=re.escape(told[1])):
        FusedHRNet(width=33)

# SPDX-License-Identifier: Apache-2.0
"""Renaming released weights, there and back, and refusing what does not fit."""

import importlib
import os
import sys
from pathlib import Path

import pytest
import torch
from mmpose.apis import init_model

from fastmetro_mm.engine import read_checkpoint
from fastmetro_mm.foreign_files.kinds import recognise
from fastmetro_mm.models.network_kind import kind_of
from fastmetro_mm.models.official_checkpoint import foreign_model, is_official, to_official, to_ours

KINDS = {
    'body_s_r50': ('FastMETRO-S-R50 (body)', 'configs/fastmetro_s_r50_h36m.py'),
    'body_l_h64_smpl': (
        'FastMETRO-L-H64 (body with SMPL head)',
        'configs/fastmetro_smpl_l_h64_h36m.py',
    ),
    'hand_l_h64': ('FastMETRO-L-H64 (hand)', 'configs/fastmetro_l_h64_freihand.py'),
    'hand_s_r50': ('FastMETRO-S-R50 (hand)', 'configs/fastmetro_s_r50_freihand.py'),
}


@pytest.fixture()
def convert_tool():
    """The command as a module."""
    return importlib.import_module('fastmetro_mm.cli.convert_weights')


@pytest.mark.parametrize('name', KINDS)
def test_names_round_trip_and_kind_is_recognised(name, official_shapes, repo_dir):
    official = {
        key: torch.empty(shape, device='meta') for key, shape in official_shapes[name].items()
    }
    ours, unused = to_ours(official)
    assert is_official(official)
    assert not is_official(ours)
    assert set(unused) <= {'backbone.classifier.weight', 'backbone.classifier.bias'}
    back = to_official(ours, unused)
    assert set(back) == set(official)
    assert all(back[key] is official[key] for key in official)
    kind = kind_of(official)
    assert kind_of(ours) == kind
    assert (str(kind), kind.config) == KINDS[name]
    assert (repo_dir / kind.config).is_file()


def test_tool_round_trips_a_file(official_file, convert_tool, tmp_path, monkeypatch, capsys):
    source = official_file('hand_s_r50')
    there, back = tmp_path / 'ours.pth', tmp_path / 'back.bin'
    monkeypatch.setattr(sys, 'argv', ['convert', str(source), str(there)])
    convert_tool.main()
    assert 'FastMETRO-S-R50 (hand)' in capsys.readouterr().out
    monkeypatch.setattr(sys, 'argv', ['convert', '--to-official', str(there), str(back)])
    convert_tool.main()
    before = torch.load(source, weights_only=True)
    after = torch.load(back, weights_only=True)
    assert set(before) == set(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not list(tmp_path.glob('.*tmp'))


def test_unused_classifier_survives_the_round_trip(convert_tool, official_shapes, tmp_path):
    shapes = official_shapes['body_l_h64_smpl']
    kept = {key: torch.zeros(1) for key in shapes}
    kept['backbone.classifier.weight'] = torch.ones(2)
    kept['backbone.stage4.0.branches.0.0.conv1.weight'] = torch.zeros(64, 64, 3, 3)
    kept['joint_token_embed.weight'] = torch.zeros(14, 2)
    torch.save(kept, tmp_path / 'a.bin')
    assert 'classifier' in convert_tool.convert(tmp_path / 'a.bin', tmp_path / 'b.pth')
    convert_tool.convert_back(tmp_path / 'b.pth', tmp_path / 'c.bin')
    after = torch.load(tmp_path / 'c.bin', weights_only=True)
    assert set(after) == set(kept)
    assert torch.equal(after['backbone.classifier.weight'], torch.ones(2))


def test_safetensors_in_and_out(convert_tool, official_shapes, tmp_path):
    """There and back through the format that holds numbers only, the classifier kept."""
    source = {
        key: torch.randn(2, *shape[1:])
        for key, shape in official_shapes['hand_s_r50'].items()
        if shape and 'weight' in key and len(shape) < 4
    }
    source['cam_token_embed.weight'] = torch.zeros(1, 2)
    source['transformer_1.encoder.norm.weight'] = torch.zeros(2)
    source['joint_token_embed.weight'] = torch.zeros(21, 2)
    source['backbone.classifier.weight'] = torch.ones(2)
    torch.save(source, tmp_path / 'a.bin')
    convert_tool.convert(tmp_path / 'a.bin', tmp_path / 'b.safetensors')
    assert recognise(tmp_path / 'b.safetensors') == 'safetensors'
    convert_tool.convert_back(tmp_path / 'b.safetensors', tmp_path / 'c.safetensors')
    convert_tool.convert_back(tmp_path / 'b.safetensors', tmp_path / 'c.bin')
    for back in (
        torch.load(tmp_path / 'c.bin', weights_only=True),
        read_checkpoint(tmp_path / 'c.safetensors')['state_dict'],
    ):
        assert set(back) == set(source)
        assert all(torch.equal(back[key], value) for key, value in source.items())


def test_targets_that_would_be_destroyed_are_refused(official_file, convert_tool, tmp_path, capsys):
    source = tmp_path / 'a.bin'
    source.write_bytes(official_file('hand_s_r50').read_bytes())
    before = source.read_bytes()
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'elsewhere.pth')
    os.mkfifo(tmp_path / 'pipe.pth')
    os.link(source, tmp_path / 'same.bin')
    for target, message in (
        (source, 'is the source itself'),
        (tmp_path / 'same.bin', 'is the source itself'),
        (tmp_path / 'link.pth', 'symbolic link'),
        (tmp_path / 'pipe.pth', 'a device or a pipe'),
        ('/dev/null', 'a device or a pipe'),
        (tmp_path, 'is a folder'),
    ):
        with pytest.raises(SystemExit):
            convert_tool.main([str(source), str(target)])
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1
    assert source.read_bytes() == before and Path('/dev/null').is_char_device()
    assert not (tmp_path / 'elsewhere.pth').exists()


def test_full_disk_is_one_line_and_keeps_the_old_target(
    official_file, convert_tool, tmp_path, monkeypatch, capsys
):
    target = tmp_path / 'b.pth'
    target.write_bytes(b'old')

    def full(self, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(SystemExit):
        convert_tool.main([str(official_file('hand_s_r50')), str(target)])
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert str(target) in error and 'No space left' in error
    assert target.read_bytes() == b'old' and os.listdir(tmp_path) == ['b.pth']


class _Runs:
    """A pickle of this asks for a function call while loading."""

    def __reduce__(self):
        return (print, ('executed',))


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ({'weight': torch.zeros(1)}, 'none of the official FastMETRO names'),
        ({'trans_encoder.0.bert.x': torch.zeros(1)}, 'a METRO network, not FastMETRO'),
        (
            {'trans_encoder.0.bert.encoder.layer.0.graph_conv.w': torch.zeros(1)},
            'a Mesh Graphormer network, not FastMETRO',
        ),
        ([1, 2], 'holds a list'),
        (_Runs(), 'needs __builtin__.print'),
        (None, 'no such checkpoint file'),
        (b'garbage', 'expected a checkpoint, but the file is a text'),
        (b'<html>Sign in</html>', 'web page'),
        (
            {
                'cam_token_embed.weight': torch.zeros(1),
                'transformer_1.encoder.norm.weight': torch.zeros(1),
            },
            'lacks the tokens or layers',
        ),
        (
            {
                'cam_token_embed.weight': torch.zeros(1),
                'transformer_1.encoder.norm.weight': torch.full((1,), float('nan')),
            },
            'holds NaN',
        ),
    ],
)
def test_tool_refuses_other_files_in_one_line(
    content, expected, convert_tool, tmp_path, monkeypatch, capsys
):
    path = tmp_path / 'in.bin'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    monkeypatch.setattr(sys, 'argv', ['convert', str(path), str(tmp_path / 'out.pth')])
    with pytest.raises(SystemExit) as stop:
        convert_tool.main()
    assert stop.value.code == 2
    printed = capsys.readouterr()
    message = printed.err.strip()
    assert message.startswith('error: ')
    assert expected in message
    assert 'in.bin' in message
    assert '\n' not in message
    assert 'executed' not in printed.out
    assert not (tmp_path / 'out.pth').exists()


def test_loading_refuses_another_network_and_names_the_config(
    repo_dir, official_file, official_body_data
):
    config = str(repo_dir / 'configs' / 'fastmetro_s_r50_h36m.py')
    with pytest.raises(ValueError, match=r'hand.*configs/fastmetro_s_r50_freihand\.py'):
        init_model(config, str(official_file('hand_s_r50')), device='cpu')


def test_loading_refuses_checkpoints_that_leave_random_weights(
    repo_dir, official_body_data, tmp_path
):
    config = str(repo_dir / 'configs' / 'fastmetro_s_r50_h36m.py')
    path = tmp_path / 'other.pth'
    torch.save({'state_dict': {'backbone.conv1.weight': torch.zeros(64, 3, 7, 7)}}, path)
    with pytest.raises(ValueError, match='entries are missing'):
        init_model(config, str(path), device='cpu')
    torch.save({'state_dict': {'backbone.conv1.weight': torch.zeros(32, 3, 7, 7)}}, path)
    with pytest.raises(ValueError, match='does not fit the config'):
        init_model(config, str(path), device='cpu')


def test_sister_projects_are_told_apart():
    assert foreign_model({'trans_encoder.0.bert.x': None}) == 'METRO'
    assert foreign_model({'trans_encoder.1.bert.graph_conv.w': None}) == 'Mesh Graphormer'
    assert foreign_model({'cam_token_embed.weight': None}) is None

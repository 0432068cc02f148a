# SPDX-License-Identifier: Apache-2.0
"""Words: file names in texts are those that the configs write; one thing has one name."""

import ast
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


def _modules(repo_dir):
    for path in sorted((repo_dir / 'fastmetro_mm').rglob('*.py')):
        yield path.relative_to(repo_dir).as_posix(), path.read_text(encoding='utf-8')


def test_a_camera_is_an_object_that_projects(repo_dir):
    """The vector (s, tx, ty) is `pred_cam`, the matrices are `intrinsics` and `extrinsics`."""
    wrong, cameras = [], 0
    for name, text in _modules(repo_dir):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.arg, ast.AnnAssign)):
                called = node.arg if isinstance(node, ast.arg) else getattr(node.target, 'id', '')
                kind = ast.unparse(node.annotation) if node.annotation else ''
                if called == 'camera':
                    cameras += 'Camera' in kind
                    if re.search(r'Tensor|ndarray|\bstr\b', kind):
                        wrong.append(f'{name}:{node.lineno} camera: {kind}')
            elif (
                isinstance(node, ast.Subscript)
                and ast.unparse(node.value).split('.')[-1] == 'camera'
                and not isinstance(getattr(node.slice, 'value', None), str)  # labels of a data set
            ):
                wrong.append(f'{name}:{node.lineno} {ast.unparse(node)}')
    assert cameras > 10 and not wrong


def test_transl_is_the_parameter_of_a_body_model(repo_dir):
    """As in smplx; where a root stands before the camera is `translation`."""
    found = {name for name, text in _modules(repo_dir) if re.search(r'\btransl\b', text)}
    assert found == {
        'fastmetro_mm/body/build.py',
        'fastmetro_mm/body/skinning.py',
        'fastmetro_mm/body/smplx_backend.py',
        'fastmetro_mm/dataset_tools/converters/mesh_joints.py',
        'fastmetro_mm/dataset_tools/converters/placement.py',
        *(
            f'fastmetro_mm/exporters/{name}.py'
            for name in ('amass_params', 'bvh', 'gltf_rig', 'ground', 'smpl_params', 'smpl_tracks')
        ),
    }


def test_it_is_an_image_and_a_fix(repo_dir):
    """Not a picture, and nothing is mended; in messages, docs and names alike."""
    checked = 0
    for pattern in ('README.md', 'docs/**/*.md', 'fastmetro_mm/**/*.py', 'tools/**/*.py'):
        for path in repo_dir.glob(pattern):
            if path.name == 'old_names.py':  # names of earlier modules
                continue
            checked += 1
            text = path.read_text(encoding='utf-8')
            found = re.search(r'(?i)[\w-]*(?<![a-z])(?:pictures?|mend(?:s|ed|ing)?)(?![a-z])', text)
            assert found is None, f'{path.relative_to(repo_dir)}: {found[0]}'
    assert checked > 300

# SPDX-License-Identifier: Apache-2.0
"""The mini config: three synthetic sets, mixed, through the data loader of the config."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from fastmetro_mm.dataset_tools.converters.mixed import write_mixed_set
from fastmetro_mm.dataset_tools.inspection.label_mesh import LabelMesh
from fastmetro_mm.dataset_tools.inspection.set_report import check_set
from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions


@pytest.fixture(scope='module')
def mini_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('mini')
    for number in (1, 2, 3):
        make_synthetic_set(
            root / f'set{number}',
            SyntheticSetOptions(train=6, test=1, seed=number, size=(128, 96 + 32 * number)),
            0,
            show_progress=False,
        )
    sets = [root / f'set{number}' for number in (1, 2, 3)]
    write_mixed_set([s / 'train.yaml' for s in sets], root / 'mixed', ratios=[2, 1, 1], total=16)
    write_mixed_set([s / 'test.yaml' for s in sets], root / 'mixed', 'test')
    return root


def test_config_reads_all_three_sets(repo_dir, mini_root):
    config = Config.fromfile(repo_dir / 'configs' / 'mini_mixed.py')
    for loader, size in ((config.train_dataloader, 16), (config.val_dataloader, 3)):
        loader.dataset.data_root = str(mini_root / 'mixed')
        [batch] = Runner.build_dataloader(loader, seed=0)
        assert len(batch['inputs']) == size
        for image in batch['inputs']:
            assert image.shape == (3, config.crop_size, config.crop_size)
            assert image.dtype == torch.uint8
        # the three sets have images of different height
        heights = [sample.ori_shape[0] for sample in batch['data_samples']]
        counts = np.unique(heights, return_counts=True)[1].tolist()
        assert counts == ([8, 4, 4] if size == 16 else [1, 1, 1])
        flags = [sample.gt_instance_labels.has_smpl.item() for sample in batch['data_samples']]
        assert flags == [1.0] * size


def test_mixed_set_is_sound(mini_root):
    report = check_set(mini_root / 'mixed' / 'train.yaml', 'smpl', LabelMesh('smpl', 'open_body'))
    # 8 rows of the first set are 6 different ones, two of them twice
    assert (report.num_rows, report.num_checked, report.num_unusable) == (16, 14, 0)
    assert not {'mesh', 'projection', 'duplicate'} & set(report.problems)

# SPDX-License-Identifier: Apache-2.0
"""A detector's default scope must not hide our transforms."""

from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from fastmetro_mm.synthetic.generate import make_synthetic_set
from fastmetro_mm.synthetic.options import SyntheticSetOptions


def test_pipeline_by_name_is_built_after_a_detector_ran(tmp_path):
    options = SyntheticSetOptions(train=2, test=0, size=(64, 64), scene='studio')
    make_synthetic_set(tmp_path, options, workers=0, show_progress=False)
    init_default_scope('mmdet')
    dataset = DATASETS.build(
        dict(
            type='mmpose.MeshTSVDataset',
            ann_file=str(tmp_path / 'train.yaml'),
            pipeline=[dict(type='LoadMeshImage'), dict(type='MeshCrop', size=32)],
        )
    )
    assert dataset[0]['img'].shape == (32, 32, 3)

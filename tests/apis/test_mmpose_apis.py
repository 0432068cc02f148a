# SPDX-License-Identifier: Apache-2.0
"""The calls of docs/inference.md inside mmpose: its own functions take our configs."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import mmpose
import numpy as np
import pytest

from fastmetro_mm import config_path
from fastmetro_mm.apis.video_writer import VideoWriter

BOX = [280, 44, 499, 391]

# Everything by name, as OpenMMLab's older configs are written.
TEXT_CONFIG = """
custom_imports = dict(imports=['fastmetro_mm'])
default_scope = 'mmpose'
data_mode = 'topdown'
dataset_type = 'MeshTSVDataset'
body = dict(name='open_body')
model = dict(
    type='TopdownMeshEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=False),
    body=body,
    backbone=dict(type='ResNet', depth=18),
    neck=dict(
        type='FastMETRONeck', in_channels=512, num_joints=14, embed_dims=(64, 32),
        feedforward_dims=(64, 32), num_layers=1, num_heads=2, feature_size=(4, 4)),
    head=dict(type='FastMETROHead', in_channels=32))
pipeline = [
    dict(type='LoadMeshImage'), dict(type='BoxToCenterScale'),
    dict(type='MeshCrop', size=112), dict(type='PackMeshInputs')]
train_dataloader = dict(dataset=dict(type=dataset_type))
test_dataloader = dict(dataset=dict(type=dataset_type, pipeline=pipeline))
visualizer = dict(type='MeshVisualizer', body=body, renderer='software', name='visualizer')
"""


@pytest.fixture(scope='module')
def text_config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'mesh.py'
    path.write_text(TEXT_CONFIG)
    return str(path)


def test_inference_topdown(photo, weights_file):
    from mmpose.apis import inference_topdown, init_model

    model = init_model(config_path('quickstart'), str(weights_file), device='cpu')
    (sample,) = inference_topdown(model, str(photo), np.array([BOX], np.float32))
    found = sample.pred_instances
    assert found.vertices.shape == (1, 6890, 3) and found.keypoints.shape == (1, 14, 2)
    (whole,) = inference_topdown(model, str(photo))
    assert whole.pred_instances.bboxes.tolist() == [[0, 0, 640, 425]]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', ['shipped', 'text'])
def test_inferencer_draws_and_dumps(kind, text_config, photo, weights_file, tmp_path):
    from mmpose.apis import MMPoseInferencer

    config = config_path('quickstart') if kind == 'shipped' else text_config
    inferencer = MMPoseInferencer(
        pose2d=config,
        pose2d_weights=str(weights_file) if kind == 'shipped' else None,
        det_model='whole_image',
        device='cpu',
    )
    (result,) = inferencer(str(photo), out_dir=str(tmp_path))
    (person,) = result['predictions'][0]
    assert len(person['keypoints']) == 14
    dumped = json.loads((tmp_path / 'predictions/000000000785.json').read_text())
    assert dumped[0]['keypoints'] == person['keypoints']
    assert (tmp_path / 'visualizations/000000000785.jpg').stat().st_size > 10_000
    (result,) = inferencer(str(photo), return_datasamples=True)
    assert result['predictions'][0].pred_instances.vertices.shape == (1, 6890, 3)


@pytest.mark.filterwarnings('ignore')
def test_inferencer_takes_videos(text_config, tmp_path):
    from mmpose.apis import MMPoseInferencer

    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(3):
            writer.write(np.full((64, 64, 3), 90, np.uint8))
    inferencer = MMPoseInferencer(pose2d=text_config, det_model='whole_image', device='cpu')
    results = list(inferencer(str(tmp_path / 'clip.mp4'), out_dir=str(tmp_path / 'out')))
    assert len(results) == 3
    assert len(json.loads((tmp_path / 'out/predictions/clip.json').read_text())) == 3
    assert (tmp_path / 'out/visualizations/clip.mp4').stat().st_size > 0


@pytest.mark.filterwarnings('ignore')
def test_mmposes_demo_scripts(text_config, photo, weights_file, tmp_path, monkeypatch):
    demos = Path(mmpose.__file__).parent / '.mim' / 'demo'
    out = tmp_path / 'image.jpg'
    calls = {
        'image_demo.py': [
            photo,
            config_path('quickstart'),
            weights_file,
            '--device',
            'cpu',
            '--out-file',
            out,
        ],
        'inferencer_demo.py': [
            photo,
            '--pose2d',
            text_config,
            '--det-model',
            'whole_image',
            '--device',
            'cpu',
            '--vis-out-dir',
            tmp_path / 'out/visualizations',
            '--pred-out-dir',
            tmp_path / 'out/predictions',
        ],
    }
    for script, arguments in calls.items():
        monkeypatch.setattr(sys, 'argv', [script, *map(str, arguments)])
        runpy.run_path(str(demos / script), run_name='__main__')
    assert cv2.imread(str(out)) is not None
    assert (tmp_path / 'out/predictions/000000000785.json').is_file()
    assert (tmp_path / 'out/visualizations/000000000785.jpg').is_file()

# SPDX-License-Identifier: Apache-2.0
"""A person detector of mmdet runs on the stand-ins."""

import numpy as np
import pytest
import torch

import fastmetro_mm.compat

# the structure of mmdet's rtmdet_tiny, narrower; written out so that no config file is needed
NORM = dict(type='BN')
MODEL = dict(
    type='mmdet.RTMDet',
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        type='mmdet.CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.167,
        widen_factor=0.125,
        channel_attention=True,
        norm_cfg=NORM,
        act_cfg=dict(type='SiLU'),
    ),
    neck=dict(
        type='mmdet.CSPNeXtPAFPN',
        in_channels=[32, 64, 128],
        out_channels=32,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=NORM,
        act_cfg=dict(type='SiLU'),
    ),
    bbox_head=dict(
        type='mmdet.RTMDetSepBNHead',
        num_classes=2,
        in_channels=32,
        stacked_convs=1,
        feat_channels=32,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        anchor_generator=dict(type='mmdet.MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='mmdet.DistancePointBBoxCoder'),
        loss_cls=dict(type='mmdet.QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=2.0),
        norm_cfg=NORM,
        act_cfg=dict(type='SiLU'),
    ),
    test_cfg=dict(
        nms_pre=200,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.65),
        max_per_img=20,
    ),
)

PIPELINE = [
    dict(type='mmdet.LoadImageFromFile', backend_args=None),
    dict(type='mmdet.Resize', scale=(96, 96), keep_ratio=True),
    dict(type='mmdet.Pad', size=(96, 96), pad_val=dict(img=(114, 114, 114))),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]


@pytest.mark.filterwarnings('ignore')
def test_rtmdet_finds_boxes_in_an_array():
    fastmetro_mm.compat.apply()
    from mmdet.apis import inference_detector, init_detector
    from mmengine import Config

    config = Config(
        dict(
            model=MODEL,
            default_scope='mmdet',
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE, metainfo=None)),
            test_pipeline=PIPELINE,
        )
    )
    model = init_detector(config, None, palette='random', device='cpu')
    # untrained distances may be negative, and such boxes are dropped: let all be about two cells
    for layer in model.bbox_head.rtm_reg:
        torch.nn.init.constant_(layer.bias, 2)
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    found = inference_detector(model, image).pred_instances
    # untrained, with every score let through: the limit is reached, the boxes lie in the image
    assert len(found) == 20
    boxes = found.bboxes.numpy()
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all() and (boxes <= 120).all()
    assert (np.diff(found.scores.numpy()) <= 0).all()

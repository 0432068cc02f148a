# SPDX-License-Identifier: Apache-2.0
"""Contestants that evaluate known predictions with this package, as ``tools/test.py`` does.

The network's raw output is known; what comes after it is timed: ``predict`` (pelvis, joints,
projection, samples), the conversion of samples by mmengine's ``Evaluator``, the metrics' batches
and their final values.
"""

from __future__ import annotations

import gc
from types import MethodType
from typing import Any

import numpy as np
import torch
from inputs import evaluation_batches
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from torch import Tensor
from workers import Commands

from fastmetro_mm.evaluation import MeshJointMetric, MeshVertexMetric
from fastmetro_mm.structures import MeshDataSample, MeshPrediction

_OUR_NAMES = dict(has_2d_joints='has_2d', has_3d_joints='has_3d')
CROP = 224


def loaded_samples(labels: dict[str, Tensor], start: int = 0) -> list[MeshDataSample]:
    """Samples as the data loader hands them over, from the labels of a batch.

    Args:
        labels: By the official names, (B, ...).
        start: Row of the first in the data set.
    """
    samples = []
    for row in range(len(labels['pose'])):
        sample = MeshDataSample(
            metainfo=dict(
                img_key=f'{start + row}.jpg',
                sample_idx=start + row,
                input_size=(CROP, CROP),
                crop_to_image=np.array([[2.0, 0, 30], [0, 2.0, 40]], np.float32),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=np.array([[30.0, 40, 478, 488]], np.float32), bbox_scores=np.ones(1, np.float32)
        )
        fields = {
            _OUR_NAMES.get(name, name): value[row : row + 1].clone()
            for name, value in labels.items()
        }
        sample.gt_instance_labels = InstanceData(**fields)
        samples.append(sample)
    return samples


def known_network(body: dict) -> Any:
    """The estimator of the FastMETRO-S config, whose network answers with what it is given."""
    from mmpose.registry import MODELS
    from our_code import network_config

    estimator = MODELS.build(network_config('S', 'r50', body).model).eval()

    def answer(self: Any, inputs: dict) -> MeshPrediction:
        return MeshPrediction(
            pred_cam=inputs['camera'],
            joints=None,
            vertices_coarse=None,
            vertices=inputs['vertices'],
        )

    estimator._mesh = MethodType(answer, estimator)
    return estimator


def evaluation(commands: Commands, body: dict, samples: int, batch: int) -> None:
    """Everything but the network, on known network outputs.

    Args:
        commands: The turns.
        body: Which mesh.
        samples: Size of the set.
        batch: Samples a batch.
    """
    estimator = known_network(body)
    batches = [
        (outputs, loaded_samples(labels, start * batch))
        for start, (outputs, labels) in enumerate(evaluation_batches(samples, batch))
    ]
    # as configs/_base_/threedpw.py has them
    evaluator = Evaluator([MeshJointMetric(), MeshVertexMetric(body)])
    gc.freeze()  # a data loader's samples do not all exist at once, to be walked by the collector
    for _ in commands:
        with torch.no_grad():
            for outputs, data_samples in batches:
                evaluator.process(estimator.predict(outputs, data_samples))
                for sample in data_samples:  # a test loop forgets its batch
                    del sample.pred_instances
        scores = evaluator.evaluate(samples)
    commands.outputs['scores'] = np.array([scores[name] for name in ('MPJPE', 'PA-MPJPE', 'MPVPE')])


def joint_metrics(commands: Commands, samples: int, batch: int = 16) -> None:
    """MPJPE and PA-MPJPE of predicted samples: ``process`` of every batch and ``evaluate``.

    Args:
        commands: The turns.
        samples: Size of the set; 3DPW's test split has 35,515.
        batch: Samples a batch; 16 in the configs.
    """
    generator = torch.Generator().manual_seed(1)
    batches = []
    for start in range(0, samples, batch):
        size = min(batch, samples - start)
        joints = torch.ones(size, 24, 4)
        joints[..., :3] = 0.3 * torch.randn(size, 24, 3, generator=generator)
        predicted = 0.3 * torch.randn(size, 14, 3, generator=generator).numpy()
        labels = dict(joints_3d=joints, pose=torch.zeros(size, 72), has_3d=torch.ones(size))
        ready = []
        for row, sample in enumerate(loaded_samples(labels, start)):
            sample.pred_instances = InstanceData(joints_3d=predicted[row : row + 1])
            ready.append(sample.to_dict())  # the Evaluator's share, done once for all metrics
        batches.append(ready)
    metric = MeshJointMetric()
    gc.freeze()
    for _ in commands:
        for ready in batches:
            metric.process(None, ready)
        scores = metric.evaluate(samples)
    commands.outputs['scores'] = np.array([scores['MPJPE'], scores['PA-MPJPE']])

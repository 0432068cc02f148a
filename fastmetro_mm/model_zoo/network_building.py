# SPDX-License-Identifier: Apache-2.0
"""A network built and filled as ``mmpose.apis.init_model`` does, without importing what that does.

``mmpose.apis`` imports mmpose's inferencers and visualizers, and mmdet where it is installed: two
seconds before the first image.
"""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from torch import nn

from fastmetro_mm.engine.checkpoints.estimator_loading import load_for_estimator


def build_network(config: Config, weights: str | None, device: str) -> nn.Module:
    """Build a network and load its weights.

    Args:
        config: Config with ``model``; its ``init_cfg`` of the backbone is not used.
        weights: Path or address of a checkpoint; None leaves the network untrained.
        device: Where it goes.

    Returns:
        The network in evaluation mode, with ``cfg`` and the checkpoint's ``dataset_meta``,
        else that of its kind of body.
    """
    if 'init_cfg' in config.model.backbone:
        config.model.backbone.init_cfg = None
    config.model.train_cfg = None
    scope = config.get('default_scope', 'mmpose')
    if scope is not None:
        init_default_scope(scope)
    network: Any = revert_sync_batchnorm(MODELS.build(config.model))
    meta = {}
    if weights is not None:
        meta = load_for_estimator(network, weights).get('meta', {})
    network.dataset_meta = meta.get('dataset_meta') or parse_pose_metainfo(network.body.metainfo)
    network.cfg = config
    return network.to(device).eval()

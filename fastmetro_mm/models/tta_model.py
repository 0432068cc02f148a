# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation: every sample comes in several views and leaves with one answer."""

from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel, is_model_wrapper
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.mesh_estimator import TopdownMeshEstimator
from fastmetro_mm.models.views import ViewMerger, mean_pred_cam
from fastmetro_mm.structures import MeshDataSample


@MODELS.register_module()
class MeshTTAModel(BaseModel):
    """Wraps an estimator; ``tta_model`` in the sense of mmengine's ``PrepareTTAHook``.

    Views come as mmcv's ``TestTimeAug`` packs them; the first must be the image as it is. Results
    are turned and mirrored back by what ``MeshAugment`` did, and averaged (:class:`ViewMerger`):
    a posed body by its rotations, the camera in the image. Samples say beside it how far the views
    lie apart: ``pred_instances.joint_spread`` (1, J), metres.

    Args:
        module: The network.
    """

    def __init__(self, module: TopdownMeshEstimator) -> None:
        super().__init__()
        self.module: Any = module.module if is_model_wrapper(module) else module
        self.merger = ViewMerger(self.module.body).to(next(module.parameters()).device)

    @torch.no_grad()
    def test_step(self, data: dict[str, Any]) -> list[MeshDataSample]:
        """Predict all views of a batch and average them.

        Args:
            data: ``inputs`` and ``data_samples``, each a list of views with a list of samples.

        Returns:
            The samples of the first view with ``pred_instances``.

        Raises:
            ConfigError: If the first view is mirrored or turned.
        """
        network: Any = self.module
        found, pred_cams, crops, joints = [], [], [], []
        first: list[MeshDataSample] = []
        for number in range(len(data['inputs'])):
            view = {name: values[number] for name, values in data.items()}
            view = network.data_preprocessor(view, False)
            samples = view['data_samples']
            flip, rot = (
                torch.tensor([float(sample.metainfo.get(name, 0)) for sample in samples])
                for name in ('flip', 'rot')
            )
            if number == 0:
                first = samples
                if flip.any() or rot.any():
                    raise ConfigError(
                        'tta_pipeline: its first view is mirrored or turned: begin with the '
                        'image as it is'
                    )
            prediction = network.infer(view['inputs'], flip_test=False)
            found.append(self.merger.back(prediction, flip.bool(), rot))
            pred_cams.append(prediction.pred_cam.float())
            maps = np.stack([sample.metainfo['crop_to_image'] for sample in samples])
            crops.append(torch.from_numpy(maps))
            joints.append(network.head.centre(found[-1])[1])
        size = float(np.ravel(first[0].metainfo['input_size'])[0])
        pred_cam = mean_pred_cam(pred_cams, crops, size)
        samples = network.results(self.merger(found, pred_cam, network.poses(found[0])), first)
        for sample, far in zip(samples, spread(joints).cpu().numpy(), strict=True):
            sample.pred_instances.set_field(far[None], 'joint_spread')
        return samples

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """One view, as the network itself."""
        return self.module(*args, **kwargs)


def spread(joints: list[Tensor]) -> Tensor:
    """Standard deviation of the joints' places over views.

    Args:
        joints: Of each view. (B, J, 3)

    Returns:
        (B, J)
    """
    every = torch.stack(joints)
    return (every - every.mean(0)).square().sum(-1).mean(0).sqrt()

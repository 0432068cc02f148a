# SPDX-License-Identifier: Apache-2.0
"""Wraps the network for test-time augmentation once its weights are loaded."""

from typing import Any

from mmengine.hooks import PrepareTTAHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from fastmetro_mm.datasets.transforms.views import check_mirroring


@HOOKS.register_module()
class MeshTTAHook(PrepareTTAHook):
    """mmengine's hook, which also asks whether the views suit the network's body.

    Args:
        tta_cfg: Config of the wrapper, ``dict(type=MeshTTAModel)``.
        flips: Whether some views are mirrored.
    """

    def __init__(self, tta_cfg: dict, flips: bool = False) -> None:
        super().__init__(dict(tta_cfg))
        self.flips = flips

    def before_test(self, runner: Runner) -> None:
        """Wrap ``runner.model``.

        Raises:
            InputError: If mirror images of hands are asked for.
        """
        super().before_test(runner)
        model: Any = runner.model
        check_mirroring(self.flips, model.module.body)

# SPDX-License-Identifier: Apache-2.0
"""The 24 labelled joints of SMPL parameters, where a body model is at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.genders import parse_gender
from fastmetro_mm.body.joint_regression import joint_regressor_matrix
from fastmetro_mm.body.model_files import find_model_file
from fastmetro_mm.dataset_tools.converters.placement import rotate_root, translation_in_camera
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.errors import ConfigError, MissingBodyFileError

BODIES = ('auto', 'none', 'smpl', 'open_body')


class MeshJoints:
    """Poses a body model and regresses J24 (``joint_sets.J24``), as METRO's scripts do.

    Args:
        body: ``'smpl'``, ``'open_body'``, ``'none'`` (no joints are derived) or ``'auto'``: SMPL
            where its files are found, else none.
        body_data_root: Folder of the licensed files.
        genders: Model files that must be there.

    Attributes:
        body: The body chosen; None where joints cannot be derived.
        files: Its model files.

    Raises:
        MissingBodyFileError: `body` is ``'smpl'`` and a file is missing.
    """

    def __init__(
        self,
        body: str = 'auto',
        body_data_root: str | None = None,
        genders: Sequence[str] = ('neutral',),
    ) -> None:
        if body not in BODIES:
            raise ConfigError(f'body model {body!r}: use one of {", ".join(BODIES)}')
        self.body_data_root = body_data_root
        self.body = {'auto': 'smpl', 'none': None}.get(body, body)
        self.files: list[Path] = []
        self._models: dict = {}
        self._matrices: dict = {}
        if self.body is None:
            return
        try:
            files = [find_model_file(self.body, body_data_root, gender) for gender in genders]
            _ = load_body_assets(self.body, body_data_root).J_regressor_extra  # read lazily
            self.files = list(map(Path, files))
        except MissingBodyFileError:
            if body != 'auto':
                raise
            self.body = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_models': {}, '_matrices': {}}

    @property
    def note(self) -> str:
        """What the conversion says about the joints."""
        if self.body is None:
            return (
                'no SMPL file found: joints that only a mesh gives (hips, pelvis, neck, head '
                'and all 3D joints that the source lacks) get confidence 0; give '
                '--body-data FOLDER to derive them'
            )
        return f'3D joints are regressed from {self.body} meshes'

    def posed(
        self, pose: np.ndarray, betas: np.ndarray, gender: str = 'neutral'
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Joints of one body at no translation.

        Args:
            pose: (72,) axis-angle.
            betas: (10,).
            gender: Model to pose; see `genders.parse_gender`.

        Returns:
            J24 (24, 3) and the root joint (3,), metres; None without a body model.

        Raises:
            SkipRow: Pose or shape is not finite.
            ValueError: The gender is unknown.
        """
        if self.body is None:
            return None
        if not (np.isfinite(pose).all() and np.isfinite(betas).all()):
            raise SkipRow('pose or betas are not finite')
        gender = parse_gender(gender)
        gender = 'neutral' if gender == 'none' else gender
        if gender not in self._models:
            self._models[gender] = build_body_model(
                self.body, self.body_data_root, gender, dtype=torch.float64
            )
            self._matrices[gender] = joint_regressor_matrix(
                load_body_assets(self.body, self.body_data_root),
                'j24',
                load_model_arrays(self.body, self.body_data_root, gender),
            )
        with torch.no_grad():
            out = self._models[gender](
                torch.as_tensor(pose, dtype=torch.float64)[None],
                torch.as_tensor(betas, dtype=torch.float64)[None],
            )
        return self._matrices[gender] @ out.vertices[0].numpy(), out.joints[0, 0].numpy()

    def placed(
        self, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, gender: str = 'neutral'
    ) -> np.ndarray | None:
        """J24 (24, 3) at a translation, or None without a body model."""
        posed = self.posed(pose, betas, gender)
        return None if posed is None else posed[0] + np.asarray(transl, np.float64)

    def from_world(
        self,
        pose: np.ndarray,
        betas: np.ndarray,
        transl: np.ndarray,
        rotation: np.ndarray,
        translation: np.ndarray,
        gender: str = 'neutral',
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Pose and joints in the camera frame from parameters in the world frame.

        Args:
            pose: (72,) axis-angle, world.
            betas: (10,).
            transl: (3,) metres, world.
            rotation: (3, 3) world to camera.
            translation: (3,) world to camera, metres.
            gender: Model to pose.

        Returns:
            Pose (72,) and J24 (24, 3) metres, both in the camera frame; None for the joints
            without a body model.
        """
        turned = rotate_root(pose, rotation)
        posed = self.posed(turned, betas, gender)
        if posed is None:
            return turned, None
        joints, root = posed
        return turned, joints + translation_in_camera(
            np.asarray(transl, np.float64), root, rotation, translation
        )

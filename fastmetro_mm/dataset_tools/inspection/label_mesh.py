# SPDX-License-Identifier: Apache-2.0
"""The mesh that a row's pose and shape stand for, where a body model is at hand."""

from __future__ import annotations

import numpy as np
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_regression import joint_regressor_matrix
from fastmetro_mm.datasets.labels import LAYOUTS
from fastmetro_mm.errors import ConfigError, MissingBodyFileError

_LICENSED = {'smpl': 'smpl', 'hand': 'mano'}
BODIES = ('auto', 'none', 'smpl', 'mano', 'open_body', 'open_hand')


class LabelMesh:
    """Poses the neutral body (or the right hand) with label parameters.

    Args:
        kind: ``'smpl'`` or ``'hand'``, as the data set's `body`.
        body: Body model; ``'auto'`` takes SMPL or MANO where the files are found, else none;
            ``'none'`` none. Synthetic sets need the open bodies they were drawn with.
        body_data_root: Folder of the licensed files.

    Attributes:
        body: Name of the body used, or None.

    Raises:
        MissingBodyFileError: A named body lacks its files.
        ValueError: A hand model for bodies or the other way round.
    """

    def __init__(self, kind: str, body: str = 'auto', body_data_root: str | None = None) -> None:
        if body not in BODIES:
            raise ConfigError(f'body model {body!r}: use one of {", ".join(BODIES)}')
        hand = kind == 'hand'
        if body not in ('auto', 'none') and hand != (body in ('mano', 'open_hand')):
            raise ConfigError(f'body model {body!r} does not fit a data set of kind {kind!r}')
        self._root = LAYOUTS[kind].root
        self.body: str | None = {'auto': _LICENSED[kind], 'none': None}.get(body, body)
        if self.body is None:
            return
        try:
            assets = load_body_assets(self.body, body_data_root)
            arrays = load_model_arrays(self.body, body_data_root)
            self._matrix = joint_regressor_matrix(assets, 'hand21' if hand else 'j24', arrays)
            self._model = build_body_model(self.body, body_data_root, dtype=torch.float64)
            self.faces = assets.faces[0]
        except MissingBodyFileError:
            if body != 'auto':
                raise
            self.body = None

    def __call__(self, info: dict) -> tuple[np.ndarray, np.ndarray] | None:
        """Vertices and joints of a sample, about the root joint of its labels.

        Args:
            info: Sample with ``pose``, ``betas`` and ``has_smpl``.

        Returns:
            (V, 3) and (24 or 21, 3) metres; None without a body model or mesh label.
        """
        if self.body is None or not info.get('has_smpl'):
            return None
        with torch.no_grad():
            vertices = (
                self._model(
                    *(
                        torch.as_tensor(np.asarray(info[name]), dtype=torch.float64)[None]
                        for name in ('pose', 'betas')
                    )
                )
                .vertices[0]
                .numpy()
            )
        joints = self._matrix @ vertices
        return vertices - joints[self._root], joints - joints[self._root]

# SPDX-License-Identifier: Apache-2.0
"""The optional smplx package as a second skinning backend, fed with plain arrays."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from fastmetro_mm.body.skinning import BodyModelOutput, check_model_inputs
from fastmetro_mm.errors import MissingPackageError
from fastmetro_mm.geometry.precision import full_precision


class SmplxBodyModel(nn.Module):
    """smplx.SMPL or smplx.MANO with the interface of ``SkinnedBodyModel``.

    smplx is given arrays through ``data_struct``, so it opens no file and needs no chumpy.
    It is for non-commercial use only and therefore never a dependency of this package.

    Args:
        arrays: Model arrays as ``read_model_file`` returns them.
        flat_hand_mean: For hands, whether an axis-angle pose is absolute.
        is_right_hand: For hands, the side.
        dtype: Precision of buffers and computation.

    Raises:
        ModuleNotFoundError: smplx is not installed.
    """

    model: Any  # of smplx, whose own annotations are aliases of another Tensor
    faces: Tensor

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        flat_hand_mean: bool = False,
        is_right_hand: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        try:
            import smplx
            from smplx.utils import Struct
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                "backend='smplx' needs the smplx package (non-commercial licence): "
                "pip install smplx, or use backend='native'"
            ) from error
        options: dict[str, Any] = dict(
            model_path='', data_struct=Struct(**arrays), dtype=dtype, create_betas=False,
            create_global_orient=False, create_body_pose=False, create_transl=False,
        )  # fmt: skip
        # smplx prints a remark about ten betas, which is what every caller here wants.
        with contextlib.redirect_stdout(io.StringIO()):
            if 'hands_mean' in arrays:
                self._rest_of_pose = 'hand_pose'
                self.model = smplx.MANO(
                    is_rhand=is_right_hand, use_pca=False, num_pca_comps=45,
                    flat_hand_mean=flat_hand_mean, create_hand_pose=False, **options,
                )  # fmt: skip
            else:
                self._rest_of_pose = 'body_pose'
                self.model = smplx.SMPL(**options)
        # Licensed arrays must not end up in checkpoints.
        for module in self.model.modules():
            for name, value in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, value, persistent=False)
        self.num_vertices, self.num_betas = len(arrays['v_template']), self.model.num_betas
        self.num_joints = len(arrays['weights'][0])
        self.parents = tuple(int(p) for p in np.asarray(arrays['kintree_table'])[0])
        faces = torch.from_numpy(np.asarray(arrays['f']).astype(np.int64))
        self.register_buffer('faces', faces, persistent=False)

    def forward(self, pose: Tensor, betas: Tensor, transl: Tensor | None = None) -> BodyModelOutput:
        """Pose the model; see ``SkinnedBodyModel.forward``."""
        check_model_inputs(pose, betas, transl, self.num_joints, self.num_betas)
        with full_precision(pose):
            dtype = self.model.v_template.dtype
            pose, betas = pose.to(dtype), betas.to(dtype)
            if pose.ndim == 4:
                vertices, joints = self._pose_by_matrices(pose, betas)
            else:
                rest = {self._rest_of_pose: pose[:, 3:]}
                out = self.model(betas=betas, global_orient=pose[:, :3], **rest)
                # The others are vertices that smplx appends as extra joints.
                vertices, joints = out.vertices, out.joints[:, : self.num_joints]
            if transl is not None:
                shift = transl.to(dtype).unsqueeze(1)
                vertices, joints = vertices + shift, joints + shift
            return BodyModelOutput(vertices, joints)

    def _pose_by_matrices(self, rotations: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        # smplx.MANO has no switch for matrices, its skinning function has.
        from smplx import lbs

        model, blending = self.model, cast(Any, lbs)
        return blending.lbs(
            betas, rotations, model.v_template, model.shapedirs, model.posedirs,
            model.J_regressor, model.parents, model.lbs_weights, pose2rot=False,
        )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""The estimator: image crop in, mesh out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from torch import Tensor

from fastmetro_mm.body.joint_sets import SMPL24
from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.models.heads.targets import build_targets
from fastmetro_mm.models.views import ViewMerger, check_test_cfg
from fastmetro_mm.models.weight_loading import fit_to_model, prepare_weights, prove_weights
from fastmetro_mm.structures import MeshDataSample, MeshPrediction, MeshTargets, TokenFeatures


@MODELS.register_module()
class TopdownMeshEstimator(BasePoseEstimator):
    """Backbone, transformer neck and mesh head, with an optional SMPL parameter head.

    Released FastMETRO weights are recognised and renamed while they are loaded.

    Args:
        backbone: Any mmpose backbone.
        neck: Usually ``FastMETRONeck``.
        head: Usually ``FastMETROHead``.
        body: Which mesh, given once for neck and heads: ``dict(name='smpl',
            body_data_root='data/body_models')``. The environment variable
            ``FASTMETRO_BODY_DATA`` overrides the folder. Metrics and visualizer get it from here.
        smpl_head: ``SMPLRegressorHead``, or None.
        freeze_mesh: Train the SMPL head alone: backbone, neck and mesh head neither get gradients
            nor change their BatchNorm statistics, and run without dropout.
        mesh_loss_weight: Factor of the mesh loss beside the SMPL loss. The official Human3.6M
            stage of the SMPL head uses 1e-8 instead of freezing.
        partial_checkpoint: Take from a checkpoint what fits and say what does not, e.g. to start
            a changed network from released weights. By default such a file is refused.
        channels_last: Keep the backbone's weights and feature maps in channels-last order, in
            which half-precision convolutions run faster; the numbers stay the same. Our runner
            does so by itself on the CPU.
        train_cfg: Unused; mmpose's inference functions set it.
        test_cfg: ``dict(flip_test=True)`` averages the prediction with that of the mirror image;
            the official evaluation does not.
        data_preprocessor: ``MeshDataPreprocessor`` with ImageNet mean and deviation, RGB.
        init_cfg: See mmengine's ``BaseModule``.
        metainfo: See mmpose's ``BasePoseEstimator``.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        body: MeshBody | dict,
        smpl_head: dict | None = None,
        freeze_mesh: bool = False,
        mesh_loss_weight: float = 1.0,
        partial_checkpoint: bool = False,
        channels_last: bool = False,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        metainfo: dict | None = None,
    ) -> None:
        flips = check_test_cfg(test_cfg)
        body = build_body(body)
        super().__init__(
            backbone=backbone,
            neck={'body': body, **neck},
            head={'body': body, **head},
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        found, wanted = (getattr(part, 'num_joints', None) for part in (self.neck, self.head))
        if None not in (found, wanted) and found != wanted:
            raise ConfigError(
                f'model.neck.num_joints={found}: {type(self.head).__name__} of body '
                f"'{body.name}' reads {wanted} joint tokens: set model.neck.num_joints={wanted}"
            )
        self.flip_test = ViewMerger(body) if flips else None
        self.smpl_head = None
        if smpl_head is not None:
            self.smpl_head = MODELS.build({'body': body, **smpl_head})
            if body.model is None:  # parameters are of use without the licensed file
                print_log(f'SMPL parameters come without a posed mesh: {body.missing}', 'current')
        self.body = body
        self.mesh_loss_weight = mesh_loss_weight
        self.partial_checkpoint = partial_checkpoint
        self.image_layout: dict = {}
        if channels_last:
            self.use_channels_last()
        self.freeze_mesh = freeze_mesh
        if freeze_mesh:
            if self.smpl_head is None:
                raise ConfigError('freeze_mesh=True needs an smpl_head: nothing else is trained')
            for part in (self.backbone, self.neck, self.head):
                part.requires_grad_(False)
        self.expected_weights: dict[str, Tensor] | None = None
        self._register_load_state_dict_pre_hook(prepare_weights, with_module=True)
        self.register_load_state_dict_post_hook(prove_weights)
        self.smpl_head_loaded = False
        self._register_load_state_dict_pre_hook(self._note_smpl_head)

    def _note_smpl_head(self, state_dict: Mapping[str, Tensor], prefix: str, *_: object) -> None:
        """Keep in mind whether weights held the SMPL head: without it its output means nothing."""
        if any(key.startswith(f'{prefix}smpl_head.') for key in state_dict):
            self.smpl_head_loaded = True

    def check_weights(self, content: Mapping[str, Any]) -> dict[str, Tensor]:
        """Tell before loading whether a checkpoint belongs to this network.

        Args:
            content: A checkpoint, or its weights with our or official names; left as it is.

        Returns:
            The weights under the names of this network.

        Raises:
            ValueError: If not; one sentence that names the right config where it is known.
        """
        return fit_to_model(self, content)

    def use_channels_last(self) -> None:
        """Keep the backbone's weights and feature maps in channels-last order from now on."""
        self.backbone.to(memory_format=torch.channels_last)
        self.image_layout = dict(memory_format=torch.channels_last)

    def init_weights(self) -> None:
        """Initialise, and fail now rather than after the first batch if a body file is missing."""
        self.body.require_model()
        super().init_weights()

    def train(self, mode: bool = True) -> 'TopdownMeshEstimator':
        """Switch modes; frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.freeze_mesh:
            for part in (self.backbone, self.neck, self.head):
                part.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> TokenFeatures:
        """Run backbone and neck.

        Args:
            inputs: Normalised RGB crops. (B, 3, 224, 224)

        Returns:
            Tokens of the second width.
        """
        if self.image_layout:
            inputs = inputs.to(**self.image_layout)
        features: Any = super().extract_feat(inputs)  # annotated as feature maps by mmpose
        return features

    def _forward(
        self, inputs: Tensor, data_samples: Sequence[MeshDataSample] | None = None
    ) -> MeshPrediction | tuple[Tensor, ...]:
        prediction = self._mesh(inputs)
        if torch.jit.is_tracing():  # mmpose's FLOP counter: jit knows no dataclass
            return tuple(value for value in vars(prediction).values() if value is not None)
        return prediction

    def _mesh(self, inputs: Tensor) -> MeshPrediction:
        if inputs.shape[0] == 0:  # nobody was found; some functions of torch do not take that
            one = vars(self._mesh(inputs.new_zeros(1, *inputs.shape[1:])))
            none: dict[str, Any] = {
                name: None if part is None else part[:0] for name, part in one.items()
            }
            return MeshPrediction(**none)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_mesh):
            prediction = self.mesh_of(inputs)
        # graphs run its layers with the mesh's (runtimes/mesh_graphs.py)
        if self.smpl_head is not None and not getattr(self.mesh_of, 'gives_smpl', False):
            prediction.rotmat, prediction.betas = self.smpl_head(prediction.vertices_mid)
        return prediction

    def mesh_of(self, inputs: Tensor) -> MeshPrediction:
        """Run backbone, neck and mesh head.

        Args:
            inputs: Normalised RGB crops. (B, 3, 224, 224)

        Returns:
            Raw, uncentred prediction in metres.
        """
        return self.head(self.extract_feat(inputs))

    def build_targets(
        self, data_samples: Sequence[MeshDataSample], device: torch.device
    ) -> MeshTargets:
        """Labels of a batch as tensors, with the meshes they stand for.

        Args:
            data_samples: Samples with ``gt_instance_labels``.
            device: Where the targets go.

        Raises:
            MissingBodyFileError: If the model file of the body is missing.
        """
        return build_targets(self.body, data_samples, device)

    def loss(self, inputs: Tensor, data_samples: Sequence[MeshDataSample]) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: Normalised RGB crops. (B, 3, 224, 224)
            data_samples: Samples with ``gt_instance_labels``.

        Returns:
            ``loss_mesh`` (and ``loss_smpl``), weighted, and the unweighted terms for the log.
        """
        prediction = self._mesh(inputs)
        targets = self.build_targets(data_samples, inputs.device)
        losses = {}
        if not self.freeze_mesh:
            losses.update(self.head.loss(prediction, targets))
            losses['loss_mesh'] = self.mesh_loss_weight * losses['loss_mesh']
        if self.smpl_head is not None:
            losses.update(self.smpl_head.loss(prediction, targets))
        return losses

    def predict(
        self, inputs: Tensor, data_samples: Sequence[MeshDataSample]
    ) -> list[MeshDataSample]:
        """Meshes of a batch.

        Args:
            inputs: Normalised RGB crops. (B, 3, 224, 224)
            data_samples: Their samples.

        Returns:
            The same samples with ``pred_instances``.
        """
        return self.results(self.infer(inputs), data_samples)

    def infer(self, inputs: Tensor, flip_test: bool = True) -> MeshPrediction:
        """The raw prediction of a batch, with flip testing where ``test_cfg`` asks for it.

        Args:
            inputs: Normalised RGB crops. (B, 3, 224, 224)
            flip_test: False leaves it out: whoever averages views of his own mirrors them himself.

        Returns:
            Raw, uncentred prediction in metres.
        """
        prediction = self._mesh(inputs)
        if self.flip_test is None or not flip_test:
            return prediction
        return self.flip_test.flip_test(
            prediction, self._mesh(inputs.flip(-1)), self.poses(prediction)
        )

    def poses(self, prediction: MeshPrediction) -> bool:
        """Whether the mesh of a prediction is posed from its rotations and shape."""
        return prediction.rotmat is not None and self.smpl_head is None

    def results(
        self, prediction: MeshPrediction, data_samples: Sequence[MeshDataSample]
    ) -> list[MeshDataSample]:
        """Put a prediction into its samples.

        Args:
            prediction: Raw prediction.
            data_samples: Its samples.

        Returns:
            The same samples with ``pred_instances``.
        """
        instances = self.head.predict(prediction, data_samples)
        if prediction.rotmat is not None and prediction.rotmat.shape[1] == len(SMPL24):
            self._add_smpl(prediction, instances)
        for sample, instance in zip(data_samples, instances, strict=True):
            boxes = sample.gt_instances
            instance.set_field(boxes.bboxes, 'bboxes')
            instance.set_field(boxes.bbox_scores, 'bbox_scores')
            instance.set_field(instance.keypoint_scores, 'keypoints_visible')
            sample.pred_instances = instance
            # metrics and visualizers take it from here, so that a config names the body once
            sample.set_field(self.body.config, 'body', field_type='metainfo')
        return list(data_samples)

    def _add_smpl(self, prediction: MeshPrediction, instances: list) -> None:
        rotmat, betas = prediction.rotmat.float(), prediction.betas.float()
        fields = {'global_orient': rotmat[:, 0], 'body_pose': rotmat[:, 1:], 'betas': betas}
        # of a parametric head the mesh is the posed one already
        if self.smpl_head is not None and self.body.model is not None:
            vertices, joints = self.body.centre(self.body.pose(rotmat, betas).vertices)
            fields['smpl_vertices'], fields['smpl_joints_3d'] = vertices, joints
        fields = {name: value.cpu().numpy() for name, value in fields.items()}
        for index, instance in enumerate(instances):
            for name, value in fields.items():
                instance.set_field(value[index : index + 1], name)

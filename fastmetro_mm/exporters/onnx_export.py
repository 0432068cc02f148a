# SPDX-License-Identifier: Apache-2.0
"""The network as ONNX, with an npz beside it that holds what the graph does not.

In the graph: backbone, transformers, mesh head, and the SMPL head up to its raw 3x3 matrices.
Outside, in ``numpy_runtime``: cutting the crop, the projection onto rotations (a singular value
decomposition, which ONNX does not have), joint regression and centring.

(The module is not called ``onnx``: a script started from this folder would import it instead of
the package of that name.)
"""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from fastmetro_mm.errors import ExportError, MissingBodyFileError, MissingPackageError
from fastmetro_mm.fileio import write_atomically

if TYPE_CHECKING:
    from fastmetro_mm.models.mesh_estimator import TopdownMeshEstimator

CONTRACT_FORMAT = 'fastmetro_mm.onnx.1'
"""Name and version of the npz beside the graph."""
DEFAULT_OPSET = 18
BODY_OUTPUTS = ('camera', 'joints', 'vertices_coarse', 'vertices_mid', 'vertices')
HAND_OUTPUTS = ('camera', 'joints', 'vertices_coarse', 'vertices')
SMPL_OUTPUTS = ('rotmat_raw', 'betas')


class ExportedNetwork(nn.Module):
    """The part of an estimator that goes into the graph.

    Args:
        model: ``TopdownMeshEstimator`` in evaluation mode.
    """

    def __init__(self, model: TopdownMeshEstimator) -> None:
        super().__init__()
        self.model = model
        has_middle = len(model.body.num_vertices) == 3
        self.output_names = BODY_OUTPUTS if has_middle else HAND_OUTPUTS
        if model.smpl_head is not None:
            self.output_names = self.output_names + SMPL_OUTPUTS

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB crops (B, 3, H, W) to the tensors of ``output_names``."""
        prediction = self.model.head(self.model.extract_feat(image))
        outputs = [
            # the graph keeps the name that it was shipped with
            prediction.pred_cam if name == 'camera' else getattr(prediction, name)
            for name in self.output_names
            if name not in SMPL_OUTPUTS
        ]
        if self.model.smpl_head is not None:
            head = self.model.smpl_head
            matrices, betas = head.regressor(prediction.vertices_mid.flatten(1)).tensor_split(
                [24 * 9], dim=1
            )
            outputs += [matrices.unflatten(1, (24, 3, 3)), betas]
        return tuple(outputs)


class _AnyInputs(nn.Module):
    """A module under one signature, whose batch axes can be named without knowing its own."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.module(*inputs)


def export_onnx(
    model: TopdownMeshEstimator,
    path: str | os.PathLike,
    crop_size: int | tuple[int, int] = 224,
    opset: int = DEFAULT_OPSET,
    dynamic_batch: bool = True,
) -> Path:
    """Write the network as one ONNX file.

    Input ``image`` (B, 3, H, W) float32: RGB crops, mean and deviation removed. Outputs, float32,
    metres, origin free: ``camera`` (B, 3), ``joints`` (B, 14, 3), ``vertices_coarse``
    (B, 431, 3), ``vertices_mid`` (B, 1723, 3), ``vertices`` (B, 6890, 3); hands 21, 195, -, 778.
    With the SMPL head ``rotmat_raw`` (B, 24, 3, 3), which are not rotations yet, and ``betas``.

    Args:
        model: ``TopdownMeshEstimator``; left as it was.
        path: File to write, ending in ``.onnx``.
        crop_size: Side of the crops, or (height, width), pixels.
        opset: ONNX operator set, 18 or later.
        dynamic_batch: Whether the graph takes any batch size instead of 1.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
    """
    path = Path(path)
    if path.suffix != '.onnx':
        raise ExportError(f'{path}: the name of an ONNX file must end with .onnx')
    if opset < 18:
        raise ExportError(f'opset {opset} is too old for the exporter of torch: use 18 or later')
    require('onnx', 'onnxscript')
    height, width = (crop_size, crop_size) if isinstance(crop_size, int) else crop_size
    device = next(model.parameters()).device
    # Two crops: a batch of one would be taken for a constant.
    crops = torch.zeros(2 if dynamic_batch else 1, 3, height, width, device=device)
    with ready_for_export(model):
        network = ExportedNetwork(model)
        return export_graph(
            network, path, {'image': crops}, network.output_names, opset, dynamic_batch
        )


def export_graph(
    module: nn.Module,
    path: str | os.PathLike,
    inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    opset: int = DEFAULT_OPSET,
    dynamic_batch: bool = True,
) -> Path:
    """Write any module as one ONNX file.

    Args:
        module: Takes the inputs in their order and returns a tuple of tensors.
        path: File to write.
        inputs: Examples by name; their first axis is the batch, at least 2 if it is dynamic.
        output_names: Names of what it returns.
        opset: ONNX operator set.
        dynamic_batch: Whether the graph takes any batch size.

    Raises:
        MissingPackageError: onnx or onnxscript is not installed.
    """
    require('onnx', 'onnxscript')
    shapes = None
    if dynamic_batch:
        batch = torch.export.Dim('batch', min=1, max=4096)
        shapes = (tuple({0: batch} for _ in inputs),)
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _AnyInputs(module),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(output_names),
            opset_version=opset,
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None  # what dynamo=True gives
    return write_atomically(path, lambda name: program.save(str(name), external_data=False))


def export_contract(model: TopdownMeshEstimator, config: Config, path: str | os.PathLike) -> Path:
    """Write the npz that pre- and post-processing need beside the graph.

    Args:
        model: The exported model.
        config: Its config; crop size, crop mode and box padding are read from the pipeline of
            ``test_dataloader``.
        path: File to write, ending in ``.npz``.

    Raises:
        ExportError: The pipeline has no crop, or the joints of a hand need a file that is missing.
    """
    head: Any = model.head
    normalize: Any = model.data_preprocessor
    assets = head.body.assets
    crop = _find_transform(config, 'MeshCrop')
    box = _find_transform(config, 'BoxToCenterScale')
    arrays: dict[str, Any] = dict(
        format=np.array(CONTRACT_FORMAT),
        body=np.array(assets.name),
        joint_names=np.array(head.body.joint_names),
        joints_from=np.array(head.joints_from),
        faces=assets.faces[0].astype(np.int32),
        crop_size=np.array(crop_size_of(config)),
        crop_mode=np.array(crop.get('mode', 'official')),
        box_padding=np.array(float(box.get('padding', 1.2))),
        mean=normalize.mean.cpu().numpy().reshape(3).astype(np.float32),
        std=normalize.std.cpu().numpy().reshape(3).astype(np.float32),
    )
    try:
        root, joints = head.body.regressor_rows()
    except MissingBodyFileError:
        if head.joints_from == 'mesh':
            raise
    else:
        arrays['root_regressor'] = root.astype(np.float32)
        arrays['J_regressor'] = joints.astype(np.float32)
    return write_atomically(path, lambda name: np.savez_compressed(name, **arrays))


def crop_size_of(config: Config) -> int:
    """Side of the crop that a config's test pipeline makes, pixels."""
    return int(_find_transform(config, 'MeshCrop').get('size', 224))


def require(*packages: str) -> None:
    """Raise one clear error if a package of the ``export`` extra is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f'ONNX export needs {" and ".join(missing)}: pip install {" ".join(missing)}',
            name=missing[0],
        )


def _find_transform(config: Config, name: str) -> dict:
    """Settings of a transform in the test pipeline."""
    for step in config.test_dataloader.dataset.pipeline:
        kind = step['type']
        if (kind if isinstance(kind, str) else kind.__name__).rsplit('.', 1)[-1] == name:
            return step
    raise ExportError(
        f'test_dataloader.dataset.pipeline of the config has no {name}: add it, the exported '
        'network needs the crop it was made for'
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about its own insides, which the user cannot fix."""
    loggers = [logging.getLogger(name) for name in ('onnxscript', 'onnx_ir', 'torch.onnx')]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def ready_for_export(model: TopdownMeshEstimator) -> Iterator[None]:
    """Evaluation mode and up-sampling by gathers; everything is put back afterwards."""
    training, sampling = model.training, model.head.body.sampling
    method = sampling.method
    model.eval()
    sampling.method = 'gather'
    try:
        yield
    finally:
        sampling.method = method
        model.train(training)

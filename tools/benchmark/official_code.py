# SPDX-License-Identifier: Apache-2.0
"""Contestants that run the official code out of a checkout, unchanged, on the CPU or a GPU.

The checkout is copied to a temporary folder with a body model file in the licensed file's layout
beside it (made from the free body, the arithmetic is the same), because the code opens its files
by relative path and the licensed one cannot be shipped. Three things of the environment are
replaced, nothing of what is measured: modules that no longer install and are not used here are
left empty, ``.cuda()`` does nothing on the CPU, and the training loop is fed by the benchmark.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import os
import pickle
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from both_ways import drive_mesh_sampling, drive_smpl_head
from inputs import evaluation_batches, images, rule_weights, training_batch
from workers import Commands

MODEL_FILE = 'basicModel_neutral_lbs_10_207_0_v1.0.0.pkl'
# HRNet-W64 as published (Wang et al., 2019); the official code reads it from a YAML file that
# is not in its repository.
_HRNET_W64 = {
    'STAGE1': ('BOTTLENECK', 1, [4], [64]),
    'STAGE2': ('BASIC', 1, [4, 4], [64, 128]),
    'STAGE3': ('BASIC', 4, [4, 4, 4], [64, 128, 256]),
    'STAGE4': ('BASIC', 3, [4, 4, 4, 4], [64, 128, 256, 512]),
}
_GONE = ('opendr', 'opendr.camera', 'opendr.renderer', 'opendr.lighting', 'scipy.misc', 'pyrender',
         'trimesh')  # fmt: skip


class CheckoutError(ValueError):
    """The folder is no checkout of the official code."""


def check_checkout(folder: str | Path) -> Path:
    """The checkout, if it is one.

    Raises:
        CheckoutError: If not.
    """
    folder = Path(folder)
    needed = folder / 'src' / 'modeling' / 'data' / 'mesh_downsampling.npz'
    if not (folder / 'src' / 'tools' / 'run_fastmetro_bodymesh.py').is_file():
        raise CheckoutError(
            f'{folder}: no checkout of the official FastMETRO code: '
            'src/tools/run_fastmetro_bodymesh.py is not there'
        )
    if not needed.is_file():
        raise CheckoutError(f'{needed} is not there: the checkout is incomplete')
    return folder


def prepare(checkout: str | Path, target: Path) -> Path:
    """Copy the code and add a body model file in the official layout.

    Args:
        checkout: Folder of the official code.
        target: New folder.

    Returns:
        The folder with the body data, which serves both sides.
    """
    from scipy import sparse

    from fastmetro_mm.body.build import load_model_arrays

    shutil.copytree(check_checkout(checkout) / 'src', target / 'src')
    data = target / 'src' / 'modeling' / 'data'
    arrays = load_model_arrays('open_body')
    model = {
        name: np.array(arrays[name], dtype=np.float64)
        for name in ('v_template', 'shapedirs', 'posedirs', 'weights')
    }
    # The free body has no pose blend shapes and our model would leave them out; the official
    # files have them everywhere.
    rng = np.random.default_rng(0)
    model['posedirs'][:] = rng.normal(0, 1e-4, model['posedirs'].shape)
    model['J_regressor'] = sparse.csc_matrix(arrays['J_regressor'])
    model['kintree_table'] = np.asarray(arrays['kintree_table'], dtype=np.uint32)
    model['f'] = np.asarray(arrays['f'], dtype=np.uint32)
    with (data / MODEL_FILE).open('wb') as file:
        pickle.dump(model, file, protocol=2)
    return data


def enter(folder: str, device: str = 'cpu') -> None:
    """Make the official modules importable and its relative paths right, for this process."""
    for name in _GONE:
        sys.modules[name] = types.ModuleType(name)
    for name, members in (
        ('opendr.camera', ('ProjectPoints',)),
        ('opendr.renderer', ('ColoredRenderer', 'TexturedRenderer')),
        ('opendr.lighting', ('LambertianPointLight',)),
    ):
        for member in members:
            setattr(sys.modules[name], member, None)
    config = types.ModuleType('src.modeling.hrnet.config')
    config.config, config.update_config = None, None  # the network's config is given directly
    sys.modules['src.modeling.hrnet.config'] = config
    sys.path.insert(0, folder)
    os.chdir(folder)
    if device != 'cpu':
        return
    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.nn.Module.cuda = lambda self, *_, **__: self


def arguments(size: str, smpl_head: bool = False, device: str = 'cpu') -> argparse.Namespace:
    """The official defaults, through the official parser."""
    from src.tools import run_fastmetro_bodymesh as body

    kept, sys.argv = sys.argv, ['run']
    try:
        args = body.parse_args()
    finally:
        sys.argv = kept
    args.model_name = f'FastMETRO-{size}'
    args.use_smpl_param_regressor = smpl_head
    args.device = torch.device(device)
    args.distributed = False
    args.num_train_epochs = 1
    return args


def build(
    size: str, backbone: str, smpl_head: bool = False, device: str = 'cpu'
) -> tuple[Any, Any, Any, Any]:
    """Network with rule weights, body model, mesh sampler and arguments."""
    from src.modeling._smpl import SMPL, Mesh
    from src.modeling.hrnet.hrnet_cls_net_featmaps import get_cls_net
    from src.modeling.model import FastMETRO_Body_Network
    from torchvision.models import resnet50

    args = arguments(size, smpl_head, device)
    if backbone == 'h64':
        stages = {
            name: dict(BLOCK=block, NUM_MODULES=modules, NUM_BLOCKS=blocks, NUM_CHANNELS=channels,
                       NUM_BRANCHES=len(blocks), FUSE_METHOD='SUM')
            for name, (block, modules, blocks, channels) in _HRNET_W64.items()
        }  # fmt: skip
        features = get_cls_net({'MODEL': {'EXTRA': stages}}, pretrained='')
    else:
        features = torch.nn.Sequential(*list(resnet50(weights=None).children())[:-2])
    smpl = SMPL().to(args.device)
    sampler = Mesh(device=args.device)
    network = FastMETRO_Body_Network(args, features, sampler)
    network.load_state_dict(rule_weights(network.state_dict()))
    return network.to(args.device), smpl, sampler, args


@functools.lru_cache(2)
def _evaluated(size: str, backbone: str, device: str) -> Any:
    """Network in evaluation, kept for other batches."""
    return build(size, backbone, device=device)[0].eval()


def inference(
    commands: Commands,
    folder: str,
    size: str,
    backbone: str,
    batch: int,
    repeat: int = 1,
    device: str = 'cpu',
) -> None:
    """``repeat`` forward passes in evaluation."""
    enter(folder, device)
    network = _evaluated(size, backbone, device)
    x = images(batch).to(device)
    with torch.no_grad():
        for _ in commands:
            for _ in range(repeat):
                out = network(x)
    commands.outputs['vertices'] = out['pred_3d_vertices_fine'].cpu().numpy()
    commands.outputs['joints'] = out['pred_3d_joints'].cpu().numpy()


class _Fed:
    """Data loader that gives the same batch at every turn and leaves when there are no more."""

    class Finished(Exception):
        pass

    def __init__(self, commands: Commands, batch: tuple) -> None:
        self.commands, self.batch = commands, batch

    def __len__(self) -> int:
        return 10**9  # the end of the epoch is never reached

    def __iter__(self) -> Iterator[tuple]:
        for _ in self.commands:
            yield self.batch
        raise self.Finished


def training(
    commands: Commands, folder: str, size: str, backbone: str, batch: int, device: str = 'cpu'
) -> None:
    """Steps of the official ``run_train``: from batch to batch of its own loop."""
    enter(folder, device)
    from src.tools import run_fastmetro_bodymesh as body

    body.logger = logging.getLogger('official')
    network, smpl, sampler, args = build(size, backbone, device=device)
    faces, edges = (
        torch.from_numpy(
            np.load(f'src/modeling/data/smpl_1723_{what}.npy', allow_pickle=False).astype(np.int64)
        ).to(device)
        for what in ('faces', 'edges')
    )
    x, labels = training_batch(batch)
    if device != 'cpu':  # as its loader does
        x, labels = x.pin_memory(), {name: value.pin_memory() for name, value in labels.items()}
    loader = _Fed(commands, ([''] * batch, x, labels))
    with contextlib.suppress(_Fed.Finished):
        body.run_train(args, loader, None, network, smpl, sampler, None, faces, edges)


def smpl_head(commands: Commands, folder: str, batch: int, repeat: int = 1) -> None:
    """The SMPL parameter regressor, forward and backward, ``repeat`` times."""
    enter(folder)
    from src.modeling.model.smpl_param_regressor import build_smpl_parameter_regressor

    drive_smpl_head(commands, build_smpl_parameter_regressor(), batch, repeat)


def mesh_sampling(commands: Commands, folder: str, batch: int, repeat: int = 1) -> None:
    """Up- and down-sampling between all levels, forward and backward, ``repeat`` times."""
    enter(folder)
    from src.modeling._smpl import Mesh

    sampler = Mesh(device=torch.device('cpu'))
    drive_mesh_sampling(
        commands,
        lambda x: sampler.upsample(x, n1=2, n2=0),
        lambda x: sampler.downsample(x, n1=0, n2=2),
        batch,
        repeat,
    )


def evaluation(commands: Commands, folder: str, samples: int, batch: int) -> None:
    """The official ``run_validate`` on known network outputs: everything but the network."""
    enter(folder)
    from src.tools import run_fastmetro_bodymesh as body

    args = arguments('S')
    from src.modeling._smpl import SMPL, Mesh

    smpl, sampler = SMPL(), Mesh(device=torch.device('cpu'))
    batches = evaluation_batches(samples, batch)

    class Known(torch.nn.Module):
        """Answers with the outputs that come as the image."""

        def forward(self, outputs: dict) -> dict:
            return dict(pred_cam=outputs['camera'], pred_3d_vertices_fine=outputs['vertices'])

    class Outputs(dict):
        """A batch of outputs in the place of images."""

        def cuda(self, *_: Any) -> Outputs:
            return self

    loader = [([''] * len(labels['pose']), Outputs(outputs), labels) for outputs, labels in batches]
    for _ in commands:
        scores = body.run_validate(args, loader, Known(), 0, smpl, sampler)
    commands.outputs['scores'] = np.array(
        [1000 * scores[name] for name in ('val_mPJPE', 'val_PAmPJPE', 'val_mPVPE')]
    )


@contextlib.contextmanager
def arena(checkout: str | Path | None) -> Iterator[tuple[str | None, dict]]:
    """Temporary folder with the official code, and the ``body`` our side uses with it.

    Without a checkout there is no folder, and our side uses the free body.
    """
    if checkout is None:
        yield None, dict(name='open_body')
        return
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(checkout, Path(folder))
        yield folder, dict(name='smpl', body_data_root=str(data))

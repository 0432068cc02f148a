# SPDX-License-Identifier: Apache-2.0
r"""Recompute ``tests/data/golden`` with the official code.

    git clone https://github.com/postech-ami/FastMETRO CHECKOUT
    python -m projects.golden.make CHECKOUT --out tests/data/golden

The code runs unchanged, on the open body: its data files are written in the layout of the official
ones, so that no number depends on SMPL. The data set is kept as it is where it exists.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import pickle
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from fastmetro_mm.body.assets import BodyAssets, load_body_assets
from fastmetro_mm.body.build import load_model_arrays
from fastmetro_mm.datasets import write_tsv_set
from projects.golden import inputs

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools' / 'benchmark'))
from inputs import rule_weights
from official_code import MODEL_FILE, arguments, enter

TERMS = ('j3d_token', 'j3d_mesh', 'v_coarse', 'v_mid', 'v_fine', 'edge_gt', 'edge_self', 'normal',
         'j2d_token', 'j2d_mesh')  # fmt: skip
"""Loss terms in the order in which the official loop computes them."""


def write_body_files(folder: Path, assets: BodyAssets) -> None:
    """The open body in the layout of the official data files."""

    def objects(items: Any) -> np.ndarray:
        array = np.empty(len(items), object)
        array[:] = list(items)
        return array

    np.savez(
        folder / 'mesh_downsampling.npz',
        A=objects([matrix.astype(np.float64) for matrix in assets.adjacency]),
        U=objects(assets.up),
        D=objects(assets.down),
    )
    pattern = sparse.coo_matrix(
        assets.adjacency[-1].astype(np.float32)
        + sparse.identity(assets.num_vertices[-1], dtype=np.float32)
    )
    parts = dict(
        indices=torch.from_numpy(np.stack([pattern.row, pattern.col]).astype(np.int64)),
        values=torch.ones(pattern.nnz),
        size=torch.Size(pattern.shape),
    )
    for name, value in parts.items():
        torch.save(value, folder / f'smpl_431_adjmat_{name}.pt')
    np.save(folder / 'smpl_1723_edges.npy', assets.loss_edges)
    np.save(folder / 'smpl_1723_faces.npy', assets.loss_faces)
    np.save(folder / 'J_regressor_extra.npy', assets.J_regressor_extra)
    np.save(folder / 'J_regressor_h36m_correct.npy', assets.J_regressor_h36m)
    arrays = load_model_arrays('open_body')
    model = {name: np.array(arrays[name], np.float64)
             for name in ('v_template', 'shapedirs', 'posedirs', 'weights')}  # fmt: skip
    model['J_regressor'] = sparse.csc_matrix(arrays['J_regressor'])
    model['kintree_table'] = np.asarray(arrays['kintree_table'], np.uint32)
    model['f'] = np.asarray(arrays['f'], np.uint32)
    (folder / MODEL_FILE).write_bytes(pickle.dumps(model, protocol=2))


class _Given(torch.nn.Module):
    """A network that answers with the predictions of the batch."""

    def __init__(self, batch: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # the optimiser wants one
        self.answer = dict(
            pred_cam=batch['pred_cam'],
            pred_3d_joints=batch['pred_joints'],
            pred_3d_vertices_coarse=batch['pred_coarse'],
            pred_3d_vertices_intermediate=batch['pred_mid'],
            pred_3d_vertices_fine=batch['pred_fine'],
        )

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.answer


def losses() -> dict[str, Any]:
    """Terms, total and gradient norms of one turn of the official loop."""
    from src.modeling._smpl import SMPL, Mesh
    from src.tools import run_fastmetro_bodymesh as body

    body.logger = logging.getLogger('official')
    batch, args, found = inputs.loss_batch(), arguments('S'), []

    def noted(function: Any) -> Any:
        def call(*values: Any, **options: Any) -> torch.Tensor:
            found.append(function(*values, **options))
            return found[-1]

        return call

    for name in ('keypoint_3d_loss', 'vertices_loss', 'keypoint_2d_loss'):
        setattr(body, name, noted(getattr(body, name)))
    for name in ('EdgeLengthGTLoss', 'EdgeLengthSelfLoss', 'NormalVectorLoss'):
        kind = getattr(body, name)
        kind.forward = noted(kind.forward)
    smpl = SMPL()
    smpl.forward = lambda pose, betas: batch['gt_vertices']  # any mesh will do
    data = Path('src/modeling/data')
    faces, edges = (
        torch.from_numpy(np.load(data / f'smpl_1723_{part}.npy')) for part in ('faces', 'edges')
    )
    size = len(batch['pred_cam'])
    labels = dict(
        joints_2d=batch['joints_2d'],
        joints_3d=batch['joints_3d'],
        has_2d_joints=batch['has_2d'],
        has_3d_joints=batch['has_3d'],
        has_smpl=batch['has_smpl'],
        pose=torch.zeros(size, 72),
        betas=torch.zeros(size, 10),
    )
    totals = []
    backward = torch.Tensor.backward

    def kept(loss: torch.Tensor) -> None:
        totals.append(loss.item())
        backward(loss)

    class Finished(Exception):
        """The one batch is done."""

    class Once:
        def __len__(self) -> int:
            return 10**6  # the end of the epoch is never reached

        def __iter__(self) -> Any:
            yield [''] * size, torch.zeros(size, 3, 8, 8), labels
            raise Finished

    torch.Tensor.backward = kept
    try:
        with contextlib.suppress(Finished):
            body.run_train(
                args, Once(), None, _Given(batch), smpl, Mesh(device=torch.device('cpu')), None,
                faces, edges,
            )  # fmt: skip
    finally:
        torch.Tensor.backward = backward
    terms = {name: value.item() for name, value in zip(TERMS, found, strict=True)}
    norms = {name: batch[name].grad.norm().item() for name in inputs.PREDICTIONS}
    return dict(terms=dict(terms, total=totals[0]), grad_norms=norms)


def metrics() -> dict[str, list[float]]:
    """Errors of each sample, metres."""
    from src.tools import run_fastmetro_bodymesh as body
    from src.utils.metric_pampjpe import reconstruction_error

    predicted, true, vertices, true_vertices = inputs.metric_points()
    ones = torch.ones(len(true))
    labelled = torch.cat((true, torch.ones_like(true[..., :1])), -1)
    found = dict(
        mpjpe=body.mean_per_joint_position_error(predicted, labelled, ones),
        pa_mpjpe=reconstruction_error(predicted.numpy(), true.numpy(), reduction=None),
        mpvpe=body.mean_per_vertex_position_error(vertices, true_vertices, ones),
    )
    return {name: np.asarray(values).tolist() for name, values in found.items()}


def forward() -> dict[str, np.ndarray]:
    """Outputs of the transformers with rule weights, and posed meshes."""
    from src.modeling._smpl import SMPL, Mesh
    from src.modeling.model import FastMETRO_Body_Network

    network = FastMETRO_Body_Network(
        arguments('S'), torch.nn.Identity(), Mesh(device=torch.device('cpu'))
    )
    network.load_state_dict(rule_weights(network.state_dict()))
    with torch.no_grad():
        out = network.eval()(inputs.feature_map())
        posed = SMPL()(*inputs.poses())
    return dict(
        pred_cam=out['pred_cam'].numpy(),
        pred_joints=out['pred_3d_joints'].numpy(),
        pred_coarse=out['pred_3d_vertices_coarse'].numpy(),
        pred_mid=out['pred_3d_vertices_intermediate'].numpy()[:, :: inputs.EVERY],
        pred_fine=out['pred_3d_vertices_fine'].numpy()[:, :: inputs.EVERY],
        posed=posed.numpy()[:, :: inputs.EVERY],
    )


def samples(yaml_path: Path) -> dict[str, np.ndarray]:
    """What the official loader gives under fixed augmentations."""
    from src.datasets.human_mesh_tsv import MeshTSVYamlDataset

    dataset, found = MeshTSVYamlDataset(str(yaml_path)), {}
    for number, augmentation in enumerate(inputs.AUGMENTATIONS):
        chosen = SimpleNamespace(**augmentation)
        dataset.augm_params = lambda c=chosen: (c.flip, np.array(c.noise), c.rot, c.scale)
        for index in range(len(dataset)):
            _, _, data = dataset[index]
            crop = data['ori_img'].numpy()[:, :: inputs.EVERY_PIXEL, :: inputs.EVERY_PIXEL]
            found[f'{number}/{index}/image'] = np.rint(255 * crop).astype(np.uint8)
            for name in ('joints_2d', 'joints_3d', 'pose'):
                found[f'{number}/{index}/{name}'] = data[name].numpy()
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkout', type=Path, help='folder of the official code')
    parser.add_argument('--out', type=Path, required=True, help='folder of the numbers')
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    yaml_path = out / 'people' / 'train.yaml'
    if not yaml_path.is_file():
        write_tsv_set(yaml_path.parent, 'train', inputs.rows())
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(args.checkout / 'src', Path(folder) / 'src')
        write_body_files(Path(folder) / 'src' / 'modeling' / 'data', load_body_assets('open_body'))
        enter(folder)
        path = out / 'numbers.json'
        numbers = json.loads(path.read_text()) if path.is_file() else {}  # FreiHAND's scores stay
        numbers.update(metrics=metrics(), losses=losses())
        path.write_text(json.dumps(numbers, indent=1) + '\n')
        np.savez_compressed(out / 'forward.npz', **forward())
        np.savez_compressed(out / 'samples.npz', **samples(yaml_path))


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Run an exported network with NumPy, OpenCV and onnxruntime alone; no torch, no mmpose.

This file stands alone: copy it beside ``model.onnx`` and ``model.npz`` (both written by
``fastmetro export``). Importing it as part of the package works too, but then the package brings
torch along.

    import cv2, onnxruntime
    from numpy_runtime import MeshRuntime, read_contract
    runtime = MeshRuntime(onnxruntime.InferenceSession('model.onnx'), read_contract('model.npz'))
    image = cv2.cvtColor(cv2.imread('photo.jpg'), cv2.COLOR_BGR2RGB)
    people = runtime(image, [[x1, y1, x2, y2], ...])
    people['vertices'], people['keypoints']

or ``python numpy_runtime.py model.onnx photo.jpg --box X1 Y1 X2 Y2 --out people.npz``.

Axes: x right, y down, z forward. Metres; pixels are continuous, (0, 0) is the image's corner.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CONTRACT_FORMAT = 'fastmetro_mm.onnx.1'


def read_contract(path: str | Path) -> dict[str, np.ndarray]:
    """Read the npz beside the graph.

    Args:
        path: The npz.

    Returns:
        ``body joint_names joints_from faces crop_size crop_mode box_padding mean std`` and,
        where joints are regressed from the mesh, ``J_regressor (J, V) root_regressor (V,)``.

    Raises:
        ValueError: If the file is not of this layout.
    """
    with np.load(path, allow_pickle=False) as file:
        contract = {name: file[name] for name in file.files}
    if str(contract.get('format', '')) != CONTRACT_FORMAT:
        raise ValueError(
            f'{path}: format is {contract.get("format")}, expected {CONTRACT_FORMAT}; give the '
            'npz that `fastmetro export` wrote beside the graph'
        )
    return contract


def crop_from_box(
    image: np.ndarray, box: Sequence[float], contract: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the square crop of a box as in training.

    The square is ``box_padding`` times the longer side of the box, about its middle; its corners
    are truncated to whole pixels as in the official code; outside of the image is black.

    Args:
        image: RGB. (H, W, 3) uint8
        box: x1, y1, x2, y2, pixels. (4,)
        contract: From :func:`read_contract`.

    Returns:
        Crop (S, S, 3) uint8 and the affine map (2, 3) from crop to image pixels.

    Raises:
        ValueError: If the box has no area.
    """
    corners = np.asarray(box, np.float64).reshape(-1)
    low, high = corners[:2], corners[2:]
    if corners.shape != (4,) or not np.isfinite(corners).all() or (high <= low).any():
        raise ValueError(f'box {corners.tolist()} is not a box (x1, y1, x2, y2) with an area')
    size = int(contract['crop_size'])
    # The order of the sums is that of the official code: the truncation sees their last bits.
    side = 200 * float(float(contract['box_padding']) * (high - low).max() / 200)
    shift = size * (-((low + high) / 2) / side + 0.5)
    zoom_back = 1 / (float(size) / side)
    corner = -shift * zoom_back
    left, top = corner.astype(int).tolist()
    right, bottom = (zoom_back * size + corner).astype(int).tolist()
    width, height = right - left, bottom - top
    if width < 1 or height < 1:
        raise ValueError(f'box {corners.tolist()} has only {side:.2f} px')
    matrix = np.array([[width / size, 0, left], [0, height / size, top]], np.float64)
    if str(contract['crop_mode']) == 'fast':
        to_centres = matrix.copy()  # OpenCV counts pixels from their centres
        to_centres[:, 2] += to_centres[:, :2].sum(1) * 0.5 - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(image, to_centres, (size, size), borderValue=0, flags=flags)
        return crop, matrix
    cut = np.zeros((height, width, 3), np.uint8)
    y0, y1 = max(top, 0), min(bottom, image.shape[0])
    x0, x1 = max(left, 0), min(right, image.shape[1])
    if x0 < x1 and y0 < y1:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR), matrix


def normalise(crops: np.ndarray, contract: dict[str, np.ndarray]) -> np.ndarray:
    """RGB crops (B, S, S, 3) uint8 to the network's input (B, 3, S, S) float32."""
    values = (crops.astype(np.float32) - contract['mean']) / contract['std']
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def project_to_rotation(matrices: np.ndarray) -> np.ndarray:
    """Rotations of raw 3x3 matrices (..., 3, 3): ``U V^T`` times its determinant (official)."""
    left, _, right = np.linalg.svd(matrices.astype(np.float32))
    product = left @ right
    return product * np.linalg.det(product)[..., None, None].round()


class MeshRuntime:
    """Image and boxes to meshes, through a session that is passed in.

    Args:
        session: ``onnxruntime.InferenceSession``, or anything with its ``run(None, inputs)`` and
            ``get_outputs()``.
        contract: From :func:`read_contract`.
    """

    def __init__(self, session: Any, contract: dict[str, np.ndarray]) -> None:
        self.session = session
        self.contract = contract
        self.output_names = [output.name for output in session.get_outputs()]

    def __call__(
        self, image: np.ndarray, boxes: Sequence[Sequence[float]], batch_size: int = 16
    ) -> dict[str, np.ndarray]:
        """Meshes of the people in some boxes of an image.

        Args:
            image: RGB. (H, W, 3) uint8
            boxes: x1, y1, x2, y2, pixels. (N, 4)
            batch_size: Crops a run.

        Returns:
            ``vertices (N, V, 3)`` and ``joints_3d (N, J, 3)`` centred on the pelvis (hands:
            wrist), ``camera (N, 3)`` (s, tx, ty) on the crop, ``keypoints (N, J, 2)`` image
            pixels, ``crop_to_image (N, 2, 3)``; with the SMPL head ``rotmat (N, 24, 3, 3)`` and
            ``betas (N, 10)``.

        Raises:
            ValueError: If the image is not RGB uint8 or a box has no area, or there is no box.
        """
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f'image is {image.dtype} {image.shape}: pass uint8 (H, W, 3) RGB')
        if len(boxes) == 0:
            raise ValueError('no box given: pass at least one (x1, y1, x2, y2)')
        cuts = [crop_from_box(image, box, self.contract) for box in boxes]
        crops = np.stack([crop for crop, _ in cuts])
        runs = [
            self.run_crops(crops[start : start + batch_size])
            for start in range(0, len(crops), batch_size)
        ]
        people = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
        people['crop_to_image'] = np.stack([matrix for _, matrix in cuts])
        people['keypoints'] = self.to_image(people)
        return people

    def run_crops(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """Meshes of crops (B, S, S, 3) uint8 RGB: as ``__call__``, without image positions."""
        values = self.session.run(None, {'image': normalise(crops, self.contract)})
        outputs = dict(zip(self.output_names, values, strict=True))
        vertices, joints = self.centre(outputs['vertices'], outputs['joints'])
        people = {'vertices': vertices, 'joints_3d': joints, 'camera': outputs['camera']}
        if 'rotmat_raw' in outputs:
            people['rotmat'] = project_to_rotation(outputs['rotmat_raw'])
            people['betas'] = outputs['betas']
        return people

    def centre(self, vertices: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move the origin to the pelvis or wrist and give the joints there.

        Args:
            vertices: Raw mesh. (B, V, 3)
            joints: Raw joints of the joint tokens, used if the config has
                ``joints_from='tokens'``. (B, J, 3)

        Returns:
            Vertices and joints, centred.
        """
        from_mesh = str(self.contract['joints_from']) == 'mesh'
        if 'root_regressor' in self.contract:
            root = np.einsum('v,bvc->bc', self.contract['root_regressor'], vertices)[:, None]
        else:
            root = joints[:, :1]
        if from_mesh:
            regressed = np.einsum('jv,bvc->bjc', self.contract['J_regressor'], vertices)
            return vertices - root, regressed - root
        names = [str(name) for name in self.contract['joint_names']]
        origin = [names.index(n) for n in ('R_Hip', 'L_Hip') if n in names] or [0]
        return vertices - root, joints - joints[:, origin].mean(1, keepdims=True)

    def to_image(self, people: dict[str, np.ndarray]) -> np.ndarray:
        """Image positions (N, J, 2) of the joints: ``xy = s * (XY + t)`` spans the crop."""
        pred_cam, matrix = people['camera'], people['crop_to_image']
        norm = pred_cam[:, None, :1] * (people['joints_3d'][..., :2] + pred_cam[:, None, 1:])
        pixels = (norm + 1) * 0.5 * float(self.contract['crop_size'])
        return pixels @ matrix[:, :, :2].swapaxes(1, 2) + matrix[:, None, :, 2]


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description='Meshes of the people in an image, without torch')
    parser.add_argument('graph', type=Path, help='model.onnx, with model.npz beside it')
    parser.add_argument('image', type=Path, help='image')
    parser.add_argument(
        '--box',
        type=float,
        nargs=4,
        action='append',
        required=True,
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='box of a person, pixels; repeat it for more',
    )
    parser.add_argument('--out', type=Path, required=True, help='npz to write')
    args = parser.parse_args(argv)
    import onnxruntime

    image = cv2.imdecode(np.fromfile(args.image, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        parser.error(f'{args.image}: cannot be read as an image')
    session = onnxruntime.InferenceSession(str(args.graph), providers=['CPUExecutionProvider'])
    runtime = MeshRuntime(session, read_contract(args.graph.with_suffix('.npz')))
    people: dict[str, Any] = runtime(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), args.box)
    np.savez_compressed(args.out, **people)


if __name__ == '__main__':
    main()

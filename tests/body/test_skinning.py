# SPDX-License-Identifier: Apache-2.0
"""Both skinning backends against cases worked out by hand, and against each other."""

import math
import sys

import numpy as np
import pytest
import torch

from fastmetro_mm.body.build import build_body_model, load_model_arrays
from fastmetro_mm.body.joint_sets import MANO16_PARENTS, SMPL24, SMPL24_PARENTS
from fastmetro_mm.body.locations import OPEN_BODY_FOLDER
from fastmetro_mm.body.model_checks import check_model_arrays
from fastmetro_mm.body.skinning import SkinnedBodyModel
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat

QUARTER = math.pi / 2
ELBOW, WRIST, HAND = SMPL24.index('L_Elbow'), SMPL24.index('L_Wrist'), SMPL24.index('L_Hand')
POINT = 100  # a vertex fixed to the forearm, 0.2 m from the elbow along x
HALF = 101  # at the same place, half forearm, half upper arm
SHOULDER = SMPL24.index('L_Shoulder')


def simple_arrays(family: str) -> dict:
    """Vertex j is the place of joint j: (0.1 j, 0, 0); the rest sits at the origin on joint 0."""
    vertices, parents = (6890, SMPL24_PARENTS) if family == 'smpl' else (778, MANO16_PARENTS)
    joints = len(parents)
    arrays = dict(
        v_template=np.zeros((vertices, 3)),
        shapedirs=np.zeros((vertices, 3, 10)),
        posedirs=np.zeros((vertices, 3, 9 * (joints - 1))),
        J_regressor=np.eye(joints, vertices),
        weights=np.eye(vertices, joints),
        kintree_table=np.array([parents, range(joints)]),
        f=np.array([[0, 1, 2]]),
    )
    arrays['v_template'][:joints, 0] = 0.1 * np.arange(joints)
    arrays['weights'][joints:, 0] = 1
    if family == 'mano':
        arrays['hands_mean'] = np.zeros(45)
        arrays['hands_components'] = np.eye(45)
    return arrays


def body_arrays() -> dict:
    arrays = simple_arrays('smpl')
    arrays['v_template'][[POINT, HALF]] = [0.1 * ELBOW + 0.2, 0, 0]
    arrays['weights'][POINT] = np.eye(24)[ELBOW]
    arrays['weights'][HALF] = 0.5 * (np.eye(24)[ELBOW] + np.eye(24)[SHOULDER])
    return arrays


@pytest.fixture(params=['native', 'smplx'])
def build(request):
    """Builds a model with either backend, in double precision."""
    if request.param == 'native':
        return lambda arrays, **more: SkinnedBodyModel(
            check_model_arrays(arrays, 'test'), dtype=torch.float64, **more
        )
    pytest.importorskip('smplx')
    from fastmetro_mm.body.smplx_backend import SmplxBodyModel

    return lambda arrays, **more: SmplxBodyModel(
        check_model_arrays(arrays, 'test'), dtype=torch.float64, **more
    )


def run(model, pose=None, betas=None, transl=None):
    pose = torch.zeros(1, model.num_joints * 3, dtype=torch.float64) if pose is None else pose
    betas = torch.zeros(1, 10, dtype=torch.float64) if betas is None else betas
    out = model(pose, betas, transl)
    return out.vertices[0].numpy(), out.joints[0].numpy()


def pose_with(joint: int, axis_angle, joints: int = 24) -> torch.Tensor:
    pose = torch.zeros(1, joints, 3, dtype=torch.float64)
    pose[0, joint] = torch.as_tensor(axis_angle, dtype=torch.float64)
    return pose.flatten(1)


def close(value, expected):
    np.testing.assert_allclose(value, expected, atol=1e-6)


def test_rest_pose_is_the_template(build):
    arrays = body_arrays()
    vertices, joints = run(build(arrays))
    close(vertices, arrays['v_template'])
    close(joints, arrays['v_template'][:24])


def test_single_joint_rotation(build):
    vertices, joints = run(build(body_arrays()), pose_with(ELBOW, [0, 0, QUARTER]))
    elbow = np.array([0.1 * ELBOW, 0, 0])
    close(joints[ELBOW], elbow)
    close(vertices[POINT], elbow + np.array([0, 0.2, 0]))
    close(vertices[HALF], elbow + np.array([0.1, 0.1, 0]))
    # The wrist lies 0.2 m beyond the elbow, the hand 0.2 m beyond the wrist: both swing round.
    close(joints[WRIST], elbow + np.array([0, 0.2, 0]))
    close(joints[HAND], elbow + np.array([0, 0.4, 0]))
    close(joints[SHOULDER], [0.1 * SHOULDER, 0, 0])


def test_two_joints_of_one_chain_compose(build):
    pose = pose_with(ELBOW, [0, 0, QUARTER]) + pose_with(WRIST, [0, 0, QUARTER])
    _, joints = run(build(body_arrays()), pose)
    elbow = np.array([0.1 * ELBOW, 0, 0])
    close(joints[WRIST], elbow + np.array([0, 0.2, 0]))
    close(joints[HAND], elbow + np.array([-0.2, 0.2, 0]))


def test_betas_move_vertices_and_joints(build):
    arrays = body_arrays()
    arrays['shapedirs'][ELBOW, 1, 0] = 0.05  # the first beta lifts the elbow joint
    arrays['shapedirs'][POINT, 2, 3] = -0.01  # the fourth moves the forearm vertex
    betas = torch.zeros(1, 10, dtype=torch.float64)
    betas[0, 0], betas[0, 3] = 2, 3
    vertices, joints = run(build(arrays), betas=betas)
    close(joints[ELBOW], [0.1 * ELBOW, 0.1, 0])
    close(vertices[POINT], [0.1 * ELBOW + 0.2, 0, -0.03])
    # The forearm now turns about the lifted elbow: from (0.2, -0.1) to (0.1, 0.2) seen from it.
    vertices, _ = run(build(arrays), pose_with(ELBOW, [0, 0, QUARTER]), betas)
    close(vertices[POINT], [0.1 * ELBOW + 0.1, 0.1 + 0.2, -0.03])


def test_pose_blend_shapes_act_before_skinning(build):
    arrays = body_arrays()
    # R - I of a quarter turn about z has -1 in row 0, column 1.
    arrays['posedirs'][POINT, 0, 9 * (ELBOW - 1) + 1] = 0.03
    vertices, _ = run(build(arrays), pose_with(ELBOW, [0, 0, QUARTER]))
    close(vertices[POINT], [0.1 * ELBOW, 0.2 - 0.03, 0])
    # The global rotation has no blend shapes.
    vertices, _ = run(build(arrays), pose_with(0, [0, 0, QUARTER]))
    close(vertices[POINT], [0, 0.1 * ELBOW + 0.2, 0])


def test_global_rotation_composes_and_translation_comes_last(build):
    arrays = body_arrays()
    arrays['v_template'] += [0.5, -0.2, 0.1]  # the pelvis is not the origin
    model = build(arrays)
    local = pose_with(ELBOW, [0.3, -0.4, 0.8])
    turn = torch.tensor([[1.1, 0.4, -0.7]], dtype=torch.float64)
    base, base_joints = run(model, local)
    whole = local.clone()
    whole[:, :3] = turn
    shift = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    vertices, joints = run(model, whole, transl=shift)
    matrix, pelvis = axis_angle_to_rotmat(turn)[0].numpy(), base_joints[0]
    close(vertices, (base - pelvis) @ matrix.T + pelvis + shift.numpy())
    close(joints, (base_joints - pelvis) @ matrix.T + pelvis + shift.numpy())


def test_matrices_equal_axis_angles(build, model_arrays):
    model = build(model_arrays('smpl'))
    pose = torch.randn(2, 72, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    betas = torch.ones(2, 10, dtype=torch.float64)
    first = model(pose, betas)
    second = model(axis_angle_to_rotmat(pose.unflatten(1, (24, 3))), betas)
    close(first.vertices, second.vertices)
    close(first.joints, second.joints)


def test_hand_pose_is_relative_to_the_mean_pose(build):
    arrays = simple_arrays('mano')
    arrays['hands_mean'][:3] = [0, 0, QUARTER]  # the mean bends the index finger at its root
    root = np.array([0.1, 0, 0])
    _, joints = run(build(arrays))
    bent = [root, root + np.array([0, 0.1, 0]), root + np.array([0, 0.2, 0])]
    close(joints[1:4], bent)
    straight = np.stack([0.1 * np.arange(16), np.zeros(16), np.zeros(16)], 1)
    _, joints = run(build(arrays), pose_with(1, [0, 0, -QUARTER], 16))
    close(joints, straight)
    _, joints = run(build(arrays, flat_hand_mean=True))
    close(joints, straight)
    # Matrices are absolute.
    identity = torch.eye(3, dtype=torch.float64).expand(1, 16, 3, 3)
    _, joints = run(build(arrays), identity)
    close(joints, straight)


@pytest.mark.parametrize('family', ['smpl', 'mano'])
def test_backends_agree(family, model_arrays):
    pytest.importorskip('smplx')
    from fastmetro_mm.body.smplx_backend import SmplxBodyModel

    arrays = check_model_arrays(model_arrays(family), 'test')
    joints = arrays['weights'].shape[1]
    generator = torch.Generator().manual_seed(3)
    pose = 0.5 * torch.randn(3, joints * 3, generator=generator, dtype=torch.float64)
    pose[0] = 0
    betas = torch.randn(3, 10, generator=generator, dtype=torch.float64)
    transl = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    # Single precision rounds sums of about 200 terms; double shows that the maths is the same.
    for dtype, bound in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        outs = [
            model(arrays, dtype=dtype)(pose.to(dtype), betas.to(dtype), transl.to(dtype))
            for model in (SkinnedBodyModel, SmplxBodyModel)
        ]
        for name in ('vertices', 'joints'):
            difference = getattr(outs[0], name) - getattr(outs[1], name)
            assert difference.abs().max() < bound, (dtype, name)


@pytest.mark.parametrize('name', ['open_body', 'open_hand'])
def test_open_models_in_both_backends(name):
    file_name = 'OPEN_BODY.npz' if name == 'open_body' else 'OPEN_HAND_RIGHT.npz'
    if not (OPEN_BODY_FOLDER / file_name).is_file():
        pytest.skip(f'{file_name} is not built')
    pytest.importorskip('smplx')
    arrays = load_model_arrays(name)
    joints = arrays['weights'].shape[1]
    generator = torch.Generator().manual_seed(4)
    pose = 0.4 * torch.randn(2, joints * 3, generator=generator)
    betas = torch.randn(2, 10, generator=generator)
    for dtype, bound in ((torch.float64, 1e-6), (torch.float32, 5e-6)):
        native, other = (
            build_body_model(name, backend=backend, dtype=dtype) for backend in ('native', 'smplx')
        )
        first, second = (m(pose.to(dtype), betas.to(dtype)) for m in (native, other))
        assert (first.vertices - second.vertices).abs().max() < bound
        assert (first.joints - second.joints).abs().max() < bound
        identity = torch.eye(3, dtype=dtype).expand(1, joints, 3, 3)
        rest = native(identity, torch.zeros(1, 10, dtype=dtype))
        np.testing.assert_allclose(rest.vertices[0], arrays['v_template'], atol=bound)
        assert torch.equal(native.faces, other.faces)


def test_zero_pose_blend_shapes_are_skipped_exactly(model_arrays):
    arrays = check_model_arrays(model_arrays('mano'), 'test')
    zero = dict(arrays, posedirs=np.zeros_like(arrays['posedirs']))
    full, skipped = SkinnedBodyModel(arrays), SkinnedBodyModel(zero)
    assert full.directions.shape[0] == 145 and skipped.directions.shape[0] == 10
    tiny = dict(zero, posedirs=zero['posedirs'].copy())
    tiny['posedirs'][5, 1, 7] = 1e-30
    pose, betas = torch.randn(2, 48), torch.randn(2, 10)
    kept = SkinnedBodyModel(tiny)
    assert kept.has_posedirs
    torch.testing.assert_close(kept(pose, betas), skipped(pose, betas), atol=1e-6, rtol=0)


def test_gradients_at_the_zero_pose_are_finite_and_right(model_arrays):
    arrays = check_model_arrays(model_arrays('mano'), 'test')
    arrays['hands_mean'] = arrays['hands_mean'] * 0
    model = SkinnedBodyModel(arrays, dtype=torch.float64)
    pose = torch.zeros(1, 48, dtype=torch.float64, requires_grad=True)
    betas = torch.zeros(1, 10, dtype=torch.float64, requires_grad=True)

    def few(pose, betas):
        return model(pose, betas).vertices[:, ::200]

    assert torch.autograd.gradcheck(few, (pose, betas), atol=1e-5)


def test_nothing_enters_a_state_dict_and_batches_are_independent(build, model_arrays):
    model = build(model_arrays('mano'))
    assert not model.state_dict()
    assert model.faces.dtype == torch.int64 and model.faces.shape == (1538, 3)
    pose, betas = torch.randn(3, 48).double(), torch.randn(3, 10).double()
    whole = model(pose, betas).vertices
    close(whole[1], model(pose[1:2], betas[1:2]).vertices[0])


@pytest.mark.parametrize('count', [16, 17, 32, 41])
def test_large_batches_in_pieces_are_the_same(count):
    model = build_body_model('open_hand')
    generator = torch.Generator().manual_seed(count)
    pose = 0.4 * torch.randn(count, 48, generator=generator)
    betas, transl = torch.randn(count, 10, generator=generator), torch.rand(count, 3)
    whole = model(pose, betas, transl)
    with torch.no_grad():
        pieces = model(pose, betas, transl)
    torch.testing.assert_close(pieces.vertices, whole.vertices, atol=1e-6, rtol=0)
    torch.testing.assert_close(pieces.joints, whole.joints, atol=1e-6, rtol=0)
    assert pieces.vertices.is_contiguous()


def test_half_precision_and_autocast_are_computed_in_full(model_arrays):
    model = SkinnedBodyModel(check_model_arrays(model_arrays('mano'), 'test'))
    pose, betas = torch.randn(2, 48).bfloat16(), torch.randn(2, 10).bfloat16()
    exact = model(pose.float(), betas.float()).vertices
    with torch.autocast('cpu', torch.bfloat16):
        out = model(pose, betas).vertices
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, exact)


def test_wrong_shapes_are_named(build, model_arrays):
    model = build(model_arrays('mano'))
    pose, betas = torch.zeros(2, 48), torch.zeros(2, 10)
    with pytest.raises(ValueError, match=r'pose must be \(B, 48\)'):
        model(torch.zeros(2, 72), betas)
    with pytest.raises(ValueError, match=r'betas must be \(2, 10\)'):
        model(pose, torch.zeros(1, 10))
    with pytest.raises(ValueError, match=r'transl must be \(2, 3\)'):
        model(pose, betas, torch.zeros(3))
    with pytest.raises(ValueError, match='unknown body-model backend'):
        build_body_model('mano', backend='other')


def test_smplx_missing_says_how_to_get_it(model_arrays, monkeypatch):
    from fastmetro_mm.body.smplx_backend import SmplxBodyModel

    monkeypatch.setitem(sys.modules, 'smplx', None)
    with pytest.raises(ModuleNotFoundError, match='pip install smplx'):
        SmplxBodyModel(check_model_arrays(model_arrays('mano'), 'test'))

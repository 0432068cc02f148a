# SPDX-License-Identifier: Apache-2.0
"""Scenes and results for the exporter tests."""

import numpy as np
import pytest
import torch

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.build import build_body_model
from fastmetro_mm.geometry.rotation import axis_angle_to_rotmat
from fastmetro_mm.structures.results import FrameResult, PersonMesh
from tests.exporters import readers

IMAGE_SIZE = (640, 480)
INTRINSICS = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
# A person that stands upright before a camera whose y axis points down.
UPRIGHT = (np.pi, 0.0, 0.0)


@pytest.fixture(scope='session')
def open_body():
    """The open body, skinned."""
    return build_body_model('open_body')


def leave_out(frames: list[FrameResult]) -> list[FrameResult]:
    """Track 4 is missing in frame 2, track 1 appears in frame 3."""
    for index, frame in enumerate(frames):
        frame.people = [
            person
            for person in frame.people
            if not (index == 2 if person.track_id == 4 else index < 3)
        ]
    return frames


@pytest.fixture(scope='session')
def make_frame(open_body):
    """Frame of some people of the open body in known poses, with the SMPL head's fields."""
    assets = load_body_assets('open_body')
    pelvis_row = assets.J_regressor_h36m[0]

    def make(frame_index: int = 0, people: int = 2, track_ids=None, seed: int = 0) -> FrameResult:
        persons = []
        for number in range(people):
            generator = np.random.default_rng([seed, number, frame_index])
            betas = np.random.default_rng([seed, number]).normal(size=10).astype(np.float32)
            pose = generator.normal(scale=0.25, size=(24, 3)).astype(np.float32)
            pose[0] = UPRIGHT
            pose[0, 1] = 0.1 * frame_index
            rotmat = axis_angle_to_rotmat(torch.from_numpy(pose))
            out = open_body(rotmat[None], torch.from_numpy(betas)[None])
            vertices = out.vertices[0].numpy()
            vertices = vertices - (pelvis_row @ vertices).astype(np.float32)
            persons.append(
                PersonMesh(
                    vertices=vertices,
                    joints_3d=np.zeros((14, 3), np.float32),
                    keypoints=np.zeros((14, 2), np.float32),
                    pred_cam=np.array([0.9, 0, 0], np.float32),
                    translation=np.array([number * 0.8 - 0.3, 0.1, 4.0 + 0.5 * number]),
                    bbox=np.array([10.0 + 100 * number, 20, 200, 400]),
                    bbox_score=0.9,
                    crop_to_image=np.array([[1.0, 0, 0], [0, 1, 0]]),
                    crop_size=224.0,
                    track_id=None if track_ids is None else track_ids[number],
                    global_orient=rotmat[0].numpy(),
                    body_pose=rotmat[1:].numpy(),
                    betas=betas,
                    smpl_vertices=vertices,
                )
            )
        return FrameResult(
            image_path=None,
            frame_index=frame_index,
            image_size=IMAGE_SIZE,
            intrinsics=INTRINSICS,
            people=persons,
            body='open_body',
            faces=assets.faces[0],
        )

    return make


@pytest.fixture(scope='session')
def read_glb():
    """Parser of the GLB container: gives the JSON and a function from accessor to array."""
    return readers.read_glb

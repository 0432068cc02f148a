# SPDX-License-Identifier: Apache-2.0
"""From photos with key points to rows of a data set with fitted bodies."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.body.joint_sets import J24, J24_PELVIS
from fastmetro_mm.dataset_tools.converters.coco_json import CocoFile
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image, read_image
from fastmetro_mm.dataset_tools.converters.foreign_values import shaped
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.placement import square_box
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.datasets.labels import make_label
from fastmetro_mm.datasets.tsv_writer import TSVRow
from fastmetro_mm.errors import InputError, UserError
from fastmetro_mm.geometry.rotation import rotmat_to_axis_angle
from fastmetro_mm.structures.results import PersonMesh
from projects.fit_to_keypoints.fitting import Bodies, Fitted, fit_bodies
from projects.free_model.lifting.small_body import SmallBody

TOGETHER = 32


@dataclass
class Outcome:
    """What became of the annotations.

    Attributes:
        fitted: Rows with a body.
        kept_2d: Rows with key points alone, because the body does not lie on them.
        skipped: How often each reason for leaving an annotation out occurred.
        residuals: Of the fitted rows, in lengths of the person.
    """

    fitted: int = 0
    kept_2d: int = 0
    skipped: Counter = field(default_factory=Counter)
    residuals: list[float] = field(default_factory=list)


@dataclass
class _Waiting:
    """An annotation whose body is not fitted yet."""

    row: TSVRow
    box: tuple[np.ndarray, float]
    keypoints: np.ndarray
    person: PersonMesh
    intrinsics: np.ndarray


class PseudoLabels:
    """Rows of a data set, body by body.

    Args:
        photos: Folder of the images.
        annotations: COCO-style json with boxes and key points.
        inferencer: Network with rotations and shape: the start of every fit.
        worst: Largest residual of a body that is kept, in lengths of the person.

    Raises:
        InputError: The network gives no rotations, or is one for hands.
    """

    def __init__(
        self, photos: Path, annotations: Path, inferencer: MeshInferencer, worst: float = 0.04
    ) -> None:
        if not inferencer.has_parameters or inferencer.is_hand:
            raise InputError('the network gives no rotations of a body: use open_body')
        self.photos, self.worst = photos, worst
        self.source = CocoFile(annotations, 'give the json of boxes and key points')
        self.inferencer = inferencer
        self.body = SmallBody(inferencer.body.name)
        self.outcome = Outcome()

    def rows(self) -> Iterator[TSVRow]:
        """Fit and give rows in the order of the annotations, some at a time."""
        waiting: list[_Waiting] = []
        for index in range(len(self.source)):
            try:
                waiting.append(self._look(index))
            except (UserError, ValueError) as error:
                self.outcome.skipped[str(error)] += 1
            if len(waiting) == TOGETHER:
                yield from self._fit(waiting)
                waiting = []
        yield from self._fit(waiting)

    def _look(self, index: int) -> _Waiting:
        """Read an annotation and ask the network."""
        annotation = self.source.annotation(index)
        self.source.require_person(annotation)
        path = find_image(self.photos, self.source.file_name(index))
        x, y, width, height = shaped(annotation.get('bbox'), 'bbox', (4,))
        box = square_box(x, y, width, height, padding=1.2)
        names = self.source.keypoint_names(annotation)
        keypoints = reorder_keypoints(annotation.get('keypoints') or [], names, J24)
        if not keypoints[:, 2].any():
            raise SkipRow('no key point')
        frame = next(self.inferencer([path], bboxes=[[[x, y, x + width, y + height]]]))
        row = TSVRow(self.source.key(index), read_image(path))
        return _Waiting(row, box, keypoints, frame.people[0], frame.intrinsics)

    def _fit(self, waiting: list[_Waiting]) -> Iterator[TSVRow]:
        if not waiting:
            return
        people = [one.person for one in waiting]
        rotmat = [np.concatenate([p.global_orient[None], p.body_pose]) for p in people]
        start = Bodies(
            *(
                torch.from_numpy(np.stack(values)).float()
                for values in (rotmat, [p.betas for p in people], [p.translation for p in people])
            )
        )
        keypoints = torch.from_numpy(np.stack([one.keypoints for one in waiting])).float()
        intrinsics = torch.from_numpy(np.stack([one.intrinsics for one in waiting])).float()
        fitted = fit_bodies(self.body, start, keypoints, intrinsics)
        for number, one in enumerate(waiting):
            one.row.label = self._label(one, fitted, number)
            yield one.row

    def _label(self, one: _Waiting, fitted: Fitted, number: int) -> dict:
        residual = float(fitted.residual[number])
        if not residual <= self.worst:
            self.outcome.kept_2d += 1
            return make_label(*one.box, one.keypoints)
        self.outcome.fitted += 1
        self.outcome.residuals.append(residual)
        joints = fitted.mesh.joints[number].numpy()
        return make_label(
            *one.box,
            one.keypoints,
            np.column_stack([joints - joints[J24_PELVIS], np.ones(len(joints))]),
            rotmat_to_axis_angle(fitted.bodies.rotmat[number]).flatten().numpy(),
            fitted.bodies.betas[number].numpy(),
        )

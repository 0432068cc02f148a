# SPDX-License-Identifier: Apache-2.0
"""Photos with boxes and key points, and how well bodies lie on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.body.joint_sets import J14, J14_FLIP, J24, J24_TO_J14
from fastmetro_mm.dataset_tools.converters.coco_json import CocoFile
from fastmetro_mm.dataset_tools.converters.foreign_paths import find_image
from fastmetro_mm.dataset_tools.converters.foreign_values import shaped
from fastmetro_mm.dataset_tools.converters.named_keypoints import reorder_keypoints
from fastmetro_mm.dataset_tools.converters.placement import square_box
from fastmetro_mm.dataset_tools.converters.rows import SkipRow
from fastmetro_mm.errors import UserError
from fastmetro_mm.structures.results import FrameResult

LIMBS = [index for index, name in enumerate(J14) if name not in ('Neck', 'Head')]
"""Joints that COCO, MPII and our score agree on."""


@dataclass(frozen=True)
class LabelledPerson:
    """One annotation.

    Attributes:
        name: Image and number of the annotation, for messages.
        path: The image.
        box: x1 y1 x2 y2, pixels. (4,)
        keypoints: Pixels and whether labelled, joints of J14. (14, 3)
    """

    name: str
    path: Path
    box: np.ndarray
    keypoints: np.ndarray


def read_people(
    photos: Path, annotations: Path
) -> Iterator[tuple[int, LabelledPerson | None, str | None]]:
    """Read annotations one by one.

    Args:
        photos: Folder of the images.
        annotations: COCO-style json.

    Yields:
        Number of the annotation; the person, or None and the reason why it cannot be used.
    """
    source = CocoFile(annotations, 'give the json of boxes and key points')
    for index in range(len(source)):
        try:
            annotation = source.annotation(index)
            source.require_person(annotation)
            path = find_image(photos, source.file_name(index))
            x, y, width, height = shaped(annotation.get('bbox'), 'bbox', (4,))
            square_box(x, y, width, height, 1.0)
            points = reorder_keypoints(
                annotation.get('keypoints') or [], source.keypoint_names(annotation), J24
            )[list(J24_TO_J14)]
            if not points[LIMBS, 2].any():
                raise SkipRow('no key point of a limb')
        except (UserError, ValueError) as error:
            yield index, None, str(error)
            continue
        box = np.array([x, y, x + width, y + height])
        yield index, LabelledPerson(f'{source.key(index)} #{index}', path, box, points), None


def look_at(inferencer: MeshInferencer, person: LabelledPerson) -> FrameResult:
    """The network's answer for one person.

    Raises:
        InputError: The image cannot be read.
    """
    return next(inferencer([person.path], bboxes=[[person.box.tolist()]]))


def distance(seen: np.ndarray, person: LabelledPerson, exchanged: bool = False) -> np.ndarray:
    """Distances of labelled limb joints from a body's, in lengths of the box.

    Args:
        seen: Joints of the body, pixels. (14, 2)
        person: The labels.
        exchanged: Whether to take the labels with left and right exchanged.

    Returns:
        One number for every labelled joint.
    """
    labels = person.keypoints[list(J14_FLIP)] if exchanged else person.keypoints
    known = labels[LIMBS, 2] > 0
    off = np.linalg.norm(seen[LIMBS] - labels[LIMBS, :2], axis=1)[known]
    return off / (person.box[2:] - person.box[:2]).max()

# SPDX-License-Identifier: Apache-2.0
"""Check photos and key points before training on them.

Usage: python -m projects.finetune_your_data.check PHOTOS KEYPOINTS.json --sheet sheet.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.apis import MeshInferencer
from fastmetro_mm.engine.cli import OneLineParser, friendly_errors
from fastmetro_mm.errors import UserError
from fastmetro_mm.visualization.contact_sheet import write_contact_sheet
from projects.finetune_your_data.labelled_photos import (
    LIMBS,
    LabelledPerson,
    distance,
    look_at,
    read_people,
)

FAR = 0.15
"""Median distance between labels and the shipped model's body, in lengths of the box, from which
a person is worth a look."""
_SHOWN = 24


def findings(person: LabelledPerson, seen: np.ndarray) -> list[str]:
    """What is odd about a person.

    Args:
        person: The labels.
        seen: Joints of the shipped model's body, pixels. (14, 2)
    """
    found = []
    places = person.keypoints[person.keypoints[:, 2] > 0, :2]
    margin = 0.1 * (person.box[2:] - person.box[:2]).max()
    inside = (places > person.box[:2] - margin) & (places < person.box[2:] + margin)
    if outside := int((~inside.all(1)).sum()):
        found.append(f'{outside} of {len(places)} key points lie outside the box')
    as_labelled, exchanged = (np.median(distance(seen, person, flip)) for flip in (False, True))
    if exchanged < 0.5 * as_labelled and as_labelled > 0.05:
        found.append('left and right may be exchanged')
    elif as_labelled > FAR:
        found.append('the shipped model sees the person elsewhere')
    return found


def draw(person: LabelledPerson, image: np.ndarray) -> np.ndarray:
    """The person's part of an RGB image with box and key points; right orange, left blue."""
    canvas = np.ascontiguousarray(image)
    left, top, right, bottom = np.round(person.box).astype(int)
    cv2.rectangle(canvas, (left, top), (right, bottom), (255, 255, 255), 1)
    radius = max(2, (bottom - top) // 60)
    for joint in LIMBS:
        x, y, known = person.keypoints[joint]
        if known:
            color = (255, 140, 0) if joint in (0, 1, 2, 6, 7, 8) else (0, 110, 255)
            cv2.circle(canvas, (round(x), round(y)), radius, color, -1)
    margin = max(right - left, bottom - top) // 8
    return canvas[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]


def build_parser() -> argparse.ArgumentParser:
    """Command line."""
    parser = OneLineParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', type=Path, help='folder of the images')
    parser.add_argument('keypoints', type=Path, help='COCO-style json: boxes and key points')
    parser.add_argument('--sheet', type=Path, help='image of the first people, odd ones first')
    return parser


def main(argv: list[str] | None = None) -> int:
    """Tell what is wrong; 1 where annotations cannot be used."""
    with friendly_errors():
        options = build_parser().parse_args(argv)
        inferencer = MeshInferencer(detector=None)
        odd: list[tuple[str, np.ndarray]] = []
        fine: list[tuple[str, np.ndarray]] = []
        unusable = usable = strange = 0
        for index, person, reason in read_people(options.photos, options.keypoints):
            found = []
            if person is not None:
                try:
                    frame = look_at(inferencer, person)
                    found = findings(person, frame.people[0].keypoints)
                except UserError as error:
                    person, reason = None, str(error)
            if person is None:
                unusable += 1
                print(f'cannot be used: annotation {index}: {reason}')
                continue
            usable += 1
            strange += bool(found)
            for one in found:
                print(f'look at {person.name}: {one}')
            tiles = odd if found else fine
            if options.sheet and len(tiles) < _SHOWN:
                tiles.append((found[0] if found else '', draw(person, frame.image)))
        print(f'{usable} people can be used, {strange} of them are odd; {unusable} cannot be used')
        if options.sheet and odd + fine:
            write_contact_sheet(options.sheet, (odd + fine)[:_SHOWN], tile_height=220)
            print(options.sheet)
    return 1 if unusable else 0


if __name__ == '__main__':
    raise SystemExit(main())

# SPDX-License-Identifier: Apache-2.0
"""The door: what may stand behind the ``?`` of an address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fastmetro_mm.apis.export_options import ExportOptions
from fastmetro_mm.serve.refusals import Refusal

PEOPLE = '[0-9]{1,9}(,[0-9]{1,9})*'
MOST_PEOPLE = 1000  # characters of the list
FLAG = ('true', 'false')


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """A choice between ``true`` and ``false``; false where it is left out.

    Args:
        query: Arguments of the address.
        name: The one that is meant.

    Raises:
        Refusal: It is something else.
    """
    text = query.get(name, 'false')
    if text not in FLAG:
        raise Refusal(400, f'{name}: expected true or false')
    return text == 'true'


def read_people(query: Mapping[str, str]) -> frozenset[int] | None:
    """Numbers of the people who are wanted; None for all.

    Raises:
        Refusal: It is no list of numbers.
    """
    text = query.get('people')
    if text is None:
        return None
    if len(text) > MOST_PEOPLE or not re.fullmatch(PEOPLE, text):
        raise Refusal(400, 'people: expected numbers with commas between them, like 1,3')
    return frozenset(map(int, text.split(',')))


def read_options(query: Mapping[str, str], levels: Sequence[int]) -> ExportOptions:
    """How to export.

    Args:
        query: Arguments of the address.
        levels: Vertices of the meshes there are.

    Raises:
        Refusal: No such level, or feet that are to be locked to no floor.
    """
    lod = query.get('lod')
    if lod is not None and lod not in map(str, levels):
        raise Refusal(400, f'lod: expected {" or ".join(map(str, levels))} vertices')
    floor, foot_lock = read_flag(query, 'floor'), read_flag(query, 'foot_lock')
    if foot_lock and not floor:
        raise Refusal(400, 'foot_lock: needs floor=true: feet stand still on something')
    return ExportOptions(None if lod is None else int(lod), floor, foot_lock)

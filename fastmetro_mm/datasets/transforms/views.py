# SPDX-License-Identifier: Apache-2.0
"""Which views of a crop test-time augmentation looks at, and the pipeline that makes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from mmcv.transforms import TestTimeAug

from fastmetro_mm.datasets.transforms.augment import MeshAugment
from fastmetro_mm.datasets.transforms.crop import MeshCrop
from fastmetro_mm.errors import InputError

MOST_VIEWS = 200
_LIMITS = {'rot': (-180.0, 180.0), 'scale': (0.25, 4.0)}


@dataclass(frozen=True)
class View:
    """One look at a crop."""

    flip: bool = False  # mirrored, after it was turned
    # turned, degrees; positive is counter-clockwise on the screen, as in the official code
    rot: float = 0.0
    # side of the crop against that of the image as it is; above 1 shows more around
    scale: float = 1.0


def parse_views(value: str | Sequence[str] | Mapping[str, Any] | None) -> tuple[View, ...]:
    """The views that are asked for.

    Args:
        value: ``'flip rot=-20,20 scale=0.9,1.1'``, the same as a list of words, or
            ``dict(flip=True, rot=(-20, 20), scale=(0.9, 1.1))``. Every combination is one view;
            the crop as it is is always among them.

    Returns:
        Views, the crop as it is first; none at all for None or nothing.

    Raises:
        InputError: If it means nothing.
    """
    if isinstance(value, str):
        value = value.split()
    if value is None or len(value) == 0:
        return ()
    if not isinstance(value, Mapping):
        value = dict(_word(word) for word in value)
    unknown = [str(name) for name in value if name not in ('flip', *_LIMITS)]
    if unknown:
        raise InputError(f'tta: {unknown[0]} is unknown: give flip, rot=DEGREES, scale=FACTORS')
    if not isinstance(value.get('flip', False), bool):
        raise InputError(f'tta: flip must be True or False, got {value["flip"]!r}')
    choices = [
        [0.0, *_numbers('rot', value.get('rot', ()))],
        [1.0, *_numbers('scale', value.get('scale', ()))],
        [False, True] if value.get('flip', False) else [False],
    ]
    rots, scales, flips = (list(dict.fromkeys(choice)) for choice in choices)
    views = tuple(View(flip, rot, scale) for rot, scale, flip in product(rots, scales, flips))
    if not 1 < len(views) <= MOST_VIEWS:
        raise InputError(
            f'tta: {len(views)} views: ask for 2 to {MOST_VIEWS}, e.g. flip rot=-20,20'
        )
    return views


def _word(word: str) -> tuple[str, Any]:
    name, equals, numbers = str(word).partition('=')
    return (name, numbers.split(',')) if equals else (name, name == 'flip' or ())


def _numbers(name: str, values: Any) -> list[float]:
    low, high = _LIMITS[name]
    try:
        given = [values] if isinstance(values, (int, float, str)) else list(values)
        numbers = [float(one) for one in given]
    except (TypeError, ValueError):
        raise InputError(f'tta: {name} must be numbers, got {values!r}') from None
    for number in numbers:
        if not (math.isfinite(number) and low <= number <= high):
            raise InputError(f'tta: {name}={number:g} must lie between {low:g} and {high:g}')
    return numbers


def check_mirroring(flips: bool, body: Any) -> None:
    """Refuse mirrored views of hands.

    Args:
        flips: Whether some views are mirrored.
        body: The network's body.

    Raises:
        InputError: If they are and it is a hand.
    """
    if flips and body.is_hand:
        raise InputError(
            'tta: flip: the mirror image of a right hand is a left one, which networks for right '
            'hands have never seen: take rot=... and scale=... alone'
        )


def one_view(pipeline: Sequence[Any], view: View) -> list[Any]:
    """A pipeline that looks at another view; its labels follow, as in the official loader.

    Args:
        pipeline: Steps, built or as configs, with one ``MeshCrop``.
        view: What it shall show.

    Raises:
        InputError: If there is no ``MeshCrop``.
    """
    before, after = _split(pipeline)
    return [*before, _augment(view), *after]


def all_views(pipeline: Sequence[Any], views: Sequence[View]) -> list[Any]:
    """A pipeline that gives every sample in several views, for ``MeshTTAModel``.

    Args:
        pipeline: Steps, built or as configs, with one ``MeshCrop``.
        views: The views.

    Returns:
        The steps; everything from the crop on is inside mmcv's ``TestTimeAug``.

    Raises:
        InputError: If there is no ``MeshCrop``.
    """
    before, after = _split(pipeline)
    inner = [[_augment(view) for view in views], *([step] for step in after)]
    built = not isinstance(after[0], Mapping)
    if built:
        return [*before, TestTimeAug(inner)]
    return [*before, dict(type='mmcv.transforms.TestTimeAug', transforms=inner)]


def _augment(view: View) -> dict[str, Any]:
    # a dotted path instead of the class, so that the dumped config can be read again
    kind = f'{MeshAugment.__module__}.{MeshAugment.__name__}'
    return dict(type=kind, fixed=dict(flip=view.flip, rot=view.rot, scale=view.scale))


def _split(pipeline: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    steps = [step for step in pipeline if _kind(step) != MeshAugment.__name__]
    for place, step in enumerate(steps):
        if _kind(step) == MeshCrop.__name__:
            return steps[:place], steps[place:]
    raise InputError('tta: the test pipeline has no MeshCrop: views are cut by it')


def _kind(step: Any) -> str:
    """Class name of a step or of its config."""
    kind = step['type'] if isinstance(step, Mapping) else type(step)
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]

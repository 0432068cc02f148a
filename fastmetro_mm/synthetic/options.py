# SPDX-License-Identifier: Apache-2.0
"""What a synthetic data set is made of, checked before anything is written."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fastmetro_mm.body.model_files import find_model_file
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.synthetic.figures import KINDS
from fastmetro_mm.synthetic.photo_backgrounds import find_backgrounds

SCENES = ('street', 'studio', 'photo')
DRAWING_VERSION = 1
"""Raised whenever the same seed gives other images, so that old and new shards never mix."""
PHOTO_VERSION = 2
"""The same for scene ``'photo'``."""


@dataclass(frozen=True)
class SyntheticSetOptions:
    """Options of one data set.

    Args:
        kind: ``'body'`` or ``'hand'``.
        train: Number of training samples.
        test: Number of test samples.
        seed: Start of all randomness.
        size: Width and height of the images, pixels.
        scene: ``'street'``: cluttered backgrounds, occluders, truncation, people seen from
            everywhere. ``'studio'``: plain backgrounds, nothing in front, whole people (palms)
            who more or less face the camera; a small network learns from it in minutes.
            ``'photo'``: dressed people in poses of daily life, sports and real motions, alone or
            several, cut off or hidden in part, before photos; hands with sleeves, gloves, things.
        backgrounds: Folder of photos without people for ``'photo'``. If None, the environment
            variable ``FASTMETRO_BACKGROUNDS`` names it; without both, backgrounds are drawn.

    Raises:
        ValueError: A value is out of range; the message names it.
    """

    kind: str = 'body'
    train: int = 3000
    test: int = 300
    seed: int = 0
    size: tuple[int, int] = (256, 256)
    scene: str = 'street'
    backgrounds: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind is '{self.kind}', expected one of {', '.join(KINDS)}")
        if self.scene not in SCENES:
            raise ConfigError(f"scene is '{self.scene}', expected one of {', '.join(SCENES)}")
        for name in ('train', 'test', 'seed'):
            if getattr(self, name) < 0:
                raise ConfigError(f'{name} is {getattr(self, name)}, expected 0 or more')
        if self.backgrounds is not None and self.scene != 'photo':
            raise ConfigError(f"scene '{self.scene}' has no photo backgrounds; choose 'photo'")
        if self.scene == 'photo':
            find_backgrounds(self.backgrounds)
        if self.train + self.test == 0:
            raise ConfigError('train and test are both 0, so there is nothing to draw')
        if not all(64 <= side <= 4096 for side in self.size):
            raise ConfigError(
                f'size is {self.size[0]}x{self.size[1]}, expected sides from 64 to 4096 pixels'
            )

    def splits(self) -> dict[str, int]:
        """Name and number of samples of the splits that are not empty."""
        counts = {'train': self.train, 'test': self.test}
        return {name: count for name, count in counts.items() if count}

    def recipe(self) -> dict:
        """Everything that the bytes of the set depend on, as it is stored beside the set."""
        model = find_model_file(KINDS[self.kind][0])
        recipe: dict = {}
        if self.scene == 'photo':
            files = find_backgrounds(self.backgrounds)
            listing = '\n'.join(f'{file.name} {file.stat().st_size}' for file in files)
            recipe = {
                'photo_version': PHOTO_VERSION,
                'backgrounds': len(files),
                'backgrounds_sha256': hashlib.sha256(listing.encode()).hexdigest(),
            }
        return recipe | {
            'kind': self.kind,
            'train': self.train,
            'test': self.test,
            'seed': self.seed,
            'size': list(self.size),
            'scene': self.scene,
            'drawing_version': DRAWING_VERSION,
            'model_sha256': hashlib.sha256(model.read_bytes()).hexdigest(),
        }


def read_recipe(path: Path) -> dict:
    """Reads a stored recipe.

    Raises:
        ValueError: The file is not a recipe.
    """
    try:
        recipe = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f'{path}: not readable as the record of a synthetic set ({error}); '
            'remove the file or choose another folder'
        ) from error
    if not isinstance(recipe, dict):
        raise ConfigError(f'{path}: expected a JSON object; remove the file')
    return recipe

# SPDX-License-Identifier: Apache-2.0
"""Scene ``'photo'`` with some of its additions left out.

Every step has randomness of its own. Two studios that get the same seeds therefore draw the same
people, places and clothes, and differ in what is left out and in nothing else.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fastmetro_mm.synthetic.backgrounds import draw_background
from fastmetro_mm.synthetic.body_sampling import Plan, plan_photo
from fastmetro_mm.synthetic.camera_placement import PlacedCamera
from fastmetro_mm.synthetic.environment_light import EnvironmentLight
from fastmetro_mm.synthetic.figures import Figure, PosedFigure
from fastmetro_mm.synthetic.lighting import Light, finish_photo, sample_light
from fastmetro_mm.synthetic.outfits import Outfit
from fastmetro_mm.synthetic.photo_camera import FRAMINGS, LENSES, place_photo_camera
from fastmetro_mm.synthetic.photo_canvas import Photo
from fastmetro_mm.synthetic.photo_poses import SHARES, TRIES, sample_photo_pose
from fastmetro_mm.synthetic.photo_scene import PhotoScene
from fastmetro_mm.synthetic.scene import Studio

ADDITIONS = {
    'light': 'light of real places (else one lamp and light from everywhere)',
    'backgrounds': 'photos as backgrounds (else drawn ones)',
    'cloth': 'textures and folds of cloth',
    'volume': 'loose clothes, skirts, hair and shoes with a volume (else painted on the skin)',
    'gear': 'hats, bags, chairs, things held',
    'companions': 'several people',
    'occluders': 'things in front',
    'truncation': 'people cut off by the image (else whole)',
    'degradation': 'blur, low resolution, compression, recolouring (else a good camera)',
    'perspective': 'short lenses (else from 2 sides of the image on)',
    'motions': 'poses of real motions, and mixtures with them (else families and activities)',
    'contact': 'poses drawn again whose limbs lie in one another',
}
"""What scene ``'photo'`` has beyond ``'street'``, and what takes its place."""

_LONG = 2.0
_DRAWN_POSES = {'families': 0.5, 'activities': 0.5}


class PlainerScene(PhotoScene):
    """Draws images of people without some additions.

    Args:
        figure: The body.
        size: Width and height, pixels.
        backgrounds: Folder of photos without people.
        without: Names of ``ADDITIONS``.
    """

    def __init__(
        self,
        figure: Figure,
        size: tuple[int, int],
        backgrounds: str | os.PathLike | None,
        without: Collection[str],
    ) -> None:
        super().__init__(figure, size, backgrounds)
        self.without = frozenset(without)
        self._seed = self._dressed = self._placed = 0

    def _own(self, *step: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *step))

    def draw(self, rng: np.random.Generator, plan: Plan, posed: Sequence[PosedFigure]) -> Photo:
        """See :class:`PhotoScene`."""
        self._seed, self._dressed, self._placed = int(rng.integers(2**62)), 0, 0
        if 'companions' in self.without:
            plan, posed = replace(plan, companions=()), posed[:1]
        return super().draw(rng, plan, posed)

    def camera(self, rng: np.random.Generator, points: np.ndarray) -> tuple[PlacedCamera, str]:
        """See :class:`PhotoScene`."""
        framings = {'whole': 1.0} if 'truncation' in self.without else FRAMINGS
        lenses = (_LONG, LENSES[1]) if 'perspective' in self.without else LENSES
        return place_photo_camera(self._own(1), points, self.framing, self.size, framings, lenses)

    def background(self, rng: np.random.Generator) -> np.ndarray:
        """See :class:`PhotoScene`."""
        if 'backgrounds' in self.without:
            return draw_background(self._own(2), self.size)
        return super().background(self._own(2))

    def light(self, rng: np.random.Generator) -> EnvironmentLight | Light:
        """See :class:`PhotoScene`."""
        return (
            sample_light(self._own(3)) if 'light' in self.without else super().light(self._own(3))
        )

    def shadow(self, rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> None:
        """See :class:`PhotoScene`."""
        super().shadow(self._own(4), image, box)

    def dress(self, rng: np.random.Generator, family: str) -> Outfit:
        """See :class:`PhotoScene`."""
        self._dressed += 1
        outfit = super().dress(self._own(5, self._dressed), family)
        if 'cloth' in self.without:
            outfit = replace(outfit, textures=(None, None), folds=0.0)
        if 'volume' in self.without:
            outfit = replace(outfit, offset=np.zeros_like(outfit.offset), skirt=None)
        return replace(outfit, gear=[]) if 'gear' in self.without else outfit

    def companion(
        self, rng: np.random.Generator, camera: PlacedCamera, main: np.ndarray, points: np.ndarray
    ) -> PlacedCamera:
        """See :class:`PhotoScene`."""
        self._placed += 1
        return super().companion(self._own(6, self._placed), camera, main, points)

    def occlude(
        self, rng: np.random.Generator, image: np.ndarray, box: np.ndarray, mask: np.ndarray
    ) -> float:
        """See :class:`PhotoScene`."""
        if 'occluders' in self.without:
            return 0.0
        return super().occlude(self._own(7), image, box, mask)

    def finish(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """See :class:`PhotoScene`."""
        if 'degradation' in self.without:
            return finish_photo(self._own(8), image)
        return super().finish(self._own(8), image)


class PlainerStudio(Studio):
    """Draws samples of the plainer scene.

    Args:
        size: Width and height, pixels.
        backgrounds: Folder of photos without people.
        without: Names of ``ADDITIONS``.
    """

    def __init__(
        self,
        size: tuple[int, int],
        backgrounds: str | os.PathLike | None = None,
        without: Collection[str] = (),
    ) -> None:
        super().__init__('body', size, 'photo', backgrounds)
        self.photo = PlainerScene(self.figure, size, backgrounds, without)
        self._pose = _apart(
            partial(
                sample_photo_pose,
                shares=_DRAWN_POSES if 'motions' in without else SHARES,
                tries=1 if 'contact' in without else TRIES,
            )
        )

    def plan(self, rng: np.random.Generator) -> Plan:
        """See :class:`Studio`."""
        return plan_photo(rng, self.figure.rest_joints, self._pose)


def _apart(
    sample: Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]],
) -> Callable[[np.random.Generator, np.ndarray], tuple[str, np.ndarray]]:
    """The same from randomness of its own, so that view and shape stay as they are."""

    def draw(rng: np.random.Generator, rest_joints: np.ndarray) -> tuple[str, np.ndarray]:
        return sample(np.random.default_rng(int(rng.integers(2**62))), rest_joints)

    return draw

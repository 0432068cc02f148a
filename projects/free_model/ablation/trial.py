# SPDX-License-Identifier: Apache-2.0
"""The comparison: one fit for every variant of the drawing, scored on the same people."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from fastmetro_mm.geometry.rotation import local_rotations
from fastmetro_mm.model_zoo import load_weights
from projects.free_model.ablation.evidence import People
from projects.free_model.ablation.fit import BESIDE, Kernel, aligned_errors, errors, solve, targets
from projects.free_model.lifting.small_body import SmallBody
from projects.free_model.lifting.train import Lifter

RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
SURE = 2.5  # standard deviations; a table has some fifty comparisons

Errors = dict[str, dict[str, np.ndarray]]
"""Name of a set, name of an error, error of every person."""


class KeypointModel:
    """The shipped neck and head without the image: what the key points alone say."""

    def __init__(self) -> None:
        self.body, self.lifter = SmallBody(), Lifter()
        parts = ('neck.', 'head.')
        weights = {k: v for k, v in load_weights('open_body').items() if k.startswith(parts)}
        self.lifter.load_state_dict(weights)
        self.lifter.eval()

    @torch.inference_mode()
    def __call__(self, people: People) -> np.ndarray:
        """Joints (N, 14, 3), metres, camera axes."""
        found = []
        for some in torch.from_numpy(people.keypoints).split(250):
            turned, betas, _ = self.lifter(some)
            found.append(self.body(local_rotations(turned, self.body.parents), betas).scored)
        return torch.cat(found).numpy()


@dataclass
class Variant:
    """Errors with the people as they are, and with each bootstrap's."""

    exact: Errors
    resampled: list[Errors]


class Trial:
    """Fits variants of the drawn people and scores them.

    Args:
        sets: Name to people who are scored.
        rounds: Bootstrap rounds.
    """

    def __init__(self, sets: dict[str, People], rounds: int) -> None:
        self.sets, self.rounds = sets, rounds
        self.model = KeypointModel()
        self.lifted = {name: self.model(people) for name, people in sets.items()}

    def choose_ridges(self, train: People, name: str) -> dict[str, float]:
        """The ridges that are best for people of one set, by maps alone and beside key points."""
        kernel, wanted = Kernel(train), targets(train, self.model(train))
        inner, outer = kernel.train(), kernel.to(self.sets[name])
        found = {}
        for ridge in RIDGES:
            weights, constant = solve(inner, wanted, ridge)
            answer = outer @ weights + constant
            found[ridge] = errors(answer, self.sets[name], self.lifted[name])
        return {
            error: min(RIDGES, key=lambda ridge: found[ridge][error].mean())
            for error in ('map', 'beside')
        }

    def fit(self, train: People, ridges: dict[str, float]) -> Variant:
        """Errors of one variant."""
        kernel, wanted = Kernel(train), targets(train, self.model(train))
        inner = kernel.train()
        outer = {name: kernel.to(people) for name, people in self.sets.items()}

        def scored(counts: np.ndarray | None) -> Errors:
            by_maps = solve(inner, wanted[:, :BESIDE], ridges['map'], counts)
            beside = solve(inner, wanted[:, BESIDE:], ridges['beside'], counts)
            weights, constant = (np.hstack(pair) for pair in zip(by_maps, beside, strict=True))
            return {
                name: errors(outer[name] @ weights + constant, people, self.lifted[name])
                for name, people in self.sets.items()
            }

        draws = (_counts(number, len(train)) for number in range(self.rounds))
        return Variant(scored(None), [scored(counts) for counts in draws])

    def by_keypoints(self, names: Iterable[str]) -> float:
        """Mean over sets of PA-MPJPE by key points alone, mm."""
        found = {
            name: {'': aligned_errors(self.lifted[name], self.sets[name].joints)} for name in names
        }
        return self.mean(found, found, '')

    def mean(self, found: Errors, names: Iterable[str], error: str, number: int = -1) -> float:
        """Mean over sets of the mean error over clusters; of resampled ones from number 0 on."""
        means = []
        for name in names:
            clusters, rows = np.unique(self.sets[name].cluster, return_inverse=True)
            values = found[name][error]
            known = np.isfinite(values)
            counts = np.ones(len(clusters), int)
            if number >= 0:
                counts = _counts(number, len(clusters), 1)
            weights = counts[rows] * known
            if weights.any():
                means.append(np.average(np.nan_to_num(values), weights=weights))
        return float(np.mean(means)) if means else float('nan')

    def change(
        self, variant: Variant, base: Variant, names: Iterable[str], error: str
    ) -> tuple[float, float]:
        """How much higher an error is than the base's, and the standard deviation of that.

        Both see the same resampled people, drawn and real.
        """
        names = list(names)

        def less(one: Errors, other: Errors, number: int = -1) -> float:
            return self.mean(one, names, error, number) - self.mean(other, names, error, number)

        pairs = zip(variant.resampled, base.resampled, strict=True)
        spread = [less(one, other, number) for number, (one, other) in enumerate(pairs)]
        return less(variant.exact, base.exact), float(np.std(spread, ddof=1))


def _counts(number: int, size: int, stream: int = 0) -> np.ndarray:
    """How often each of ``size`` is drawn in a bootstrap round; the same for every variant."""
    rng = np.random.default_rng((number, stream))
    return np.bincount(rng.integers(size, size=size), minlength=size)


def verdict(changes: dict[str, tuple[float, float]]) -> str:
    """What leaving an addition out says of it.

    Args:
        changes: How people are shown, to the change of the error and its standard deviation.
    """
    words = {
        f'{"helps" if change > 0 else "hurts"}: {look}'
        for look, (change, deviation) in changes.items()
        if abs(change) > SURE * deviation
    }
    return '; '.join(sorted(words)) or 'no difference that can be resolved'

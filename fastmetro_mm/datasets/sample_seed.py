# SPDX-License-Identifier: Apache-2.0
"""Random numbers of a sample that depend on the sample alone, not on who loads it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


class SampleSeed:
    """A seed for all samples of an epoch, shared with the data workers.

    Until it is set, samples draw from the generators as they are.
    """

    def __init__(self) -> None:
        self._value = torch.full((1,), -1, dtype=torch.int64).share_memory_()

    def set(self, seed: int) -> None:
        """Use this seed from now on, in running data workers too."""
        self._value[0] = seed

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        """Seed numpy and Python for one sample; afterwards they are as they were before."""
        seed = int(self._value)
        if seed < 0:
            yield
            return
        states = np.random.get_state(), random.getstate()  # noqa: NPY002
        number = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        np.random.seed(number)  # noqa: NPY002 - the generator that transforms draw from
        random.seed(number)
        try:
            yield
        finally:
            np.random.set_state(states[0])  # noqa: NPY002
            random.setstate(states[1])

"""Random draws that are the same on every machine and Python version.

Only ``random.Random.random`` is used: its stream for a seed that is a string is the same in every
version of Python, while ``choice``, ``shuffle`` and ``sample`` have changed theirs between versions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of draws that belongs to one purpose: ``Draw(seed, "documents")``."""

    __slots__ = ("random",)

    def __init__(self, seed: int, *purpose: object) -> None:
        name = "/".join(str(part) for part in ("textmill.sample", seed, *purpose))
        self.random = random.Random(name).random

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound`` - 1."""
        return int(self.random() * bound)

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with ``probability``."""
        return self.random() < probability

    def choice(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[int(self.random() * len(options))]

    def other(self, options: Sequence[T], *taken: T) -> T:
        """One of ``options`` that is none of ``taken`` (by identity or equality)."""
        while True:
            option = self.choice(options)
            if option not in taken:
                return option

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order (Fisher and Yates)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = int(self.random() * (last + 1))
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """``count`` different items in random order."""
        return self.shuffled(items)[:count]

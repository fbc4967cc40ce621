"""Chance, handed in: jitter and ids of jobs draw from here, so a seeded run repeats exactly."""

import random
from typing import Protocol


class Chance(Protocol):
    """Where random numbers come from."""

    def draw(self) -> float:
        """Uniform in [0, 1)."""
        ...


class SystemChance:
    """Seeded by the operating system."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def draw(self) -> float:
        return self._random.random()

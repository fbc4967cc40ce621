"""Which events may stand in a stream already, where the system itself does not keep repetitions out: those are looked for. Pure."""

from collections.abc import Iterable
from typing import Final

REPEATED_EVENTS: Final = 4_000
"""A crash repeats at most what was in flight or not yet committed: 1,000 outcomes and the batches in flight."""


class Doubt:
    """The first events after a start, and those of writes whose answer never came.

    What has been written in this run already (now as a replay) is to be written again, so it is not in doubt.
    """

    def __init__(self) -> None:
        self._written: set[str] | None = set()
        """Since the start; None: the first events are over."""
        self._lost: set[str] = set()

    def of(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are in doubt."""
        written = self._written
        return {each for each in ids if each in self._lost or (written is not None and each not in written)}

    def lost(self, ids: Iterable[str]) -> None:
        """Nobody knows whether these were written."""
        self._lost.update(ids)

    def written(self, ids: Iterable[str]) -> None:
        """These stand in the stream."""
        ids = list(ids)
        self._lost.difference_update(ids)
        if self._written is not None:
            self._written.update(ids)
            if len(self._written) >= REPEATED_EVENTS:
                self._written = None

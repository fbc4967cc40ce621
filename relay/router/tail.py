"""The last results of the source side, in memory, so that actors near the head never read the disk.

Bounded by events and by bytes; what is behind it is read from the log. Wakes the actors whose sources have news.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from relay.pipeline.decision import Sourced

_BY_SEQ = attrgetter("seq")
MAX_EVENTS = 20_000
MAX_BYTES = 8 * 1024 * 1024


class Tail:
    """A window of the log that ends at `upto`, every event of it (a recovered log has holes); its old end may be dropped."""

    def __init__(self) -> None:
        self.upto = 0
        """Everything up to here has passed the router."""
        self._results: list[Sourced] = []
        self._first = 0
        self._bytes = 0
        self._wakes: dict[asyncio.Event, frozenset[str]] = {}

    def start(self, upto: int) -> None:
        """Forget everything; the router goes on after `upto`."""
        self._results, self._first, self._bytes, self.upto = [], 0, 0, upto
        self._wake(None)

    def add(self, group: Sequence[Sourced]) -> None:
        """The router's next results, in order."""
        if not self._results or group[0].seq != self.upto + 1:
            self._results, self._bytes, self._first = [], 0, group[0].seq
        self._results += group
        self._bytes += sum(result.bytes for result in group)
        self.upto = group[-1].seq
        if self._bytes > MAX_BYTES or len(self._results) > MAX_EVENTS:
            self._shrink()
        self._wake({result.event.source_id for result in group})

    def _shrink(self) -> None:
        """Down to three quarters at once, so that the list is moved rarely."""
        gone = 0
        while gone < len(self._results) - 1 and (self._bytes > MAX_BYTES * 0.75 or len(self._results) - gone > MAX_EVENTS * 0.75):
            self._bytes -= self._results[gone].bytes
            gone += 1
        self._first = self._results[gone].seq
        del self._results[:gone]

    def after(self, seq: int, limit: int) -> list[Sourced] | None:
        """Results right after `seq`; None when the next one is no longer in memory."""
        if not self._results or seq + 1 < self._first:
            return None
        start = bisect_right(self._results, seq, key=_BY_SEQ)  # not by arithmetic: a recovered log has holes
        return self._results[start : start + limit]

    def watch(self, wake: asyncio.Event, sources: frozenset[str]) -> None:
        """Set `wake` whenever one of `sources` has news."""
        self._wakes[wake] = sources

    def unwatch(self, wake: asyncio.Event) -> None:
        self._wakes.pop(wake, None)

    def _wake(self, sources: set[str] | None) -> None:
        for wake, wanted in self._wakes.items():
            if sources is None or not sources.isdisjoint(wanted):
                wake.set()

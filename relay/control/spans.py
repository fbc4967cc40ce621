"""Counts in spans of time, read once: a span that is over does not change, so that only the newest ones are asked for again.

Reads are cut into slices, so that nobody who reads on the same connection waits long for one of them.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from relay.observe.latency import LatencyKey
from relay.observe.rollup import DAY, HOUR, HOURS_KEPT, MINUTES_KEPT
from relay.observe.tallies import TallyKey

K = TypeVar("K", TallyKey, LatencyKey)
Read = Callable[[int, int, int], Awaitable[dict[K, int]]]

LATE: Final = 5
"""Minutes after which a span is over for good: counts carry the minute in which they were made, and are written a little later."""
SLICES: Final = ((MINUTES_KEPT + DAY, 6 * HOUR), (HOURS_KEPT + DAY, 4 * DAY))
"""Most minutes of one read by the age of what is read: minutes, hours; days are read at once."""


class Spans(Generic[K]):
    """`read(since, until, step)` gives counts by the first minute of their span. `finer`: takes over where the rows are still minutes."""

    def __init__(self, step: int, keep_minutes: int, read: Read[K], finer: "Spans[K] | None" = None) -> None:
        self._step = step
        self._keep_minutes = keep_minutes
        self._read: Read[K] = read
        self._finer: Spans[K] | None = finer
        self._over: dict[int, dict[K, int]] = {}

    async def load(self, since: int, now_minute: int) -> dict[K, int]:
        """All counts from the span at `since` on. Not to be called by two at once."""
        step = self._step
        turn = (now_minute - (MINUTES_KEPT + HOUR if self._finer else LATE)) // step * step
        self._over = {start: counts for start, counts in self._over.items() if start >= now_minute - self._keep_minutes - step}
        for first, until in slices([start for start in range(since, turn, step) if start not in self._over], step, now_minute):
            self._over |= {start: {} for start in range(first, until, step)}
            for key, count in (await self._read(first, until, step)).items():
                self._over[key.minute][key] = count
        found: dict[K, int] = {}
        for start in range(since, turn, step):
            found |= self._over[start]
        recent = max(since, turn)
        if self._finer is None:
            found |= await self._read(recent, now_minute + 1, step)
            return found
        for key, count in (await self._finer.load(recent, now_minute)).items():
            spanned = key._replace(minute=key.minute // step * step)
            found[spanned] = found.get(spanned, 0) + count
        return found


def slices(starts: list[int], step: int, now_minute: int) -> list[tuple[int, int]]:
    """Spans (their first minutes, rising) as ranges that are read at once; each at least one span, none over a gap."""
    found: list[tuple[int, int]] = []
    for start in starts:
        most = next((most for age, most in SLICES if now_minute - start <= age), now_minute)
        if found and found[-1][1] == start and start + step - found[-1][0] <= max(step, most):
            found[-1] = (found[-1][0], start + step)
        else:
            found.append((start, start + step))
    return found

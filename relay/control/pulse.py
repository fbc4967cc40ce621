"""The figures of the last seconds, for the live views: rates from the totals in memory, what waits from one look at the outbox.

Asked once a second while somebody watches, for all viewers together.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from relay.base.clock import Clock, iso
from relay.base.codes import Door
from relay.control.operate import Operations
from relay.observe.tallies import VIOLATED, Totals
from relay.outbox.interface import RETRY
from relay.pipeline.compiled import Current

WINDOW_S: Final = 10.0
STALE_S: Final = 5.0
"""After a pause of that length the window starts anew."""
COUNTED: Final = (Door.DELIVERED.value, Door.DEAD.value, RETRY)

Counts = dict[tuple[str, str], int]
"""By (source id, "in"), and by (destination id, door or retry)."""


class Pulse:
    """Keeps the counts of the last WINDOW_S."""

    def __init__(self, *, totals: Totals, operations: Operations, current: Current, clock: Clock, firing: Callable[[], int]) -> None:
        """`firing`: how many alerts fire now."""
        self._totals = totals
        self._operations = operations
        self._current = current
        self._clock = clock
        self._firing = firing
        self._window: deque[tuple[float, Counts]] = deque()

    async def beat(self) -> dict[str, Any]:
        """`{at, in_rate, window_s, alerts, sources: {slug: rate}, dest: {slug: {rate, backlog, oldest_s, retry, dead, state, success}}}`.

        Rates are events per second over the last `window_s`; `oldest_s` is an age, null when nothing waits; `success` null when nothing was attempted.
        """
        overview = await self._operations.destinations_overview()
        now_s, counts = self._clock.monotonic(), self._counts()
        if self._window and now_s - self._window[-1][0] > STALE_S:
            self._window.clear()
        self._window.append((now_s, counts))
        while now_s - self._window[0][0] > WINDOW_S + 0.5:
            self._window.popleft()
        first_s, first = self._window[0]
        span_s = now_s - first_s
        grown = {key: count - first.get(key, 0) for key, count in counts.items()}
        compiled, unix_s = self._current.compiled, self._clock.now()
        ids = {one.destination.slug: name for name, one in compiled.destinations.items()}
        sources = {one.source.slug: _rate(grown.get((name, "in"), 0), span_s) for name, one in compiled.sources.items()}
        return {
            "at": iso(unix_s),
            "window_s": round(span_s, 1),
            "in_rate": _rate(sum(count for (_, what), count in grown.items() if what == "in"), span_s),
            "alerts": self._firing(),
            "sources": sources,
            "dest": {one["slug"]: _destination(one, ids[one["slug"]], grown, span_s, unix_s) for one in overview if one["slug"] in ids},
        }

    def _counts(self) -> Counts:
        counts: Counts = {}
        for (source_id, destination_id, stage, _, _), count in self._totals.counts.items():
            if destination_id:
                key = (destination_id, stage)
            elif stage not in ("ingest", VIOLATED):
                key = (source_id, "in")
            else:
                continue
            counts[key] = counts.get(key, 0) + count
        return counts


def _destination(one: dict[str, Any], name: str, grown: Counts, span_s: float, unix_s: float) -> dict[str, Any]:
    delivered, dead, retried = (grown.get((name, stage), 0) for stage in COUNTED)
    tried = delivered + dead + retried
    return {
        "rate": _rate(delivered, span_s),
        "backlog": one["pending"],
        "oldest_s": round(max(0.0, unix_s - one["oldest_s"]), 1) if one["oldest_s"] else None,
        "retry": one["retry"],
        "dead": one["dead"],
        "state": one["state"],
        "success": round(delivered / tried, 4) if tried else None,
    }


def _rate(count: int, span_s: float) -> float:
    return round(count / span_s, 1) if span_s > 0.2 else 0.0

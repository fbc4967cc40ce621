"""What is measured in memory and written every ten seconds: delivery times and samples; and rates, from totals taken every five seconds.

A crash loses at most ten seconds of delivery times and samples (counts and dead letters are in the commits of the outcomes themselves).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from relay.base.clock import Clock
from relay.base.codes import Door
from relay.errors import StoreError
from relay.observe.latency import Latencies, Latency
from relay.observe.observer import Observer
from relay.observe.tallies import Totals
from relay.outbox.interface import Outbox, Sample
from relay.outbox.sampling import Sampler
from relay.pipeline.compiled import Current

log = structlog.get_logger("relay.control")

TICK_S: Final = 5.0
FLUSH_S: Final = 10.0
UNSAVED_MAX: Final = 100_000
"""Counts of delivery times that wait while the disk is full; beyond it they are dropped."""
WINDOW_S: Final = 60.0
_DOORS: Final = frozenset(door.value for door in Door)

Flow = tuple[str, str]
"""What a rate is of: (`in`, source id), (`blocked`, source id), (`out`, destination id: delivered), (`left`, destination id: by any door)."""


class Rates:
    """Events per second, from what the totals were a minute ago. Bounded: a minute of snapshots."""

    def __init__(self, totals: Totals, clock: Clock) -> None:
        self._totals = totals
        self._clock = clock
        self._past: deque[tuple[float, dict[Flow, int]]] = deque()
        self.last_s: dict[str, float] = {}
        """When a source's last event was seen, by source id; exact to a tick."""
        self.tick()

    def tick(self) -> None:
        """Remember the totals as they are now."""
        now_s, sums = self._clock.monotonic(), self._sums()
        before = self._past[-1][1] if self._past else sums
        for (flow, source_id), count in sums.items():
            if flow == "in" and count > before.get((flow, source_id), 0):
                self.last_s[source_id] = self._clock.now()
        self._past.append((now_s, sums))
        while len(self._past) > 1 and now_s - self._past[1][0] >= WINDOW_S:
            self._past.popleft()

    def now(self) -> dict[Flow, float]:
        """Every rate over the last 60 seconds (to a tick), or since the start when that is shorter."""
        now_s, sums = self._clock.monotonic(), self._sums()
        then_s, then = self._past[0]
        span_s = max(1.0, now_s - then_s)
        return {flow: (count - then.get(flow, 0)) / span_s for flow, count in sums.items()}

    def _sums(self) -> dict[Flow, int]:
        sums: dict[Flow, int] = {}
        for (source_id, destination_id, stage, _, _), count in self._totals.counts.items():
            for flow in _flows(source_id, destination_id, stage):
                sums[flow] = sums.get(flow, 0) + count
        return sums


def _flows(source_id: str, destination_id: str, stage: str) -> tuple[Flow, ...]:
    if not destination_id:
        if stage in _DOORS:
            return (("in", source_id), ("blocked", source_id))
        return (("in", source_id),) if stage == "source" else ()
    if stage == Door.DELIVERED:
        return (("out", destination_id), ("left", destination_id))
    return (("left", destination_id),) if stage in _DOORS else ()


class Measure:
    """Listens, keeps, writes. `run` until cancelled, then `flush` once more."""

    def __init__(self, outbox: Outbox, totals: Totals, current: Current, clock: Clock, observer: Observer) -> None:
        self._outbox = outbox
        self._current = current
        self._latencies = Latencies(clock)
        self._sampler = Sampler(clock)
        self._unsaved: Latency = {}
        self.rates = Rates(totals, clock)
        observer.listeners.append(self._latencies.hear)
        outbox.on_settled.append(self._sampler.settled)

    async def run(self) -> None:
        while True:
            for _ in range(round(FLUSH_S / TICK_S)):
                await asyncio.sleep(TICK_S)
                self.rates.tick()
            await self.flush()

    async def flush(self) -> None:
        """Write what was gathered; what a full disk refuses waits for the next time."""
        latency, samples = self.unsaved(), self._sampler.take()
        self._unsaved = {}
        if not latency and not samples:
            return
        try:
            await self._outbox.measured(latency, samples)
        except StoreError as error:
            log.warning("measures.waiting", error=error.message)
            self._unsaved = latency if len(latency) <= UNSAVED_MAX else {}
            self._sampler.give_back(samples)

    def unsaved(self) -> Latency:
        """Delivery times that are not written yet."""
        slugs = {one.destination.slug: name for name, one in self._current.compiled.destinations.items()}
        for key, count in self._latencies.take(slugs.get).items():
            self._unsaved[key] = self._unsaved.get(key, 0) + count
        return self._unsaved

    def samples(self, destination_id: str, code: str) -> Sequence[Sample]:
        """Samples that are not written yet, newest first."""
        return self._sampler.waiting(destination_id, code)

    def attempt_ms(self, slug: str) -> float | None:
        """Mean duration of an attempt at a destination since the start; None: there was none."""
        return self._latencies.attempt_ms(slug)

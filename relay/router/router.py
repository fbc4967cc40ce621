"""The router: follows the log in order, runs the source side once, counts, and hands the results to the tail."""

import asyncio
from collections.abc import Callable, Sequence

from relay.base.clock import Clock
from relay.base.event import Event
from relay.observe.tallies import VIOLATED, Tally, TallyKey, add
from relay.outbox.interface import ROUTER, Changed, Claim, Consumer, Outbox, Settlement
from relay.pipeline.compiled import Compiled, Current
from relay.pipeline.decision import Sourced
from relay.pipeline.source_side import source_side
from relay.router.tail import Tail

STEP_EVENTS = 1_000
SETTLE_EVERY_S = 0.1
"""Position and counts are written this often at most: nobody waits for them, and each commit costs an fsync."""


def source(claim: Claim, compiled: Compiled) -> Sourced:
    """The source side of one stored event under one workspace version; pure, so an actor behind the tail runs it again."""
    return source_side(claim.seq, claim.event, compiled.sources.get(claim.event.source_id))


class Router:
    """Runs until cancelled. Position, tallies and derived events ride in one commit; a crash before it routes the same events again."""

    def __init__(self, outbox: Outbox, current: Current, tail: Tail, clock: Clock) -> None:
        self._outbox = outbox
        self._current = current
        self._tail = tail
        self._clock = clock
        self._wake = asyncio.Event()
        self._is_stale = False
        self.on_routed: list[Callable[[Sequence[Sourced]], None]] = []
        """Hear each chunk after it was added to the tail; they must be quick and must not raise."""

    async def run(self) -> None:
        consumer = await self._outbox.open(ROUTER)
        consumer.on_change = self._changed
        self._outbox.on_append = lambda _: self._wake.set()
        settled = pos = consumer.cursor.pos
        tally: Tally = {}
        derived: list[Event] = []
        self._tail.start(pos)
        due_s = self._clock.monotonic()
        while True:
            self._wake.clear()
            claims, upto = await self._next(consumer, pos)
            if claims:
                results = self.route(claims)
                # The results are pure, so the actors need not wait for the commit of the counts.
                self._tail.add(results)
                for listener in self.on_routed:
                    listener(results)
                for result in results:
                    if result.derived:
                        derived += result.derived
                        result.derived = ()  # the tail keeps the result, and need not keep these
                add(tally, self._tally(results))
            pos = upto
            wait_s = due_s - self._clock.monotonic()
            if pos > settled and (wait_s <= 0 or derived):
                await consumer.settle([Settlement(settled + 1, "", last=pos)], derived=derived, tally=tally)
                settled, tally, derived, due_s = pos, {}, [], self._clock.monotonic() + SETTLE_EVERY_S
            elif not claims:
                await self._rest(wait_s if pos > settled else None)

    async def _next(self, consumer: Consumer, pos: int) -> tuple[list[Claim], int]:
        """Events after `pos`; what was read while a user was erased is void."""
        while True:
            self._is_stale = False
            claims, upto = await consumer.read(pos, STEP_EVENTS)
            if not self._is_stale:
                return claims, upto

    def _changed(self, changed: Changed) -> None:
        """A user was erased: the tail must not hand out what it has of before."""
        if changed.rescan:
            self._is_stale = True
            self._tail.start(self._tail.upto)

    async def _rest(self, wait_s: float | None) -> None:
        """Until something is appended, or the counts are due."""
        if wait_s is None:
            await self._wake.wait()
            return
        timer = asyncio.get_running_loop().call_later(max(0.001, wait_s), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def route(self, claims: Sequence[Claim]) -> list[Sourced]:
        """One chunk under the one version it starts with."""
        compiled = self._current.compiled
        return [source(claim, compiled) for claim in claims]

    def _tally(self, results: Sequence[Sourced]) -> Tally:
        minute = int(self._clock.now() // 60)
        counts: dict[tuple[str, str, str], int] = {}
        for result in results:
            event, drop = result.event, result.drop
            key = (event.source_id, str(drop.door) if drop else "source", drop.code if drop else event.type)
            counts[key] = counts.get(key, 0) + 1
            if result.violations and drop is None:  # one that is blocked for them is counted as such
                key = (event.source_id, VIOLATED, event.type)
                counts[key] = counts.get(key, 0) + 1
        return {TallyKey(minute, source_id, "", stage, code, True): count for (source_id, stage, code), count in counts.items()}

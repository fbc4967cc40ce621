"""A replay from an archive: consumer and feed of one more stream into a destination. Its actor sees no difference to a replay of the log.

Nothing is appended to the log. The books are kept in memory; what is stored is how far the replay is: the archive's mark below which
everything has left, and what became of it. A restart goes on from there, so it repeats at most what was read ahead. Positions are counted
from a number that only this replay has, and an event that is read again gets the same one, so a sink knows it again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final

import structlog

from relay.base.clock import Clock
from relay.base.event import Event
from relay.base.tasks import spawn
from relay.errors import DeliveryError
from relay.kit.sink import Archive, Span
from relay.observe.tallies import Tally
from relay.outbox.interface import DEAD, Attempt, Changed, Claim, Consumer, Cursor, Row, Settlement
from relay.outbox.ledger import Books, is_open
from relay.pipeline.decision import Sourced

log = structlog.get_logger("relay.delivery")

AHEAD: Final = 2_000
"""Most events that are read and have not left."""
POSITIONS_PER_MS: Final = 100_000
ENDLESS: Final = 1 << 60
AGAIN_S: Final = 5.0
"""How long after a failed read it is tried again."""
DEAD_KEPT: Final = 100
"""Dead events that are named in the job; the rest is counted."""

Save = Callable[[Mapping[str, Any], Mapping[str, Any]], Awaitable[object]]
"""Stores what changed in the job's description, and in the rest of its state; returns after the commit."""


class ArchiveReplay:
    """Implements outbox.Consumer and delivery.Feed over the pages of an archive."""

    def __init__(self, name: str, state: Mapping[str, Any], archive: Archive, span: Span, *, clock: Clock, save: Save) -> None:
        """`state`: of the job, as it was stored; `span`: what is meant, without its mark."""
        told = state["replay"]
        self.name = name
        self.rows: Sequence[Row] = ()
        self.on_change: Callable[[Changed], None] | None = None
        self.changes: list[Changed] = []
        self.done = int(told.get("done", 0))
        """Events that have left, in the order of the archive."""
        self.doors: dict[str, int] = dict(told.get("doors", {}))
        self._base = int(told["started_s"] * 1000) * POSITIONS_PER_MS
        first = self._base + self.done
        self.cursor = Cursor(name, first, first, end=ENDLESS, doors=self.doors, state=dict(state))
        self._mark = str(told.get("mark", ""))
        self._dead: list[list[str]] = list(told.get("dead", ()))
        self._archive = archive
        self._span = span
        self._clock = clock
        self._save = save
        self._events: dict[int, Event] = {}
        """Read, and not settled for good."""
        self._open: dict[tuple[int, str], Row] = {}
        self._pages: deque[tuple[int, str]] = deque()
        """The last position of each page that was read, and its mark."""
        self._wakes: set[asyncio.Event] = set()
        self._room = asyncio.Event()
        self.upto = first
        self._reader = spawn(self._read_on(), name=f"archive:{name}")

    # reading

    async def _read_on(self) -> None:
        try:
            while not await self._read_pages():
                await asyncio.sleep(AGAIN_S)
            self.cursor.end = self.upto
            self._wake()
            if self._is_through:
                await self._store({})
        finally:
            await self._archive.close()

    async def _read_pages(self) -> bool:
        """From the last page on, to the end; False: the archive failed meanwhile."""
        after = self._pages[-1][1] if self._pages else self._mark
        try:
            async with aclosing(self._archive.read(replace(self._span, after=after))) as pages:  # type: ignore[type-var]
                async for page in pages:
                    for _, event in page.events:
                        self.upto += 1
                        self._events[self.upto] = event
                    self._pages.append((self.upto, page.mark))
                    self._wake()
                    while len(self._events) >= AHEAD:
                        self._room.clear()
                        await self._room.wait()
        except DeliveryError as error:
            log.warning("replay.archive_failed", job=self.name, code=error.code, reason=error.message)
            return False
        return True

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def close(self) -> None:
        """Read no more; calling it twice is harmless."""
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def cancel(self) -> None:
        """Give up what has not left. What is in flight ends."""
        await self.close()
        self.cursor.end = self.upto
        if self.on_change:
            self.on_change(Changed(closed=tuple(self._open), expired=self.upto))

    # as a feed

    def watch(self, wake: asyncio.Event) -> None:
        self._wakes.add(wake)

    def unwatch(self, wake: asyncio.Event) -> None:
        self._wakes.discard(wake)

    async def entries(self, consumer: Consumer, after: int, limit: int) -> tuple[list[Sourced], int]:
        """What was read already; it never waits. An archive holds what the source side has made of an event."""
        found: list[Sourced] = []
        while after < self.upto and len(found) < limit:
            after += 1
            if (event := self._events.get(after)) is not None:
                found.append(Sourced(after, event, None, (), len(event.body)))
        return found, after

    def sourced(self, claim: Claim) -> Sourced:
        return Sourced(claim.seq, claim.event, None, (), len(claim.event.body))

    # as a consumer

    async def read(self, after: int, limit: int, sources: frozenset[str] | None = None) -> tuple[list[Claim], int]:
        found, reached = await self.entries(self, after, limit)
        return [Claim(one.seq, one.event) for one in found], reached

    async def fetch(self, seqs: Sequence[int]) -> dict[int, Event]:
        return {seq: event for seq in seqs if (event := self._events.get(seq)) is not None}

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        attempts: Sequence[Attempt] = (),
        state: Mapping[str, Any] | None = None,
        derived: Sequence[Event] = (),
        tally: Tally | None = None,
    ) -> None:
        """Stores how far it is when a page has left as a whole; the journal knows events of the log only."""
        books = Books(self.cursor, self._open, now_s=self._clock.now())
        books.settle(settlements)
        for key, row in list(self._open.items()):
            if row.state == DEAD:
                del self._open[key]
                if len(self._dead) < DEAD_KEPT and (event := self._events.get(row.seq)) is not None:
                    self._dead.append([event.message_id, row.code])
        waiting = {row.seq for row in self._open.values() if is_open(row)}
        for seq in (seq for one in settlements for seq in one.seqs):
            if seq not in waiting:
                self._events.pop(seq, None)
        self._room.set()
        if self._pass_pages(min(self.cursor.pos, *(seq - 1 for seq in waiting)) if waiting else self.cursor.pos) or state or self._is_through:
            await self._store(state or {})

    def _pass_pages(self, upto: int) -> bool:
        """Whether another page has left."""
        before = self._mark
        while self._pages and self._pages[0][0] <= upto:
            last, self._mark = self._pages.popleft()
            self.done = last - self._base
        return self._mark != before

    @property
    def _is_through(self) -> bool:
        return self.cursor.pos >= (self.cursor.end or ENDLESS) and not self._open

    async def _store(self, state: Mapping[str, Any]) -> None:
        told: dict[str, Any] = {"mark": self._mark, "done": self.done, "doors": dict(self.doors), "dead": list(self._dead)}
        if self._is_through:
            told |= {"finished_s": self._clock.now(), "total": self.done}
        with suppress(KeyError):  # the destination was removed meanwhile
            await self._save(told, state)

"""What must happen whether or not anybody asks: retention, the disk reserve, the database budget, dedup rotation, removals.

One step a second. It never stops delivery; it closes ingest only when the disk reserve (or a `refuse` budget) is hit.
"""

import asyncio
from dataclasses import dataclass

import structlog

from relay.base.clock import Clock
from relay.database.database import Database, Room
from relay.errors import StoreError
from relay.observe.facts import StoreFull, StoreOpen
from relay.observe.observer import Observer
from relay.outbox.engine import LedgerOutbox
from relay.outbox.interface import ROUTER, Cursor
from relay.outbox.operations import EXPIRE_STEP
from relay.pipeline.compiled import Current

log = structlog.get_logger("relay.control")

STEP_S = 1.0
CLOSE_STEP_S = 0.1
CLOSE_BYTES = 64 * 1024 * 1024
"""With less than this above the reserve the room is measured more often: a second of load may be more than is left."""
TIGHT = 1.25
"""Times the reserve: below that, history goes before its time, so that ingest closes only when nothing else helps."""
TRIM_S = 60.0
ROTATE_S = 12 * 3600.0
REMOVED_S = 7 * 86400.0
VACUUM_PAGES = 1_000
CLOCK_STEP_S = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How large the database may grow, and what happens then."""

    max_db_bytes: int
    when_full: str = "expire"
    """`expire` or `refuse`."""


class Upkeep:
    """Runs until cancelled."""

    def __init__(self, outbox: LedgerOutbox, database: Database, current: Current, clock: Clock, observer: Observer, budget: Budget) -> None:
        self._outbox = outbox
        self._database = database
        self._current = current
        self._clock = clock
        self._observer = observer
        self._budget = budget
        self._trimmed_s = 0.0
        self._rotated_s = clock.monotonic() - ROTATE_S
        self._offset_s = clock.now() - clock.monotonic()
        self.room = Room(0, 0, 0, 0)

    async def run(self) -> None:
        while True:
            await self.step()
            left = self.room.free_bytes + self.room.freelist_bytes - self.room.reserve_bytes
            await asyncio.sleep(CLOSE_STEP_S if self.room.reserve_bytes and left < CLOSE_BYTES else STEP_S)

    async def step(self) -> None:
        """One round. A store that cannot be read at the moment is no reason to end."""
        try:
            self._watch_clock()
            self.room = await self._database.room()
            if self.room.wal_bytes > self.room.free_bytes / 2:
                await self._database.checkpoint(truncate=True)  # readers kept it from starting anew
                self.room = await self._database.room()
            if self._is_tight():
                await self._regain()
            over = self.room.db_bytes - self.room.freelist_bytes > self._budget.max_db_bytes
            self._set_reserve(self._why_closed(over))
            if over and self._budget.when_full == "expire":
                await self._make_room()
            if self._clock.monotonic() - self._trimmed_s >= TRIM_S:
                await self._trim()
            await self._rotate()
        except StoreError as error:
            log.warning("upkeep.failed", error=error.message)

    def _why_closed(self, over: bool) -> str:
        if self.room.is_short:
            return "the disk reserve (min_free_bytes) is reached"
        if over and self._budget.when_full == "refuse":
            return "the database has reached max_db_bytes"
        return ""

    def _is_tight(self) -> bool:
        room = self.room
        return room.is_short or room.free_bytes + room.freelist_bytes < TIGHT * room.reserve_bytes

    async def _regain(self) -> None:
        """History that nobody needs makes room on the disk, a slice at a time. Free pages do not help the WAL: it needs real disk."""
        while self._is_tight() and not self._database.full and await self._outbox.trim_now():
            self.room = await self._database.room()
        if self.room.free_bytes < self.room.reserve_bytes / 2 and not self._database.full:
            await self._database.vacuum_some(VACUUM_PAGES)
            await self._database.checkpoint(truncate=True)
            self.room = await self._database.room()

    def _set_reserve(self, reason: str) -> None:
        before, self._outbox.reserve = self._outbox.reserve, reason
        if reason and not before:
            self._observer.emit(StoreFull(reason))
        elif before and not reason:
            self._observer.emit(StoreOpen())

    async def _trim(self) -> None:
        """History whose time is over, slice by slice; then give free pages back, and drop what was removed long ago."""
        while await self._outbox.trim() >= 1_000:
            await asyncio.sleep(0)
        await self._outbox.roll_up()
        self._trimmed_s = self._clock.monotonic()
        if self.room.freelist_bytes > 0.25 * self.room.db_bytes:
            await self._database.vacuum_some(VACUUM_PAGES)
        if self.room.wal_bytes > 64 * 1024 * 1024:
            await self._database.checkpoint(truncate=True)
        await self._drop_removed()

    async def _make_room(self) -> None:
        """First history that nobody needs, then the oldest entries of the destination that is furthest behind."""
        if await self._outbox.trim_now():
            return
        cursors = [cursor for name in await self._outbox.names() if name != ROUTER and (cursor := await self._outbox.cursor(name))]
        head = self._outbox.head
        unfinished = [cursor for cursor in cursors if cursor.pos < (head if cursor.end is None else cursor.end)]
        behind = min(unfinished, key=lambda cursor: cursor.pos, default=None)
        if behind is None:
            return
        expired = await self._outbox.expire(behind.name, behind.pos + EXPIRE_STEP, self._sources(behind))
        log.warning("entries.expired", destination=behind.name, entries=expired)
        await self._outbox.trim_now()

    def _sources(self, cursor: Cursor) -> frozenset[str]:
        destination = self._current.compiled.destinations.get(cursor.name.partition("#")[0])
        return destination.source_ids if destination else frozenset()

    async def _drop_removed(self) -> None:
        """Destinations that were removed seven days ago: what still waits leaves as discarded."""
        for name in await self._outbox.names():
            cursor = await self._outbox.cursor(name)
            removed_s = cursor.state.get("removed_s") if cursor else None
            if cursor and removed_s and self._clock.now() - removed_s > REMOVED_S and name not in self._current.compiled.destinations:
                await self._outbox.remove(name, frozenset(self._current.compiled.sources))
                log.warning("destination.removed", destination=name)

    async def _rotate(self) -> None:
        """Drop a generation of dedup keys, at most one in 12 h of both clocks, so that a clock step drops none early."""
        now_s, monotonic = self._clock.now(), self._clock.monotonic()
        if monotonic - self._rotated_s < ROTATE_S:
            return
        self._rotated_s = monotonic
        stored = await self._database.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = 'dedup_rotated_s'").fetchone())
        if stored and 0 <= now_s - float(stored[0]) < ROTATE_S:
            self._rotated_s = monotonic - (now_s - float(stored[0]))
            return
        if stored:
            await self._outbox.rotate_dedup()
        await self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('dedup_rotated_s', ?)", (now_s,)).rowcount
        )

    def _watch_clock(self) -> None:
        """A step of the wall clock is told; due times are clamped where they are read."""
        offset_s = self._clock.now() - self._clock.monotonic()
        if abs(offset_s - self._offset_s) > CLOCK_STEP_S:
            log.warning("clock.stepped", step_s=round(offset_s - self._offset_s, 1))
            self._offset_s = offset_s

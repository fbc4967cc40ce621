"""Fills the ring with what was before the first viewer: from the log, the rows and the journal, newest first, in slices."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from relay.base.codes import Door
from relay.base.event import DELETED
from relay.control.live_rows import BLOCKED, HELD, PENDING, Body, Row, RowMaker, To, worst
from relay.errors import StoreError
from relay.observe.row_filter import Material
from relay.observe.tap import Tap
from relay.outbox.interface import RETRY, Claim, Cursor, Outbox
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import CompiledDestination, Current
from relay.router.router import source

log = structlog.get_logger("relay.control")

SLICE_ROWS: Final = 500
"""Read before the first snapshot, and in each slice after it."""
EMPTY_SLICES: Final = 4
"""A recovered log has holes; so many slices without an event are its end."""
JOURNAL_LINES: Final = 100
"""Lines of the journal in one read; each holds the attempts of a whole commit."""
JOURNAL_READS: Final = 400
CLOCK_SLACK_S: Final = 5.0
_UNTRIED: Final = frozenset((HELD, PENDING, BLOCKED, Door.FILTERED.value))
"""States of an event that nobody tried to send."""

States = dict[tuple[int, str], list[str]]


class Backfill:
    """One filling of the ring. Changes that come meanwhile for rows that it has not brought yet wait in it (`change`)."""

    def __init__(self, tap: Tap, outbox: Outbox, current: Current, rows: RowMaker) -> None:
        self.first, self.full = asyncio.Event(), asyncio.Event()
        """The newest rows are there; all are."""
        self._tap = tap
        self._outbox = outbox
        self._current = current
        self._rows = rows
        self._early: dict[str, To] = {}
        self._journal = Journal(outbox)

    def change(self, event_id: str, to: To) -> None:
        """Remember a change of a row that the ring does not have; nothing once the ring is full."""
        if not self.full.is_set():
            self._early.setdefault(event_id, {}).update(to)

    async def run(self) -> None:
        try:
            await self._run()
        except StoreError as error:
            log.warning("live.history_unreadable", error=error.message)
        finally:
            self.first.set()
            self.full.set()
            self._early = {}

    async def _run(self) -> None:
        before, empty = self._outbox.head + 1, 0
        refused = await self._outbox.history.refused(limit=SLICE_ROWS)
        while before > 1 and empty < EMPTY_SLICES and len(self._tap) < self._tap.ring_rows:
            past = await self._outbox.history.past(before, SLICE_ROWS)
            before = max(1, before - SLICE_ROWS)
            empty = 0 if past.claims else empty + 1
            if past.claims:
                since_ms = past.claims[0].event.received_ms
                if not await self._journal.back_to(since_ms / 1000 - CLOCK_SLACK_S):
                    return
                states: States = {}
                for consumer, row in past.rows:
                    states.setdefault((row.seq, destination_of(consumer)), []).append(row.state)
                cursors = {cursor.name: cursor for cursor in past.cursors}
                rows = [self._row(claim, states, cursors) for claim in past.claims if claim.event.type != DELETED]
                while refused and refused[-1].received_ms >= since_ms:
                    rows.append(self._rows.refused(refused.pop()))
                self._fill(rows)
            self.first.set()
            await asyncio.sleep(0)
        self._fill([self._rows.refused(one) for one in refused])

    def _fill(self, rows: list[tuple[Row, Material]]) -> None:
        self._tap.fill(sorted(rows, key=lambda row: (row[0]["at"], len(row[0]["event_id"]), row[0]["event_id"]), reverse=True))

    def _row(self, claim: Claim, states: States, cursors: Mapping[str, Cursor]) -> tuple[Row, Material]:
        to: To = {}
        for name, destination in self._current.compiled.destinations.items():
            state = self._state(claim, name, destination, states, cursors.get(name))
            if state:
                to[destination.destination.slug] = state
        to |= self._early.pop(f"e{claim.seq}", {})
        sourced = source(claim, self._current.compiled)
        drop, plan, body = sourced.drop, len(sourced.violations), Body(sourced.event.body)
        if drop is None or drop.door != Door.BLOCKED or not _UNTRIED.issuperset(to.values()):  # then: rules that are newer than the event
            return self._rows.event(claim.seq, sourced.event, to, plan=plan), body
        to = {slug: BLOCKED if state == Door.FILTERED else state for slug, state in to.items()}
        return self._rows.event(claim.seq, sourced.event, to, BLOCKED, drop.code, plan=plan), body

    def _state(self, claim: Claim, name: str, destination: CompiledDestination, states: States, cursor: Cursor | None) -> str:
        """Empty: the event is not the destination's. An attempt that ended dead and left no row: the dead letter was thrown away."""
        key = (claim.seq, name)
        if key in states:
            return worst(states[key])
        result = self._journal.results.get(key)
        if result is not None:
            return Door.DISCARDED.value if result == Door.DEAD else result
        if claim.event.source_id not in destination.source_ids or (cursor is not None and claim.seq <= cursor.start):
            return ""
        if cursor is None or not cursor.is_done(claim.seq):
            return HELD if destination.destination.slug in self._rows.held else PENDING
        return Door.FILTERED.value


class Journal:
    """The last result of each attempt at a destination, read backwards as far as somebody asks."""

    def __init__(self, outbox: Outbox) -> None:
        self.results: dict[tuple[int, str], str] = {}
        """By seq and destination id."""
        self._outbox = outbox
        self._line = 0
        self._reached_s = float("inf")
        self._ended = False
        self._reads = 0

    async def back_to(self, since_s: float) -> bool:
        """Read down to that time; False: that is further back than a view is worth."""
        while self._reached_s >= since_s and not self._ended:
            self._reads += 1
            if self._reads > JOURNAL_READS:
                return False
            lines = await self._outbox.history.attempts_before(self._line, JOURNAL_LINES)
            self._ended = len(lines) < JOURNAL_LINES
            for line, consumer, attempts in lines:
                self._line = line
                name = destination_of(consumer)
                for attempt in reversed(attempts):
                    self._reached_s = min(self._reached_s, attempt.at_s)
                    if attempt.result not in (RETRY, "hold"):
                        for seq in attempt.seqs:
                            self.results.setdefault((seq, name), attempt.result)
        return True

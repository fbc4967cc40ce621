"""The live rows: what the router, the intake and the actors report, as rows and patches of the tap.

Nothing is made while nobody watches: the hooks are set when the first viewer comes, and taken away a minute after the last one left. What was
before the first viewer comes from `live_history`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import structlog

from relay.base.codes import Door
from relay.base.event import DELETED
from relay.base.tasks import spawn
from relay.control.live_history import SLICE_ROWS, Backfill
from relay.control.live_rows import ACCEPTED, BLOCKED, HELD, PENDING, SENDING, Body, Row, RowMaker, To, worst
from relay.control.pulse import Pulse
from relay.kit.subjects import Subjects
from relay.observe.row_filter import Material, RowFilter
from relay.observe.tap import Entry, Position, Tap, Viewer
from relay.outbox.interface import PARKED, RETRY, Attempt, Changed, Outbox, RefusedMessage, Settlement
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Current
from relay.pipeline.decision import Sourced
from relay.router.router import Router

log = structlog.get_logger("relay.control")

FILL_WAIT_S: Final = 2.0
"""How long a snapshot waits for older rows: the first ones always, all when it filters or wants many."""
WARM_S: Final = 60.0
TAKES_OFF: Final = frozenset((PENDING, RETRY, PARKED))


class Live:
    """Feeds the tap. `enter` and `leave` count those who watch. `aloft`: the events that are being sent, seqs by destination slug."""

    def __init__(
        self, *, tap: Tap, outbox: Outbox, router: Router, current: Current, pulse: Pulse, aloft: Callable[[], Mapping[str, set[int]]]
    ) -> None:
        self.tap = tap
        self._outbox = outbox
        self._router = router
        self._current = current
        self._pulse = pulse
        self._aloft = aloft
        self._rows = RowMaker(current)
        self._watchers = 0
        self._cooling: asyncio.TimerHandle | None = None
        self._backfill = Backfill(tap, outbox, current, self._rows)
        self._filling: asyncio.Task[None] | None = None
        self._parts: dict[tuple[int, str], dict[str, str]] = {}
        """States by subscription, of events that have several at one destination."""
        self._sending: dict[tuple[int, str], str] = {}
        """Rows that are shown as being sent, with their state before."""

    # who watches

    async def enter(self) -> None:
        """Somebody watches; returns when the newest rows are there."""
        self._watchers += 1
        if self._cooling is not None:
            self._cooling.cancel()
            self._cooling = None
        if not self.tap.watched:
            self._warm()
        await _soon(self._backfill.first)

    def leave(self) -> None:
        self._watchers -= 1
        if not self._watchers:
            self._cooling = asyncio.get_running_loop().call_later(WARM_S, self.close)

    def close(self) -> None:
        """Stop listening and forget the rows. Harmless when nothing runs."""
        if self._cooling is not None:
            self._cooling.cancel()
            self._cooling = None
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        if self.tap.watched:
            self._router.on_routed.remove(self.routed)
            self._outbox.on_refused = None
            self._outbox.on_settled.remove(self.settled)
            self._outbox.on_changed.remove(self.changed)
        self._parts, self._sending = {}, {}
        self.tap.stop()

    def _warm(self) -> None:
        self.tap.start()
        self._router.on_routed.append(self.routed)
        self._outbox.on_refused = self.refused
        self._outbox.on_settled.append(self.settled)
        self._outbox.on_changed.append(self.changed)
        self._backfill = Backfill(self.tap, self._outbox, self._current, self._rows)
        self._filling = spawn(self._backfill.run(), name="live-fill")
        self._filling.add_done_callback(_filled)

    async def subscribe(
        self, wanted: RowFilter, *, limit: int, patches: bool = True, resume: Position | None = None, wake: Callable[[], None] | None = None
    ) -> Viewer:
        """A viewer whose snapshot is ready."""
        if not wanted.everything or limit > SLICE_ROWS:
            await _soon(self._backfill.full)
        self._mark_sending()
        viewer = self.tap.subscribe(wanted, patches=patches, wake=wake)
        try:
            for _ in viewer.scan(limit, resume):
                await asyncio.sleep(0)
        except BaseException:
            self.tap.leave(viewer)
            raise
        return viewer

    async def beat(self) -> dict[str, Any]:
        """The figures of the last seconds, asked once a second by whoever sends them; rows learn here which destinations are held,
        and which of them are being sent."""
        stats = await self._pulse.beat()
        self._hold(frozenset(slug for slug, one in stats["dest"].items() if one["state"] in ("held", "breaker_open")))
        self._mark_sending()
        return stats

    # hooks

    def routed(self, results: Sequence[Sourced]) -> None:
        """The router's next chunk."""
        bodies: list[Body] = []

        def rows() -> Iterator[tuple[Row, Material]]:
            for result in results:
                event, drop = result.event, result.drop
                if event.type == DELETED or f"e{result.seq}" in self.tap:
                    continue
                body = Body(event.body, event.payload)
                bodies.append(body)
                plan = len(result.violations)
                if drop is None:
                    yield self._rows.event(result.seq, event, self._rows.start(event.source_id)[1], plan=plan), body
                else:
                    verdict = BLOCKED if drop.door == Door.BLOCKED else ACCEPTED
                    yield self._rows.event(result.seq, event, {}, verdict, drop.code, plan=plan), body

        self.tap.publish(rows())
        for body in bodies:
            body.release()

    def refused(self, messages: Sequence[RefusedMessage]) -> None:
        """Messages that did not become events, after the commit."""
        self.tap.publish(self._rows.refused(one) for one in messages)

    def settled(self, consumer: str, settlements: Sequence[Settlement], attempts: Sequence[Attempt]) -> None:
        """What became of entries, after the commit."""
        known = self._current.compiled.destinations.get(destination_of(consumer))
        if known is None:
            return
        slug = known.destination.slug
        for one in settlements:
            if one.outcomes:
                states = {outcome.subscription_id: str(outcome.result) for outcome in one.outcomes}
                for seq in one.seqs:
                    self._change(seq, slug, self._combined(seq, slug, states, one.row))

    def changed(self, consumer: str, changed: Changed) -> None:
        """What a person or the upkeep did to entries, after the commit; a replay's own entries change no row."""
        known = self._current.compiled.destinations.get(consumer)
        if known is None:
            return
        slug = known.destination.slug
        for row in changed.opened:
            self._change(row.seq, slug, self._combined(row.seq, slug, {row.subscription_id: RETRY}, None))
        end = Door.EXPIRED if changed.expired else Door.DISCARDED
        for seq, subscription_id in changed.closed:
            self._change(seq, slug, self._combined(seq, slug, {subscription_id: end.value}, None))
        if changed.expired:
            for entry in self.tap.entries():
                event_id = entry.row["event_id"]
                if entry.row["to"].get(slug) in (PENDING, SENDING, HELD) and int(event_id[1:]) <= changed.expired:
                    self.tap.patch(event_id, {slug: Door.EXPIRED.value})

    def forget(self, users: Subjects) -> int:
        """Take the rows of these users away, and those whose message names them; returns how many."""
        return self.tap.forget(lambda entry: _is_theirs(entry, users))

    def count(self, users: Subjects) -> int:
        """How many rows `forget` would take away."""
        return sum(_is_theirs(entry, users) for entry in self.tap.entries())

    def _change(self, seq: int, slug: str, state: str) -> None:
        event_id = f"e{seq}"
        if event_id in self.tap:
            self.tap.patch(event_id, {slug: state})
        else:
            self._backfill.change(event_id, {slug: state})

    def _combined(self, seq: int, slug: str, states: dict[str, str], row: str | None) -> str:
        """The state of the event at the destination, the worst of its units'; `row`: which of them these states replace."""
        key = (seq, slug)
        if len(states) == 1 and key not in self._parts:
            return next(iter(states.values()))
        parts = self._parts.setdefault(key, {})
        if row is not None:
            parts.pop(row, None)
        parts.update(states)
        if len(self._parts) > self.tap.ring_rows:
            del self._parts[next(iter(self._parts))]
        return worst(parts.values())

    def _mark_sending(self) -> None:
        """Rows with an attempt on its way. An attempt that was given up leaves its row as it was; one that ended was told by its commit."""
        aloft = {(seq, slug) for slug, seqs in self._aloft().items() for seq in seqs}
        for key in self._sending.keys() - aloft:
            before = self._sending.pop(key)
            if self._shown(*key) == SENDING:
                self._change(*key, HELD if before == PENDING and key[1] in self._rows.held else before)
        for seq, slug in aloft:
            state = self._shown(seq, slug)
            if state in TAKES_OFF:
                self._sending[seq, slug] = state
                self._change(seq, slug, SENDING)

    def _shown(self, seq: int, slug: str) -> str:
        """The state of an event at a destination as its row says; empty: the ring does not have it."""
        entry = self.tap.find(f"e{seq}")
        return str(entry.row["to"].get(slug, "")) if entry else ""

    def _hold(self, held: frozenset[str]) -> None:
        """Waiting rows of destinations that were stopped or released since."""
        stopped, released = held - self._rows.held, self._rows.held - held
        if not stopped and not released:
            return
        self._rows.hold(held)
        for entry in self.tap.entries():
            to: To = entry.row["to"]
            changed = {slug: HELD for slug in stopped if to.get(slug) == PENDING} | {slug: PENDING for slug in released if to.get(slug) == HELD}
            if changed:
                self.tap.patch(entry.row["event_id"], changed)


def _is_theirs(entry: Entry, users: Subjects) -> bool:
    row = entry.row
    return row["user_id"] in users.user_ids or row["anonymous_id"] in users.user_ids or users.mentions(entry.material.body)


def _filled(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("live.fill_failed", exc_info=error)


async def _soon(event: asyncio.Event) -> None:
    """Wait for `event`, but not for ever."""
    try:
        async with asyncio.timeout(FILL_WAIT_S):
            await event.wait()
    except TimeoutError:
        return

"""What every engine with transactions shares: the append group, the consumers, effects in commit order.

An engine brings two things: `write` (queue an operation, run it in a transaction, commit, then its effect) and `read`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from relay.base.clock import Clock
from relay.base.codes import Door
from relay.base.event import Event
from relay.kit.subjects import Subjects
from relay.observe.latency import Latency
from relay.observe.tallies import Tally, Totals
from relay.outbox import operations
from relay.outbox.history import LedgerHistory
from relay.outbox.interface import (
    DEAD,
    PARKED,
    RETRY,
    ROUTER,
    Appended,
    Attempt,
    Balance,
    Changed,
    Claim,
    Cursor,
    Depth,
    History,
    Naming,
    OnChanged,
    OnSettled,
    Pressure,
    RefusedMessage,
    Row,
    Sample,
    Selection,
    Settlement,
    Traces,
)
from relay.outbox.operations import AppendedGroup, Erased, Keep, Settled, Step
from relay.outbox.transaction import Transaction

T = TypeVar("T")

FRESH_EVENTS = 8_192
"""Events kept in memory between their commit and the router; beyond it the router reads the log."""
FOLDS = 50
"""Most folds in one step of the roll-up; each is a commit of its own."""


class Store(Protocol):
    """How an engine runs an operation. Both return after it is done; a cancelled caller does not undo it."""

    def submit(
        self,
        run: Callable[[Transaction], T],
        *,
        effect: Callable[[T], None] | None = None,
        sheds: bool = False,
        events: int = 0,
        size: int = 0,
        on_take: Callable[[], None] | None = None,
    ) -> "asyncio.Future[T]":
        """Queue a write; FIFO. `sheds`: fails with StoreError when the disk is full, instead of waiting."""
        ...

    async def read(self, query: Callable[[Transaction], T]) -> T: ...

    @property
    def full(self) -> str: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the write side."""

    commit_max_events: int = 1_000
    commit_max_bytes: int = 1_048_576
    memory_max_bytes: int = 33_554_432


class _Group:
    """Events of several requests that will be appended by one operation."""

    __slots__ = ("bytes", "events", "refused", "waiters")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refused: list[RefusedMessage] = []
        self.bytes = 0
        self.waiters: list[asyncio.Future[AppendedGroup]] = []
        """One per request, so that a request that is cancelled takes nothing from the others."""


class LedgerOutbox:
    """The Outbox on a transactional store."""

    def __init__(self, store: Store, clock: Clock, *, head: int, keep: Keep | None = None, limits: Limits | None = None) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep or Keep()
        self._limits = limits or Limits()
        self._head = head
        self._group: _Group | None = None
        self._group_internal: _Group | None = None
        self._fresh: deque[Claim] = deque()
        self._consumers: dict[str, LedgerConsumer] = {}
        self._waiting_bytes = 0
        self.totals = Totals()
        self.history: History = LedgerHistory(store, clock)
        self.on_append: Callable[[int], None] | None = None
        self.on_refused: Callable[[Sequence[RefusedMessage]], None] | None = None
        self.on_settled: list[OnSettled] = []
        self.on_changed: list[OnChanged] = []
        self.reserve = ""
        """Why ingest is closed although writing works (disk reserve, budget); set by the upkeep."""

    @property
    def head(self) -> int:
        return self._head

    def pressure(self) -> Pressure:
        full = self._store.full or self.reserve
        return Pressure(self._waiting_bytes, self._limits.memory_max_bytes, full, 2 if full.startswith("locked") else 30)

    async def append(self, events: Sequence[Event], refused: Sequence[RefusedMessage] = (), *, internal: bool = False) -> Sequence[Appended]:
        """One request is never split; requests that wait for the same commit share one operation."""
        group = self._group_internal if internal else self._group
        if group is None:
            group = self._open_group(internal)
        first = len(group.events)
        group.events += events
        size = sum([len(event.body) for event in events])
        group.bytes += size
        self._waiting_bytes += size
        group.refused += refused
        waiter: asyncio.Future[AppendedGroup] = asyncio.get_running_loop().create_future()
        group.waiters.append(waiter)
        if len(group.events) >= self._limits.commit_max_events or group.bytes >= self._limits.commit_max_bytes:
            self._close_group(group)
        result = await waiter
        return result.answers[first : first + len(events)]

    def _open_group(self, internal: bool) -> _Group:
        group = _Group()
        if internal:
            self._group_internal = group
        else:
            self._group = group
        done = self._store.submit(
            lambda tx: operations.append(tx, group.events, group.refused),
            effect=self._appended,
            sheds=not internal,
            events=1,
            on_take=lambda: self._close_group(group),
        )
        done.add_done_callback(lambda done: self._answer(group, done))
        return group

    def _answer(self, group: _Group, done: "asyncio.Future[AppendedGroup]") -> None:
        self._waiting_bytes -= group.bytes
        self._close_group(group)  # one that failed at once was never taken
        error = done.exception()
        for waiter in group.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(done.result())
            else:
                waiter.set_exception(error)

    def _close_group(self, group: _Group) -> None:
        if self._group is group:
            self._group = None
        if self._group_internal is group:
            self._group_internal = None

    def _appended(self, result: AppendedGroup) -> None:
        """Effect of a commit that appended: the head moves, the router hears of it."""
        if result.tally:
            self.totals.add(result.tally)
        if result.refused and self.on_refused:
            self.on_refused(result.refused)
        if not result.stored:
            return
        self._head = result.head
        fresh = self._fresh
        if len(fresh) + len(result.stored) > FRESH_EVENTS:
            fresh.clear()
        if len(result.stored) <= FRESH_EVENTS:
            fresh.extend(result.stored)
        if self.on_append:
            self.on_append(self._head)

    def take_fresh(self, after: int, limit: int) -> list[Claim]:
        """Events right after `after` that are still in memory; only the router asks, so they leave."""
        fresh = self._fresh
        while fresh and fresh[0].seq <= after:
            fresh.popleft()
        if not fresh or fresh[0].seq != after + 1:
            return []
        return [fresh.popleft() for _ in range(min(limit, len(fresh)))]

    async def create(self, name: str, *, at: int | None = None, end: int | None = None, state: Mapping[str, Any] | None = None) -> None:
        await self._write(lambda tx: operations.create(tx, name, at, end, state))

    async def open(self, name: str) -> "LedgerConsumer":
        """Registered as an effect of its own commit, so that it hears of every later operation and of none before."""

        mine: list[LedgerConsumer] = []

        def effect(opened: tuple[Cursor, list[Row]]) -> None:
            mine.append(LedgerConsumer(self, *opened))
            self._consumers[name] = mine[0]

        await self._write(lambda tx: operations.open_consumer(tx, name), effect)
        return mine[0]

    async def names(self) -> list[str]:
        return [cursor.name for cursor in await self._store.read(lambda tx: tx.cursors())]

    async def cursor(self, name: str) -> Cursor | None:
        return await self._store.read(lambda tx: tx.cursor(name))

    async def set_state(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        changed = await self._write(lambda tx: operations.set_state(tx, name, change), lambda changed: self._tell(name, changed))
        return changed.state or {}

    async def resend(self, name: str, which: Selection) -> int:
        now_s = self._clock.now()
        count, _ = await self._write(lambda tx: operations.resend(tx, name, which, now_s), lambda result: self._tell(name, result[1]))
        return count

    async def hasten(self, name: str, seqs: Sequence[int]) -> int:
        now_s = self._clock.now()
        changed = await self._write(lambda tx: operations.hasten(tx, name, seqs, now_s), lambda changed: self._tell(name, changed))
        return len(changed.due)

    async def abandon(self, name: str, seqs: Sequence[int]) -> int:
        now_s = self._clock.now()

        def effect(result: tuple[Tally, Changed]) -> None:
            self.totals.add(result[0])
            self._tell(name, result[1])

        _, changed = await self._write(lambda tx: operations.abandon(tx, name, seqs, now_s), effect)
        return len(changed.closed)

    async def discard(self, name: str, which: Selection) -> int:
        changed = await self._write(lambda tx: operations.discard(tx, name, which), lambda changed: self._tell(name, changed))
        return len(changed.closed)

    async def expire(
        self, name: str, upto: int, sources: frozenset[str], *, door: Door = Door.EXPIRED, code: str = "expired", only: frozenset[int] | None = None
    ) -> int:
        now_s = self._clock.now()

        def effect(result: tuple[int, Tally, Changed]) -> None:
            self.totals.add(result[1])
            self._tell(name, result[2])

        count, _, _ = await self._write(lambda tx: operations.expire(tx, name, upto, sources, now_s, door, code, only), effect)
        return count

    async def remove(self, name: str, sources: frozenset[str] = frozenset()) -> None:
        now_s = self._clock.now()

        def effect(tally: Tally) -> None:
            self.totals.add(tally)
            self._consumers.pop(name, None)

        await self._write(lambda tx: operations.remove(tx, name, sources, now_s), effect)

    async def erase(self, user_ids: Sequence[str], *, after: int = 0, limit: int = 5_000, naming: Naming | None = None) -> tuple[int, int]:
        now_s = self._clock.now()
        erased = await self._write(lambda tx: operations.erase(tx, user_ids, after, limit, now_s, naming), self._erased)
        return erased.count, erased.reached

    def _erased(self, erased: Erased) -> None:
        """Effect of an erasure: whoever holds events of before forgets them."""
        self.totals.add(erased.tally)
        if erased.count:
            self._fresh.clear()
        for name in sorted(self._consumers.keys() | erased.closed.keys() if erased.count else erased.closed.keys()):
            self._tell(name, Changed(closed=tuple(erased.closed.get(name, ())), rescan=bool(erased.count)))
        for name, state in erased.states.items():
            self._tell(name, Changed(state=state))

    async def count_of(self, user_ids: Sequence[str], *, after: int = 0, limit: int = 5_000, naming: Naming | None = None) -> tuple[int, int]:
        seqs, reached = await self._store.read(lambda tx: operations.meant(tx, user_ids, after, limit, naming))
        return len(seqs), reached

    async def traces(self, users: Subjects) -> Traces:
        return await self._store.read(lambda tx: tx.traces(users))

    async def erase_traces(self, users: Subjects) -> None:
        """Found on the read connection, so that the writer is not held up by the search."""
        now_s, traces = self._clock.now(), await self.traces(users)
        await self._write(lambda tx: operations.erase_traces(tx, traces, users, now_s), self._erased)

    async def trim(self) -> int:
        return await self._trim(self._keep)

    async def trim_now(self) -> int:
        """As trim, but history goes before its time: the database is over its budget."""
        return await self._trim(Keep(0, self._keep.dead_s, self._keep.tallies_s))

    async def _trim(self, keep: Keep) -> int:
        """Refused on a full disk rather than kept: at the head of the queue it would hold back what needs less room."""
        now_s = self._clock.now()
        return await asyncio.shield(self._store.submit(lambda tx: operations.trim(tx, keep, now_s, 1_000), sheds=True))

    async def rotate_dedup(self) -> None:
        """Drop the oldest generation of dedup keys; at most once in 12 h."""
        await self._write(lambda tx: tx.rotate())

    async def measured(self, latency: Latency, samples: Sequence[Sample]) -> None:
        await asyncio.shield(self._store.submit(lambda tx: operations.measured(tx, latency, samples), sheds=True))

    async def roll_up(self) -> int:
        """Planned on the read connection, so that a round with nothing to do costs the writer nothing."""
        now_minute = int(self._clock.now() // 60)
        for done in range(FOLDS):
            fold = await self._store.read(lambda tx: operations.plan_roll_up(tx, now_minute))
            if fold is None:
                return done
            await asyncio.shield(self._store.submit(lambda tx, fold=fold: tx.fold(fold), sheds=True))  # type: ignore[misc]
        return FOLDS

    async def balance(self, name: str) -> Balance:
        return await self._store.read(lambda tx: _balance(tx, name))

    async def depth(self, name: str) -> Depth:
        return await self._store.read(lambda tx: _depth(tx, name))

    async def close(self) -> None:
        await self._store.close()

    def _write(self, run: Callable[[Transaction], T], effect: Callable[[T], None] | None = None) -> "asyncio.Future[T]":
        return asyncio.shield(self._store.submit(run, effect=effect))

    def _tell(self, name: str, changed: Changed) -> None:
        for listener in self.on_changed:
            listener(name, changed)
        if consumer := self._consumers.get(name):
            consumer.tell(changed)

    def submit_settle(self, name: str, epoch: int, step: Step) -> "asyncio.Future[Settled]":
        now_s = self._clock.now()

        def effect(settled: Settled) -> None:
            self.totals.add(settled.tally)
            if settled.derived:
                self._appended(settled.derived)
            if settled.forgotten:
                self._tell(name, Changed(closed=tuple(settled.forgotten)))
            if self.on_settled and not settled.late:
                for listener in self.on_settled:
                    listener(name, step.settlements, step.attempts)

        run: Callable[[Transaction], Settled] = lambda tx: operations.settle(tx, name, epoch, step, now_s)  # noqa: E731
        return self._store.submit(run, effect=effect, events=len(step.settlements) // 8 + 1)

    async def read_log(self, after: int, limit: int, sources: frozenset[str] | None) -> tuple[list[Claim], int]:
        return await self._store.read(lambda tx: tx.events(after, limit, sources))

    async def read_events(self, seqs: Sequence[int]) -> dict[int, Event]:
        return await self._store.read(lambda tx: tx.events_at(seqs))


class LedgerConsumer:
    """The Consumer of a LedgerOutbox."""

    def __init__(self, outbox: LedgerOutbox, cursor: Cursor, rows: list[Row]) -> None:
        self.name = cursor.name
        self.cursor = cursor
        self.rows: Sequence[Row] = rows
        self.on_change: Callable[[Changed], None] | None = None
        self.changes: list[Changed] = []
        self._outbox = outbox
        self._epoch = cursor.epoch

    def tell(self, changed: Changed) -> None:
        if self.on_change:
            self.on_change(changed)
        else:
            self.changes.append(changed)

    async def read(self, after: int, limit: int, sources: frozenset[str] | None = None) -> tuple[list[Claim], int]:
        if self.name == ROUTER and (fresh := self._outbox.take_fresh(after, limit)):
            return fresh, fresh[-1].seq
        if after >= self._outbox.head:
            return [], after
        return await self._outbox.read_log(after, limit, sources)

    async def fetch(self, seqs: Sequence[int]) -> dict[int, Event]:
        return await self._outbox.read_events(seqs)

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        attempts: Sequence[Attempt] = (),
        state: Mapping[str, Any] | None = None,
        derived: Sequence[Event] = (),
        tally: Tally | None = None,
    ) -> None:
        step = Step(settlements, attempts, state, derived, tally or {})
        await asyncio.shield(self._outbox.submit_settle(self.name, self._epoch, step))


def _balance(tx: Transaction, name: str) -> Balance:
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    head = cursor.end if cursor.end is not None else tx.head()
    counts = tx.count_rows(name)
    unscanned = head - cursor.pos - cursor.ahead.bit_count()
    waiting = counts.get(RETRY, 0) + counts.get(PARKED, 0)
    return Balance(head, cursor.start, cursor.extra, cursor.skipped, cursor.late, cursor.doors, unscanned, waiting)


def _depth(tx: Transaction, name: str) -> Depth:
    balance = _balance(tx, name)
    cursor = tx.cursor(name)
    counts = tx.count_rows(name)
    oldest = min([seq for seq in (counts.get("oldest", 0), cursor.pos + 1 if cursor and balance.unscanned else 0) if seq], default=0)
    event = tx.events_at([oldest]).get(oldest) if oldest else None
    return Depth(balance.pending, counts.get(RETRY, 0), counts.get(PARKED, 0), counts.get(DEAD, 0), event.received_ms / 1000 if event else 0.0)

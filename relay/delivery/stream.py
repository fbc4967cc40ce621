"""One consumer as its actor follows it: the scan position, what is settled but not yet committed, and the commit itself."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from relay.base.event import Event, event_of
from relay.base.jsonio import dumps
from relay.delivery.brake import Brake, Pace
from relay.delivery.crashes import Caution, hand
from relay.delivery.feed import Feed
from relay.delivery.lanes import Item
from relay.kit.fql import compile_filter
from relay.outbox.interface import WHOLE, Attempt, Consumer, Outcome, Settlement
from relay.outbox.ledger import WINDOW, mark

UNSAVED_MAX = 1_000
IDLE_MARK_S = 1.0
GATHER_S = 0.05
"""Least time between two commits of outcomes for which nobody waits: each costs an fsync."""
GATHER_MAX = 500


class Stream:
    """The live stream of a destination, or one replay of it."""

    def __init__(self, consumer: Consumer, *, now_s: float, careful: bool = False, feed: Feed | None = None, brake: Brake | None = None) -> None:
        """`careful`: the last run did not end properly. `feed`: of its own; None: its destination's. `brake`: what replays share."""
        cursor = consumer.cursor
        self.consumer = consumer
        self.name = consumer.name
        self.feed = feed
        self.mirror = replace(cursor)
        """The cursor with everything that was handed to a settle, committed or not."""
        self.scanned = cursor.pos
        self.rewound = 0
        """How often the scan went back: a chunk that is being read meanwhile is void."""
        self.replay: Mapping[str, Any] | None = cursor.state.get("replay") if cursor.end is not None else None
        condition = (self.replay or {}).get("filter")
        self._takes = compile_filter(condition) if condition else None
        self.pace = Pace(float((self.replay or {}).get("rate") or 0), brake or Brake())
        self.caution = Caution(_unsettled(consumer), now_s=now_s) if careful else None
        self.open_rows = 0
        self.flying = 0
        """Items in flight, of a replay and of what was sent again: a replay that is given up ends after them."""
        self.settlements: list[Settlement] = []
        self.attempts: list[Attempt] = []
        self.after_commit: list[Item] = []
        """Items whose end or row is in `settlements`: they go on when it is committed."""
        self.unsaved = 0
        """Seqs in `settlements` that were not just skipped: a crash does them again."""
        self.settling: asyncio.Task[None] | None = None
        self._marked_s = now_s

    @property
    def end(self) -> int | None:
        """Last seq of a replay; None: it follows the head. A replay from an archive learns it when it is at the end."""
        return self.consumer.cursor.end

    @property
    def may_scan(self) -> bool:
        full = self.unsaved >= UNSAVED_MAX or self.is_far
        return not full and (self.end is None or self.scanned < self.end)

    @property
    def is_far(self) -> bool:
        """The scan is as far above what is settled as it may be."""
        return self.scanned - self.mirror.pos >= WINDOW

    @property
    def is_over(self) -> bool:
        """A replay whose range is settled, which has no open row, and of which nothing is in flight."""
        unsettled = self.open_rows or self.flying or self.settlements or self.attempts or self.settling
        return self.end is not None and self.mirror.pos >= self.end and not unsettled

    def skip(self, first: int, last: int) -> None:
        """Nothing between these seqs is for this destination."""
        if last < first:
            return
        mark(self.mirror, first, last)
        tail = self.settlements[-1] if self.settlements else None
        if tail is not None and not tail.outcomes and tail.row is None and tail.last == first - 1:
            tail.last = last
        else:
            self.settlements.append(Settlement(first, "", last=last))

    def pass_over(self, upto: int) -> None:
        """Everything up to `upto` was settled by somebody else (expired)."""
        if upto > self.mirror.pos:
            mark(self.mirror, self.mirror.pos + 1, upto)
        self.scanned = max(self.scanned, upto)

    def rewind(self) -> None:
        """Scan again from what is settled."""
        self.scanned = self.mirror.pos
        self.rewound += 1

    def settle(self, settlement: Settlement, item: Item | None) -> None:
        """Hand one outcome to the next commit; `item` goes on after it."""
        last = max(settlement.seq, settlement.last)
        if settlement.row is None:
            mark(self.mirror, settlement.seq, last)
        self.settlements.append(settlement)
        self.unsaved += last - settlement.seq + 1
        if item is not None:
            self.after_commit.append(item)

    def drop(self, seq: int, source_id: str, outcomes: tuple[Outcome, ...]) -> None:
        """Settle a seq that leaves by a door at the scan; neighbours with the very same `outcomes` share a settlement."""
        tail = self.settlements[-1] if self.settlements else None
        if tail is None or tail.outcomes is not outcomes or tail.source_id != source_id or max(tail.seq, tail.last) != seq - 1:
            self.settle(Settlement(seq, source_id, outcomes), None)
            return
        mark(self.mirror, seq, seq)
        tail.last = seq
        self.unsaved += 1

    def wants_commit(self, now_s: float, *, patch: bool) -> bool:
        """Whether to begin a commit: at once when something waits for it, else when enough has gathered or its time has come."""
        if self.settling or not (self.settlements or self.attempts or patch):
            return False
        return patch or bool(self.after_commit) or self.unsaved >= GATHER_MAX or now_s >= self.commit_due_s()

    def commit_due_s(self) -> float:
        """When what has gathered is to be written (monotonic); infinity: nothing has, or a commit is in progress."""
        if self.settling or not (self.settlements or self.attempts):
            return float("inf")
        return self._marked_s + (GATHER_S if self.unsaved or self.attempts else IDLE_MARK_S)

    async def commit(self, now_s: float, patch: Mapping[str, Any] | None, done: Callable[[list[Item]], None]) -> None:
        """Write everything that waits; `done` gets the items whose outcome is now on disk."""
        settlements, attempts, items = self.settlements, self.attempts, self.after_commit
        self.settlements, self.attempts, self.after_commit, self.unsaved = [], [], [], 0
        self._marked_s = now_s
        if self.caution is not None:
            patch = {**(patch or {}), **self.caution.patch()}
        await self.consumer.settle(settlements, attempts=attempts, state=patch)
        done(items)

    async def note(self) -> None:
        """Write down what is in hand."""
        if self.caution is not None:
            await self.consumer.settle([], state=self.caution.patch())

    async def relax(self) -> None:
        """Careful no longer, and nothing in hand."""
        if self.caution is not None:
            self.caution.forget()
            await self.note()
            self.caution = None

    def wanted(self, event: Event) -> bool:
        """Whether a replay's filter takes the event; the live stream takes all."""
        spec = self.replay
        if not spec:
            return True
        received_s = event.received_ms / 1000
        return (
            (not spec.get("source") or spec["source"] == event.source_id)
            and received_s >= (spec.get("since_s") or 0)
            and (not spec.get("until_s") or received_s < spec["until_s"])
            and (self._takes is None or self._takes(event))
        )

    def marked(self, event: Event) -> Event:
        """The event as this stream sends it: a replayed one says so."""
        if self.end is None or not event.body:
            return event
        context = event.payload.get("context")
        payload = {**event.payload, "context": {**(context if isinstance(context, dict) else {}), "replay": True}}
        return event_of(payload, event.source_id, event.received_ms, dumps(payload))


def _unsettled(consumer: Consumer) -> dict[str, int]:
    """What the last run left of `started`, without what was settled meanwhile: it is in nobody's hand again."""
    cursor, rows = consumer.cursor, {hand(row.seq, row) for row in consumer.rows}
    written: Mapping[str, int] = cursor.state.get("started") or {}
    whole = f"/{WHOLE}"
    return {
        name: ends for name, ends in written.items() if name in rows or (name.endswith(whole) and not cursor.is_done(int(name.removesuffix(whole))))
    }

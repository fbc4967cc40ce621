"""The board of one destination: every item on its way, and which may start now. No I/O; the actor asks and tells.

An item is offered when something about it changed; it is ready when it is first in its lanes, its row is committed, the scan has
passed it, and it is due.
"""

import heapq
from collections import deque
from collections.abc import Iterable

from relay.base.clock import Clock
from relay.delivery.lanes import ENDED, FLYING, WAITING, Item, Lanes, Members
from relay.delivery.stream import Stream
from relay.delivery.verdict import RETRY_AFTER_MAX_S
from relay.outbox.interface import Row
from relay.workspace.model import Destination

BESIDE_TRIES = 64
"""Background items looked at for one that may start."""
CLOCK_SLACK = 1.3
"""A due time further away than this many longest delays means that the wall clock was set back: it is due."""


class Board:
    """Items of the live stream and of replays, by consumer name and seq."""

    def __init__(self, model: Destination, clock: Clock, *, keyless: bool, limit: int) -> None:
        """`keyless`: no item shares a lane (a sink keeps the order by itself). `limit`: the destination's concurrency."""
        self._model = model
        self._clock = clock
        self.keyless = keyless or model.order == "none"
        self._limit = limit
        self._longest_s = max(model.retry.max_delay_s, RETRY_AFTER_MAX_S, *model.retry.schedule_s) * CLOCK_SLACK
        self.streams: dict[str, Stream] = {}
        self.items: dict[tuple[str, int], Item] = {}
        """Scanned items in memory."""
        self.rows: dict[tuple[str, int, str], Item] = {}
        self.loose = 0
        """Loose units (`lanes.Members`) in batches and in flight."""
        self.lanes = Lanes()
        self._ready: deque[Item] = deque()
        self._beside: dict[str, deque[Item]] = {}
        """Ready items that hold no lane (re-sent, replayed), by stream; no empty one is kept."""
        self._due: list[tuple[float, int, Item]] = []
        self._ahead: dict[str, list[tuple[int, int, Item]]] = {}
        """Rows above the scan position of their stream: they may not start before the scan has passed them (rule 5.5 c)."""
        self._counter = 0

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The lanes of an event with these user keys, under the destination's order."""
        if self.keyless:
            return ()
        return ("",) if self._model.order == "strict" else keys

    # enter

    def add(self, item: Item) -> None:
        """A scanned item that will be attempted."""
        self.items[(item.stream, item.seq)] = item
        self.lanes.add(item)
        self.offer(item)

    def tie(self, members: Members) -> None:
        """Make the items of loose units, in flight or in a batch: from here on each is followed by itself."""
        for index, (item, unit) in enumerate(members):
            if item is None:
                item = Item(unit.seq, unit.event.source_id, (), self._model.destination_id, event=unit.event, units=[unit], left=1)
                self.items[(item.stream, item.seq)] = item
                self.lanes.add(item)
                self.take_off(item)
                self.loose -= 1
                members[index] = (item, unit)

    def add_row(self, stream: Stream, row: Row, *, saved: bool) -> Item:
        """An exception row; `saved`: it is committed, else `row_saved` follows."""
        foreign = row.resend or stream.end is not None
        item = Item(row.seq, row.source_id, self.keys(row.keys), stream.name, foreign, row, saved=saved)
        self.rows[(stream.name, row.seq, row.subscription_id)] = item
        self.lanes.add(item)
        if saved:
            stream.open_rows += 1
            self.offer(item)
        return item

    def row_saved(self, item: Item) -> None:
        item.saved = True
        self.streams[item.stream].open_rows += 1
        self.offer(item)

    # may it start?

    def offer(self, item: Item) -> None:
        """Put an item where it waits for what it lacks: the scan, its time, or nothing more (ready)."""
        if item.queued or item.gone or item.state != WAITING or not item.saved:
            return
        if item.row is not None:
            if item.seq > self.streams[item.stream].scanned and not item.row.resend:
                heapq.heappush(self._ahead.setdefault(item.stream, []), (item.seq, self._count(), item))
                return
            if self._is_early(item.due_s):
                heapq.heappush(self._due, (item.due_s, self._count(), item))
                return
        if item.foreign:
            item.queued = True
            self._beside.setdefault(item.stream, deque()).append(item)
        elif self.lanes.may_start(item):
            item.queued = True
            self._ready.append(item)

    def hasten(self, item: Item) -> None:
        """A person does not want to wait for a row's time."""
        if item.row is not None:
            item.row.due_s = self._clock.now()
        self.offer(item)

    def offer_first(self, item: Item) -> None:
        """A loaded row goes before all others."""
        item.queued = True
        (self._beside.setdefault(item.stream, deque()) if item.foreign else self._ready).appendleft(item)

    def _count(self) -> int:
        self._counter += 1
        return self._counter

    def _is_early(self, due_s: float) -> bool:
        return 0 < due_s - self._clock.now() <= self._longest_s

    def passed(self, stream: Stream) -> None:
        """The scan moved on: rows that it has passed may start."""
        ahead = self._ahead.get(stream.name)
        while ahead and ahead[0][0] <= stream.scanned:
            self.offer(heapq.heappop(ahead)[2])

    def wake_due(self) -> None:
        """Offer every row whose time has come."""
        while self._due and not self._is_early(self._due[0][0]):
            self.offer(heapq.heappop(self._due)[2])

    def next_due_s(self) -> float:
        """When the next row is due (unix seconds); infinity: none waits."""
        return self._due[0][0] if self._due else float("inf")

    def pace_s(self) -> float:
        """How long ready items of a paced replay wait for their turn; infinity: none does."""
        now_s = self._clock.monotonic()
        paces = (stream.pace.delay_s(now_s) for stream in self.streams.values()) if self._beside else ()
        return min((wait_s for wait_s in paces if wait_s > 0), default=float("inf"))

    @property
    def in_memory(self) -> int:
        """Scanned events on their way."""
        return len(self.items) + self.loose

    @property
    def has_ready(self) -> bool:
        return bool(self._ready or self._beside)

    def is_stocked(self, stream: Stream) -> bool:
        """Whether something of a stream's kind is ready."""
        return bool(self._ready if stream.end is None else self._beside)

    def next(self) -> Item | None:
        """The next item that may start: live ones first, but one re-sent or replayed item may always be on its way."""
        first = self._next_beside() if not self.lanes.foreign_flying else None
        return first or self._next_live() or self._next_beside()

    def _next_live(self) -> Item | None:
        while self._ready:
            item = self._ready.popleft()
            item.queued = False
            if item.gone or item.state != WAITING:
                continue
            if item.row is not None and item.seq > self.streams[item.stream].scanned:
                self.offer(item)  # the scan was rewound meanwhile
            elif self.lanes.may_start(item):
                return item
        return None

    def _next_beside(self) -> Item | None:
        """Background load: at most half the concurrency, each job at its pace and in its order; jobs take turns."""
        if self.lanes.foreign_flying >= max(1, self._limit // 2):
            return None
        now_s = self._clock.monotonic()
        for name in list(self._beside):
            stream = self.streams.get(name)
            if stream is not None and stream.pace.delay_s(now_s) > 0:
                continue
            queue = self._beside.pop(name)
            item = self._first_free(queue)
            if queue:
                self._beside[name] = queue
            if item is not None:
                return item
        return None

    def _first_free(self, queue: deque[Item]) -> Item | None:
        """The first of the next few whose user has nothing in flight; those before it keep their place."""
        passed: list[Item] = []
        found = None
        while queue and found is None and len(passed) < BESIDE_TRIES:
            item = queue.popleft()
            if item.gone or item.state != WAITING:
                item.queued = False
            elif self.lanes.may_start(item):
                item.queued = False
                found = item
            else:
                passed.append(item)
        queue.extendleft(reversed(passed))
        return found

    # start and end

    def take_off(self, item: Item) -> None:
        if item.foreign:
            self.streams[item.stream].flying += 1
        self.lanes.take_off(item)

    def flying(self) -> list[Item]:
        """Items with a unit in flight or in a batch."""
        return [item for item in (*self.items.values(), *self.rows.values()) if item.state == FLYING]

    def land(self, item: Item, state: str) -> None:
        """No longer in flight. A foreign item may have kept lane heads from starting."""
        if item.state == FLYING:
            if item.foreign:
                self.streams[item.stream].flying -= 1
            freed = self.lanes.land(item, state)
            for other in freed:
                self.offer(other)
        item.state = state

    def leave(self, item: Item) -> None:
        """Free the item's lanes; the next in each is offered."""
        for other in self.lanes.leave(item):
            self.offer(other)

    def settled(self, item: Item) -> None:
        """The item's outcome was handed to a settle; its lanes are not free yet."""
        self.land(item, ENDED)
        if item.row is None:
            self.items.pop((item.stream, item.seq), None)
        elif self.rows.pop((item.stream, item.seq, item.row.subscription_id), None) is item:
            self.streams[item.stream].open_rows -= 1

    def vanish(self, item: Item) -> None:
        """The ledger has decided; what is in flight ends, and its outcome no longer matters."""
        item.gone = True
        if item.row is None:
            self.items.pop((item.stream, item.seq), None)
        elif self.rows.pop((item.stream, item.seq, item.row.subscription_id), None) is item and item.saved:
            self.streams[item.stream].open_rows -= 1
        if item.state != FLYING:
            self.leave(item)

    def expire(self, stream: Stream, upto: int) -> None:
        """Everything of a stream up to a seq was given up."""
        for item in self._of(stream, (*self.items.values(), *self.rows.values())):
            if item.seq <= upto:
                self.vanish(item)
        stream.pass_over(upto)

    def forget(self, stream: Stream) -> None:
        """Stored events changed: drop what waits in memory, it is scanned or loaded again."""
        for item in self._of(stream, tuple(self.items.values())):
            if item.state == WAITING:
                self.vanish(item)
        for item in self._of(stream, tuple(self.rows.values())):
            if item.state == WAITING:
                item.event = item.units = None
        stream.rewind()

    def _of(self, stream: Stream, items: Iterable[Item]) -> list[Item]:
        return [item for item in items if item.stream == stream.name]

"""The tap: the newest rows in a ring, and viewers that follow them. The flow never waits for a viewer.

A viewer has a bounded queue: when it is full, the oldest row goes and is counted (`slow_client`); more matching rows a second than allowed are
dropped and counted (`rate_limited`). At most CREDIT frames are on their way unacknowledged. Attached first, then the ring is read: between
snapshot and stream there is no gap and no double. Everything here is synchronous; who sends, and when, is the web's business.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from relay.base import jsonio
from relay.base.clock import Clock
from relay.observe.facts import Counters
from relay.observe.row_filter import Material, RowFilter

QUEUE_ROWS: Final = 2_000
FRAME_ROWS: Final = 500
CREDIT: Final = 4
SLICE_ROWS: Final = 250
"""Rows a scan looks at between two breaths of the loop."""
HELD_BYTES: Final = 16 * 1024 * 1024
"""Bodies that the ring keeps for text search; the oldest rows lose theirs first."""


class _Nothing:
    """The material of a row whose body is no longer at hand."""

    body = b""
    payload: Mapping[str, Any] = {}


NOTHING: Final[Material] = _Nothing()


@dataclass(frozen=True, slots=True)
class Position:
    """Where a viewer was when it lost the connection."""

    epoch: str
    seq: int


class Entry:
    """One row of the ring. `changed`: the tap's seq at its last patch, so that a viewer that comes back hears of it."""

    __slots__ = ("_json", "_patch", "changed", "material", "row", "seq")

    def __init__(self, seq: int, row: dict[str, Any], material: Material) -> None:
        self.seq = self.changed = seq
        self.row = {"seq": seq, **row}
        self.material = material
        self._json = self._patch = b""

    @property
    def json(self) -> bytes:
        """The row as JSON; made once for all viewers."""
        if not self._json:
            self._json = jsonio.dumps(self.row)
        return self._json

    @property
    def patch(self) -> bytes:
        """What may have changed, as JSON."""
        if not self._patch:
            self._patch = jsonio.dumps({"event_id": self.row["event_id"], "to": self.row["to"]})
        return self._patch

    def change(self, to: Mapping[str, str], seq: int) -> None:
        self.row["to"] = {**self.row["to"], **to}
        self.changed = seq
        self._json = self._patch = b""


class Tap:
    """Ring and viewers. Nothing is published before `start`, nor after `stop`: whoever makes the rows asks `watched` first."""

    def __init__(self, clock: Clock, counters: Counters, *, ring_rows: int = 10_000, queue_rows: int = QUEUE_ROWS, max_rate: int = 1_000) -> None:
        self.ring_rows = ring_rows
        self.queue_rows = queue_rows
        self.max_rate = max_rate
        self.watched = False
        self.epoch = ""
        self.seq = 0
        """Of the newest row."""
        self._clock = clock
        self._counters = counters
        self._ring: deque[Entry] = deque()
        self._by_id: dict[str, Entry] = {}
        self._bodies: deque[Entry] = deque()
        self._held_bytes = 0
        self._lowest = 1
        self._viewers: list[Viewer] = []
        self._followers: list[Viewer] = []
        """Viewers to whose filters a row may come to belong when it changes."""
        self._resting: set[Viewer] = set()
        self.changes = 0
        """Patches so far."""
        self._changed: deque[Entry] = deque(maxlen=ring_rows)
        """The rows of the last ones."""

    def start(self) -> None:
        """A new epoch with an empty ring; room is left below for older rows (`fill`)."""
        self.stop()
        self.epoch = secrets.token_hex(8)
        self.seq += self.ring_rows
        self._lowest = self.seq + 1
        self.watched = True

    def stop(self) -> None:
        """Forget the rows; positions of before are worth nothing from now on."""
        self.watched = False
        self._ring.clear()
        self._by_id.clear()
        self._bodies.clear()
        self._changed.clear()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._ring)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._by_id

    def find(self, event_id: str) -> Entry | None:
        """The row, when the ring has it."""
        return self._by_id.get(event_id)

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def entries(self) -> list[Entry]:
        """The ring, oldest first."""
        return list(self._ring)

    @property
    def oldest(self) -> int:
        """The lowest seq in the ring; that of the next row when it is empty."""
        return self._ring[0].seq if self._ring else self.seq + 1

    # rows come in

    def publish(self, rows: Iterable[tuple[dict[str, Any], Material]]) -> None:
        """New rows, oldest first, each with what its filters may look at."""
        entries = []
        for row, material in rows:
            self.seq += 1
            entry = Entry(self.seq, row, material)
            self._by_id[row["event_id"]] = entry
            self._ring.append(entry)
            self._bodies.append(entry)
            self._held_bytes += len(material.body)
            entries.append(entry)
        for viewer in self._viewers:
            viewer.offer(entries)
        self._evict()

    def fill(self, rows: Iterable[tuple[dict[str, Any], Material]]) -> int:
        """Older rows, newest first, below what the ring has; returns how many there was room for."""
        count = 0
        for row, material in rows:
            if len(self._ring) >= self.ring_rows:
                break
            if row["event_id"] in self._by_id:
                continue
            self._lowest -= 1
            room = self._held_bytes + len(material.body) <= HELD_BYTES
            entry = Entry(self._lowest, row, material if room else NOTHING)
            self._by_id[row["event_id"]] = entry
            self._ring.appendleft(entry)
            if room:
                self._bodies.appendleft(entry)
                self._held_bytes += len(material.body)
            count += 1
        return count

    def _evict(self) -> None:
        while len(self._ring) > self.ring_rows:
            gone = self._ring.popleft()
            if self._by_id.get(gone.row["event_id"]) is gone:
                del self._by_id[gone.row["event_id"]]
            if self._bodies and self._bodies[0] is gone:
                self._let_body_go()
        while self._held_bytes > HELD_BYTES:
            self._let_body_go()

    def _let_body_go(self) -> None:
        entry = self._bodies.popleft()
        self._held_bytes -= len(entry.material.body)
        entry.material = NOTHING

    def forget(self, is_gone: Callable[[Entry], bool]) -> int:
        """Take rows out of the ring and of what viewers are still to get; returns how many. What was sent is with the viewer."""
        gone = {entry.seq for entry in self._ring if is_gone(entry)}
        if gone:
            self._ring = deque(entry for entry in self._ring if entry.seq not in gone)
            self._bodies = deque(entry for entry in self._bodies if entry.seq not in gone)
            self._changed = deque((entry for entry in self._changed if entry.seq not in gone), maxlen=self.ring_rows)
            self._by_id = {event_id: entry for event_id, entry in self._by_id.items() if entry.seq not in gone}
            self._held_bytes = sum(len(entry.material.body) for entry in self._bodies)
            for viewer in self._viewers:
                viewer.forget(gone)
        return len(gone)

    def patch(self, event_id: str, to: Mapping[str, str]) -> None:
        """Merge `to` into the row's; unknown rows are left out."""
        entry = self._by_id.get(event_id)
        if entry is None:
            return
        entry.change(to, self.seq)
        self.changes += 1
        self._changed.append(entry)
        for viewer in self._followers:
            viewer.hear(entry)
        if self._resting:
            for viewer in self._resting:
                viewer.stir()
            self._resting.clear()

    def changed_since(self, number: int) -> Iterable[Entry]:
        """Rows that were patched after change `number`; all of the ring when that is too long ago."""
        missed = self.changes - number
        if missed > len(self._changed):
            return list(self._ring)
        return islice(reversed(self._changed), missed)

    def rest(self, viewer: "Viewer") -> None:
        """Wake the viewer at the next patch; one that is awake need not hear of each."""
        self._resting.add(viewer)

    # viewers

    def subscribe(self, wanted: RowFilter, *, patches: bool = True, wake: Callable[[], None] | None = None) -> "Viewer":
        """Attach a viewer; it sends nothing before its `scan` has ended."""
        viewer = Viewer(self, wanted, patches=patches, wake=wake or (lambda: None))
        self._viewers.append(viewer)
        if wanted.follows_state:
            self._followers.append(viewer)
        self._counters.set("relay_live_viewers", len(self._viewers))
        return viewer

    def leave(self, viewer: "Viewer") -> None:
        """Detach a viewer; twice is harmless."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self._resting.discard(viewer)
            if viewer in self._followers:
                self._followers.remove(viewer)
            self._counters.set("relay_live_viewers", len(self._viewers))

    def dropped(self, code: str, count: int) -> None:
        self._counters.count("relay_live_rows_dropped_total", code, by=count)

    def now_s(self) -> float:
        return self._clock.monotonic()


class Viewer:
    """One subscription. The counts of drops are since it began."""

    def __init__(self, tap: Tap, wanted: RowFilter, *, patches: bool, wake: Callable[[], None]) -> None:
        self.slow_client = 0
        self.rate_limited = 0
        self.waiting = 0
        """Matching rows since the pause."""
        self.paused = False
        self.snapshot: list[Entry] = []
        self.scanned = 0
        self.gap = False
        self.mark = self._start = tap.seq
        """Everything up to here was sent, dropped or did not match."""
        self._tap = tap
        self._wanted = wanted
        self._patches = patches
        self._wake = wake
        self._holding = True
        self._first: deque[Entry] = deque()
        """What goes before the queue: rows that waited out a pause. Bounded by the ring."""
        self._queue: deque[Entry] = deque()
        self._paused_rows: deque[Entry] = deque(maxlen=tap.ring_rows)
        self._unacked: deque[int] = deque()
        self._touched: dict[int, Entry] = {}
        self._heard = tap.changes
        self._known: dict[int, bool] = {}
        """Rows that were sent: True. Where an older row may come to match, also those that were queued or dropped: False."""
        self._allowance, self._allowed_s = 2.0 * tap.max_rate, tap.now_s()

    # from the tap

    def offer(self, entries: list[Entry]) -> None:
        """New rows; those that match are queued, counted or dropped."""
        matches = self._wanted.matches
        wanted = entries if self._wanted.everything else [entry for entry in entries if matches(entry.row, entry.material)]
        if wanted:
            self._take_in(wanted)

    def hear(self, entry: Entry) -> None:
        """A row of the ring changed; it may match from now on."""
        if self._known.get(entry.seq) is None and entry.seq <= self._tap.seq and self._wanted.matches(entry.row, entry.material):
            self._take_in([entry])

    def forget(self, gone: set[int]) -> None:
        """These rows are not to be sent any more."""
        for waiting in (self._first, self._queue, self._paused_rows):
            kept = [entry for entry in waiting if entry.seq not in gone]
            waiting.clear()
            waiting.extend(kept)
        self.snapshot = [entry for entry in self.snapshot if entry.seq not in gone]
        for seq in gone & self._touched.keys():
            del self._touched[seq]

    def stir(self) -> None:
        """A row changed that this viewer may have."""
        self._wake()

    def _take_in(self, wanted: list[Entry]) -> None:
        if self._wanted.follows_state:
            self._note(wanted, sent=False)
        if self.paused:
            self.waiting += len(wanted)
            self._paused_rows.extend(wanted)
            return
        room = self._allowed(len(wanted))
        if room < len(wanted):
            self._drop("rate_limited", len(wanted) - room)
            wanted = wanted[:room]
        self._queue.extend(wanted)
        over = len(self._queue) - self._tap.queue_rows
        if over > 0:
            for _ in range(over):
                self._queue.popleft()
            self._drop("slow_client", over)
        self._wake()

    def _note(self, entries: list[Entry], *, sent: bool) -> None:
        self._known.update(dict.fromkeys([entry.seq for entry in entries], sent))
        if len(self._known) > 2 * self._tap.ring_rows + self._tap.queue_rows:
            oldest = self._tap.oldest
            self._known = {seq: known for seq, known in self._known.items() if seq >= oldest}

    def _allowed(self, count: int) -> int:
        """How many of `count` rows the rate allows; what one second leaves serves the next, so that an uneven flow at the rate loses nothing."""
        rate, now_s = self._tap.max_rate, self._tap.now_s()
        self._allowance = min(2.0 * rate, self._allowance + (now_s - self._allowed_s) * rate)
        self._allowed_s = now_s
        allowed = min(count, int(self._allowance))
        self._allowance -= allowed
        return allowed

    def _drop(self, code: str, count: int) -> None:
        setattr(self, code, getattr(self, code) + count)
        self._tap.dropped(code, count)

    # the snapshot

    def scan(self, limit: int, resume: Position | None = None) -> Iterator[None]:
        """Read the ring in slices, newest first, up to `limit` matching rows; then `snapshot`, `scanned` and `gap` are set and rows flow.

        With a position whose next row the ring still has, only newer rows come, all of them, and what changed meanwhile follows as patches.
        """
        ring = [entry for entry in self._tap.entries() if entry.seq <= self._start]
        after = self._resumable(resume, ring)
        self.gap = resume is not None and after is None
        return self._scan(ring, limit, after)

    def _scan(self, ring: list[Entry], limit: int, after: int | None) -> Iterator[None]:
        found: list[Entry] = []
        old: list[Entry] = []
        for count, entry in enumerate(reversed(ring), 1):
            if after is None and len(found) >= limit:
                break
            self.scanned = count
            if self._wanted.matches(entry.row, entry.material):
                newer = after is None or entry.seq > after or (self._wanted.follows_state and entry.changed > after)
                (found if newer else old).append(entry)
            if count % SLICE_ROWS == 0:
                yield
        self._note(old, sent=True)
        for entry in old:
            if self._patches and after is not None and entry.changed > after:
                self._touched[entry.seq] = entry
        known = self._known
        self.snapshot = [entry for entry in reversed(found) if known.get(entry.seq) is None]
        self._note(self.snapshot, sent=True)
        self._holding = False
        self._wake()

    def _resumable(self, resume: Position | None, ring: list[Entry]) -> int | None:
        if resume is None or resume.epoch != self._tap.epoch or resume.seq > self._tap.seq:
            return None
        return resume.seq if not ring or resume.seq >= ring[0].seq - 1 else None

    # to the client

    @property
    def open(self) -> bool:
        """Whether a frame may go now."""
        return not (self.paused or self._holding) and len(self._unacked) < CREDIT

    @property
    def has_news(self) -> bool:
        """Whether something waits that may go now."""
        return self.open and bool(self._first or self._queue or self._touched or self._lags)

    def _gather(self) -> None:
        """Which of the rows that were sent have changed since the last look."""
        if self._patches and self._heard != self._tap.changes:
            known = self._known
            self._touched.update({entry.seq: entry for entry in self._tap.changed_since(self._heard) if known.get(entry.seq)})
        self._heard = self._tap.changes
        self._tap.rest(self)

    @property
    def _lags(self) -> bool:
        return self._tap.seq - self.mark > self._tap.ring_rows // 4 and not self._queue

    def take_rows(self) -> tuple[list[Entry], int] | None:
        """The next frame and its seq, for which one credit is spent; None: there is none to send now.

        A viewer whose filter lets little through gets an empty frame now and then, so that its position stays within the ring.
        """
        if not self.open or not (self._first or self._queue or self._lags):
            return None
        entries: list[Entry] = []
        for waiting in (self._first, self._queue):
            if len(entries) + len(waiting) <= FRAME_ROWS:
                entries += waiting
                waiting.clear()
            else:
                entries += [waiting.popleft() for _ in range(FRAME_ROWS - len(entries))]
        self._note(entries, sent=True)
        done = not self._first and not self._queue
        self.mark = self._tap.seq if done else max(self.mark, *(entry.seq for entry in entries))
        self._unacked.append(entries[-1].seq if entries else self.mark)
        return entries, self.mark

    def take_patches(self) -> list[Entry]:
        """Rows that were sent before and have changed since, at most one frame of them; costs no credit, but waits for one."""
        if not self.open:
            return []
        self._gather()
        return [self._touched.pop(seq) for seq in list(self._touched)[:FRAME_ROWS]]

    def ack(self, seq: int) -> None:
        """The client has drawn every frame up to `seq`."""
        while self._unacked and self._unacked[0] <= seq:
            self._unacked.popleft()
        self._wake()

    def pause(self) -> None:
        """Send nothing and count what matches."""
        self.paused = True

    def resume(self) -> None:
        """Go on with what the ring still holds; what it no longer does is counted as dropped."""
        if not self.paused:
            return
        oldest = self._tap.oldest
        kept = [entry for entry in self._paused_rows if entry.seq >= oldest]
        if lost := self.waiting - len(kept):
            self._drop("slow_client", lost)
        self._first.extend(self._queue)
        self._first.extend(kept)
        if (over := len(self._first) - self._tap.ring_rows) > 0:
            for _ in range(over):
                self._first.popleft()
            self._drop("slow_client", over)
        self._queue.clear()
        self._paused_rows.clear()
        self.paused, self.waiting = False, 0
        self._wake()

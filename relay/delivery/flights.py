"""What one destination has in the air: starts items while the gate and the pace allow it, groups units into batches, makes the attempts."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from relay.delivery.attempt import attempt, attempt_sink
from relay.delivery.batches import Batch
from relay.delivery.carefully import carefully
from relay.delivery.crashes import hand
from relay.delivery.decisions import Decisions
from relay.delivery.desk import Desk
from relay.delivery.ends import Ends
from relay.delivery.lanes import WAITING, Item, Members
from relay.delivery.outcomes import refused_unit
from relay.delivery.stream import UNSAVED_MAX
from relay.pipeline.decision import Unit

Work = Coroutine[object, object, None]


class Flights:
    """Attempts and loads of rows, each a task of its own; nothing here waits for another destination."""

    def __init__(self, desk: Desk, decisions: Decisions, ends: Ends) -> None:
        self._desk = desk
        self._decisions = decisions
        self._ends = ends
        self._name = f"attempt:{desk.destination.destination.slug}"
        self._aloft: dict[asyncio.Task[None], Members] = {}

    def __len__(self) -> int:
        return len(self._aloft)

    def seqs(self, stream: str) -> set[int]:
        """Events of one consumer with an attempt on its way; a loose unit is of the live one."""
        live = self._desk.live.name
        return {unit.seq for members in self._aloft.values() for item, unit in members if (item.stream if item else live) == stream}

    # start

    def pump(self) -> None:
        """Start what may start."""
        desk = self._desk
        board, gate, clock = desk.board, desk.gate, desk.clock
        board.wake_due()
        if sum(stream.unsaved for stream in board.streams.values()) >= UNSAVED_MAX:
            return
        while gate.slots(clock.now(), len(self._aloft)) > 0 and desk.pace.delay_s(clock.monotonic()) <= 0:
            if desk.batches.waiting and (batch := desk.batches.take(clock.monotonic()) or self._take_early()):
                if members := [member for member in batch.members if not self._is_lost(member[0])]:
                    self._fly(members)
                continue
            item = board.next() if desk.batches.waiting < desk.window else None
            if item is None:
                return
            board.take_off(item)
            if item.units is None:
                self._spawn(self._guarded([item], partial(self._decisions.load, item)), [])
            else:
                self._start(item, item.units)

    def _take_early(self) -> Batch[Item | None] | None:
        """A batch before its time, when nothing else can bring the destination on."""
        desk = self._desk
        return desk.batches.take(float("inf")) if not self._aloft and desk.is_stuck else None

    def _is_lost(self, item: Item | None) -> bool:
        """Whether an item expired while it waited in a batch."""
        if item is None:
            return False
        if item.gone:
            item.left -= 1
            if item.left <= 0:
                self._ends.item(item)
        return item.gone

    def _start(self, item: Item, units: Sequence[Unit]) -> None:
        """Take off with all units of the event (rule 5.5)."""
        if item.foreign:
            self._desk.board.streams[item.stream].pace.take(self._desk.clock.monotonic())
        item.left = len(units)
        item.results = []
        for unit in units:
            if unit.problem:
                self._ends.unit(item, unit, refused_unit(unit), None)
            elif unit.batch_key and not self._is_suspect(item):
                self._desk.batches.add(item, unit, self._desk.clock.monotonic())
            else:
                self._fly([(item, unit)])

    def _is_suspect(self, item: Item) -> bool:
        caution = self._desk.board.streams[item.stream].caution
        return caution is not None and caution.is_suspect(hand(item.seq, item.row))

    def _fly(self, members: Members) -> None:
        self._desk.pace.take(self._desk.clock.monotonic())
        items = [item for item, _ in members if item] if self._desk.means.alone else ()
        self._spawn(self._guarded(items, partial(self._attempt, members)), members)

    def _guarded(self, items: Sequence[Item], work: Callable[[], Work]) -> Work:
        """`work` on these items; after an unclean end, written down before it is done."""
        if (alone := self._desk.means.alone) is None:
            return work()
        streams = self._desk.board.streams
        hands = [(stream, stream.caution, hand(item.seq, item.row)) for item in items if (stream := streams[item.stream]).caution]
        return carefully(alone, hands, work) if hands else work()

    def _spawn(self, work: Work, members: Members) -> None:
        self._aloft[self._desk.spawn(work, self._name, self._aloft.__delitem__)] = members

    async def _attempt(self, members: Members) -> None:
        """One attempt; a refused batch goes again in halves, at once."""
        desk, units = self._desk, [unit for _, unit in members]
        started = desk.clock.monotonic()
        if desk.means.sink is not None:
            answers = await attempt_sink(units, desk.means.sink, desk.destination)
        else:
            answers = await attempt(units, desk.destination, desk.means.transport, now_s=desk.clock.now())
        if not self._ends.attempt(members, answers, (desk.clock.monotonic() - started) * 1000):
            half = len(members) // 2
            await self._attempt(members[:half])
            await self._attempt(members[half:])

    # stored events change, the actor ends

    def tie(self) -> None:
        """Have every unit in a batch or in the air followed by itself."""
        for members in (*self._desk.batches.members(), *self._aloft.values()):
            self._desk.board.tie(members)

    def unbatch(self) -> None:
        """Take items out of the batches again, but those with a unit in the air. `tie` comes before."""
        drained: dict[Item, list[Unit]] = {}
        for item, unit in self._desk.batches.drain():
            assert item is not None, "tied before"
            drained.setdefault(item, []).append(unit)
        for item, units in drained.items():
            if item.gone:  # the ledger has given it up
                item.left -= len(units)
                if item.left <= 0:
                    self._ends.item(item)
            elif len(units) == item.left and item.results:
                self._ends.item(item)  # partly done: what is done is written, the rest waits as rows
            elif len(units) == item.left:
                self._desk.board.land(item, WAITING)
                self._desk.board.offer(item)
            else:
                for unit in units:
                    self._desk.batches.add(item, unit, self._desk.clock.monotonic())

    def cancel(self) -> None:
        """Give up what is in the air; it is sent again later."""
        for flight in self._aloft:
            flight.cancel()

    async def land(self, drain_s: float) -> None:
        """Let them end within `drain_s`, then give up the rest; what is partly done is written down."""
        if self._aloft:
            await asyncio.wait(self._aloft, timeout=drain_s)
        self.cancel()
        if self._aloft:
            await asyncio.wait(self._aloft)
        for item in self._desk.board.flying():
            if item.results:  # rows for the units that wait, else the successor sends those that are done again
                self._ends.item(item)

"""The actor of one destination: scan, decide, attempt, settle. One task runs the loop; each attempt is a task of its own.

Promises: at least once; per user in order (lanes); an attempt's end is settled even when relay stops meanwhile; nothing here
waits for another destination. The algorithm is the outbox page's sections 5 and 6; names of rules in comments are from there.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from relay.base.chance import Chance
from relay.base.clock import Clock
from relay.base.event import Event
from relay.base.tasks import settle_now, spawn
from relay.delivery.attempt import Answer, attempt, attempt_sink, detail_of
from relay.delivery.batches import Batches
from relay.delivery.board import Board
from relay.delivery.breaker import Gate
from relay.delivery.carefully import carefully
from relay.delivery.crashes import ENDS, hand
from relay.delivery.feed import Feed
from relay.delivery.lanes import ENDED, WAITING, Item
from relay.delivery.outcomes import DELIVERED, Outcomes, refused_unit
from relay.delivery.stream import UNSAVED_MAX, Stream
from relay.delivery.throttle import Throttle
from relay.delivery.verdict import Kind, Verdict
from relay.kit.request import Transport
from relay.kit.sink import Sink
from relay.observe.facts import DeliveryAttempted
from relay.observe.observer import Observer
from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Attempt, Changed, Claim, Consumer, HeldAttempt, Outcome, Row, Settlement
from relay.outbox.ledger import whole
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side

CHUNK = 500
SETTLE_S = 30.0
TICK_S = 1.0
CRASH = "crash"
HELD_WINDOW = 32
"""Most items in memory while the gate is shut: enough for every probe to be another one."""
NO_MAPPING = Drop("trigger", "NO_MATCHING_MAPPING")
Member = tuple[Item | None, Unit]
Members = list[Member]
"""What one attempt carries. Without an item: a *loose* unit, the only one of its event, in a batch of a destination without lanes.
Nothing needs to know it by itself while all goes well; `_tie` makes the items when something does."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an actor works with; all handed in."""

    feed: Feed
    transport: Transport
    sink: Sink | None
    clock: Clock
    chance: Chance
    observer: Observer
    alone: asyncio.Lock | None = None
    """The last run did not end properly: held by whoever handles what may have been the cause. None: it did."""


class Actor:
    """Delivers one destination under one compiled version; the supervisor replaces it when that changes."""

    def __init__(self, destination: CompiledDestination, means: Means, live: Consumer, *, settings_changed: bool = False) -> None:
        """Takes over the live consumer, which was opened after the predecessor's last attempt. `run` does the rest."""
        self.destination = destination
        self._model = model = destination.destination
        self._flight_name = f"attempt:{model.slug}"
        self._means = means
        self._clock = clock = means.clock
        limit = 1 if means.sink is not None or model.order == "strict" else model.concurrency
        self._board = Board(model, clock, keyless=means.sink is not None, limit=limit)
        self._batches: Batches[Item | None] = Batches()
        self._loose = 0
        """Loose units in batches and in flight."""
        self._pace = Throttle(model.rate_per_s)
        self.gate = Gate(limit, live.cursor.state, now_s=clock.now(), draw=means.chance.draw)
        if settings_changed:
            self.gate.settings_changed()
        self._outcomes = Outcomes(
            model, self.gate, self._pace, clock=clock, chance=means.chance, observer=means.observer, fails_whole=means.sink is not None
        )
        largest = max((subscription.action.batch_size for subscription in destination.subscriptions), default=1)
        self._window = max(256, min(2_000, 2 * limit * largest))
        """Most items in memory."""
        self._flights: dict[asyncio.Task[None], Members] = {}
        self._doors: dict[Drop, tuple[Outcome, ...]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._error: BaseException | None = None
        """What broke in a task of this actor; ends the loop."""
        self._ticked_s = 0.0
        self._deaf = False
        self.add_stream(live)
        self._live = self._board.streams[live.name]
        means.feed.watch(self._wake)

    # life

    def add_stream(self, consumer: Consumer) -> None:
        """Follow a consumer: the live one, or a replay into this destination."""
        if consumer.name in self._board.streams:
            return
        stream = self._board.streams[consumer.name] = Stream(consumer, now_s=self._clock.monotonic(), careful=self._means.alone is not None)
        for row in consumer.rows:
            self._board.add_row(stream, row, saved=True)
        for changed in consumer.changes:
            self._changed(stream, changed)
        consumer.changes.clear()
        consumer.on_change = lambda changed: self._changed(stream, changed)
        self._wake.set()

    @property
    def replays(self) -> set[str]:
        """Names of the replays it follows."""
        return {name for name, stream in self._board.streams.items() if stream.end is not None}

    async def run(self) -> None:
        """Until `stop`, or until cancelled (then what is in flight is given up and sent again later)."""
        try:
            while not self._stopping:
                self._wake.clear()
                if self._error:
                    raise self._error
                moved = [await self._scan(stream) for stream in list(self._board.streams.values())]
                self._pump()
                self._outcomes.note_gate()
                self._flush()
                await self._tick()
                if any(moved):
                    await asyncio.sleep(0)
                else:
                    await self._rest()
        except BaseException:
            self._means.feed.unwatch(self._wake)
            for flight in self._flights:
                flight.cancel()
            raise

    async def stop(self, drain_s: float) -> None:
        """No new attempts; those in flight may end within `drain_s`, their outcomes are written; then everything is closed."""
        self._stopping = True
        self._wake.set()
        self._means.feed.unwatch(self._wake)
        if self._flights:
            await asyncio.wait(self._flights, timeout=drain_s)
        for flight in self._flights:
            flight.cancel()
        if self._flights:
            await asyncio.wait(self._flights)
        for item in self._board.flying():
            if item.results:  # partly done: rows for the units that wait, else the successor sends those that are done again
                self._end(item)
        for stream in self._board.streams.values():
            if stream.settling:
                await settle_now(asyncio.wait([stream.settling]), timeout_s=SETTLE_S)
            await settle_now(self._commit(stream), timeout_s=SETTLE_S)
            await settle_now(stream.relax(), timeout_s=SETTLE_S)
        await self.close()

    async def close(self) -> None:
        """Close connections and files; calling it twice is harmless."""
        await self._means.transport.close()
        if self._means.sink:
            await self._means.sink.close()

    def _changed(self, stream: Stream, changed: Changed) -> None:
        """Another operation changed rows or state (messages arrive in commit order)."""
        for row in changed.opened:
            self._board.add_row(stream, row, saved=True)
        for seq, subscription_id in changed.closed:
            if item := self._board.rows.get((stream.name, seq, subscription_id)):
                self._board.vanish(item)
        for seq, subscription_id in changed.due:
            if item := self._board.rows.get((stream.name, seq, subscription_id)):
                self._board.hasten(item)
        if changed.expired or changed.rescan:
            for members in (*self._batches.members(), *self._flights.values()):
                self._tie(members)
        if changed.expired:
            self._board.expire(stream, changed.expired)
        if changed.rescan:
            self._unbatch()
            self._board.forget(stream)
        if changed.state is not None and stream.end is None:
            self.gate.obey(changed.state)
        self._wake.set()

    def _unbatch(self) -> None:
        """Take items out of the batches again, but those with a unit in the air."""
        drained: dict[Item, list[Unit]] = {}
        for item, unit in self._batches.drain():
            assert item is not None, "tied before"
            drained.setdefault(item, []).append(unit)
        for item, units in drained.items():
            if len(units) == item.left and item.results:
                self._end(item)  # partly done: what is done is written, the rest waits as rows
            elif len(units) == item.left:
                self._board.land(item, WAITING)
                self._board.offer(item)
            else:
                for unit in units:
                    self._batches.add(item, unit, self._clock.monotonic())

    # scan

    async def _scan(self, stream: Stream) -> bool:
        """Read on, if there is room; returns whether it moved."""
        feed = self._means.feed
        if stream.caution and stream.caution.is_over(self._clock.monotonic()):
            await stream.relax()
        if self._stopping or not stream.may_scan or self._room() <= 0 or stream.scanned >= feed.upto:
            return False
        rewound, alone = stream.rewound, self._means.alone
        most = 1 if stream.caution else CHUNK
        entries, upto = await feed.entries(stream.consumer, stream.scanned, min(most, self._room()))
        if stream.caution and alone and entries:
            name = hand(entries[0].seq)
            if stream.caution.is_suspect(name) and alone.locked():
                return False
            return await carefully(alone, [(stream, stream.caution, name)], partial(self._take_in, stream, rewound, entries, upto))
        return await self._take_in(stream, rewound, entries, upto)

    async def _take_in(self, stream: Stream, rewound: int, entries: Sequence[Sourced], upto: int) -> bool:
        """Decide a chunk that was read from the scan position on; returns whether the scan moved."""
        board = self._board
        if stream.rewound != rewound:
            return True  # this chunk is old, and begins too late
        if stream.end is not None:
            upto = min(upto, stream.end)
        before = stream.scanned
        for entry in entries:
            if not stream.scanned < entry.seq <= upto:
                continue  # the scan went on while this chunk was read
            if entry.seq > stream.scanned + 1:
                stream.skip(stream.scanned + 1, entry.seq - 1)
            known = stream.mirror.is_done(entry.seq) or (stream.name, entry.seq) in board.items
            if not known and not self._meet(stream, entry):
                upto = entry.seq - 1
                break
            stream.scanned = entry.seq
        if upto > stream.scanned:
            stream.skip(stream.scanned + 1, upto)
            stream.scanned = upto
        board.passed(stream)
        return stream.scanned > before

    def _room(self) -> int:
        """How many more items may be scanned."""
        return (HELD_WINDOW if self.gate.is_shut else self._window) - len(self._board.items) - self._loose

    def _meet(self, stream: Stream, entry: Sourced) -> bool:
        """Decide about one scanned event; False: it would have to be parked, and the rows are at their cap (rule 5.8)."""
        if not stream.wanted(entry.event):
            stream.skip(entry.seq, entry.seq)
            return True
        if stream.end is not None:
            entry = Sourced(entry.seq, stream.marked(entry.event), entry.drop)
        event = entry.event
        if stream.caution and stream.caution.is_guilty(hand(entry.seq)):
            stream.settle(Settlement(entry.seq, event.source_id, (self._convict(stream, entry.seq, event),), event.keys), None)
            return True
        decision = destination_side(entry, self.destination)
        if isinstance(decision, Drop):
            outcomes = self._doors.get(decision) or self._doors.setdefault(decision, (whole(decision.door.value, decision.code),))
            stream.drop(entry.seq, event.source_id, outcomes)
            return True
        if self._board.keyless and stream is self._live and not stream.caution and len(decision) == 1 and decision[0].batch_key:
            self._batches.add(None, decision[0], self._clock.monotonic())
            self._loose += 1
            return True
        keys = self._board.keys(event.keys)
        item = Item(entry.seq, event.source_id, keys, stream.name, stream.end is not None, None, event, decision)
        if not item.foreign and self._board.lanes.is_behind_row(item.seq, keys):
            if self._board.lanes.rows >= self._model.max_waiting:
                return False
            self._park(stream, item)
            return True
        self._board.add(item)
        return True

    def _park(self, stream: Stream, item: Item) -> None:
        """The event waits as a row behind an earlier row of its lane (rule 5.6)."""
        keys = _stored_keys(item)
        stream.settle(Settlement(item.seq, item.source_id, (whole(PARKED, "parked"),), keys), None)
        row = Row(item.seq, WHOLE, PARKED, item.source_id, keys, code="parked")
        stream.after_commit.append(self._board.add_row(stream, row, saved=False))

    # start

    def _pump(self) -> None:
        """Start what may start."""
        board, gate = self._board, self.gate
        board.wake_due()
        if self._stopping:  # it may have begun during a scan; nobody would write the outcome of what starts now
            return
        if sum(stream.unsaved for stream in board.streams.values()) >= UNSAVED_MAX:
            return
        while gate.slots(self._clock.now(), len(self._flights)) > 0 and self._pace.delay_s(self._clock.monotonic()) <= 0:
            if batch := self._batches.take(self._clock.monotonic()):
                if members := [member for member in batch.members if not self._is_lost(member[0])]:
                    self._fly(members)
                continue
            item = board.next() if self._batches.waiting < self._window else None
            if item is None:
                return
            board.take_off(item)
            if item.units is None:
                self._spawn(self._guarded([item], partial(self._load, item)), [])
            else:
                self._start(item, item.units)

    def _is_lost(self, item: Item | None) -> bool:
        """Whether an item expired while it waited in a batch."""
        if item is None:
            return False
        if item.gone:
            item.left -= 1
            if item.left <= 0:
                self._end(item)
        return item.gone

    def _start(self, item: Item, units: Sequence[Unit]) -> None:
        """Take off with all units of the event (rule 5.5)."""
        if item.foreign:
            self._board.streams[item.stream].pace.take(self._clock.monotonic())
        item.left = len(units)
        item.results = []
        for unit in units:
            if unit.problem:
                self._end_unit(item, unit, refused_unit(unit), None)
            elif unit.batch_key and not self._is_suspect(item):
                self._batches.add(item, unit, self._clock.monotonic())
            else:
                self._fly([(item, unit)])

    def _is_suspect(self, item: Item) -> bool:
        caution = self._board.streams[item.stream].caution
        return caution is not None and caution.is_suspect(hand(item.seq, item.row))

    def _fly(self, members: Members) -> None:
        self._pace.take(self._clock.monotonic())
        self._spawn(self._guarded([item for item, _ in members if item], partial(self._attempt, members)), members)

    def _guarded(self, items: Sequence[Item], work: Callable[[], Coroutine[object, object, None]]) -> Coroutine[object, object, None]:
        """`work` on these items; after an unclean end, written down before it is done."""
        if (alone := self._means.alone) is None:
            return work()
        streams = self._board.streams
        hands = [(stream, stream.caution, hand(item.seq, item.row)) for item in items if (stream := streams[item.stream]).caution]
        return carefully(alone, hands, work) if hands else work()

    def _spawn(self, work: Coroutine[object, object, None], members: Members) -> None:
        flight = spawn(work, name=self._flight_name)
        self._flights[flight] = members
        flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        del self._flights[flight]
        self._wake.set()
        if not flight.cancelled() and (error := flight.exception()) is not None:
            self._error = error

    async def _load(self, item: Item) -> None:
        """Bring back the event of a row and decide it under the version in use."""
        board, row = self._board, item.row
        assert row is not None
        stream = board.streams[item.stream]
        event = (await stream.consumer.fetch([item.seq])).get(item.seq)
        if event is None or item.gone:  # a missing body is no error: the ledger has decided (trap 9)
            board.land(item, ENDED)
            board.vanish(item)
            return
        if stream.caution and stream.caution.is_guilty(hand(item.seq, row)):
            item.event, item.results = event, [self._convict(stream, item.seq, event, row)]
            self._end(item)
            return
        sourced = self._means.feed.sourced(Claim(item.seq, stream.marked(event)))
        item.event = sourced.event
        decision = destination_side(sourced, self.destination)
        if not isinstance(decision, Drop):
            item.units = [unit for unit in decision if row.subscription_id in (WHOLE, unit.subscription_id)]
            if item.units:
                board.land(item, WAITING)
                board.offer_first(item)
                return
            decision = NO_MAPPING
        if decision.code == "destination_disabled":  # open rows wait until it is switched on again, by another actor
            board.land(item, WAITING)
            return
        item.results = [Outcome(row.subscription_id, decision.door.value, decision.code, row.attempts, row.first_s)]
        self._end(item)

    async def _attempt(self, members: Members) -> None:
        """One attempt and its verdict; a refused batch goes again in halves, at once."""
        units = [unit for _, unit in members]
        started = self._clock.monotonic()
        if self._means.sink is not None:
            answers = await attempt_sink(units, self._means.sink, self.destination)
        else:
            answers = await attempt(units, self.destination, self._means.transport, now_s=self._clock.now())
        verdicts = self._outcomes.judge(answers, (self._clock.monotonic() - started) * 1000)
        first = verdicts[0]
        if first.kind is Kind.DELIVERED and self.gate.is_calm and all(verdict is first for verdict in verdicts) and _are_plain(members):
            self._delivered(members, first)
            return
        self._tie(members)
        if first.kind is Kind.SPLIT:
            half = len(members) // 2
            await self._attempt(members[:half])
            await self._attempt(members[half:])
            return
        shut = self._outcomes.note_failure(verdicts)
        for (item, unit), answer, verdict in zip(members, answers, verdicts, strict=True):
            assert item is not None, "tied above"
            self._end_unit(item, unit, verdict, answer, shut=shut)

    def _tie(self, members: Members) -> None:
        """Make the items of loose units: from here on each is followed by itself."""
        for index, (item, unit) in enumerate(members):
            if item is None:
                item = Item(unit.seq, unit.event.source_id, (), self._live.name, event=unit.event, units=[unit], left=1)
                self._board.add_flying(item)
                self._loose -= 1
                members[index] = (item, unit)

    # end

    def _delivered(self, members: Members, verdict: Verdict) -> None:
        """An attempt of plain members was delivered: one outcome for each run of seqs."""
        now_s, first, live = self._clock.now(), members[0][1], self._live
        subscription_id, duration_ms, version = first.subscription_id, round(verdict.duration_ms, 2), self.destination.version
        self.gate.success("", now_s)
        outcomes = (Outcome(subscription_id, DELIVERED, DELIVERED, 1, now_s, status=verdict.status),)
        for low, last, source_id in _runs(members):
            live.settle(Settlement(low, source_id, outcomes, last=last), None)
            live.attempts.append(Attempt(low, subscription_id, 1, DELIVERED, DELIVERED, verdict.status, duration_ms, now_s, version, last))
        for item, _ in members:
            if item is None:
                self._loose -= 1
            else:
                self._board.settled(item)
                self._board.leave(item)  # rule 5.7: delivered frees the lane at once
        action = first.action.slug if first.action else ""
        self._means.observer.emit(
            DeliveryAttempted(
                self._model.slug, first.event.source_id, first.event.message_id, self._model.type, action, 1, DELIVERED, verdict.status,
                DELIVERED, verdict.duration_ms, now_s - first.event.received_ms / 1000, len(members),
            )
        )  # fmt: skip
        members.clear()  # the flight is known until its task has ended, and these are not to be tied any more

    def _convict(self, stream: Stream, seq: int, event: Event, row: Row | None = None) -> Outcome:
        """The outcome of an event that has ended the process too often."""
        subscription_id, now_s = row.subscription_id if row else WHOLE, self._clock.now()
        attempts, first_s = (row.attempts if row else 0) + ENDS, row.first_s if row else now_s
        stream.attempts.append(Attempt(seq, subscription_id, attempts, DEAD, CRASH, None, 0.0, now_s, self.destination.version))
        slug, source_id, kind = self._model.slug, event.source_id, self._model.type
        self._means.observer.emit(DeliveryAttempted(slug, source_id, event.message_id, kind, "", attempts, DEAD, None, CRASH, 0.0))
        return Outcome(subscription_id, DEAD, CRASH, attempts, first_s)

    def _end_unit(self, item: Item, unit: Unit, verdict: Verdict, answer: Answer | None, *, shut: bool = False) -> None:
        """What one unit's verdict means for it, the gate and the journal. `answer` None: nothing was sent."""
        now_s, row = self._clock.now(), item.row
        attempts = (row.attempts if row else 0) + (answer is not None)
        first_s = row.first_s if row and row.first_s else now_s
        shut_s = self.gate.shut_s(now_s)
        outcome = self._outcomes.outcome(f"{item.seq}/{unit.subscription_id}", unit, verdict, answer, attempts, first_s, shut=shut)
        if shut_s and not self.gate.is_shut:
            self._forgive(shut_s)
        if outcome is not None:
            item.results.append(outcome)
        result, code = (outcome.result, outcome.code) if outcome else ("hold", verdict.code)
        line = Attempt(
            item.seq, unit.subscription_id, attempts, result, code, verdict.status, round(verdict.duration_ms, 2), now_s, self.destination.version
        )
        if outcome is None and answer is not None:  # it leaves no row that could keep what was said
            line = held = HeldAttempt(*line)
            held.detail = detail_of(answer, verdict)
        self._board.streams[item.stream].attempts.append(line)
        action = unit.action.slug if unit.action else ""
        self._means.observer.emit(
            DeliveryAttempted(
                self._model.slug, item.source_id, unit.event.message_id, self._model.type, action, attempts, result, verdict.status, code,
                verdict.duration_ms, None if item.foreign else now_s - unit.event.received_ms / 1000,
            )
        )  # fmt: skip
        item.left -= 1
        if item.left == 0:
            self._end(item)

    def _forgive(self, shut_s: float) -> None:
        """The gate opened by a success: the time it was shut does not count towards giving up."""
        for item in self._board.rows.values():
            if item.row is not None and item.row.first_s:
                item.row.first_s += shut_s

    def _end(self, item: Item) -> None:
        """Every unit of an item has an outcome, or waits for the gate."""
        board = self._board
        if caution := board.streams[item.stream].caution:
            caution.clear(hand(item.seq, item.row))
        if item.gone:
            board.land(item, ENDED)
            board.leave(item)
            return
        known = {outcome.subscription_id for outcome in item.results}
        waiting = [unit.subscription_id for unit in item.units or () if unit.subscription_id not in known]
        if waiting and not item.results:  # nothing is known about this event: it goes again when the gate lets it
            board.land(item, WAITING)
            board.offer(item)
            return
        row, stream = item.row, board.streams[item.stream]
        delivered = not waiting and all(outcome.result == DELIVERED for outcome in item.results)
        attempts, first_s = (row.attempts, row.first_s) if row else (0, 0.0)
        code = "breaker_open" if self.gate.is_shut else "RETRY"
        item.results += [Outcome(waits, RETRY, code, attempts, first_s, self._clock.now()) for waits in waiting]
        stream.settle(
            Settlement(item.seq, item.source_id, tuple(item.results), _stored_keys(item), row.subscription_id if row else None),
            item if not delivered else None,
        )
        board.settled(item)
        retries = [outcome for outcome in item.results if outcome.result == RETRY]
        if retries:
            self._become_rows(stream, item, retries)
        elif delivered:
            board.leave(item)  # rule 5.7: delivered frees the lane at once, every other door after its commit

    def _become_rows(self, stream: Stream, item: Item, retries: Sequence[Outcome]) -> None:
        """The item goes on as rows; what waited behind it in memory is parked behind them in the same settle (rule 5.6)."""
        board = self._board
        behind = [] if item.foreign else board.lanes.behind(item)
        for outcome in retries:
            row = Row(
                item.seq, outcome.subscription_id, RETRY, item.source_id, _stored_keys(item), outcome.attempts, outcome.first_s,
                outcome.due_s, bool(item.row and item.row.resend), outcome.code, outcome.status,
            )  # fmt: skip
            stream.after_commit.append(board.add_row(stream, row, saved=False))
        board.leave(item)
        for other in behind:
            self._park(stream, other)
            board.vanish(other)

    # commit

    def _flush(self) -> None:
        """Begin the commits that are wanted; one at a time per stream, so that outcomes gather meanwhile."""
        now_s = self._clock.monotonic()
        for stream in list(self._board.streams.values()):
            if stream.wants_commit(now_s, patch=stream.end is None and self.gate.dirty):
                stream.settling = spawn(self._commit(stream), name=f"settle:{stream.name}")
                stream.settling.add_done_callback(self._committed(stream))
            elif stream.is_over:
                stream.consumer.on_change = None  # rows that are sent again later come with another open
                del self._board.streams[stream.name]

    def _committed(self, stream: Stream) -> Callable[["asyncio.Task[None]"], None]:
        def done(task: "asyncio.Task[None]") -> None:
            stream.settling = None
            self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                self._error = error

        return done

    async def _commit(self, stream: Stream) -> None:
        patch = self.gate.patch() if stream.end is None else None
        if stream.settlements or stream.attempts or patch:
            await stream.commit(self._clock.monotonic(), patch, self._saved)

    def _saved(self, items: Sequence[Item]) -> None:
        """The outcomes of these items are on disk."""
        for item in items:
            if item.state == ENDED:
                self._board.leave(item)
            elif not item.gone:
                self._board.row_saved(item)

    # wait

    def _listen(self) -> None:
        """Hear of news only while there is room for it: a destination that is held, or far behind, costs nothing per event."""
        deaf = self._room() <= 0 or not self._live.may_scan
        if deaf == self._deaf:
            return
        self._deaf = deaf
        if deaf:
            self._means.feed.unwatch(self._wake)
        else:
            self._means.feed.watch(self._wake)
            self._wake.set()  # some may have come meanwhile

    async def _tick(self) -> None:
        """Let an idle sink roll what is old, once a second."""
        sink, now_s = self._means.sink, self._clock.monotonic()
        if sink is not None and not self._flights and now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            await sink.tick()

    async def _rest(self) -> None:
        """Until something happens or the next deadline; at most a second, so that idle marks and ticks are on time."""
        if self._wake.is_set():
            return
        self._listen()
        monotonic, now_s = self._clock.monotonic(), self._clock.now()
        waits = [TICK_S, self._board.next_due_s() - now_s, self._board.pace_s()]
        waits += [stream.commit_due_s() - monotonic for stream in self._board.streams.values()]
        if (linger_s := self._batches.next_s() - monotonic) > 0:  # a batch that is due already waits for the gate, the pace or a landing
            waits.append(linger_s)
        if self._board.has_ready or self._batches.waiting:
            waits += [wait_s for wait_s in (self.gate.next_s() - now_s, self._pace.delay_s(monotonic)) if wait_s > 0]
        timer = asyncio.get_running_loop().call_later(max(0.001, min(waits)), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()


def _are_plain(members: Members) -> bool:
    """Whether each is the first attempt of a live event with this one unit: then nothing is to be told apart."""
    return all(item is None or (item.left == 1 and item.row is None and not (item.foreign or item.results or item.gone)) for item, _ in members)


def _runs(members: Members) -> Iterator[tuple[int, int, str]]:
    """Members that follow one another without a gap and are of one source: first seq, last seq (0: only one), source."""
    low = high = members[0][1].seq
    source_id = members[0][1].event.source_id
    for _, unit in members[1:]:
        if unit.seq == high + 1 and unit.event.source_id == source_id:
            high = unit.seq
            continue
        yield low, high if high > low else 0, source_id
        low = high = unit.seq
        source_id = unit.event.source_id
    yield low, high if high > low else 0, source_id


def _stored_keys(item: Item) -> tuple[str, ...]:
    """The user keys that go into a row: of the event, whatever the destination's order is now."""
    return item.event.keys if item.event else item.row.keys if item.row else item.keys

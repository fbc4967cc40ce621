"""The actor of one destination: scan, decide, attempt, settle. One task runs the loop; each attempt is a task of its own.

Promises: at least once; per user in order (lanes); an attempt's end is settled even when relay stops meanwhile; nothing here
waits for another destination. The algorithm is the outbox page's sections 5 and 6; names of rules in comments are from there.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from relay.base.chance import Chance
from relay.base.clock import Clock
from relay.base.codes import Door
from relay.base.tasks import settle_now, spawn
from relay.delivery.attempt import Answer, attempt, attempt_sink, detail_of
from relay.delivery.batches import Batches
from relay.delivery.breaker import Gate
from relay.delivery.feed import Feed
from relay.delivery.lanes import ENDED, FLYING, WAITING, Item, Lanes
from relay.delivery.retry import decide
from relay.delivery.stream import UNSAVED_MAX, Stream
from relay.delivery.throttle import Throttle
from relay.delivery.verdict import Kind, Verdict, judge
from relay.kit.request import Transport
from relay.kit.sink import Sink
from relay.observe.facts import BreakerChanged, DeliveryAttempted, DestinationHeld, DestinationReleased
from relay.observe.observer import Observer
from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Attempt, Changed, Claim, Consumer, Outcome, Row, Settlement
from relay.outbox.ledger import whole
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side

CHUNK = 500
SETTLE_S = 30.0
TICK_S = 1.0
DELIVERED = Door.DELIVERED.value


@dataclass(frozen=True, slots=True)
class Means:
    """What an actor works with; all handed in."""

    feed: Feed
    transport: Transport
    sink: Sink | None
    clock: Clock
    chance: Chance
    observer: Observer


class Actor:
    """Delivers one destination under one compiled version; the supervisor replaces it when that changes."""

    def __init__(self, destination: CompiledDestination, means: Means) -> None:
        self.destination = destination
        self._model = destination.destination
        self._means = means
        self._clock = means.clock
        self._streams: dict[str, Stream] = {}
        self._lanes = Lanes()
        self._ready: deque[Item] = deque()
        self._due: list[tuple[float, int, int, Item]] = []
        self._ahead: list[tuple[int, int, Item]] = []
        """Rows above the scan position; they may not start before the scan has passed them (rule 5.5 c)."""
        self._rows: dict[tuple[str, int, str], Item] = {}
        self._items: dict[tuple[str, int], Item] = {}
        """Scanned items in memory."""
        self._batches: Batches[Item] = Batches()
        self._flights: set[asyncio.Task[None]] = set()
        self._throttle = Throttle(self._model.rate_per_s)
        self._wake = asyncio.Event()
        self._stopping = False
        self._error: BaseException | None = None
        """What broke in a task of this actor; ends the loop."""
        self._ticked_s = 0.0
        self._counter = 0
        self._is_sink = destination.definition.open_sink is not None
        self._limit = 1 if self._is_sink or self._model.order == "strict" else self._model.concurrency
        self._window = max(256, min(2_000, 2 * self._limit * max((s.action.batch_size for s in destination.subscriptions), default=1)))
        self.gate: Gate | None = None

    # life

    def start(self, live: Consumer, *, settings_changed: bool = False) -> None:
        """Take over the live consumer; called once, before `run`."""
        now_s = self._clock.now()
        self.gate = Gate(self._limit, live.cursor.state, now_s=now_s, draw=self._means.chance.draw)
        if settings_changed:
            self.gate.settings_changed()
        self.add_stream(live)
        self._means.feed.watch(self._wake)

    def add_stream(self, consumer: Consumer) -> None:
        """Follow a consumer: the live one, or a replay into this destination."""
        if consumer.name in self._streams:
            return
        stream = Stream(consumer, now_s=self._clock.monotonic())
        self._streams[stream.name] = stream
        for row in consumer.rows:
            self._add_row(stream, row, saved=True)
        for changed in consumer.changes:
            self._changed(stream, changed)
        consumer.changes.clear()
        consumer.on_change = lambda changed: self._changed(stream, changed)
        self._wake.set()

    @property
    def replays(self) -> set[str]:
        return {name for name, stream in self._streams.items() if stream.end is not None}

    async def run(self) -> None:
        """Until `stop`, or until cancelled (then what is in flight is given up and sent again later)."""
        try:
            while not self._stopping:
                self._wake.clear()
                if self._error:
                    raise self._error
                moved = False
                for stream in list(self._streams.values()):
                    moved |= await self._scan(stream)
                self._pump()
                self._flush()
                await self._tick()
                if not moved:
                    await self._rest()
                else:
                    await asyncio.sleep(0)
        except BaseException:
            self._means.feed.unwatch(self._wake)
            for flight in self._flights:
                flight.cancel()
            raise

    async def _tick(self) -> None:
        """Let an idle sink roll what is old, once a second."""
        sink, now_s = self._means.sink, self._clock.monotonic()
        if sink is not None and not self._flights and now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            await sink.tick()

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
        for stream in self._streams.values():
            if stream.settling:
                await settle_now(asyncio.wait([stream.settling]), timeout_s=SETTLE_S)
            await settle_now(self._commit(stream), timeout_s=SETTLE_S)
        await self.close()

    async def close(self) -> None:
        await self._means.transport.close()
        if self._means.sink:
            await self._means.sink.close()

    # scan

    async def _scan(self, stream: Stream) -> bool:
        """Read on, if there is room; returns whether it moved."""
        if self._stopping or not stream.may_scan or len(self._items) >= self._window or stream.scanned >= self._means.feed.upto:
            return False
        limit = min(CHUNK, self._window - len(self._items))
        entries, upto = await self._means.feed.entries(stream.consumer, stream.scanned, limit)
        if stream.end is not None:
            upto = min(upto, stream.end)
            entries = [entry for entry in entries if entry.seq <= upto]
        return self._take(stream, entries, upto)

    def _take(self, stream: Stream, entries: Sequence[Sourced], upto: int) -> bool:
        before = stream.scanned
        for entry in entries:
            seq = entry.seq
            if seq <= stream.scanned:
                continue  # the scan went on while this chunk was read
            stream.skip(stream.scanned + 1, seq - 1)
            if not stream.mirror.is_done(seq) and (stream.name, seq) not in self._items and not self._meet(stream, entry):
                stream.scanned = seq - 1
                self._pass(stream)
                return stream.scanned > before
            stream.scanned = seq
        if upto > stream.scanned:
            stream.skip(stream.scanned + 1, upto)
            stream.scanned = upto
        self._pass(stream)
        return stream.scanned > before

    def _meet(self, stream: Stream, entry: Sourced) -> bool:
        """Decide about one scanned event; False: it would have to be parked, and the rows are at their cap (rule 5.8)."""
        event = entry.event
        if not stream.wanted(event):
            stream.skip(entry.seq, entry.seq)
            return True
        if stream.end is not None:
            entry = Sourced(entry.seq, stream.marked(event), entry.drop)
            event = entry.event
        decision = destination_side(entry, self.destination)
        if isinstance(decision, Drop):
            stream.settle(Settlement(entry.seq, event.source_id, (whole(decision.door.value, decision.code),)), None)
            return True
        item = Item(entry.seq, event.source_id, self._keys(event.keys), stream.name, stream.end is not None, None, event, decision)
        if not item.foreign and self._lanes.is_behind_row(item.seq, item.keys):
            if self._lanes.rows >= self._model.max_waiting:
                return False
            self._park(stream, item)
            return True
        self._items[(stream.name, item.seq)] = item
        self._lanes.add(item)
        self._offer(item)
        return True

    def _keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        if self._is_sink or self._model.order == "none":
            return ()
        return ("",) if self._model.order == "strict" else keys

    def _pass(self, stream: Stream) -> None:
        """Rows that the scan has passed may start now."""
        while self._ahead and self._ahead[0][0] <= stream.scanned:
            self._offer(heapq.heappop(self._ahead)[2])

    # rows

    def _park(self, stream: Stream, item: Item) -> None:
        """The event waits as a row behind an earlier row of its lane (rule 5.6)."""
        keys = self._row_keys(item)
        stream.settle(Settlement(item.seq, item.source_id, (whole(PARKED, "parked"),), keys), None)
        row = Row(item.seq, WHOLE, PARKED, item.source_id, keys, code="parked")
        stream.after_commit.append(self._add_row(stream, row, saved=False))

    def _add_row(self, stream: Stream, row: Row, *, saved: bool) -> Item:
        foreign = row.resend or stream.end is not None
        item = Item(row.seq, row.source_id, self._keys(row.keys), stream.name, foreign, row, saved=saved)
        self._rows[(stream.name, row.seq, row.subscription_id)] = item
        self._lanes.add(item)
        if saved:
            stream.open_rows += 1
            self._offer(item)
        return item

    def _changed(self, stream: Stream, changed: Changed) -> None:
        """Another operation changed rows or state (messages arrive in commit order)."""
        for row in changed.opened:
            self._add_row(stream, row, saved=True)
        for seq, subscription_id in changed.closed:
            if item := self._rows.get((stream.name, seq, subscription_id)):
                self._vanish(item)
        if changed.expired:
            for item in [item for item in (*self._items.values(), *self._rows.values()) if item.stream == stream.name]:
                if item.seq <= changed.expired:
                    self._vanish(item)
            stream.pass_over(changed.expired)
        if changed.rescan:
            self._forget(stream)
        if changed.state is not None and self.gate and stream.end is None:
            self.gate.obey(changed.state)
        self._wake.set()

    def _vanish(self, item: Item) -> None:
        """The ledger has decided; what is in flight ends, and its outcome counts as late."""
        item.gone = True
        self._items.pop((item.stream, item.seq), None)
        if item.row and self._rows.pop((item.stream, item.seq, item.row.subscription_id), None) and item.saved:
            self._streams[item.stream].open_rows -= 1
        if item.state != FLYING:
            self._leave(item)

    def _forget(self, stream: Stream) -> None:
        """Drop what waits in memory and scan it again."""
        drained: dict[Item, list[Unit]] = {}
        for item, unit in self._batches.drain():
            drained.setdefault(item, []).append(unit)
        for item, units in drained.items():
            if len(units) == item.left:  # no unit of it is in the air
                self._land(item, WAITING)
                self._offer(item)
            else:
                for unit in units:
                    self._batches.add(item, unit, self._clock.monotonic())
        for item in [item for item in self._items.values() if item.stream == stream.name and item.state == WAITING]:
            del self._items[(item.stream, item.seq)]
            item.gone = True
            self._leave(item)
        for item in self._rows.values():
            if item.state == WAITING:
                item.event = item.units = None
        stream.scanned = stream.mirror.pos

    # start

    def _offer(self, item: Item) -> None:
        """Queue an item if it may go: it is first in its lanes, committed, passed by the scan, and due."""
        if item.queued or item.gone or item.state != WAITING or not item.saved:
            return
        now_s = self._clock.now()
        if item.row is not None:
            stream = self._streams[item.stream]
            if item.seq > stream.scanned and not item.row.resend:
                self._counter += 1
                heapq.heappush(self._ahead, (item.seq, self._counter, item))
                return
            wait_s = item.due_s - now_s
            if 0 < wait_s <= self._model.retry.max_delay_s * 1.3:  # more than that: the clock was set back
                self._counter += 1
                heapq.heappush(self._due, (item.due_s, self._counter, item.seq, item))
                return
        if item.foreign or self._lanes.may_start(item):
            item.queued = True
            self._ready.append(item)

    def _pump(self) -> None:
        """Start what may start."""
        now_s = self._clock.now()
        while self._due and (self._due[0][0] <= now_s or self._due[0][0] > now_s + self._model.retry.max_delay_s * 1.3):
            item = heapq.heappop(self._due)[3]
            self._offer_due(item)
        assert self.gate is not None
        if self._unsaved() >= UNSAVED_MAX:
            return
        slots = self.gate.slots(now_s, len(self._flights))
        while slots > 0 and self._throttle.delay_s(self._clock.monotonic()) <= 0:
            if batch := self._batches.take(self._clock.monotonic()):
                members = [(item, unit) for item, unit in batch.members if not self._is_lost(item)]
                if not members:
                    continue
                self._fly(members)
            elif (ready := self._next()) is None:
                return
            elif ready.units is None:
                self._lanes.take_off(ready)
                self._spawn(self._load(ready))
            else:
                self._start(ready)
            slots = self.gate.slots(now_s, len(self._flights))

    def _offer_due(self, item: Item) -> None:
        if not (item.queued or item.gone or item.state != WAITING or not item.saved) and (item.foreign or self._lanes.may_start(item)):
            item.queued = True
            self._ready.append(item)

    def _unsaved(self) -> int:
        return sum(len(stream.settlements) for stream in self._streams.values())

    def _is_lost(self, item: Item) -> bool:
        """An item that expired while it waited in a batch."""
        if item.gone:
            item.left -= 1
            if item.left <= 0:
                self._land(item, ENDED)
                self._leave(item)
        return item.gone

    def _next(self) -> Item | None:
        """The next ready item that may still start; foreign ones that may not yet go to the end."""
        if self._batches.waiting >= self._window:
            return None
        for _ in range(len(self._ready)):
            item = self._ready.popleft()
            if item.gone or item.state != WAITING:
                item.queued = False
            elif item.foreign and not self._may_go_beside(item):
                self._ready.append(item)
            elif self._lanes.may_start(item):
                item.queued = False
                return item
            elif item.foreign:
                self._ready.append(item)
            else:
                item.queued = False
        return None

    def _may_go_beside(self, item: Item) -> bool:
        """Replayed and re-sent items are background load: at most half the concurrency, and at the pace of their job."""
        pace = self._streams[item.stream].pace
        return self._lanes.foreign_flying < max(1, self._limit // 2) and pace.delay_s(self._clock.monotonic()) <= 0

    def _start(self, item: Item) -> None:
        """Take off with all units of the event (rule 5.5)."""
        units = item.units or []
        self._lanes.take_off(item)
        if item.foreign:
            self._streams[item.stream].pace.take(self._clock.monotonic())
        item.left = len(units)
        item.results = []
        for unit in units:
            if unit.problem:
                self._end_unit(item, unit, _refused(unit), None)
            elif unit.batch_key:
                self._batches.add(item, unit, self._clock.monotonic())
            else:
                self._fly([(item, unit)])
        if not units:
            self._end(item)

    def _fly(self, members: list[tuple[Item, Unit]]) -> None:
        self._throttle.take(self._clock.monotonic())
        self._spawn(self._attempt(members))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        flight = spawn(work, name=f"attempt:{self._model.slug}")
        self._flights.add(flight)
        flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._wake.set()
        if not flight.cancelled() and (error := flight.exception()) is not None:
            self._error = error

    async def _load(self, item: Item) -> None:
        """Bring back the event of a row and decide it under the version in use."""
        assert item.row is not None
        stream = self._streams[item.stream]
        event = (await stream.consumer.fetch([item.seq])).get(item.seq)
        if event is None or item.gone:  # a missing body is no error: the ledger has decided (trap 9)
            self._land(item, ENDED)
            self._vanish(item)
            return
        item.event = stream.marked(event)
        sourced = self._means.feed.sourced(Claim(item.seq, item.event))
        decision = destination_side(sourced, self.destination)
        wanted = item.row.subscription_id
        if not isinstance(decision, Drop):
            units = [unit for unit in decision if wanted in (WHOLE, unit.subscription_id)]
            if units:
                item.units = units
                self._land(item, WAITING)
                item.queued = True
                self._ready.appendleft(item)
                return
            decision = Drop("trigger", "NO_MATCHING_MAPPING")
        if decision.code == "destination_disabled":  # open rows wait until it is switched on again
            self._land(item, WAITING)
            return
        item.results = [Outcome(wanted, decision.door.value, decision.code, item.row.attempts, item.row.first_s)]
        self._end(item)

    async def _attempt(self, members: list[tuple[Item, Unit]]) -> None:
        """One attempt, its verdict, and for a refused batch the halves of it."""
        units = [unit for _, unit in members]
        started = self._clock.monotonic()
        now_s = self._clock.now()
        if self._means.sink is not None:
            answers = await attempt_sink(units, self._means.sink, self.destination)
        else:
            answers = await attempt(units, self.destination, self._means.transport, now_s=now_s)
        duration_ms = (self._clock.monotonic() - started) * 1000
        verdicts = [self._judge(answer, len(members) > 1, duration_ms) for answer in answers]
        if verdicts[0].kind is Kind.SPLIT:
            half = len(members) // 2
            await self._attempt(members[:half])
            await self._attempt(members[half:])
            return
        shut = self._note(verdicts)
        for (item, unit), answer, verdict in zip(members, answers, verdicts, strict=True):
            self._end_unit(item, unit, verdict, answer, shut=shut)

    def _note(self, verdicts: Sequence[Verdict]) -> bool:
        """Tell the gate of a failed attempt, once however many units it carried. Returns whether the units wait for the gate."""
        gate = self.gate
        assert gate is not None
        failed = next((verdict for verdict in verdicts if verdict.kind is Kind.RETRY), None)
        if failed is None:
            return False
        if failed.retry_after_s:
            self._throttle.pause(self._clock.monotonic() + failed.retry_after_s)
        was_shut = gate.is_shut
        shut = gate.failure(self._clock.now())
        if shut and not was_shut:
            self._means.observer.emit(BreakerChanged(destination=self._model.slug, state="open"))
        return shut or self._is_sink  # a sink fails as a whole: no event of it is to blame

    def _judge(self, answer: Answer, batch: bool, duration_ms: float) -> Verdict:
        verdict = judge(
            answer.result, batch=batch, retry_all=self._model.retry_all, now_s=self._clock.now(), sample_bytes=self._model.response_sample_bytes
        )
        verdict.duration_ms = duration_ms
        return verdict

    # end

    def _end_unit(self, item: Item, unit: Unit, verdict: Verdict, answer: Answer | None, *, shut: bool = False) -> None:
        """What one unit's verdict means for it, the gate and the journal."""
        now_s = self._clock.now()
        row = item.row
        made = 0 if answer is None else 1
        attempts = (row.attempts if row else 0) + made
        first_s = (row.first_s if row and row.first_s else now_s) if made else 0.0
        outcome = self._outcome(f"{item.seq}/{unit.subscription_id}", unit, verdict, answer, attempts, first_s, now_s, shut)
        if outcome is not None:
            item.results.append(outcome)
        result, code = (outcome.result, outcome.code) if outcome else ("hold", verdict.code)
        stream = self._streams[item.stream]
        stream.attempts.append(
            Attempt(
                item.seq, unit.subscription_id, attempts, result, code, verdict.status, round(verdict.duration_ms, 2), now_s, self.destination.version
            )
        )
        self._means.observer.emit(
            DeliveryAttempted(
                destination=self._model.slug,
                source=item.source_id,
                message_id=unit.event.message_id,
                definition=self._model.type,
                action=unit.action.slug if unit.action else "",
                attempt=attempts,
                outcome=result,
                status=verdict.status,
                code=code,
                duration_ms=verdict.duration_ms,
                entries=1,
            )
        )
        item.left -= 1
        if item.left == 0:
            self._end(item)

    def _outcome(
        self, key: str, unit: Unit, verdict: Verdict, answer: Answer | None, attempts: int, first_s: float, now_s: float, shut: bool
    ) -> Outcome | None:
        """The outcome to write; None: the verdict was about the destination, the unit waits."""
        gate = self.gate
        assert gate is not None
        subscription_id = unit.subscription_id
        if verdict.kind is Kind.DELIVERED:
            shut_s = gate.shut_s(now_s)
            if gate.success(key, now_s):
                self._reopened(shut_s)
            return Outcome(subscription_id, DELIVERED, DELIVERED, attempts, first_s, status=verdict.status)
        detail = detail_of(answer, verdict) if answer else b""
        dead = Outcome(subscription_id, DEAD, verdict.code, attempts, first_s, 0.0, verdict.status, detail or verdict.sample)
        sample = verdict.sample.decode("utf-8", "replace")
        if verdict.kind is Kind.HOLD:
            was_held = gate.hold is not None
            if not gate.refuse(key, verdict.code, verdict.status, sample, now_s, min_attempts=self._model.retry.min_attempts):
                return dead
            if not was_held:
                self._means.observer.emit(DestinationHeld(destination=self._model.slug, by="relay", code=verdict.code, status=verdict.status))
            return None
        if verdict.kind is Kind.DEAD:
            if answer is not None and gate.permanent(verdict.status, sample, now_s):
                self._means.observer.emit(DestinationHeld(destination=self._model.slug, by="relay", code="refused", status=verdict.status))
            return dead
        if shut:
            return None
        due_s = decide(verdict, attempts=attempts, first_s=first_s, limits=self._model.retry, now_s=now_s, draw=self._means.chance.draw)
        if due_s is None:
            return dead
        return Outcome(subscription_id, RETRY, verdict.code, attempts, first_s, due_s, verdict.status, detail)

    def _reopened(self, shut_s: float) -> None:
        """The gate opened by a success: the time it was shut does not count towards giving up."""
        for item in self._rows.values():
            if item.row is not None and item.row.first_s:
                item.row.first_s += shut_s
        self._means.observer.emit(DestinationReleased(destination=self._model.slug))

    def _end(self, item: Item) -> None:
        """All units of an item have an end, or wait for the gate."""
        if item.gone:
            self._land(item, ENDED)
            self._leave(item)
            return
        row, units = item.row, item.units or []
        have = {outcome.subscription_id for outcome in item.results}
        waiting = [unit for unit in units if unit.subscription_id not in have] if item.results or units else []
        if waiting and not item.results:  # nothing is known about this event: it goes again when the gate lets it
            self._land(item, WAITING)
            item.queued = False
            self._offer(item)
            return
        now_s = self._clock.now()
        attempts, first_s = (row.attempts, row.first_s) if row else (0, 0.0)
        item.results += [Outcome(unit.subscription_id, RETRY, "breaker_open", attempts, first_s, now_s) for unit in waiting]
        stream = self._streams[item.stream]
        stream.settle(Settlement(item.seq, item.source_id, tuple(item.results), self._row_keys(item), row.subscription_id if row else None), item)
        if row is not None:
            self._rows.pop((item.stream, item.seq, row.subscription_id), None)
            stream.open_rows -= 1
        else:
            self._items.pop((item.stream, item.seq), None)
        retries = [outcome for outcome in item.results if outcome.result == RETRY]
        self._land(item, ENDED)
        if retries:
            self._become_rows(stream, item, retries)
        elif all(outcome.result == DELIVERED for outcome in item.results):
            self._leave(item)  # rule 5.7: delivered frees the lane at once, every other door after its commit

    def _row_keys(self, item: Item) -> tuple[str, ...]:
        return item.event.keys if item.event else item.row.keys if item.row else item.keys

    def _become_rows(self, stream: Stream, item: Item, retries: list[Outcome]) -> None:
        """The item goes on as rows, and what waited behind it in memory is parked behind them in the same settle (rule 5.6)."""
        resend = bool(item.row and item.row.resend)
        behind = [] if item.foreign else self._lanes.behind(item)
        for outcome in retries:
            row = Row(
                item.seq, outcome.subscription_id, RETRY, item.source_id, self._row_keys(item), outcome.attempts, outcome.first_s,
                outcome.due_s, resend, outcome.code, outcome.status,
            )  # fmt: skip
            stream.after_commit.append(self._add_row(stream, row, saved=False))
        self._leave(item)
        for other in behind:
            if other.stream == stream.name:
                del self._items[(other.stream, other.seq)]
                other.gone = True
                self._park(stream, other)
                self._leave(other)

    def _land(self, item: Item, state: str) -> None:
        if item.state == FLYING:
            for other in self._lanes.land(item, state):
                self._offer(other)
        item.state = state

    def _leave(self, item: Item) -> None:
        for other in self._lanes.leave(item):
            self._offer(other)

    # commit

    def _flush(self) -> None:
        """Begin the commits that are wanted; one at a time per stream, so that outcomes gather meanwhile."""
        assert self.gate is not None
        now_s = self._clock.monotonic()
        for stream in list(self._streams.values()):
            if stream.wants_commit(now_s, {"": 1} if stream.end is None and self.gate.dirty else None):
                stream.settling = spawn(self._commit(stream), name=f"settle:{stream.name}")
                stream.settling.add_done_callback(self._committed(stream))
            elif stream.is_over:
                del self._streams[stream.name]

    def _committed(self, stream: Stream) -> Callable[["asyncio.Task[None]"], None]:
        def done(task: "asyncio.Task[None]") -> None:
            stream.settling = None
            self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                self._error = error

        return done

    async def _commit(self, stream: Stream) -> None:
        patch = self.gate.patch() if self.gate and stream.end is None else None
        if stream.settlements or stream.attempts or patch:
            await stream.commit(self._clock.monotonic(), patch, lambda items: self._saved(stream, items))

    def _saved(self, stream: Stream, items: Sequence[Item]) -> None:
        for item in items:
            if item.state == ENDED:
                self._leave(item)
            elif item.row is not None and not item.gone:
                item.saved = True
                stream.open_rows += 1
                self._offer(item)

    # wait

    async def _rest(self) -> None:
        """Until something happens or the next deadline; at most a second, so that idle marks and ticks are on time."""
        if self._wake.is_set():
            return
        monotonic, now_s = self._clock.monotonic(), self._clock.now()
        wait_s = min(TICK_S, self._batches.next_s() - monotonic)
        if self._due:
            wait_s = min(wait_s, self._due[0][0] - now_s)
        assert self.gate is not None
        if self._ready:
            for at in (self.gate.next_s() - now_s, self._throttle.delay_s(monotonic)):
                if at > 0:
                    wait_s = min(wait_s, at)
        timer = asyncio.get_running_loop().call_later(max(0.001, wait_s), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()


def _refused(unit: Unit) -> Verdict:
    return Verdict(Kind.DEAD, unit.problem_code, None, None, 0.0, unit.problem.encode())

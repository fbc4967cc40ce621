"""The end of an attempt and of an item: what the verdicts mean for the ledger, the lanes, the journal and the facts.

Everything is handed to the next commit here, nothing is written. Names of rules are from the outbox page.
"""

from collections.abc import Iterator, Sequence

from relay.base.event import Event
from relay.delivery.attempt import Answer, detail_of
from relay.delivery.crashes import ENDS, hand
from relay.delivery.desk import Desk
from relay.delivery.lanes import ENDED, WAITING, Item, Members
from relay.delivery.outcomes import DELIVERED, Outcomes
from relay.delivery.stream import Stream
from relay.delivery.verdict import Kind, Verdict
from relay.observe.facts import DeliveryAttempted
from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Attempt, HeldAttempt, Outcome, Row, Settlement
from relay.outbox.ledger import whole
from relay.pipeline.decision import Unit

CRASH = "crash"


class Ends:
    """Writes down, for one destination, what became of its events."""

    def __init__(self, desk: Desk, outcomes: Outcomes) -> None:
        self._desk = desk
        self._outcomes = outcomes
        self._version = desk.destination.version
        self._slug, self._type = desk.destination.destination.slug, desk.destination.destination.type

    # an attempt

    def attempt(self, members: Members, answers: Sequence[Answer], duration_ms: float) -> bool:
        """What came back for each member; False: nothing has ended, the batch is to go again in halves, at once."""
        verdicts = self._outcomes.judge(answers, duration_ms)
        first = verdicts[0]
        if first.kind is Kind.DELIVERED and self._desk.gate.is_calm and _are_plain(members) and verdicts.count(first) == len(verdicts):
            self._delivered(members, first)
            return True
        self._desk.board.tie(members)
        if first.kind is Kind.SPLIT:
            return False
        shut = self._outcomes.note_failure(verdicts)
        for (item, unit), answer, verdict in zip(members, answers, verdicts, strict=True):
            assert item is not None, "tied above"
            self.unit(item, unit, verdict, answer, shut=shut)
        return True

    def _delivered(self, members: Members, verdict: Verdict) -> None:
        """An attempt of plain members was delivered: one outcome for each run of seqs."""
        board, live, now_s, first = self._desk.board, self._desk.live, self._desk.clock.now(), members[0][1]
        subscription_id, duration_ms = first.subscription_id, round(verdict.duration_ms, 2)
        self._desk.gate.success("", now_s)
        outcomes = (Outcome(subscription_id, DELIVERED, DELIVERED, 1, now_s, status=verdict.status),)
        for low, last, source_id in _runs(members):
            live.settle(Settlement(low, source_id, outcomes, last=last), None)
            live.attempts.append(Attempt(low, subscription_id, 1, DELIVERED, DELIVERED, verdict.status, duration_ms, now_s, self._version, last))
        for item, _ in members:
            if item is None:
                board.loose -= 1
            else:
                if live.caution:
                    live.caution.clear(hand(item.seq))
                board.settled(item)
                board.leave(item)  # rule 5.7: delivered frees the lane at once
        line = live.attempts[-1]
        self._tell(line, first.event, _action(first), now_s - first.event.received_ms / 1000, len(members))
        members.clear()  # the flight is known until its task has ended, and these are not to be tied any more

    def unit(self, item: Item, unit: Unit, verdict: Verdict, answer: Answer | None, *, shut: bool = False) -> None:
        """What one unit's verdict means; ends the item with its last unit. `answer` None: nothing was sent. `shut`: it waits for the gate."""
        gate, now_s, row = self._desk.gate, self._desk.clock.now(), item.row
        attempts = (row.attempts if row else 0) + (answer is not None)
        first_s = row.first_s if row and row.first_s else now_s
        shut_s = gate.shut_s(now_s)
        outcome = self._outcomes.outcome(f"{item.seq}/{unit.subscription_id}", unit, verdict, answer, attempts, first_s, shut=shut)
        if shut_s and not gate.is_shut:
            self._forgive(shut_s)
        if outcome is not None:
            item.results.append(outcome)
        result, code = (outcome.result, outcome.code) if outcome else ("hold", verdict.code)
        line = Attempt(item.seq, unit.subscription_id, attempts, result, code, verdict.status, round(verdict.duration_ms, 2), now_s, self._version)
        if outcome is None and answer is not None:  # it leaves no row that could keep what was said
            line = held = HeldAttempt(*line)
            held.detail = detail_of(answer, verdict)
        self._desk.board.streams[item.stream].attempts.append(line)
        latency_s = None if item.foreign else now_s - unit.event.received_ms / 1000
        self._tell(line, unit.event, _action(unit), latency_s)
        item.left -= 1
        if item.left == 0:
            self.item(item)

    def _forgive(self, shut_s: float) -> None:
        """The gate opened by a success: the time it was shut does not count towards giving up."""
        for item in self._desk.board.rows.values():
            if item.row is not None and item.row.first_s:
                item.row.first_s += shut_s

    def convict(self, stream: Stream, seq: int, event: Event, row: Row | None = None) -> Outcome:
        """The outcome of an event that has ended the process too often."""
        subscription_id, now_s = row.subscription_id if row else WHOLE, self._desk.clock.now()
        attempts, first_s = (row.attempts if row else 0) + ENDS, row.first_s if row else now_s
        line = Attempt(seq, subscription_id, attempts, DEAD, CRASH, None, 0.0, now_s, self._version)
        stream.attempts.append(line)
        self._tell(line, event, "", None)
        return Outcome(subscription_id, DEAD, CRASH, attempts, first_s)

    def _tell(self, line: Attempt, event: Event, action: str, latency_s: float | None, entries: int = 1) -> None:
        """The fact of a line of the journal."""
        _, _, attempts, result, code, status, duration_ms, *_ = line
        slug, kind = self._slug, self._type
        self._desk.means.observer.emit(
            DeliveryAttempted(slug, event.source_id, event.message_id, kind, action, attempts, result, status, code, duration_ms, latency_s, entries)
        )

    # an item

    def item(self, item: Item) -> None:
        """Every unit of an item has an outcome, or waits for the gate."""
        board, row = self._desk.board, item.row
        stream = board.streams[item.stream]
        if stream.caution:
            stream.caution.clear(hand(item.seq, row))
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
        delivered = not waiting and all(outcome.result == DELIVERED for outcome in item.results)
        attempts, first_s = (row.attempts, row.first_s) if row else (0, 0.0)
        code = "breaker_open" if self._desk.gate.is_shut else "RETRY"
        item.results += [Outcome(waits, RETRY, code, attempts, first_s, self._desk.clock.now()) for waits in waiting]
        settlement = Settlement(item.seq, item.source_id, tuple(item.results), _stored_keys(item), row.subscription_id if row else None)
        stream.settle(settlement, None if delivered else item)
        board.settled(item)
        retries = [outcome for outcome in item.results if outcome.result == RETRY]
        if retries:
            self._become_rows(stream, item, retries)
        elif delivered:
            board.leave(item)  # rule 5.7: delivered frees the lane at once, every other door after its commit

    def _become_rows(self, stream: Stream, item: Item, retries: Sequence[Outcome]) -> None:
        """The item goes on as rows; what waited behind it in memory is parked behind them in the same settle (rule 5.6)."""
        board = self._desk.board
        behind = [] if item.foreign else board.lanes.behind(item)
        for outcome in retries:
            row = Row(
                item.seq, outcome.subscription_id, RETRY, item.source_id, _stored_keys(item), outcome.attempts, outcome.first_s,
                outcome.due_s, bool(item.row and item.row.resend), outcome.code, outcome.status,
            )  # fmt: skip
            stream.after_commit.append(board.add_row(stream, row, saved=False))
        board.leave(item)
        for other in behind:
            self.park(stream, other)
            board.vanish(other)

    def park(self, stream: Stream, item: Item) -> None:
        """The event waits as a row behind an earlier row of its lane (rule 5.6)."""
        keys = _stored_keys(item)
        stream.settle(Settlement(item.seq, item.source_id, (whole(PARKED, "parked"),), keys), None)
        row = Row(item.seq, WHOLE, PARKED, item.source_id, keys, code="parked")
        stream.after_commit.append(self._desk.board.add_row(stream, row, saved=False))


def _action(unit: Unit) -> str:
    return unit.action.slug if unit.action else ""


def _are_plain(members: Members) -> bool:
    """Whether each is the first attempt of a live event with this one unit: then nothing is to be told apart."""
    for item, _ in members:
        if item is not None and (item.left != 1 or item.row is not None or item.foreign or item.results or item.gone):
            return False
    return True


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

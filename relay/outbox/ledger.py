"""The ledger: what a settlement does to a consumer's cursor, rows and counters. Pure; the same for every engine.

A ledger decides on what the store holds now, never on what the sender believed: what is already settled counts `late`.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from relay.base.codes import Door
from relay.observe.tallies import Tally, TallyKey
from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Cursor, Outcome, Row, Settlement

WINDOW = 4096
"""How far a consumer may settle above its cursor: `ahead` stays within 512 bytes."""

Rows = MutableMapping[tuple[int, str], Row]


@dataclass(slots=True)
class Changes:
    """What to write besides the cursor."""

    put: dict[tuple[int, str], Row] = field(default_factory=dict)
    drop: set[tuple[int, str]] = field(default_factory=set)
    tally: Tally = field(default_factory=dict)


def is_open(row: Row) -> bool:
    return row.state != DEAD


def destination_of(consumer: str) -> str:
    """The destination id in a consumer's name (`<destination>` or `<destination>#<job>`)."""
    return consumer.partition("#")[0]


def mark(cursor: Cursor, first: int, last: int) -> int:
    """Settle the seqs `first` to `last`; moves `pos` over what is done. Returns how many were not settled before."""
    pos, ahead = cursor.pos, cursor.ahead
    if first == last == pos + 1 and not ahead:
        cursor.pos = last
        return 1
    first = max(first, pos + 1)
    if last < first:
        return 0
    mask = ((1 << (last - first + 1)) - 1) << (first - pos - 1)
    fresh = (mask & ~ahead).bit_count()
    ahead |= mask
    done = (~ahead & (ahead + 1)).bit_length() - 1
    cursor.pos, cursor.ahead = pos + done, ahead >> done
    return fresh


class Books:
    """One settle in progress on a cursor that was just read: feed it settlements, then write `cursor` and `changes`."""

    def __init__(self, cursor: Cursor, rows: Rows, *, now_s: float) -> None:
        self.cursor = cursor
        self.rows = rows
        self.changes = Changes()
        self._now_s = now_s
        self._minute = int(now_s // 60)
        self._destination = destination_of(cursor.name)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        cursor = self.cursor
        for one in settlements:
            if one.row is not None:
                self._settle_row(one, one.row)
            elif not one.outcomes:
                cursor.skipped += mark(cursor, one.seq, max(one.seq, one.last))
            else:
                last = max(one.seq, one.last)
                fresh = mark(cursor, one.seq, last)
                cursor.late += last + 1 - one.seq - fresh
                cursor.extra += (len(one.outcomes) - 1) * fresh
                if fresh:
                    for outcome in one.outcomes:
                        self._enter(one, outcome, resend=False, count=fresh)

    def _settle_row(self, one: Settlement, subscription_id: str) -> None:
        row = self.rows.get((one.seq, subscription_id))
        if row is None or not is_open(row):
            self.cursor.late += 1
            return
        self.take(row)
        self.cursor.extra += len(one.outcomes) - 1
        for outcome in one.outcomes:
            self._enter(one, outcome, resend=row.resend)

    def _enter(self, one: Settlement, outcome: Outcome, *, resend: bool, count: int = 1) -> None:
        result = outcome.result
        if result in (RETRY, PARKED):
            self._put(one, outcome, result, resend=resend)
        else:
            self.door(result, count)
            if result == DEAD:
                self._put(one, outcome, DEAD, resend=False)
        if result != PARKED:
            self.count(one.source_id, result, outcome.code, first=outcome.attempts <= 1, count=count)

    def _put(self, one: Settlement, outcome: Outcome, state: str, *, resend: bool) -> None:
        self.put(
            Row(
                one.seq, outcome.subscription_id, state, one.source_id, one.keys, outcome.attempts, outcome.first_s, outcome.due_s,
                resend, outcome.code, outcome.status, self._now_s, outcome.detail,
            )
        )  # fmt: skip

    def put(self, row: Row) -> None:
        key = (row.seq, row.subscription_id)
        self.rows[key] = self.changes.put[key] = row
        self.changes.drop.discard(key)

    def take(self, row: Row) -> None:
        key = (row.seq, row.subscription_id)
        del self.rows[key]
        self.changes.put.pop(key, None)
        self.changes.drop.add(key)

    def door(self, door: str, count: int = 1) -> None:
        self.cursor.doors[door] = self.cursor.doors.get(door, 0) + count

    def count(self, source_id: str, stage: str, code: str, *, first: bool = True, count: int = 1) -> None:
        key = TallyKey(self._minute, source_id, self._destination, stage, code, first)
        tally = self.changes.tally
        tally[key] = tally.get(key, 0) + count

    def give_up(self, upto: int, sources_by_seq: Sequence[tuple[int, str]], connected: frozenset[str], door: Door, code: str) -> int:
        """Everything pending up to `upto` leaves by `door`; what is not connected is skipped. Returns the entries that left."""
        left = 0
        for seq, source_id in sources_by_seq:
            if self.cursor.is_done(seq):
                continue
            mark(self.cursor, seq, seq)
            if source_id in connected:
                left += self._leave(source_id, door, code)
            else:
                self.cursor.skipped += 1
        if upto > self.cursor.pos:  # a gap in the log (an erased slice) is nobody's entry
            self.cursor.skipped += mark(self.cursor, self.cursor.pos + 1, upto)
        return left + self.abandon([row for row in self.rows.values() if is_open(row) and row.seq <= upto], door, code)

    def abandon(self, rows: Sequence[Row], door: Door, code: str) -> int:
        """These open rows leave by `door`; returns how many."""
        for row in rows:
            self.take(row)
            self._leave(row.source_id, door, code)
        return len(rows)

    def _leave(self, source_id: str, door: Door, code: str) -> int:
        self.door(door.value)
        self.count(source_id, door.value, code)
        return 1

    def reopen(self, row: Row) -> Row:
        """A dead row goes again: attempts 0, no lane, one entry more."""
        again = Row(
            row.seq, row.subscription_id, RETRY, row.source_id, row.keys, due_s=self._now_s, resend=True, code=row.code,
            status=row.status, changed_s=self._now_s, detail=row.detail,
        )  # fmt: skip
        self.put(again)
        self.cursor.extra += 1
        return again


def whole(result: str, code: str) -> Outcome:
    """The outcome of an event that is not split into units."""
    return Outcome(WHOLE, result, code)

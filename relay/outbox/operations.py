"""The operations of the outbox, each one function on a transaction: it decides on what it reads there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from relay.base.codes import Door
from relay.base.event import Event
from relay.base.ids import dedup_hash
from relay.kit.subjects import Subjects
from relay.observe import rollup
from relay.observe.latency import Latency
from relay.observe.rollup import Fold
from relay.observe.tallies import Tally, TallyKey, add
from relay.outbox.interface import (
    RETRY,
    ROUTER,
    Appended,
    Attempt,
    Changed,
    Claim,
    Cursor,
    Naming,
    Past,
    RefusedMessage,
    Row,
    Sample,
    Selection,
    Settlement,
    Traces,
)
from relay.outbox.ledger import Books, is_open
from relay.outbox.transaction import Transaction

EXPIRE_STEP = 5_000
REFUSED_A_GROUP = 100
"""Refused messages and duplicates that are kept of one commit; the rest is only counted."""
REFUSED_KEPT = 10_000
ALL = 1_000_000_000
SAMPLES_KEPT = 10
"""Per destination and code, as in Segment's event delivery."""


@dataclass(slots=True)
class AppendedGroup:
    """What an append did: answers in the order of the events, and the new log rows."""

    answers: list[Appended]
    stored: list[Claim]
    head: int
    refused: Sequence[RefusedMessage] = ()
    """Refused messages and duplicates that are kept, with their ids."""
    tally: Tally = field(default_factory=dict)


def append(tx: Transaction, events: Sequence[Event], refused: Sequence[RefusedMessage] = (), *, derived: bool = False) -> AppendedGroup:
    """Dedup against the last 24 h and within the group, then store. A hash that hits is confirmed while the log has the first one.

    `derived`: relay's own events, whose duplicates are nobody's news (a step that a crash repeats).
    """
    head = tx.head()
    hashes = [dedup_hash(event.source_id, event.message_id) for event in events]
    known = tx.known(hashes) if events else {}
    if known or len(set(hashes)) < len(hashes):
        answers, stored, hashes = _sort_out(tx, head, events, hashes, known)
    else:
        answers = [Appended(seq, False) for seq in range(head + 1, head + 1 + len(events))]
        stored = list(map(Claim, range(head + 1, head + 1 + len(events)), events))
    if stored:
        tx.insert(stored)
        tx.remember(head + 1, hashes)
        head = stored[-1].seq
        tx.set_head(head)
    group = AppendedGroup(answers, stored, head)
    if refused or (len(stored) < len(events) and not derived):
        _keep_refused(tx, group, [*refused, *_duplicates(events, answers)])
    return group


def _sort_out(
    tx: Transaction, head: int, events: Sequence[Event], hashes: Sequence[int], known: Mapping[int, int]
) -> tuple[list[Appended], list[Claim], list[int]]:
    """The answers, the events that are new, and their hashes."""
    confirmed = _same_message(tx, known, dict(zip(hashes, events, strict=True))) if known else {}
    answers: list[Appended] = []
    stored: list[Claim] = []
    stored_hashes: list[int] = []
    fresh: dict[int, tuple[int, str]] = {}
    for event, key in zip(events, hashes, strict=True):
        if key in confirmed:
            answers.append(Appended(confirmed[key], True))
        elif key in fresh and fresh[key][1] == event.message_id:
            answers.append(Appended(fresh[key][0], True))
        else:
            head += 1
            stored.append(Claim(head, event))
            stored_hashes.append(key)
            fresh[key] = (head, event.message_id)
            answers.append(Appended(head, False))
    return answers, stored, stored_hashes


def _duplicates(events: Sequence[Event], answers: Sequence[Appended]) -> list[RefusedMessage]:
    """The events that were not stored again, as messages for people."""
    return [
        RefusedMessage(
            event.source_id, "duplicate", event.received_ms, event.message_id, event.type, event.name, event.user_id, event.anonymous_id,
            event.body, answer.seq,
        )
        for event, answer in zip(events, answers, strict=True)
        if answer.duplicate
    ]  # fmt: skip


def _keep_refused(tx: Transaction, group: AppendedGroup, messages: Sequence[RefusedMessage]) -> None:
    """Count all, keep the first of them: a client gone wrong must not fill the disk with what is refused."""
    for one in messages:
        key = TallyKey(one.received_ms // 60_000, one.source_id, "", "ingest", one.code, False)
        group.tally[key] = group.tally.get(key, 0) + 1
    tx.count(group.tally)
    kept = messages[:REFUSED_A_GROUP]
    first = tx.keep_refused(kept)
    group.refused = [replace(one, refused_id=number) for number, one in enumerate(kept, first)]


def _same_message(tx: Transaction, known: Mapping[int, int], by_hash: Mapping[int, Event]) -> dict[int, int]:
    """The hits whose stored messageId is the same, or can no longer be read."""
    first = tx.events_at(list(known.values()))
    same = {}
    for key, seq in known.items():
        stored = first.get(seq)
        if stored is None or not stored.body or stored.message_id == by_hash[key].message_id:
            same[key] = seq
    return same


def create(tx: Transaction, name: str, at: int | None, end: int | None, state: Mapping[str, Any] | None) -> None:
    if tx.cursor(name) is None:
        start = tx.head() if at is None else at
        tx.put_cursor(Cursor(name, start, start, end=end, state=dict(state or {})))


def open_consumer(tx: Transaction, name: str) -> tuple[Cursor, list[Row]]:
    """Raise the epoch and read everything the successor needs. Raises KeyError when there is no such consumer."""
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    cursor.epoch += 1
    tx.put_cursor(cursor)
    return cursor, tx.open_rows(name)


@dataclass(slots=True)
class Step:
    """What a settle carries."""

    settlements: Sequence[Settlement]
    attempts: Sequence[Attempt] = ()
    patch: Mapping[str, Any] | None = None
    """Keys of the state to set; None as a value removes. A hold by a person is never touched."""
    derived: Sequence[Event] = ()
    tally: Tally = field(default_factory=dict)


@dataclass(slots=True)
class Settled:
    """What a settle did."""

    tally: Tally
    derived: AppendedGroup | None = None
    late: bool = False
    """A successor had opened: nothing was changed."""
    forgotten: Sequence[tuple[int, str]] = ()
    """Rows that were not kept: their event was erased while it was on its way."""


def settle(tx: Transaction, name: str, epoch: int, step: Step, now_s: float) -> Settled:
    cursor = tx.cursor(name)
    if cursor is None or cursor.epoch != epoch:
        if cursor is not None and step.settlements:
            cursor.late += len(step.settlements)
            tx.put_cursor(cursor)
        return Settled({}, late=True)
    touched = {one.seq for one in step.settlements if one.row is not None}
    rows = {(row.seq, row.subscription_id): row for row in tx.rows_at(name, touched)} if touched else {}
    books = Books(cursor, rows, now_s=now_s)
    books.settle(step.settlements)
    if step.patch:
        cursor.state = patched(cursor.state, step.patch)
    tally = books.changes.tally if name != ROUTER else step.tally
    forgotten = _forget_late(tx, books) if books.changes.put else ()
    _write(tx, books, tally)
    if step.attempts:
        tx.write_journal(name, step.attempts)
    return Settled(tally, forgotten=forgotten, derived=append(tx, step.derived, derived=True) if step.derived else None)


def _forget_late(tx: Transaction, books: Books) -> Sequence[tuple[int, str]]:
    """A row would bring back the keys and the request of an event that was erased while it was on its way: none is kept."""
    erased = tx.tombstones(sorted({seq for seq, _ in books.changes.put}))
    rows = [row for key, row in books.changes.put.items() if key[0] in erased]
    books.abandon([row for row in rows if is_open(row)], Door.DISCARDED, "forgotten")
    for row in rows:
        if not is_open(row):
            books.take(row)
    return [(row.seq, row.subscription_id) for row in rows]


def patched(state: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with an actor's changes; what a person holds only a person ends."""
    held_by_user = (state.get("hold") or {}).get("by") == "user"
    merged = dict(state) | {key: value for key, value in patch.items() if not (held_by_user and key == "hold")}
    return {key: value for key, value in merged.items() if value is not None}


def _write(tx: Transaction, books: Books, tally: Mapping[Any, int]) -> None:
    name = books.cursor.name
    tx.put_cursor(books.cursor)
    if books.changes.drop:
        tx.delete_rows(name, books.changes.drop)
    if books.changes.put:
        tx.put_rows(name, books.changes.put.values())
    if tally:
        tx.count(tally)


def set_state(tx: Transaction, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Changed:
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    cursor.state = change(dict(cursor.state))
    tx.put_cursor(cursor)
    return Changed(state=cursor.state)


def selected(tx: Transaction, name: str, which: Selection, after: int = 0, limit: int = ALL) -> list[Row]:
    """Dead rows that match, above the seq `after`, the first `limit` of them."""
    seqs = list(which.seqs) if which.seqs else None
    dead = tx.dead_rows(name, which, seqs, after, ALL if which.message_ids else limit)
    if which.message_ids:
        events = tx.events_at([row.seq for row in dead])
        dead = [row for row in dead if row.seq in events and events[row.seq].message_id in which.message_ids][:limit]
    return dead


def find(tx: Transaction, message_id: str, source_id: str | None) -> list[int]:
    """Seqs of a messageId, by the dedup keys (so for at least 24 h), oldest first."""
    sources = [source_id] if source_id is not None else tx.source_ids()
    known = tx.known([dedup_hash(source, message_id) for source in sources])
    events = tx.events_at(list(known.values()))
    return sorted(seq for seq, event in events.items() if event.message_id == message_id)


def resend(tx: Transaction, name: str, which: Selection, now_s: float) -> tuple[int, Changed]:
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    dead = selected(tx, name, which)
    books = Books(cursor, {(row.seq, row.subscription_id): row for row in dead}, now_s=now_s)
    opened = tuple(books.reopen(row) for row in dead)
    _write(tx, books, {})
    return len(opened), Changed(opened=opened)


def hasten(tx: Transaction, name: str, seqs: Sequence[int], now_s: float) -> Changed:
    early = [row for row in tx.rows_at(name, seqs) if row.state == RETRY and row.due_s > now_s]
    for row in early:
        row.due_s = now_s
    tx.put_rows(name, early)
    return Changed(due=tuple((row.seq, row.subscription_id) for row in early))


def abandon(tx: Transaction, name: str, seqs: Sequence[int], now_s: float) -> tuple[Tally, Changed]:
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    rows = {(row.seq, row.subscription_id): row for row in tx.rows_at(name, seqs) if is_open(row)}
    books = Books(cursor, rows, now_s=now_s)
    books.abandon(tuple(rows.values()), Door.DISCARDED, "by_hand")
    _write(tx, books, books.changes.tally)
    return books.changes.tally, Changed(closed=tuple(sorted(books.changes.drop)))


def discard(tx: Transaction, name: str, which: Selection) -> Changed:
    dead = tuple((row.seq, row.subscription_id) for row in selected(tx, name, which))
    tx.delete_rows(name, dead)
    return Changed(closed=dead)


def expire(
    tx: Transaction, name: str, upto: int, sources: frozenset[str], now_s: float, door: Door = Door.EXPIRED, code: str = "expired",
    only: frozenset[int] | None = None,
) -> tuple[int, Tally, Changed]:  # fmt: skip
    """Give up what is pending up to `upto`, at most EXPIRE_STEP seqs above the cursor; of what was not scanned `only` these leave."""
    cursor = tx.cursor(name)
    if cursor is None:
        raise KeyError(name)
    limit = cursor.end if cursor.end is not None else tx.head()
    upto = min(upto, limit, cursor.pos + EXPIRE_STEP)
    return _give_up(tx, cursor, upto, sources, door, code, now_s, only)


def _give_up(
    tx: Transaction, cursor: Cursor, upto: int, sources: frozenset[str], door: Door, code: str, now_s: float, only: frozenset[int] | None = None
) -> tuple[int, Tally, Changed]:
    rows = {(row.seq, row.subscription_id): row for row in tx.open_rows(cursor.name)}
    books = Books(cursor, rows, now_s=now_s)
    between = tx.sources_between(cursor.pos + 1, upto) if upto > cursor.pos else []
    if only is not None:  # the rest is nobody's entry, as a gap in the log
        between = [one for one in between if one[0] in only]
    left = books.give_up(upto, between, sources, door, code)
    _write(tx, books, books.changes.tally)
    return left, books.changes.tally, Changed(closed=tuple(sorted(books.changes.drop)), expired=upto)


def remove(tx: Transaction, name: str, sources: frozenset[str], now_s: float) -> Tally:
    """Everything pending leaves as discarded; then the consumer is gone."""
    cursor = tx.cursor(name)
    if cursor is None:
        return {}
    upto = cursor.end if cursor.end is not None else tx.head()
    _, tally, _ = _give_up(tx, cursor, upto, sources, Door.DISCARDED, "destination_removed", now_s)
    tx.delete_rows(name, [(row.seq, row.subscription_id) for row in tx.dead_rows(name, Selection(), None, 0, ALL)])
    tx.delete_cursor(name)
    tx.delete_samples_for(name)
    return tally


@dataclass(slots=True)
class Erased:
    """What an erasure did: how many events, the seq reached, and the rows that were given up, by consumer."""

    count: int = 0
    reached: int = 0
    tally: Tally = field(default_factory=dict)
    closed: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Those that changed, by consumer."""


def meant(tx: Transaction, keys: Sequence[str], after: int, limit: int, naming: Naming | None) -> tuple[list[int], int]:
    """The events of a slice that an erasure means, and the seq reached."""
    seqs, reached = tx.seqs_of(keys, after, limit)
    if naming is None:
        return seqs, reached
    named = {seq for seq, body in tx.bodies(naming.source_id, after, reached) if naming.users.mentions(body)}
    return sorted(named.union(seqs)), reached


def erase(tx: Transaction, keys: Sequence[str], after: int, limit: int, now_s: float, naming: Naming | None = None) -> Erased:
    """Tombstones above and below the cursors; dead letters and samples of the user go (they were counted before), what waits is given up."""
    seqs, reached = meant(tx, keys, after, limit, naming)
    if not seqs:
        return Erased(reached=reached)
    tx.tombstone(seqs)
    tx.delete_samples_of(seqs)
    erased = Erased(len(seqs), reached)
    _forget_rows(tx, [(name, row) for seq in seqs for name, row in tx.rows_of(seq)], erased, now_s)
    return erased


def _forget_rows(tx: Transaction, rows: Sequence[tuple[str, Row]], erased: Erased, now_s: float) -> None:
    by_name: dict[str, list[Row]] = {}
    for name, row in rows:
        by_name.setdefault(name, []).append(row)
    for name, its_rows in by_name.items():
        tx.delete_rows(name, [(row.seq, row.subscription_id) for row in its_rows if not is_open(row)])
        cursor, opened = tx.cursor(name), {(row.seq, row.subscription_id): row for row in its_rows if is_open(row)}
        if cursor is None or not opened:
            continue
        books = Books(cursor, opened, now_s=now_s)
        books.abandon(tuple(opened.values()), Door.DISCARDED, "forgotten")
        _write(tx, books, books.changes.tally)
        add(erased.tally, books.changes.tally)
        erased.closed[name] = sorted(books.changes.drop)


def erase_traces(tx: Transaction, traces: Traces, users: Subjects, now_s: float) -> Erased:
    """Delete what was found a moment ago; what has changed since is left."""
    erased = Erased()
    tx.delete_refused_at(traces.refused)
    tx.delete_samples_at(traces.samples)
    theirs = [*traces.waiting, *traces.dead]
    _forget_rows(tx, [(name, row) for name, seq, sub in theirs for row in tx.rows_at(name, [seq]) if row.subscription_id == sub], erased, now_s)
    for name, seq, sub in traces.details:
        tx.put_rows(name, [replace(row, detail=b"") for row in tx.rows_at(name, [seq]) if row.subscription_id == sub and users.mentions(row.detail)])
    for name in traces.holds:
        cursor = tx.cursor(name)
        if cursor is not None and "hold" in cursor.state:
            cursor.state = cursor.state | {"hold": cursor.state["hold"] | {"sample": ""}}
            tx.put_cursor(cursor)
            erased.states[name] = cursor.state
    return erased


def past(tx: Transaction, before: int, limit: int) -> Past:
    """What is known of the `limit` seqs below `before`."""
    first = max(1, before - limit)
    claims, _ = tx.events(first - 1, limit, None)
    return Past([claim for claim in claims if claim.seq < before], tx.rows_between(first, before - 1), tx.cursors())


@dataclass(frozen=True, slots=True)
class Keep:
    """How long history stays."""

    log_s: float = 72 * 3600
    dead_s: float = 14 * 86400
    tallies_s: float = 30 * 86400


def trim(tx: Transaction, keep: Keep, now_s: float, limit: int) -> int:
    """One slice of retention: log rows that every cursor has passed, that no row names, and whose time is over."""
    tx.delete_dead_before(now_s - keep.dead_s, limit)
    needed = [cursor.pos for cursor in tx.cursors() if cursor.end is None or cursor.pos < cursor.end]
    upto = min([tx.seq_before(int((now_s - keep.log_s) * 1000)), *needed], default=0)
    gone = tx.delete_log(upto, limit) if upto >= tx.oldest() > 0 else 0
    if gone < limit:
        tx.delete_journal_before(now_s - keep.log_s)
        tx.delete_refused(int((now_s - keep.log_s) * 1000), REFUSED_KEPT)
        tx.delete_counts_before(rollup.gone_before(int(now_s // 60), int(keep.tallies_s // 60)))
        tx.delete_samples_before(now_s - keep.tallies_s)
    return gone


def measured(tx: Transaction, latency: Latency, samples: Sequence[Sample]) -> None:
    """Delivery times and samples; of an event that was erased meanwhile no sample is kept."""
    if latency:
        tx.add_latency(latency)
    if not samples:
        return
    events = tx.events_at([sample.seq for sample in samples])
    named = [replace(one, message_id=events[one.seq].message_id if one.seq in events else "") for one in samples]
    tx.put_samples([one for one in named if one.seq not in events or events[one.seq].body], SAMPLES_KEPT)


def plan_roll_up(tx: Transaction, now_minute: int) -> Fold | None:
    """The next fold that is due; None: all is done."""
    for step, before in rollup.due(now_minute):
        minute = tx.uneven_minute(step, before)
        if minute is not None:
            return rollup.fold_at(minute, step)
    return None

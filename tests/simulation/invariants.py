"""What must hold after each commit, and what must hold when everything has come to rest (outbox page, section 9)."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.outbox.interface import DEAD, ROUTER, Cursor, Selection
from relay.outbox.operations import ALL
from relay.outbox.transaction import Transaction
from tests.simulation.receiver import Book


def after_commit(tx: Transaction, held: dict[str, set[int]]) -> list[str]:
    """Broken promises of the committed state. `held`: what the log had of each replay's range when it began (it may have holes)."""
    broken: list[str] = []
    head = tx.head()
    cursors = tx.cursors()
    there = {seq for seq, _ in tx.sources_between(1, head)}
    needed = set(range(min((cursor.pos for cursor in cursors if cursor.end is None), default=head) + 1, head + 1))
    for cursor in cursors:
        last = head if cursor.end is None else cursor.end
        if cursor.end is not None:
            range_of = held.setdefault(cursor.name, there & set(range(cursor.pos + 1, last + 1)))
            needed |= {seq for seq in range_of if seq > cursor.pos}
        open_rows = tx.open_rows(cursor.name)
        needed |= {row.seq for row in open_rows} | {row.seq for row in tx.dead_rows(cursor.name, Selection(), None, 0, ALL)}
        if problem := _balance(cursor, last, len(open_rows)):
            broken.append(problem)
        if cursor.pos + cursor.ahead.bit_length() > last or cursor.ahead & 1:
            broken.append(f"ahead of {cursor.name} is not within ({cursor.pos}, {last}]: {cursor.ahead:b}")
        if cursor.name == ROUTER:
            counted = sum(count for key, count in tx.tallies(0, ALL).items() if not key.destination_id and key.stage != "ingest")
            if counted != cursor.pos:
                broken.append(f"the router is at {cursor.pos} and has counted {counted}")
    if missing := sorted(needed - there):
        broken.append(f"no log row for {missing}")
    return broken


def _balance(cursor: Cursor, last: int, waiting: int) -> str:
    unscanned = last - cursor.pos - cursor.ahead.bit_count()
    entered = last - cursor.start + cursor.extra
    left = cursor.skipped + sum(cursor.doors.values()) + unscanned + waiting
    if entered == left:
        return ""
    return f"balance of {cursor.name}: {entered} entered, {left} = {cursor.skipped} skipped + {cursor.doors} + {unscanned} unscanned + {waiting} open"


@dataclass
class Told:
    """What the world knows at the end."""

    acked: Mapping[int, int]
    """Number of an event to its seq, as answered."""
    stored: Mapping[int, int]
    """As found in the log."""
    keys: Mapping[int, tuple[str, ...]]
    expected: Mapping[str, Mapping[int, frozenset[str]]]
    """Per destination: units of each event that every version in use wanted in the same way."""
    exempt: Mapping[str, set[int]]
    """Per destination: events that were dead, expired or erased."""
    orders: Mapping[str, str]
    resent: Mapping[str, int] = field(default_factory=dict)
    replays: Mapping[str, int] = field(default_factory=dict)


def at_rest(tx: Transaction, book: Book, told: Told) -> list[str]:
    """Broken promises of the quiet end."""
    broken = list(book.broken) + _cursors(tx)
    for number, seq in told.acked.items():
        if told.stored.get(number) != seq:
            broken.append(f"event {number} was acknowledged as seq {seq} and is stored as {told.stored.get(number)}")
    for name, events in told.expected.items():
        broken += _arrived(tx, name, events, book, told)
        if told.orders[name] != "none":
            broken += _order(name, book, told, strict=told.orders[name] == "strict")
    for unit, count in book.replayed.items():
        allowed = told.replays.get(unit[0], 0) + book.replay_allowance
        if count > allowed:
            broken.append(f"replayed {unit} {count} times, {allowed} allowed")
    return broken


def _cursors(tx: Transaction) -> list[str]:
    broken, head = [], tx.head()
    for cursor in tx.cursors():
        last = head if cursor.end is None else cursor.end
        if cursor.pos != last or cursor.ahead:
            broken.append(f"{cursor.name} is at {cursor.pos} of {last}")
        if rows := tx.open_rows(cursor.name):
            broken.append(f"{cursor.name} has open rows: {[(row.seq, row.subscription_id, row.state) for row in rows]}")
    return broken


def _arrived(tx: Transaction, name: str, events: Mapping[int, frozenset[str]], book: Book, told: Told) -> list[str]:
    broken = []
    cursor = tx.cursor(name)
    if cursor is None:
        return [f"{name} has no cursor"]
    dead = {(row.seq, row.subscription_id) for row in tx.dead_rows(name, Selection(), None, 0, ALL)}
    for number, subscriptions in events.items():
        seq = told.stored.get(number, 0)
        if seq <= cursor.start or number in told.exempt[name]:
            continue
        for subscription_id in subscriptions:
            if (name, number, subscription_id) not in book.taken and (seq, subscription_id) not in dead:
                broken.append(f"event {number} (seq {seq}) never arrived at {name}/{subscription_id}")
        for unit in book.taken:
            if unit[:2] == (name, number) and unit[2] not in subscriptions:
                broken.append(f"{unit} was sent and nobody wanted it")
    receipts = sum(count for unit, count in book.taken.items() if unit[0] == name)
    distinct = sum(1 for unit in book.taken if unit[0] == name)
    delivered = cursor.doors.get("delivered", 0)
    if delivered > receipts or delivered > distinct + told.resent.get(name, 0):
        broken.append(f"{name} counted {delivered} delivered of {receipts} receipts, {distinct} different")
    return broken


def _order(name: str, book: Book, told: Told, *, strict: bool) -> list[str]:
    """Per key: first receipts rise with seq, and no older event is the last one received."""
    taken = [(at, number) for at, (number, _) in enumerate(book.order.get(name, [])) if _is_ordered(name, number, told)]
    firsts: dict[tuple[int, str], int] = {}
    for at, (number, subscription_id) in enumerate(book.order.get(name, [])):
        firsts.setdefault((number, subscription_id), at)
    first_of = {number: [at for (other, _), at in firsts.items() if other == number] for _, number in taken}
    broken = []
    groups: dict[str, list[int]] = {}
    for number in first_of:
        for key in ("",) if strict else told.keys[number]:
            groups.setdefault(key, []).append(number)
    for key, numbers in groups.items():
        numbers.sort(key=lambda number: told.stored[number])
        for older, newer in itertools.pairwise(numbers):
            if max(first_of[older]) > min(first_of[newer]):
                broken.append(f"{name}: event {newer} of {key!r} was first taken before event {older}")
        lasts = [number for _, number in taken if number in numbers]
        if lasts[-1] != numbers[-1]:
            broken.append(f"{name}: the last event of {key!r} that was taken is {lasts[-1]}, not {numbers[-1]}")
    return broken


def _is_ordered(name: str, number: int, told: Told) -> bool:
    return number in told.expected[name] and number not in told.exempt[name]


def waiting(tx: Transaction) -> list[str]:
    """What has not come to rest yet."""
    found = []
    head = tx.head()
    for cursor in tx.cursors():
        last = head if cursor.end is None else cursor.end
        rows = [(row.seq, row.subscription_id, row.state, row.due_s) for row in tx.open_rows(cursor.name) if row.state != DEAD]
        if cursor.pos < last or rows:
            found.append(f"{cursor.name} at {cursor.pos} of {last}, ahead {cursor.ahead:b}, rows {rows}, state {cursor.state}")
    return found

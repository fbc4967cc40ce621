"""The SQLite transaction: rows of the database room's tables, as the outbox's values. Runs in the connection's own thread."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.base.event import Event
from relay.base.jsonio import dumps, loads
from relay.kit.subjects import Subjects
from relay.observe.latency import Latency, LatencyKey
from relay.observe.rollup import Fold
from relay.observe.tallies import Tally, TallyKey
from relay.outbox.interface import DEAD, Attempt, Claim, Cursor, RefusedMessage, Row, Sample, SampleGroup, Seen, Selection, Traces
from relay.outbox.mentions import is_about, is_held_by
from relay.outbox.sqlite.dedup import RecentKeys
from relay.outbox.sqlite.statements import SQL

INSERT_ROWS = 256
"""Events in one INSERT; a fixed size keeps the statement cache warm."""
_LOG_VALUES = "(?,?,?,?,?,?,?)"

MAX_ID = (1 << 63) - 1


def _placeholders(values: str, count: int) -> str:
    return ",".join([values] * count)


def _json(values: Iterable[int] | Iterable[str]) -> str:
    return dumps(list(values)).decode()


def _row(values: Sequence[Any]) -> Row:
    seq, sub, state, source, key1, key2, attempts, first_s, due_s, resend, code, status, changed_s, detail = values
    keys = tuple(key for key in (key1, key2) if key)
    return Row(seq, sub, state, source, keys, attempts, first_s, due_s, bool(resend), code, status, changed_s, detail or b"")


def _cursor(values: Sequence[Any]) -> Cursor:
    name, start, pos, ahead, end, epoch, extra, skipped, late, doors, state = values
    return Cursor(name, start, pos, int.from_bytes(ahead, "little"), end, epoch, extra, skipped, late, loads(doors), loads(state))


def _refused(values: Sequence[Any]) -> RefusedMessage:
    number, source, message_id, code, kind, name, user_id, anonymous_id, received_ms, seq, body = values
    return RefusedMessage(source, code, received_ms, message_id, kind, name, user_id, anonymous_id, body, seq, number)


class SqliteTransaction:
    """Implements outbox.transaction.Transaction on one sqlite3 connection inside BEGIN IMMEDIATE (or a reader)."""

    def __init__(self, connection: sqlite3.Connection, recent: RecentKeys) -> None:
        """`recent`: the writer's, or a new one for a reader."""
        self._execute = connection.execute
        self._recent = recent
        self._head = -1

    def _meta(self, key: str) -> int:
        found = self._execute(SQL["get_meta"], {"key": key}).fetchone()
        return int(found[0]) if found else 0

    def _set_meta(self, key: str, value: int) -> None:
        self._execute(SQL["set_meta"], {"key": key, "value": value})

    def head(self) -> int:
        if self._head < 0:
            self._head = self._meta("head")
        return self._head

    def set_head(self, head: int) -> None:
        self._set_meta("head", head)
        self._head = head

    # log

    def insert(self, claims: Sequence[Claim]) -> None:
        for first in range(0, len(claims), INSERT_ROWS):
            chunk = claims[first : first + INSERT_ROWS]
            values: list[Any] = []
            for seq, event in chunk:
                keys = event.keys
                values += (
                    seq, event.source_id, keys[0] if keys else None, keys[1] if len(keys) > 1 else None, event.type, event.received_ms, event.body,
                )  # fmt: skip
            self._execute(f"{SQL['insert_log']} {_placeholders(_LOG_VALUES, len(chunk))}", values)

    def events(self, after: int, limit: int, sources: frozenset[str] | None) -> tuple[list[Claim], int]:
        head = self.head()  # read first: a commit in between only adds above it
        rows = self._execute(SQL["events_after"], {"after": after, "limit": limit}).fetchall()
        claims = [Claim(seq, Event.from_body(source, at, body)) for seq, source, at, body in rows if sources is None or source in sources]
        return claims, rows[-1][0] if len(rows) == limit else max(after, head, rows[-1][0] if rows else 0)

    def events_at(self, seqs: Sequence[int]) -> dict[int, Event]:
        if not seqs:
            return {}
        rows = self._execute(SQL["events_at"], {"seqs": _json(seqs)})
        return {seq: Event.from_body(source, at, body) for seq, source, at, body in rows}

    def search(self, needle: bytes, after: int, upto: int) -> list[Claim]:
        rows = self._execute(SQL["search"], {"needle": needle, "after": after, "upto": upto}).fetchall()
        return [Claim(seq, Event.from_body(source, at, body)) for seq, source, at, body in rows]

    def sources_between(self, first: int, last: int) -> list[tuple[int, str]]:
        return self._execute(SQL["sources_between"], {"first": first, "last": last}).fetchall()

    def seqs_of(self, keys: Sequence[str], after: int, limit: int) -> tuple[list[int], int]:
        upto = min(after + limit, self.head())
        found = self._execute(SQL["seqs_of_keys"], {"after": after, "upto": upto, "keys": _json(keys)}).fetchall()
        return [seq for (seq,) in found], upto

    def bodies(self, source_id: str, after: int, upto: int) -> list[tuple[int, bytes]]:
        return self._execute(SQL["bodies"], {"source": source_id, "after": after, "upto": upto}).fetchall()

    def tombstone(self, seqs: Sequence[int]) -> None:
        self._execute(SQL["tombstone"], {"seqs": _json(seqs)})

    def tombstones(self, seqs: Sequence[int]) -> set[int]:
        return {seq for (seq,) in self._execute(SQL["tombstones"], {"seqs": _json(seqs)})}

    def seq_before(self, received_ms: int) -> int:
        """Bisects by seq: the log has no index on time, and seqs rise with it (but for clock steps)."""
        low, high = self.oldest(), self.head() + 1
        if not low:
            return 0
        while low < high:
            middle = (low + high) // 2
            found = self._execute(SQL["received_at"], {"seq": middle}).fetchone()
            if found and found[1] < received_ms:
                low = found[0] + 1
            else:
                high = middle
        return low - 1

    def delete_log(self, upto: int, limit: int) -> int:
        return self._execute(SQL["delete_log"], {"upto": upto, "limit": limit}).rowcount

    def oldest(self) -> int:
        return self._execute(SQL["oldest"]).fetchone()[0] or 0

    def source_ids(self) -> list[str]:
        return [source for (source,) in self._execute(SQL["source_ids"])]

    # refused

    def keep_refused(self, messages: Sequence[RefusedMessage]) -> int:
        first: int = self._execute(SQL["next_refused"]).fetchone()[0]
        for number, one in enumerate(messages, first):
            self._execute(
                SQL["keep_refused"],
                (
                    number, one.source_id, one.message_id, one.code, one.type, one.name, one.user_id, one.anonymous_id, one.received_ms,
                    one.seq, one.body,
                ),
            )  # fmt: skip
        return first

    def refused(self, refused_id: int, message_id: str, limit: int) -> list[RefusedMessage]:
        which = "refused_at" if refused_id else "refused_of" if message_id else "refused_newest"
        rows = self._execute(SQL[which], {"id": refused_id, "message_id": message_id, "limit": limit}).fetchall()
        return [_refused(row) for row in reversed(rows)]

    def delete_refused(self, received_ms: int, keep: int) -> None:
        self._execute(SQL["delete_refused"], {"before_ms": received_ms, "keep": keep})

    # dedup

    def known(self, hashes: Sequence[int]) -> dict[int, int]:
        return self._recent.known(hashes, self.head(), self._execute)

    def remember(self, first: int, hashes: Sequence[int]) -> None:
        self._recent.remember(first, hashes, self._execute)

    def rotate(self) -> None:
        self._recent.fold_all(self.head(), self._execute)
        oldest = (self._meta("dedup_current") + 1) % 3
        self._execute(f"DELETE FROM dedup_{oldest}")  # noqa: S608 - a whole table: SQLite truncates it, no row by row
        self._set_meta("dedup_current", oldest)

    # cursors and rows

    def cursor(self, name: str) -> Cursor | None:
        found = self._execute(SQL["cursor"], {"name": name}).fetchone()
        return _cursor(found) if found else None

    def cursors(self) -> list[Cursor]:
        return [_cursor(found) for found in self._execute(SQL["cursors"])]

    def put_cursor(self, cursor: Cursor) -> None:
        ahead = cursor.ahead.to_bytes((cursor.ahead.bit_length() + 7) // 8, "little")
        self._execute(
            SQL["put_cursor"],
            (
                cursor.name, cursor.start, cursor.pos, ahead, cursor.end, cursor.epoch, cursor.extra, cursor.skipped, cursor.late,
                dumps(cursor.doors).decode(), dumps(cursor.state).decode(),
            ),
        )  # fmt: skip

    def delete_cursor(self, name: str) -> None:
        self._execute(SQL["delete_cursor"], {"name": name})
        self._execute(SQL["delete_rows_of"], {"name": name})

    def open_rows(self, name: str) -> list[Row]:
        return [_row(found) for found in self._execute(SQL["open_rows"], {"name": name})]

    def rows_at(self, name: str, seqs: Iterable[int]) -> list[Row]:
        return [_row(found) for found in self._execute(SQL["rows_at"], {"name": name, "seqs": _json(seqs)})]

    def rows_of(self, seq: int) -> list[tuple[str, Row]]:
        return [(found[0], _row(found[1:])) for found in self._execute(SQL["rows_of"], {"seq": seq}).fetchall()]

    def rows_between(self, first: int, last: int) -> list[tuple[str, Row]]:
        return [(name, _row(values)) for name, *values in self._execute(SQL["rows_between"], {"first": first, "last": last})]

    def dead_rows(self, name: str, which: Selection, seqs: Sequence[int] | None, after: int, limit: int) -> list[Row]:
        parameters = {
            "name": name, "code": which.code, "since_s": which.since_s, "until_s": which.until_s, "after": after, "limit": limit,
            "seqs": None if seqs is None else _json(seqs),
        }  # fmt: skip
        return [_row(found) for found in self._execute(SQL["dead_rows"], parameters)]

    def put_rows(self, name: str, rows: Iterable[Row]) -> None:
        for row in rows:
            key1, key2 = (*row.keys, None, None)[:2]
            self._execute(
                SQL["put_row"],
                (
                    name, row.seq, row.subscription_id, row.state, row.source_id, key1, key2, row.attempts, row.first_s, row.due_s,
                    row.resend, row.code, row.status, row.changed_s, row.detail,
                ),
            )  # fmt: skip

    def delete_rows(self, name: str, keys: Iterable[tuple[int, str]]) -> None:
        for seq, subscription_id in keys:
            self._execute(SQL["delete_row"], (name, seq, subscription_id))

    def count_rows(self, name: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for state, count, lowest in self._execute(SQL["count_rows"], {"name": name}):
            counts[state] = count
            if state != DEAD:
                counts["oldest"] = min(counts.get("oldest", lowest), lowest)
        return counts

    def delete_dead_before(self, changed_s: float, limit: int) -> int:
        return self._execute(SQL["delete_dead_before"], {"before_s": changed_s, "limit": limit}).rowcount

    # journal and counts

    def write_journal(self, name: str, attempts: Sequence[Attempt]) -> None:
        seqs = [attempt.seq for attempt in attempts]
        packed = dumps([tuple(attempt) for attempt in attempts])
        upto = max(max(attempt.seq, attempt.last) for attempt in attempts)
        self._execute(SQL["write_journal"], (name, min(seqs), upto, attempts[-1].at_s, packed))

    def journal_of(self, seq: int) -> list[tuple[str, Attempt]]:
        packs = self._execute(SQL["journal_of"], {"seq": seq}).fetchall()
        lines = [(name, line) for name, packed in packs for values in loads(packed) if (line := Attempt(*values).of(seq)) is not None]
        return sorted(lines, key=lambda line: line[1].at_s)

    def journal_before(self, line: int, limit: int) -> list[tuple[int, str, list[Attempt]]]:
        packs = self._execute(SQL["journal_before"], {"line": line or MAX_ID, "limit": limit}).fetchall()
        return [(number, name, [Attempt(*one) for one in loads(packed)]) for number, name, packed in packs]

    def delete_journal_before(self, at_s: float) -> None:
        self._execute(SQL["delete_journal_before"], {"at_s": at_s})

    def count(self, tally: Mapping[TallyKey, int]) -> None:
        for key, count in tally.items():
            self._execute(SQL["count"], (*key, count))

    def tallies(self, since_minute: int, until_minute: int) -> Tally:
        rows = self._execute(SQL["tallies"], {"since": since_minute, "until": until_minute})
        return {TallyKey._make((*row[:5], bool(row[5]))): row[6] for row in rows}

    # statistics

    def add_latency(self, latency: Latency) -> None:
        for key, count in latency.items():
            self._execute(SQL["add_latency"], (*key, count))

    def tally_spans(self, since_minute: int, until_minute: int, step: int) -> Tally:
        rows = self._execute(SQL["tally_spans"], {"since": since_minute, "until": until_minute, "step": step})
        return {TallyKey._make((*row[:5], False)): row[5] for row in rows}

    def latency_spans(self, since_minute: int, until_minute: int, step: int) -> Latency:
        rows = self._execute(SQL["latency_spans"], {"since": since_minute, "until": until_minute, "step": step})
        return {LatencyKey(*key): count for *key, count in rows}

    def uneven_minute(self, step: int, before: int) -> int | None:
        found = [self._execute(SQL[name], {"step": step, "before": before}).fetchone() for name in ("uneven_tally", "uneven_latency")]
        return min((row[0] for row in found if row), default=None)

    def fold(self, fold: Fold) -> None:
        for name in ("fold_tallies", "fold_latencies", "delete_folded_tallies", "delete_folded_latencies"):
            self._execute(SQL[name], {"first": fold.first, "until": fold.until})

    def delete_counts_before(self, minute: int) -> None:
        for name in ("delete_tallies_before", "delete_latencies_before"):
            self._execute(SQL[name], {"minute": minute})

    def put_samples(self, samples: Sequence[Sample], keep: int) -> None:
        for one in samples:
            self._execute(
                SQL["put_sample"],
                (
                    one.destination_id, one.code, one.result, one.seq, one.at_s, one.attempt, one.status, one.duration_ms, one.detail,
                    one.message_id,
                ),
            )  # fmt: skip
        for destination_id, code in {(one.destination_id, one.code) for one in samples}:
            self._execute(SQL["delete_old_samples"], {"destination": destination_id, "code": code, "keep": keep})

    def samples(self, destination_id: str, code: str) -> list[Sample]:
        return [Sample(*row) for row in self._execute(SQL["samples"], {"destination": destination_id, "code": code})]

    def sample_groups(self, destination_id: str) -> list[SampleGroup]:
        return [SampleGroup(*row) for row in self._execute(SQL["sample_groups"], {"destination": destination_id})]

    def traces(self, users: Subjects) -> Traces:
        found = Traces()
        for name, seq, sub, state, key1, key2, detail in self._execute(SQL["every_row"]):
            theirs = key1 in users.user_ids or key2 in users.user_ids
            which = (found.dead if state == DEAD else found.waiting) if theirs else found.details if users.mentions(detail) else None
            if which is not None:
                which.append((name, seq, sub))
        for number, key1, key2, detail in self._execute(SQL["every_sample"]):
            if key1 in users.user_ids or key2 in users.user_ids or users.mentions(detail):
                found.samples.append(number)
        found.refused.extend(row[0] for row in self._execute(SQL["every_refused"]) if is_about(_refused(row), users))
        found.holds.extend(cursor.name for cursor in self.cursors() if is_held_by(cursor.state, users))
        return found

    def delete_refused_at(self, ids: Sequence[int]) -> None:
        """The newest one is emptied instead, so that its id is not given again."""
        self._execute(SQL["empty_refused_at"], {"ids": _json(ids)})
        self._execute(SQL["delete_refused_at"], {"ids": _json(ids)})

    def delete_samples_at(self, ids: Sequence[int]) -> None:
        self._execute(SQL["delete_samples_at"], {"ids": _json(ids)})

    def delete_samples_of(self, seqs: Sequence[int]) -> None:
        if seqs:
            self._execute(SQL["delete_samples_of"], {"seqs": _json(seqs)})

    def delete_samples_for(self, destination_id: str) -> None:
        self._execute(SQL["delete_samples_for"], {"destination": destination_id})

    def delete_samples_before(self, at_s: float) -> None:
        self._execute(SQL["delete_samples_before"], {"at_s": at_s})

    def waiting_codes(self, name: str) -> dict[str, int]:
        return dict(self._execute(SQL["waiting_codes"], {"name": name}).fetchall())

    def seen(self, source_id: str, after: int, upto: int) -> list[Seen]:
        return [Seen(*row) for row in self._execute(SQL["seen"], {"source": source_id, "after": after, "upto": upto})]

"""The table of violations: counted per hour, source, event, kind and field, with a few sample events. Bounded per hour; 30 days are kept."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeVar

from relay.base import jsonio

T = TypeVar("T")

KEEP_H: Final = 30 * 24
ROWS_MAX: Final = 5_000
"""Rows of one hour; names come from apps, so there may be many. What is more counts with the names that are known already, or not at all."""
SAMPLES_MAX: Final = 10
GROUPS_MAX: Final = 200

_COUNT = "SELECT count(*) FROM violation WHERE hour = ?"
_SAMPLES = "SELECT samples FROM violation WHERE hour = ? AND source = ? AND type = ? AND event = ? AND kind = ? AND field = ?"
_ADD = (
    "INSERT INTO violation (hour, source, type, event, kind, field, description, n, first_ms, last_ms, samples) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET n = n + excluded.n, description = excluded.description, first_ms = min(first_ms, excluded.first_ms),"
    " last_ms = max(last_ms, excluded.last_ms), samples = excluded.samples"
)
_TRIM = "DELETE FROM violation WHERE hour < ?"
_WANTED = "hour >= :since AND source IN (SELECT value FROM json_each(:sources)) AND (kind = '') = :unplanned"
_TOP = (
    f"SELECT type, event, kind, field FROM violation WHERE {_WANTED}"  # noqa: S608 - our own text
    " GROUP BY type, event, kind, field ORDER BY sum(n) DESC, event, field LIMIT :limit"
)
_ROWS = (
    "SELECT hour, source, type, event, kind, field, description, n, first_ms, last_ms, samples FROM violation"  # noqa: S608 - our own text
    f" JOIN ({_TOP}) USING (type, event, kind, field) WHERE {_WANTED} ORDER BY hour"
)
_TEXTS = "SELECT hour, source, type, event, kind, field, description FROM violation"
_DELETE = "DELETE FROM violation WHERE hour = ? AND source = ? AND type = ? AND event = ? AND kind = ? AND field = ?"
_TOTALS = "SELECT source, type, event, field, sum(n) FROM violation WHERE hour >= ? AND kind <> '' GROUP BY source, type, event, field"


class Key(NamedTuple):
    """What is counted together."""

    hour: int
    """Hours since 1970."""
    source_id: str
    type: str
    event: str
    kind: str
    """Type of violation; empty: the event has no rule."""
    field: str


@dataclass(slots=True)
class Count:
    """How often, when, and which events for example: (seq, received_ms), newest last."""

    description: str
    n: int = 0
    first_ms: int = 0
    last_ms: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list)

    def absorb(self, newer: "Count") -> None:
        self.n += newer.n
        self.first_ms, self.last_ms = min(self.first_ms, newer.first_ms), max(self.last_ms, newer.last_ms)
        self.samples = [*self.samples, *newer.samples][-SAMPLES_MAX:]

    def add(self, seq: int, received_ms: int) -> None:
        self.n += 1
        self.first_ms = min(self.first_ms or received_ms, received_ms)
        self.last_ms = max(self.last_ms, received_ms)
        self.samples = [*self.samples[1 - SAMPLES_MAX :], (seq, received_ms)]


class Tables(Protocol):
    """What the store needs of the database."""

    async def write(self, run: Callable[[sqlite3.Connection], T], *, sheds: bool = False) -> T: ...

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class ViolationStore:
    """Adds counts and reads them."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    async def add(self, counts: Mapping[Key, Count], *, oldest_hour: int) -> None:
        """One commit; what is older than `oldest_hour` goes. StoreError on a full disk: then nothing was added."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(_TRIM, (oldest_hour,))
            room = {hour: ROWS_MAX - connection.execute(_COUNT, (hour,)).fetchone()[0] for hour in {key.hour for key in counts}}
            for key, count in counts.items():
                found = connection.execute(_SAMPLES, key).fetchone()
                if found is None:
                    room[key.hour] -= 1
                    if room[key.hour] < 0:
                        continue
                samples = [*reversed(count.samples), *(jsonio.loads(found[0]) if found else ())][:SAMPLES_MAX]
                said = (count.description, count.n, count.first_ms, count.last_ms, jsonio.dumps(samples).decode())
                connection.execute(_ADD, (*key, *said))

        await self._database.write(job, sheds=True)

    async def rows(self, source_ids: Sequence[str], since_hour: int, *, unplanned: bool) -> list[tuple[Key, Count]]:
        """The counts of the most frequent groups, by hour."""
        asked = {"since": since_hour, "sources": jsonio.dumps(list(source_ids)).decode(), "unplanned": unplanned, "limit": GROUPS_MAX}
        rows = await self._database.read(lambda connection: connection.execute(_ROWS, asked).fetchall())
        return [
            (Key(*key), Count(description, n, first_ms, last_ms, [(seq, at_ms) for seq, at_ms in jsonio.loads(samples)]))
            for *key, description, n, first_ms, last_ms, samples in rows
        ]

    async def naming(self, mentions: Callable[[str], bool]) -> list[Key]:
        """What counts have a name, a field or a description that is meant."""

        def meant(connection: sqlite3.Connection) -> list[Key]:
            return [Key(*key) for *key, description in connection.execute(_TEXTS) if any(map(mentions, (key[3], key[5], description)))]

        return await self._database.read(meant)

    async def remove(self, keys: Sequence[Key]) -> None:
        """Delete these counts."""
        await self._database.write(lambda connection: [connection.execute(_DELETE, key) for key in keys])

    async def totals(self, since_hour: int) -> Iterable[tuple[str, str, str, str, int]]:
        """(source id, type, event, field, violations) since an hour."""
        found: list[tuple[str, str, str, str, int]] = await self._database.read(
            lambda connection: connection.execute(_TOTALS, (since_hour,)).fetchall()
        )
        return found

"""What was seen of each source, over its table."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from relay.base import jsonio
from relay.control.seen import SeenEvent, SeenField

T = TypeVar("T")
_UPTO = "SELECT value FROM meta WHERE key = 'seen_upto'"
_SET_UPTO = "UPDATE meta SET value = ? WHERE key = 'seen_upto'"
_COLUMNS = "source, type, name, count, blocked, walked, omitted, first_ms, last_ms"
_CHANGE = f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS.split(', ')[3:])}"
_ALL = f"SELECT {_COLUMNS}, fields FROM seen"  # noqa: S608 - whole, at each start
_COUNT = f"INSERT INTO seen ({_COLUMNS}) VALUES ({', '.join('?' * 9)}) {_CHANGE}"  # noqa: S608 - our own columns
_PUT = f"INSERT INTO seen ({_COLUMNS}, fields) VALUES ({', '.join('?' * 10)}) {_CHANGE}, fields = excluded.fields"  # noqa: S608
_DELETE = "DELETE FROM seen WHERE source = ? AND type = ? AND name = ?"  # by the primary key

SeenKey = tuple[str, str, str]
"""Source id, call type, event name."""
SeenRow = tuple[SeenKey, tuple[int, ...], str | None]
"""Key, counts, and the fields as JSON; None: as they are."""


class WriteQueue(Protocol):
    """What the store needs of the database. Writes are shed on a full disk: the next one tells the same."""

    async def write(self, run: Callable[[sqlite3.Connection], T], *, sheds: bool = False) -> T: ...

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class SeenStore:
    """One row per event name."""

    def __init__(self, database: WriteQueue) -> None:
        self._database = database

    async def load(self) -> tuple[list[SeenEvent], int]:
        """Everything that can be read (a recovered file may hold torn rows: they are learnt anew), and the seq up to which it counts."""

        def query(connection: sqlite3.Connection) -> tuple[list[SeenEvent], int]:
            events = [event for row in connection.execute(_ALL) if (event := _event(row))]
            found = connection.execute(_UPTO).fetchone()
            return events, int(found[0]) if found else 0

        return await self._database.read(query)

    async def put(self, rows: Sequence[SeenRow], upto: int | None) -> None:
        """Write rows, and that everything up to `upto` is counted by now (None: more follows); one commit."""

        def job(connection: sqlite3.Connection) -> None:
            for key, counts, fields in rows:
                if fields is None:
                    connection.execute(_COUNT, (*key, *counts))
                else:
                    connection.execute(_PUT, (*key, *counts, fields))
            if upto is not None:
                connection.execute(_SET_UPTO, (upto,))

        await self._database.write(job, sheds=True)

    async def delete(self, keys: Sequence[SeenKey]) -> None:
        """Forget these."""

        def job(connection: sqlite3.Connection) -> None:
            for key in keys:
                connection.execute(_DELETE, key)

        await self._database.write(job, sheds=True)


def counts_of(seen: SeenEvent) -> tuple[int, ...]:
    """The numbers of a row, in the order of its columns."""
    return seen.count, seen.blocked, seen.walked, seen.omitted, seen.first_ms, seen.last_ms


def fields_text(seen: SeenEvent) -> str:
    """The fields of a row."""
    packed = {
        path: [one.first_ms, one.last_ms, one.count, one.types, one.color, one.matcher, one.sample, one.owner] for path, one in seen.fields.items()
    }
    return jsonio.dumps(packed).decode()


def _event(row: Sequence[Any]) -> SeenEvent | None:
    *told, fields = row
    source_id, kind, name, count, blocked, walked, omitted, first_ms, last_ms = told
    try:
        found = {path: SeenField(*packed) for path, packed in jsonio.loads(fields).items()}
    except (ValueError, TypeError, AttributeError):
        return None
    return SeenEvent(source_id, kind, name, first_ms, last_ms, count, blocked, walked, omitted, found, saved=count, saved_walked=walked)

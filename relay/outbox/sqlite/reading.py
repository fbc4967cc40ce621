"""The History of a data folder for commands: beside a running relay or without one. Reads only, on a connection of its own."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from relay.base.clock import Clock
from relay.database import connect, migrate
from relay.errors import StoreError
from relay.outbox.history import LedgerHistory
from relay.outbox.sqlite.dedup import RecentKeys
from relay.outbox.sqlite.transaction import SqliteTransaction
from relay.outbox.transaction import Transaction

T = TypeVar("T")


class StoredLog:
    """An open database, for reading."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self.connection = connection
        self._path = path
        self.history = LedgerHistory(self, clock)

    async def read(self, query: Callable[[Transaction], T]) -> T:
        """Synchronous all the same: a command has nothing else to do."""
        try:
            return query(SqliteTransaction(self.connection, RecentKeys()))
        except sqlite3.Error as error:
            raise connect.reading_error(self._path, error) from error


@contextmanager
def stored_log(path: Path, clock: Clock) -> Iterator[StoredLog]:
    """The log in the database at `path`. Raises FileNotFoundError, DamagedError, or StoreError for another release's file."""
    if not path.is_file():
        raise FileNotFoundError(2, "there is no such database", str(path))
    try:
        with closing(connect.open_reader(path)) as connection:
            version, newest = migrate.schema_version(connection), migrate.newest_version()
            if version > newest:
                raise connect.damaged(path, f"made by a newer relay (schema {version}, this one knows {newest})")
            if version < newest:
                raise StoreError(f"{path}: made by an older relay (schema {version}, this one needs {newest}); start this release on it once")
            yield StoredLog(connection, path, clock)
    except sqlite3.Error as error:
        raise connect.reading_error(path, error) from error

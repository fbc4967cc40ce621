"""A `Hop` without a thread: SQLite runs where it is called, so a simulation is deterministic.

Hand the class in: `Database.open(..., hop=InlineThread)`.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class InlineThread:
    """Runs every function at once, on the loop; connections are made with check_same_thread=False."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    async def connect(self, factory: Callable[[], sqlite3.Connection]) -> None:
        self._connection = factory()

    async def run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the connection is closed")
        return fn(self._connection)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

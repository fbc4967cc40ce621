"""How a function gets onto the thread of a SQLite connection, and back with its result.

`Hop` is the seam: the process uses `SqliteThread` (aiosqlite), the simulation hands in one that runs inline.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import aiosqlite

T = TypeVar("T")


class Hop(Protocol):
    """One connection and the thread that it lives on."""

    async def connect(self, factory: Callable[[], sqlite3.Connection]) -> None:
        """Make the connection on its thread; raises what `factory` raises, and then nothing is left open."""
        ...

    async def run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run `fn(connection)` there. Cancelling the caller does not stop `fn`."""
        ...

    async def close(self) -> None:
        """Close the connection and end the thread; harmless when there is none."""
        ...


class SqliteThread:
    """aiosqlite's thread. Exactly one hop per `run`, whatever `fn` does there."""

    def __init__(self) -> None:
        self._connection: aiosqlite.Connection | None = None

    async def connect(self, factory: Callable[[], sqlite3.Connection]) -> None:
        failed: list[BaseException] = []

        def make() -> sqlite3.Connection:
            try:
                return factory()
            except BaseException as error:  # aiosqlite does not wait for its thread when this raises; so it gets a stand-in, closed below
                failed.append(error)
                return sqlite3.connect(":memory:")

        connection = aiosqlite.Connection(make, iter_chunk_size=64)
        connection._thread.daemon = True  # a process that must end (dead disk) is not held up by a thread in a system call
        await connection
        if failed:
            await connection.close()
            raise failed[0]
        self._connection = connection

    async def run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        connection: Any = self._connection
        if connection is None:
            raise sqlite3.ProgrammingError("the connection is closed")
        # aiosqlite has no public call for "run this in your thread"; this is the only place that uses the private one
        result: T = await connection._execute(fn, connection._conn)
        return result

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

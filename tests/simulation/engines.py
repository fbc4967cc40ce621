"""The two outboxes of the simulation, each on a disk that outlives its process."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from relay.database.database import Database
from relay.outbox.engine import LedgerOutbox
from relay.outbox.memory import Disk, MemoryOutbox
from relay.outbox.operations import Keep
from relay.outbox.sqlite import open_outbox
from relay.outbox.sqlite.dedup import RecentKeys
from relay.outbox.sqlite.transaction import SqliteTransaction
from relay.outbox.transaction import Transaction
from tests.simulation.loop import SimClock
from tests.support.inline_sqlite import InlineThread

T = TypeVar("T")

KEEP = Keep(log_s=0.0)
"""History goes as soon as nobody needs it."""


class Faults:
    """What the disk does at the moment."""

    def __init__(self, seed: int) -> None:
        self.full = False
        self.slow = False
        self.random = random.Random(f"disk {seed}")
        self.crash_in_commit: Callable[[], bool] = lambda: False

    def delay_s(self) -> float:
        """How long one access takes."""
        if self.slow:
            return self.random.uniform(0, 1.5)
        return self.random.choice((0.0, 0.0, 0.001, 0.01, 0.05))


class Engine(Protocol):
    """One disk, and at most one process on it."""

    async def open(self, clock: SimClock) -> LedgerOutbox: ...

    def kill(self) -> None:
        """The process is gone: nothing reaches the disk any more."""
        ...

    async def end(self) -> None:
        """After all tasks of the process have ended."""
        ...

    def transaction(self) -> Transaction:
        """The committed state."""
        ...


class MemoryEngine:
    """`MemoryOutbox` on a `Disk`."""

    def __init__(self, faults: Faults, committed: Callable[[], None]) -> None:
        self.disk = Disk()
        self._faults = faults
        self._committed = committed
        self._outbox: MemoryOutbox | None = None

    async def open(self, clock: SimClock) -> LedgerOutbox:
        outbox = self._outbox = MemoryOutbox(clock, disk=self.disk, keep=KEEP)
        store, faults = outbox.store, self._faults
        store.commit_delay_s = faults.delay_s
        store.disk_full = lambda: faults.full
        store.on_commit = self._on_commit
        plain = store.read

        async def read(query: Callable[[Any], T]) -> T:
            await asyncio.sleep(faults.delay_s() / 2)
            result = await plain(query)
            await asyncio.sleep(faults.delay_s() / 2)
            return result

        setattr(store, "read", read)
        return outbox

    def _on_commit(self, disk: Disk) -> None:
        self._committed()
        if self._faults.crash_in_commit():
            raise asyncio.CancelledError  # committed, and nobody is told

    def kill(self) -> None:
        if self._outbox is not None:
            self._outbox.store.crash()

    async def end(self) -> None:
        self._outbox = None

    def transaction(self) -> Transaction:
        return self.disk


class _Full:
    """A connection whose commits fail while the disk is full."""

    def __init__(self, connection: sqlite3.Connection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self._faults.full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Hop(InlineThread):
    """SQLite inline, with waits before and after, so that a crash can come between a commit and its effects."""

    def __init__(self, engine: "SqliteEngine", *, writes: bool) -> None:
        super().__init__()
        self.engine = engine
        self.writes = writes
        self.dead = False

    @property
    def connection(self) -> sqlite3.Connection | None:
        return self._connection

    async def run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        faults, connection = self.engine.faults, self._connection
        await asyncio.sleep(faults.delay_s())
        if self.dead or connection is None:
            await asyncio.get_running_loop().create_future()  # the process is gone
        proxy: Any = _Full(connection, faults) if self.writes and connection is not None else connection
        before = connection.total_changes if connection is not None else 0
        result = fn(proxy)
        if self.writes and connection is not None and connection.total_changes != before:
            self.engine.committed()
            faults.crash_in_commit()
            await asyncio.sleep(faults.delay_s() / 2)
        if self.dead:
            await asyncio.get_running_loop().create_future()
        return result


class SqliteEngine:
    """The SQLite outbox, inline, on a file."""

    def __init__(self, faults: Faults, committed: Callable[[], None], path: Path) -> None:
        self.faults = faults
        self.committed = committed
        self.path = path
        self.fatal: list[Exception] = []
        self._hops: list[_Hop] = []

    async def open(self, clock: SimClock) -> LedgerOutbox:
        self._hops = []
        database = await Database.open(self.path, clock=clock, on_fatal=self._on_fatal, durability="process", hop=self._hop)
        return await open_outbox(database, clock, keep=KEEP)

    def _hop(self) -> _Hop:
        hop = _Hop(self, writes=not self._hops)
        self._hops.append(hop)
        return hop

    def _on_fatal(self, error: Exception) -> None:
        if not any(hop.dead for hop in self._hops):
            self.fatal.append(error)

    def kill(self) -> None:
        for hop in self._hops:
            hop.dead = True

    async def end(self) -> None:
        for hop in self._hops:
            await hop.close()
        self._hops = []

    def transaction(self) -> Transaction:
        connection = self._hops[0].connection
        assert connection is not None
        return SqliteTransaction(connection, RecentKeys())

"""`Database`: the one write connection with its queue of jobs, and a read connection.

Promises: `write` returns after the commit that holds the job's work; only this connection writes and checkpoints; no call
of SQLite and no file call happens on the loop. Owners of tables hand in functions on a `sqlite3.Connection`.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from relay.base.clock import Clock
from relay.database import connect, migrate
from relay.database.scan import Window, windows
from relay.database.thread import Hop, SqliteThread
from relay.database.writer import Job, Writer
from relay.errors import StoreError

T = TypeVar("T")

RESERVE_FLOOR_BYTES = 6 * 1024 * 1024
RESERVE_SHARE = 0.05


class Room(NamedTuple):
    """How much room there is. Deletes do not shrink the file, so free pages count as room (a drained file stays large)."""

    free_bytes: int
    freelist_bytes: int
    db_bytes: int
    wal_bytes: int
    reserve_bytes: int = 0
    """What ingest must leave free, so that marks and deletes always have room."""

    @property
    def is_short(self) -> bool:
        """Whether ingest must stop. The WAL needs real disk, hence the second condition."""
        return self.free_bytes + self.freelist_bytes < self.reserve_bytes or self.free_bytes < self.reserve_bytes / 2


def reserve_bytes(min_free_bytes: int, disk_bytes: int) -> int:
    """`min_free_bytes`, on a small file system 5 % of it, never below 6 MiB; 0 switches the reserve off."""
    if min_free_bytes <= 0:
        return 0
    return max(RESERVE_FLOOR_BYTES, min(min_free_bytes, int(disk_bytes * RESERVE_SHARE)))


class Database:
    """Made by `open`. After a fatal error every job fails with StoreError and the process is expected to end."""

    def __init__(self, path: Path, writer: Writer, write_hop: Hop, read_hop: Hop, min_free_bytes: int) -> None:
        self.path = path
        self._writer, self._write_hop, self._read_hop = writer, write_hop, read_hop
        self._min_free_bytes = min_free_bytes
        self._closed = False
        self._scanned = -1
        self._scanning = threading.Lock()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        on_fatal: Callable[[Exception], None],
        durability: str = "full",
        commit_max_events: int = 1_000,
        commit_max_bytes: int = 1_048_576,
        min_free_bytes: int = 0,
        hop: Callable[[], Hop] = SqliteThread,
        steps: list[migrate.Step] | None = None,
    ) -> "Database":
        """Check, open and migrate the file; makes it when it is not there. Raises DamagedError or StoreError.

        `durability`: "full" survives power loss, "process" a crash of the process only. `hop` makes the connections' threads.
        """
        write_hop, read_hop, known = hop(), hop(), steps or migrate.load_steps()
        try:
            await write_hop.connect(lambda: connect.open_writer(path, durability=durability, steps=known))
            await read_hop.connect(lambda: connect.open_reader(path))
        except BaseException:
            await read_hop.close()
            await write_hop.close()
            raise
        writer = Writer(write_hop, path, clock=clock, max_events=commit_max_events, max_bytes=commit_max_bytes, on_fatal=on_fatal)
        return cls(path, writer, write_hop, read_hop, min_free_bytes)

    def submit(
        self,
        run: Callable[[sqlite3.Connection], T],
        *,
        effect: Callable[[T], None] | None = None,
        sheds: bool = False,
        events: int = 0,
        size: int = 0,
        on_take: Callable[[], None] | None = None,
    ) -> asyncio.Future[T]:
        """Queue a job. The future gets the result of `run` after the commit and after `effect(result)`.

        `run` may be called again after a rollback, so it changes nothing but the database. `size`: bytes it holds in memory.
        """
        job = Job(run, effect, sheds, events, size, on_take)
        self._writer.submit(job)
        return job.done

    async def write(
        self,
        run: Callable[[sqlite3.Connection], T],
        *,
        effect: Callable[[T], None] | None = None,
        sheds: bool = False,
        events: int = 0,
        size: int = 0,
        on_take: Callable[[], None] | None = None,
    ) -> T:
        """`submit`, and wait. Cancelling the caller never takes the job out of the queue."""
        return await asyncio.shield(self.submit(run, effect=effect, sheds=sheds, events=events, size=size, on_take=on_take))

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the read connection; it sees what was committed before. Keep it under a second: page by key."""
        try:
            return await self._read_hop.run(lambda connection: _read(connection, query))
        except sqlite3.DatabaseError as error:
            code = connect.primary_code(error)
            if code in connect.DAMAGE_CODES:
                self._writer.die(error)
            if code in connect.DAMAGE_CODES or code in connect.BUSY_CODES or code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
                raise StoreError(f"the database cannot be read: {error}") from error
            raise

    async def ended_clean(self) -> bool:
        """Whether the run before this one came to its proper end."""
        row = await self.read(lambda connection: connection.execute("SELECT value FROM meta WHERE key = 'ended_clean'").fetchone())
        return row is not None and row[0] == 1

    @property
    def waiting_bytes(self) -> int:
        """Sum of `size` of the jobs that wait or are in the commit in progress."""
        return self._writer.waiting_bytes

    @property
    def full(self) -> str:
        """Why writing fails at the moment: "disk full", "read-only disk", "locked by another process"; empty: it does not."""
        return self._writer.full

    @property
    def failed(self) -> bool:
        """Whether a fatal error has ended the writer."""
        return self._writer.dead is not None

    @property
    def commit_age_s(self) -> float:
        """How long the commit in progress runs; 0: none does."""
        return self._writer.commit_age_s

    @property
    def on_commit(self) -> Callable[[float, int, int], None] | None:
        """Called on the loop after each commit with its seconds, jobs and events."""
        return self._writer.on_commit

    @on_commit.setter
    def on_commit(self, call: Callable[[float, int, int], None] | None) -> None:
        self._writer.on_commit = call

    async def room(self) -> Room:
        """Measure the disk and the file."""
        return await self.read(lambda connection: _measure(connection, self.path, self._min_free_bytes))

    async def checkpoint(self, truncate: bool = False) -> bool:
        """Move the WAL into the file between two commits; `truncate` when idle. False: a reader was in the way."""
        return await self._outside(lambda connection: connect.checkpoint(connection, truncate))

    async def vacuum_some(self, pages: int) -> None:
        """Give up to `pages` free pages back to the disk."""
        await self._outside(lambda connection: _vacuum(connection, pages))

    async def wipe_freed(self, on: bool) -> None:
        """While on, what is deleted is overwritten with zeros. Costs a write of each page that becomes free, so it is for deletion requests only."""
        await self._outside(lambda connection: connect.wipe_freed(connection, on))

    async def free_pages(self) -> int:
        """Pages of the file that hold nothing any more, but may still show what they held."""
        return await self.read(lambda connection: int(connection.execute("PRAGMA freelist_count").fetchone()[0]))

    async def rewrite(self) -> None:
        """Write the whole file anew (VACUUM), so that nothing is left of what was deleted. Writers wait as long: some seconds for a gigabyte.

        Needs room for two more copies; raises StoreError when there is none.
        """
        await self._outside(connect.rewrite)

    async def scan(self, look: Callable[[Iterator[Window]], T]) -> T:
        """Hand the bytes of the file and its write-ahead log to `look`, in a thread."""
        return await asyncio.to_thread(self._scan, look)

    def _scan(self, look: Callable[[Iterator[Window]], T]) -> T:
        with self._scanning:
            if self._scanned < 0:  # kept open: closing any handle of the file would drop the locks that SQLite holds on it
                self._scanned = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return look(self._windows())

    def _windows(self) -> Iterator[Window]:
        yield from windows(self._scanned)
        try:
            descriptor = os.open(connect.wal_of(self.path), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            yield from windows(descriptor)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """Do what is queued, mark the stop as clean, checkpoint, close. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._end()
        finally:
            if self._scanned >= 0:
                os.close(self._scanned)

    async def _end(self) -> None:
        await self._writer.stop()
        if self._writer.dead is not None:
            # The last connection that closes checkpoints, which must not happen after a failed fsync: so the reader, which cannot, is last.
            await self._write_hop.close()
            await self._read_hop.close()
            return
        await self._read_hop.close()
        try:
            await self._write_hop.run(_finish)
        finally:
            await self._write_hop.close()

    async def _outside(self, run: Callable[[sqlite3.Connection], T]) -> T:
        job = Job(run, outside=True)
        self._writer.submit(job)
        result: T = await asyncio.shield(job.done)
        return result


def _read(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """In one read transaction: all statements of a query see the same commit."""
    connection.execute("BEGIN")
    try:
        return query(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _measure(connection: sqlite3.Connection, path: Path, min_free_bytes: int) -> Room:
    page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
    free_pages: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    disk = os.statvfs(path.parent)
    return Room(
        free_bytes=disk.f_bavail * disk.f_frsize,
        freelist_bytes=free_pages * page_bytes,
        db_bytes=connect.size_of(path),
        wal_bytes=connect.size_of(connect.wal_of(path)),
        reserve_bytes=reserve_bytes(min_free_bytes, disk.f_blocks * disk.f_frsize),
    )


def _vacuum(connection: sqlite3.Connection, pages: int) -> None:
    """Each step of this PRAGMA frees one page, and `execute` stops after the first; a script goes to the end."""
    connection.executescript(f"PRAGMA incremental_vacuum({int(pages)})")


def _finish(connection: sqlite3.Connection) -> None:
    """A full disk at the stop is no error: the start then looks through the file."""
    try:
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'clean'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        connect.log.warning("database.closed_unclean", error=str(error))

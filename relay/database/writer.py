"""The writer: one FIFO queue of jobs, one task, one transaction for everything that waits.

Promises: jobs run in the order of their submission; their effects follow after the commit in the same order; a job once
queued runs whatever becomes of its caller; a job that raises harms no other. There is no timer: the commit in progress is
the wait. A disk that cannot be written for the moment sheds the jobs that may be shed and keeps the others; an error after
which the state of the file is unknown ends the writer for good (`on_fatal`). Called by `Database` alone.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from relay.base.clock import Clock
from relay.base.tasks import spawn
from relay.database.connect import BUSY_CODES, checkpoint, primary_code
from relay.database.thread import Hop
from relay.errors import StoreError

log = structlog.get_logger("relay.database")

RETRY_S = 1.0
LOG_EVERY_S = 60.0
PROBE_BYTES = 64 * 1024
NO_SPACE_BYTES = 1024 * 1024
DISK_FULL, READ_ONLY, LOCKED = "disk full", "read-only disk", "locked by another process"
RETRY_AFTER_S = {DISK_FULL: 30, READ_ONLY: 30, LOCKED: 2}
UNKNOWN_AFTER = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
"""After a failed fsync the page cache lies, whatever the disk says now."""


@dataclass(eq=False)
class Job:
    """A function on the open transaction. It decides on what it reads there, never on what its sender believed."""

    run: Callable[[sqlite3.Connection], Any]
    effect: Callable[[Any], None] | None = None
    """Called on the loop with the result, after the commit and before the future is resolved."""
    sheds: bool = False
    """May be refused with StoreError while the disk cannot be written."""
    events: int = 0
    bytes: int = 0
    on_take: Callable[[], None] | None = None
    """Called once on the loop when the job leaves the queue for the first time."""
    outside: bool = False
    """Runs alone and outside of a transaction (checkpoint, vacuum); never tried again."""
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    taken: bool = False


class Trouble(NamedTuple):
    """Why a transaction could not be made. `reason` empty: fatal."""

    reason: str
    error: Exception


class Attempted(NamedTuple):
    """What one hop did: a result or an exception for the first jobs of the group, and why the rest was not done."""

    results: list[tuple[Any, Exception | None]]
    trouble: Trouble | None


class Writer:
    """Owns the queue. `run()` is its task; it ends after `stop()` when the queue is empty, or with a fatal error."""

    def __init__(self, hop: Hop, path: Path, *, clock: Clock, max_events: int, max_bytes: int, on_fatal: Callable[[Exception], None]) -> None:
        self.full = ""
        self.waiting_bytes = 0
        self.dead: Exception | None = None
        self.on_commit: Callable[[float, int, int], None] | None = None
        self._hop, self._path, self._clock, self._on_fatal = hop, path, clock, on_fatal
        self._max_events, self._max_bytes = max_events, max_bytes
        self._queue: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._commit_began: float | None = None
        self._retry_at = 0.0
        self._log_at = float("-inf")
        self._task = spawn(self._run(), name="database.writer")

    def submit(self, job: Job) -> None:
        """Queue a job; after a fatal error or the close it fails at once."""
        if self.dead is not None or self._stopping:
            job.done.set_exception(StoreError(f"the database failed: {self.dead}" if self.dead else "the database is closed"))
            return
        self._queue.append(job)
        self.waiting_bytes += job.bytes
        self._wake.set()

    @property
    def commit_age_s(self) -> float:
        """How long the commit in progress runs; 0: none does."""
        return 0.0 if self._commit_began is None else self._clock.monotonic() - self._commit_began

    async def stop(self) -> None:
        """Do what is queued, then end. While the disk is full: one more try, and what is left fails."""
        self._stopping = True
        self._wake.set()
        await asyncio.wait([self._task])  # not the task itself: cancelling the caller must not cancel the writer

    def die(self, error: Exception) -> None:
        """The file's state is unknown: nothing is written any more. Only the first call is told on."""
        first, self.dead = self.dead is None, self.dead or error
        self._fail_all(f"the database failed: {self.dead}")
        self._wake.set()
        if first:
            log.error("database.failed", error=str(error), code=getattr(error, "sqlite_errorname", type(error).__name__))
            self._on_fatal(error)

    async def _run(self) -> None:
        try:
            await self._loop()
        except Exception as error:  # fence: a writer that ended by a bug must end the process, not leave callers waiting
            log.exception("database.writer_crashed")
            self.die(error)

    async def _loop(self) -> None:
        while self.dead is None:
            if self.full:
                self._shed_waiting()
            if self.full == DISK_FULL:
                await self._empty_wal()
            if self._queue and self.dead is None:
                await self._commit(self._take())
            elif self._stopping:
                return
            elif self.full:
                await self._pause()
                if not self._queue and not self._stopping:
                    await self._probe()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _empty_wal(self) -> None:
        """A WAL that has eaten the disk is emptied by nobody else: SQLite checkpoints by itself only after a commit, and none succeeds."""
        path = self._path
        attempted = await self._hop.run(lambda connection: _run_outside(connection, lambda inner: checkpoint(inner, True), path))
        if attempted.trouble is not None:
            self.die(attempted.trouble.error)

    async def _probe(self) -> None:
        """Nothing that must be written waits, and what may be refused is: so find out ourselves whether there is room again."""
        await self._commit([Job(_write_probe)])
        if not self.full and self.dead is None:
            await self._commit([Job(_erase_probe)])

    def _take(self) -> list[Job]:
        group: list[Job] = []
        events = size = 0
        while self._queue:
            job = self._queue[0]
            events, size = events + job.events, size + job.bytes
            if group and (job.outside or events > self._max_events or size > self._max_bytes):
                break
            group.append(self._queue.popleft())
            self._mark_taken(job)
            if job.outside:
                break
        return group

    def _mark_taken(self, job: Job) -> None:
        if not job.taken:
            job.taken = True
            if job.on_take is not None:
                job.on_take()

    async def _commit(self, group: Sequence[Job]) -> None:
        began = self._commit_began = self._clock.monotonic()
        runs, path = [job.run for job in group], self._path
        try:
            if group[0].outside:
                attempted = await self._hop.run(lambda connection: _run_outside(connection, runs[0], path))
            else:
                attempted = await self._hop.run(lambda connection: _attempt(connection, runs, path))
        except BaseException:  # the thread is gone, or we are: the group is not settled, so it fails with the rest
            self._queue.extendleft(reversed(group))
            raise
        finally:
            self._commit_began = None
        finished, rest = group[: len(attempted.results)], group[len(attempted.results) :]
        for job, (result, error) in zip(finished, attempted.results, strict=True):
            self._finish(job, result, error)
        if finished and attempted.trouble is None:
            self._set_full("")
        if finished and self.on_commit is not None:
            self.on_commit(self._clock.monotonic() - began, len(finished), sum(job.events for job in finished))
        if attempted.trouble is not None:
            await self._suffer(attempted.trouble, rest)

    async def _suffer(self, trouble: Trouble, rest: Sequence[Job]) -> None:
        self._queue.extendleft(reversed(rest))
        if not trouble.reason:
            self.die(trouble.error)
            return
        is_new = not self.full
        self._set_full(trouble.reason, trouble.error)
        self._retry_at = self._clock.monotonic() + RETRY_S
        if self._queue and self._queue[0].run is _write_probe:
            self._queue.popleft()
        if is_new and self._shed_waiting():
            return  # the others are tried again at once: without what was refused there may be room
        if self._stopping:
            self._fail_all(trouble.reason)
        elif self._queue:
            await self._pause()

    async def _pause(self) -> None:
        """Until the next try is due, or the end; what may be shed is refused meanwhile."""
        while not self._stopping and self.dead is None and (left_s := self._retry_at - self._clock.monotonic()) > 0:
            self._shed_waiting()
            self._wake.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _shed_waiting(self) -> int:
        """Refuse every waiting job that may be refused; returns how many."""
        shed = [job for job in self._queue if job.sheds or job.outside]
        if shed:
            self._queue = deque(job for job in self._queue if not (job.sheds or job.outside))
        for job in shed:
            self._mark_taken(job)
            self._finish(job, None, StoreError(self.full, retry_after_s=RETRY_AFTER_S[self.full]))
        return len(shed)

    def _finish(self, job: Job, result: Any, error: Exception | None) -> None:
        self.waiting_bytes -= job.bytes
        if error is None and job.effect is not None:
            try:
                job.effect(result)
            except Exception as bug:  # fence: what is committed stays; the others of the group still get their answers
                log.exception("database.effect_failed")
                error = bug
        if job.done.done():
            return
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)

    def _fail_all(self, message: str) -> None:
        while self._queue:
            job = self._queue.popleft()
            self._mark_taken(job)
            self._finish(job, None, StoreError(message))

    def _set_full(self, reason: str, error: Exception | None = None) -> None:
        if reason and self._clock.monotonic() >= self._log_at:
            self._log_at = self._clock.monotonic() + LOG_EVERY_S
            log.error("database.write_refused", reason=reason, error=str(error))
        self.full = reason


def _attempt(connection: sqlite3.Connection, runs: Sequence[Callable[[sqlite3.Connection], Any]], path: Path) -> Attempted:
    """One transaction for all; when one of them raises, one transaction each, so that only the guilty one fails."""
    outcome = _transact(connection, runs, path)
    if isinstance(outcome, Trouble):
        return Attempted([], outcome)
    if isinstance(outcome, list):
        return Attempted([(result, None) for result in outcome], None)
    if len(runs) == 1:
        return Attempted([(None, outcome)], None)
    results: list[tuple[Any, Exception | None]] = []
    for run in runs:
        single = _transact(connection, [run], path)
        if isinstance(single, Trouble):
            return Attempted(results, single)
        results.append((single[0], None) if isinstance(single, list) else (None, single))
    return Attempted(results, None)


def _transact(connection: sqlite3.Connection, runs: Sequence[Callable[[sqlite3.Connection], Any]], path: Path) -> list[Any] | Exception | Trouble:
    """The results, or the exception of a job (nothing committed), or why no transaction can be made (nothing committed)."""
    guilty = False
    try:
        connection.execute("BEGIN IMMEDIATE")
        results: list[Any] = []
        for run in runs:
            guilty = True
            results.append(run(connection))
            if not connection.in_transaction:
                raise RuntimeError("a job ended the transaction that it was given")
            guilty = False
        connection.execute("COMMIT")
        return results
    except Exception as error:  # fence: what a job raises is its own result, as far as it is not the disk's
        reason = _disk_reason(error, path)
        fatal = _roll_back(connection)
        if fatal is not None:
            return Trouble("", fatal)
        if reason is None and guilty:
            return error
        return Trouble(reason or "", error)


def _roll_back(connection: sqlite3.Connection) -> Exception | None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return error
    return None


def _run_outside(connection: sqlite3.Connection, run: Callable[[sqlite3.Connection], Any], path: Path) -> Attempted:
    try:
        return Attempted([(run(connection), None)], None)
    except Exception as error:  # fence: as in `_transact`
        reason = _disk_reason(error, path)
        if reason == "":
            return Attempted([], Trouble("", error))
        if reason is None:
            return Attempted([(None, error)], None)
        return Attempted([(None, StoreError(reason, retry_after_s=RETRY_AFTER_S[reason]))], None)


def _disk_reason(error: Exception, path: Path) -> str | None:
    """None: not the disk's fault. Empty: fatal. Else the reason why writing fails at the moment."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return DISK_FULL
    if code == sqlite3.SQLITE_READONLY:
        return READ_ONLY
    if code in BUSY_CODES:
        return LOCKED
    if code == sqlite3.SQLITE_IOERR:
        return _io_reason(error, path)
    return "" if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN) else None


def _io_reason(error: sqlite3.Error, path: Path) -> str:
    """SQLite hides errno: an I/O error on a disk that is full or read-only is that, any other one is fatal."""
    if error.sqlite_errorcode in UNKNOWN_AFTER:
        return ""
    try:
        state = os.statvfs(path)
    except OSError:
        return ""
    if state.f_flag & os.ST_RDONLY:
        return READ_ONLY
    return DISK_FULL if state.f_bavail * state.f_frsize < NO_SPACE_BYTES else ""


def _write_probe(connection: sqlite3.Connection) -> None:
    """Needs new pages, so that it succeeds only when there is room again."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(?))", (PROBE_BYTES,))


def _erase_probe(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM meta WHERE key = 'probe'")

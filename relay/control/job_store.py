"""Long work in the database: what was ordered and how far it is, so that it goes on after any end of the process."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from relay.base import jsonio

T = TypeVar("T")

_COLUMNS: Final = "id, kind, state, spec, progress, created_s, changed_s"
_ADD: Final = "INSERT INTO job (kind, state, spec, progress, created_s, changed_s) VALUES (?, ?, ?, ?, ?, ?)"
_SAVE: Final = "UPDATE job SET state = ?, spec = ?, progress = ?, changed_s = ? WHERE id = ?"
_GET: Final = f"SELECT {_COLUMNS} FROM job WHERE id = ? AND kind = ?"  # noqa: S608 - our own columns
_NEWEST: Final = f"SELECT {_COLUMNS} FROM job WHERE kind = ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - by the primary key
_FIRST: Final = f"SELECT {_COLUMNS} FROM job WHERE kind = ? AND state <> 'ended' ORDER BY id LIMIT 1"  # noqa: S608 - jobs are few
ENDED: Final = "ended"


class WriteQueue(Protocol):
    """What the store needs of the database."""

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T: ...

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


@dataclass(slots=True)
class Job:
    """One order. `state` is its kind's own word, or `ended`; `spec` says what was ordered, `progress` how far it is."""

    job_id: int
    kind: str
    state: str
    spec: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    created_s: float = 0.0
    changed_s: float = 0.0


class JobStore:
    """The table. Every method that writes returns after its commit."""

    def __init__(self, database: WriteQueue) -> None:
        self._database = database

    async def add(self, job: Job) -> Job:
        """Keep a new job; returns it with its id."""
        values = (job.kind, job.state, *_texts(job), job.created_s, job.changed_s)
        job.job_id = await self._database.write(lambda connection: int(connection.execute(_ADD, values).lastrowid or 0))
        return job

    async def save(self, job: Job, now_s: float) -> None:
        """Keep what has changed."""
        job.changed_s = now_s
        values = (job.state, *_texts(job), now_s, job.job_id)
        await self._database.write(lambda connection: connection.execute(_SAVE, values).rowcount)

    async def get(self, kind: str, job_id: int) -> Job | None:
        row = await self._database.read(lambda connection: connection.execute(_GET, (job_id, kind)).fetchone())
        return _job(row) if row else None

    async def newest(self, kind: str, limit: int) -> list[Job]:
        """The newest jobs of a kind, newest first."""
        return [_job(row) for row in await self._database.read(lambda connection: connection.execute(_NEWEST, (kind, limit)).fetchall())]

    async def first_open(self, kind: str) -> Job | None:
        """The oldest job that has not ended."""
        row = await self._database.read(lambda connection: connection.execute(_FIRST, (kind,)).fetchone())
        return _job(row) if row else None


def _texts(job: Job) -> tuple[str, str]:
    return jsonio.dumps(job.spec).decode(), jsonio.dumps(job.progress).decode()


def _job(row: Sequence[Any]) -> Job:
    return Job(row[0], row[1], row[2], jsonio.loads(row[3]), jsonio.loads(row[4]), row[5], row[6])

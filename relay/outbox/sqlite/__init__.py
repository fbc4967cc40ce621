"""The embedded outbox: SQLite through the database room's one writer."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from relay.base.clock import Clock
from relay.database.database import Database
from relay.outbox.engine import LedgerOutbox, Limits
from relay.outbox.operations import Keep
from relay.outbox.sqlite.dedup import RecentKeys
from relay.outbox.sqlite.transaction import SqliteTransaction
from relay.outbox.transaction import Transaction

T = TypeVar("T")

__all__ = ["open_outbox"]


class SqliteStore:
    """Turns operations into the database's write jobs and reads. Does not own the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent = RecentKeys()

    def submit(
        self,
        run: Callable[[Transaction], T],
        *,
        effect: Callable[[T], None] | None = None,
        sheds: bool = False,
        events: int = 0,
        size: int = 0,
        on_take: Callable[[], None] | None = None,
    ) -> "asyncio.Future[T]":
        return self._database.submit(
            lambda connection: run(SqliteTransaction(connection, self._recent)), effect=effect, sheds=sheds, events=events, size=size, on_take=on_take
        )

    async def read(self, query: Callable[[Transaction], T]) -> T:
        return await self._database.read(lambda connection: query(SqliteTransaction(connection, RecentKeys())))

    @property
    def full(self) -> str:
        return self._database.full

    async def close(self) -> None:
        """The database's owner closes it."""


async def open_outbox(database: Database, clock: Clock, *, keep: Keep | None = None, limits: Limits | None = None) -> LedgerOutbox:
    """The outbox in an open database."""
    store = SqliteStore(database)
    head = await store.read(lambda tx: tx.head())
    return LedgerOutbox(store, clock, head=head, keep=keep, limits=limits)

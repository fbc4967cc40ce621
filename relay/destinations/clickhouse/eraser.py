"""Deletes users from the tables that relay made: the rows of their events, and their row in `users`, by mutations that are waited for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from relay.destinations.clickhouse.server import Server, meaning_of, order
from relay.destinations.clickhouse.statements import PAGE, literal, quoted
from relay.errors import Retryable
from relay.kit.sink import SinkContext
from relay.kit.subjects import Subjects
from relay.kit.warehouse import condition_columns

LONGEST_S: Final = 1_800.0
POLL_S: Final = 0.2
IDS: Final = 500
"""Users named in one statement: the server reads 256 KiB of one."""


class ClickHouseEraser:
    """The Eraser over the databases of one destination."""

    def __init__(self, server: Server, databases: Sequence[str], context: SinkContext) -> None:
        self._server = server
        self._databases = databases
        self._send = context.send
        self._clock = context.clock

    async def find(self, users: Subjects) -> int:
        """How many rows are theirs, by their keys: what lies there twice until a merge counts once."""
        count = 0
        async for database, table, condition in self._conditions(users):
            count += int(await self._ask(f"SELECT uniqExact(id) FROM {quoted(database)}.{quoted(table)} WHERE {condition}") or 0)  # noqa: S608
        return count

    async def erase(self, users: Subjects) -> int:
        """Delete these rows; returns when the server has written its files again."""
        count = await self.find(users)
        async for database, table, condition in self._conditions(users):
            await self._ask(f"ALTER TABLE {quoted(database)}.{quoted(table)} DELETE WHERE {condition}")
            await self._done(database, table)
        return count

    async def close(self) -> None:
        """The connections are the destination's own."""

    async def _conditions(self, users: Subjects) -> AsyncIterator[tuple[str, str, str]]:
        """Each table with a column that names users, and what its rows of theirs fulfil."""
        ids = sorted(users.user_ids)
        for database in dict.fromkeys(self._databases):
            columns: dict[str, set[str]] = {}
            for table, column in await self._columns(database):
                columns.setdefault(table, set()).add(column)
            for table, known in columns.items():
                for first in range(0, len(ids) if (named := condition_columns(table, known)) else 0, IDS):
                    texts = ", ".join(literal(user_id) for user_id in ids[first : first + IDS])
                    yield database, table, " OR ".join(f"{quoted(column)} IN ({texts})" for column in named)

    async def _columns(self, database: str) -> list[tuple[str, str]]:
        """Table and name of the columns that may name users."""
        found: list[tuple[str, str]] = []
        where = f"database = {literal(database)} AND (name IN ('user_id', 'previous_id') OR (table = 'users' AND name = 'id'))"
        while len(found) % PAGE == 0:
            page = f"ORDER BY table, name LIMIT {len(found)}, {PAGE} FORMAT TabSeparated"
            lines = (await self._ask(f"SELECT table, name FROM system.columns WHERE {where} {page}")).splitlines()  # noqa: S608
            if not lines:
                break
            found += [(table, column) for table, _, column in (line.partition("\t") for line in lines)]
        return found

    async def _done(self, database: str, table: str) -> None:
        """Until no mutation of the table is left to do."""
        end_s = self._clock.monotonic() + LONGEST_S
        where = f"database = {literal(database)} AND table = {literal(table)} AND is_done = 0"
        while int(await self._ask(f"SELECT count() FROM system.mutations WHERE {where}") or 0):  # noqa: S608
            if self._clock.monotonic() > end_s:
                raise Retryable("the server is still deleting rows; ask again later", code="ETIMEDOUT")
            await asyncio.sleep(POLL_S)

    async def _ask(self, statement: str) -> str:
        response = await self._send(order(self._server, statement))
        if error := meaning_of(response):
            raise error
        return response.body.decode("utf-8", "replace").strip()

"""Deletes users from the tables that relay made: the rows of their events, and their row in `users`. One connection, one transaction."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg

from relay.destinations.postgres.server import Server, connected, meaning_of
from relay.destinations.postgres.statements import COLUMNS_OF, quoted
from relay.kit.sink import SinkContext
from relay.kit.subjects import Subjects
from relay.kit.warehouse import condition_columns

LONGEST_S: Final = 1_800.0
"""Longest wait for one table: there is no index on the columns that name users."""


class PostgresEraser:
    """The Eraser over the schemas of one destination."""

    def __init__(self, server: Server, schemas: Sequence[str], context: SinkContext) -> None:
        self._server = server
        self._schemas = schemas
        self._connect = context.connect

    async def find(self, users: Subjects) -> int:
        """How many rows are theirs."""
        return await self._each("SELECT count(*) FROM {table} WHERE {condition}", users)

    async def erase(self, users: Subjects) -> int:
        """Delete these rows; all or nothing."""
        return await self._each("WITH gone AS (DELETE FROM {table} WHERE {condition} RETURNING 1) SELECT count(*) FROM gone", users)

    async def close(self) -> None:
        """No connection is kept."""

    async def _each(self, statement: str, users: Subjects) -> int:
        try:
            connection = await connected(self._server, self._connect)
            try:
                async with connection.transaction():
                    return sum(
                        [
                            await connection.fetchval(statement.format(table=table, condition=condition), sorted(users.user_ids), timeout=LONGEST_S)
                            for schema in dict.fromkeys(self._schemas)
                            for table, condition in _conditions(schema, await connection.fetch(COLUMNS_OF, schema))
                        ]
                    )
            finally:
                await connection.close(timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise meaning_of(error) from error


def _conditions(schema: str, found: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Each table with a column that names users, and what its rows of theirs fulfil."""
    tables: dict[str, set[str]] = {}
    for table, column, _ in found:
        tables.setdefault(table, set()).add(column)
    for table, columns in sorted(tables.items()):
        if named := condition_columns(table, columns):
            yield f"{quoted(schema)}.{quoted(table)}", " OR ".join(f"{quoted(column)} = ANY($1::text[])" for column in named)

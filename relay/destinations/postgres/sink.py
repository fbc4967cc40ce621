"""The sink: one connection, kept for a while; each batch in one transaction, each row once by its primary key.

A batch with an event that the server refuses is written in halves, until that event stands alone. Schemas, tables and columns are made
before the rows, in transactions of their own: a batch that fails leaves at most an empty column.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import structlog

from relay.base.event import Event
from relay.destinations.postgres.server import Server, connected, meaning_of
from relay.destinations.postgres.statements import COLUMNS_OF, LOCK, add_columns, create_schema, create_table, insert, kind_named, widen
from relay.errors import DeliveryError, Misconfigured
from relay.kit.selection import Excluded
from relay.kit.sink import SinkContext, store_in_halves
from relay.kit.warehouse import Change, Row, Schema, apply, loads_of, plan, rows_of, schema_of

log = structlog.get_logger("relay.destinations")

IDLE_S: Final = 60.0
"""How long an unused connection stays open."""
REWRITE_S: Final = 1_800.0
"""Longest wait for a column of a large table to become another kind."""
COLUMNS: Final = 1_500
"""Most columns of a table; PostgreSQL takes 1,600, and those that were dropped count."""

Placed = tuple[str, list[Row]]
"""The rows of one event and their schema."""


class PostgresSink:
    """Writes events as rows; never used by two callers at once."""

    def __init__(self, server: Server, schema: str, context: SinkContext) -> None:
        self._server = server
        self._schema = schema
        self._clock = context.clock
        self._connect = context.connect
        self._slug_of = context.source_slugs
        self._excluded = Excluded.of(context.exclude)
        self._connection: Any = None
        self._known: dict[str, Schema] = {}
        self._used_s = 0.0

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Store the events; returns after the commit. What hits the destination as a whole is raised."""
        loaded_s = self._clock.now()
        placed = [(self._schema or schema_of(self._slug_of(event.source_id)), self._excluded.select(rows_of(event, loaded_s))) for _, event in events]
        try:
            return await store_in_halves(placed, self._store)
        except BaseException:
            self._drop()
            raise

    async def tick(self) -> None:
        """Close a connection that nobody needs."""
        if self._connection is not None and self._clock.monotonic() - self._used_s > IDLE_S:
            await self.close()

    async def close(self) -> None:
        """Say goodbye; calling it twice is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=5)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                connection.terminate()

    async def _store(self, placed: Sequence[Placed]) -> None:
        """All or nothing. A second time when tables are no longer as they were: somebody else changes them too."""
        try:
            await self._attempt(placed)
        except Misconfigured:
            if not self._known:
                raise
            self._drop()
            await self._attempt(placed)

    async def _attempt(self, placed: Sequence[Placed]) -> None:
        by_schema: dict[str, list[Row]] = {}
        for name, rows in placed:
            by_schema.setdefault(name, []).extend(rows)
        try:
            connection = await self._open()
            for name, rows in by_schema.items():
                await self._prepare(connection, name, rows)
            async with connection.transaction():
                for name, rows in by_schema.items():
                    for load in loads_of(rows, self._known[name]):
                        await connection.execute(insert(name, load), *map(list, zip(*load.rows, strict=True)))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise meaning_of(error) from error
        self._used_s = self._clock.monotonic()

    async def _open(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._drop()
            self._connection = await connected(self._server, self._connect)
        return self._connection

    def _drop(self) -> None:
        """Forget the connection, and what was known of the tables."""
        connection, self._connection = self._connection, None
        self._known.clear()
        if connection is not None:
            connection.terminate()

    async def _prepare(self, connection: Any, name: str, rows: Sequence[Row]) -> None:
        """Make what the rows need."""
        schema = self._known.get(name)
        if schema is None:
            schema = self._known[name] = await self._look(connection, name)
        full = set(schema.full)
        for change in plan(rows, schema, columns=COLUMNS):
            try:
                await self._change(connection, name, schema, change)
            except asyncpg.TooManyColumnsError:  # it counts those that were dropped
                schema.full.add(change.table)
        for table in schema.full - full:
            log.warning("warehouse.table_full", schema=name, table=table)

    async def _look(self, connection: Any, name: str) -> Schema:
        found = await connection.fetch(COLUMNS_OF, name)
        if not found:
            async with connection.transaction():
                await connection.execute(LOCK)
                if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", name):
                    await connection.execute(create_schema(name))
        schema = Schema()
        for table, column, kind in found:
            schema.tables.setdefault(table, {})[column] = kind_named(kind)
        return schema

    async def _change(self, connection: Any, name: str, schema: Schema, change: Change) -> None:
        if change.is_new or change.added:
            async with connection.transaction():
                await connection.execute(LOCK)
                if change.is_new:
                    await connection.execute(create_table(name, change))
                for statement in add_columns(name, change):
                    await connection.execute(statement)
            apply([Change(change.table, change.is_new, change.added)], schema)
        for column, (kind, wider) in change.widened.items():
            try:
                await connection.execute(widen(name, change.table, column, kind, wider), timeout=REWRITE_S)
                apply([Change(change.table, False, widened={column: (kind, wider)})], schema)
            except (asyncpg.FeatureNotSupportedError, asyncpg.InsufficientPrivilegeError) as error:  # a view shows it, or it is another's table
                schema.fixed.add((change.table, column))
                log.warning("warehouse.column_kept", schema=name, table=change.table, column=column, code=error.sqlstate)

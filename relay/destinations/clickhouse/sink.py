"""The sink: one INSERT per table and batch, one at a time.

There is no transaction over several tables: a batch that breaks off is sent again, and what comes twice has the same sort key, so that
ReplacingMergeTree keeps one row (at once for queries with FINAL).
"""

import hashlib
from collections.abc import Sequence

import structlog

from relay.base.event import Event
from relay.destinations.clickhouse import statements
from relay.destinations.clickhouse.server import Server, ask, meaning_of
from relay.destinations.clickhouse.statements import PAGE, Dialect
from relay.errors import DeliveryError, Misconfigured
from relay.kit.selection import Excluded
from relay.kit.sink import SinkContext, store_in_halves
from relay.kit.warehouse import Change, Kind, Load, Row, Schema, apply, loads_of, plan, rows_of, schema_of

log = structlog.get_logger("relay.destinations")

COLUMNS = 1_000
"""Most columns of a table."""
LATEST = frozenset(("users", "accounts"))

Placed = tuple[str, list[Row]]
"""The rows of one event and their database."""


class ClickHouseSink:
    """Writes events as rows; never used by two callers at once."""

    def __init__(self, server: Server, database: str, context: SinkContext) -> None:
        self._server = server
        self._database = database
        self._clock = context.clock
        self._send = context.send
        self._slug_of = context.source_slugs
        self._excluded = Excluded.of(context.exclude)
        self._dialect: Dialect | None = None
        self._known: dict[str, Schema] = {}

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Store the events; returns after the server has them. What hits the destination as a whole is raised."""
        loaded_s = self._clock.now()
        placed = [
            (self._database or schema_of(self._slug_of(event.source_id)), self._excluded.select(rows_of(event, loaded_s))) for _, event in events
        ]
        try:
            return await store_in_halves(placed, self._store)
        except BaseException:
            self._forget()
            raise

    async def tick(self) -> None:
        """There is nothing to roll."""

    async def close(self) -> None:
        """The connections are the destination's own."""

    async def _store(self, placed: Sequence[Placed]) -> None:
        """A second time when tables are no longer as they were: somebody else changes them too."""
        try:
            await self._attempt(placed)
        except Misconfigured:
            if not self._known:
                raise
            self._forget()
            await self._attempt(placed)

    async def _attempt(self, placed: Sequence[Placed]) -> None:
        dialect = self._dialect = self._dialect or await self._learn()
        by_database: dict[str, list[Row]] = {}
        for name, rows in placed:
            by_database.setdefault(name, []).extend(rows)
        for name, rows in by_database.items():
            schema = await self._prepare(name, rows, dialect)
            for load in loads_of(rows, schema):
                await self._insert(name, load, dialect)

    def _forget(self) -> None:
        """The server may be another one when it is back."""
        self._dialect = None
        self._known.clear()

    async def _learn(self) -> Dialect:
        known = set((await self._ask(statements.KNOWN_TYPES)).split())
        return Dialect("DateTime64" in known, "Bool" in known, bool((await self._ask(statements.KNOWN_SETTINGS)).split()))

    async def _prepare(self, name: str, rows: Sequence[Row], dialect: Dialect) -> Schema:
        """Make what the rows need."""
        schema = self._known.get(name)
        if schema is None:
            await self._ask(statements.create_database(name))
            schema = self._known[name] = Schema()
        for table in {row.table for row in rows} - schema.tables.keys():
            if columns := await self._look(name, table):
                apply([Change(table, False, columns)], schema)
        full = set(schema.full)
        for change in plan(rows, schema, columns=COLUMNS):
            await self._change(name, change, dialect)
            apply([change], schema)
        for table in schema.full - full:
            log.warning("warehouse.table_full", schema=name, table=table)
        return schema

    async def _look(self, name: str, table: str) -> dict[str, Kind]:
        columns: dict[str, Kind] = {}
        while len(columns) % PAGE == 0:
            lines = (await self._ask(statements.columns_of(name, table, len(columns) // PAGE))).splitlines()
            if not lines:
                break
            columns |= {column: statements.kind_named(kind) for column, _, kind in (line.partition("\t") for line in lines)}
        return columns

    async def _change(self, name: str, change: Change, dialect: Dialect) -> None:
        if change.is_new:
            await self._ask(statements.create_table(name, change, dialect, is_latest=change.table in LATEST))
        for statement in statements.alter_table(name, change, dialect):
            await self._ask(statement)

    async def _insert(self, name: str, load: Load, dialect: Dialect) -> None:
        body = statements.lines_of(load, dialect)
        settings = {"input_format_skip_unknown_fields": "1"}
        if dialect.has_tokens and not load.is_latest:  # a user's next values have the same id
            settings["insert_deduplication_token"] = hashlib.sha256("\0".join(load.ids).encode()).hexdigest()
        await self._ask(statements.insert(name, load), body, **settings)

    async def _ask(self, query: str, body: bytes = b"", **settings: str) -> str:
        response = await self._send(ask(self._server, query, body, **settings))
        if error := meaning_of(response):
            raise error
        return response.body.decode("utf-8", "replace")

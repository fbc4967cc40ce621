"""The SQL and the rows. Types are those that the server knows: releases before 20 have neither DateTime64 nor Bool."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from relay.base import jsonio
from relay.kit.warehouse import Change, Kind, Load

KNOWN_TYPES: Final = "SELECT name FROM system.data_type_families WHERE name IN ('Bool', 'DateTime64') FORMAT TabSeparated"
KNOWN_SETTINGS: Final = "SELECT name FROM system.settings WHERE name = 'insert_deduplication_token' FORMAT TabSeparated"
PAGE: Final = 400
"""Columns per answer: relay reads at most 64 KiB of one."""

_NULLABLE = re.compile(r"(?:LowCardinality\()?(?:Nullable\()?(\w+)")
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2106, 1, 1, tzinfo=UTC)
_FIRST_64: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST_64: Final = datetime(2299, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the server knows."""

    has_moments: bool
    """DateTime64: moments with milliseconds."""
    has_bool: bool
    has_tokens: bool
    """insert_deduplication_token."""

    def type_of(self, kind: Kind) -> str:
        if kind is Kind.TIMESTAMP:
            return "DateTime64(3, 'UTC')" if self.has_moments else "DateTime('UTC')"
        if kind is Kind.BOOLEAN:
            return "Bool" if self.has_bool else "UInt8"
        return {Kind.INTEGER: "Int64", Kind.FLOAT: "Float64"}.get(kind, "String")

    def value_of(self, value: Any) -> Any:
        """As JSONEachRow takes it; a moment that the type cannot hold is left out."""
        if isinstance(value, datetime):
            first, last = (_FIRST_64, _LAST_64) if self.has_moments else (_FIRST, _LAST)
            text = value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds" if self.has_moments else "seconds")
            return text if first <= value < last else None
        return int(value) if isinstance(value, bool) and not self.has_bool else value


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def kind_named(name: str) -> Kind:
    """The kind of a column whose type ClickHouse calls so; what relay does not know is text."""
    found = _NULLABLE.match(name)
    inner = found[1] if found else ""
    if inner in ("UInt8", "Bool"):
        return Kind.BOOLEAN
    if inner.startswith("DateTime"):
        return Kind.TIMESTAMP
    if inner.startswith(("Int", "UInt")):
        return Kind.INTEGER
    return Kind.FLOAT if inner.startswith(("Float", "Decimal")) else Kind.TEXT


def create_database(database: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {quoted(database)}"


def columns_of(database: str, table: str, page: int) -> str:
    where = f"database = {literal(database)} AND table = {literal(table)}"
    return f"SELECT name, type FROM system.columns WHERE {where} ORDER BY name LIMIT {page * PAGE}, {PAGE} FORMAT TabSeparated"  # noqa: S608


def create_table(database: str, change: Change, dialect: Dialect, *, is_latest: bool) -> str:
    """Rows of events are sorted by day and id, users and accounts by id; of rows with one key the newest stays."""
    moment = dialect.type_of(Kind.TIMESTAMP)
    columns = [f"id String, received_at {moment}"]
    columns += [_column(column, kind, dialect) for column, kind in change.added.items() if column not in ("id", "received_at")]
    order = "id" if is_latest else "(toDate(received_at), id)"
    engine = f"ENGINE = ReplacingMergeTree(received_at) ORDER BY {order}"
    return f"CREATE TABLE IF NOT EXISTS {quoted(database)}.{quoted(change.table)} ({', '.join(columns)}) {engine}"


def alter_table(database: str, change: Change, dialect: Dialect) -> Iterator[str]:
    table = f"{quoted(database)}.{quoted(change.table)}"
    parts = [] if change.is_new else [f"ADD COLUMN {_column(column, kind, dialect)}" for column, kind in change.added.items()]
    if parts:
        yield f"ALTER TABLE {table} {', '.join(parts)}"
    for column, (_, wider) in change.widened.items():
        yield f"ALTER TABLE {table} MODIFY COLUMN {_column(column, wider, dialect)}"


def _column(column: str, kind: Kind, dialect: Dialect) -> str:
    return f"{quoted(column)} Nullable({dialect.type_of(kind)})"


def insert(database: str, load: Load) -> str:
    names = ", ".join(quoted(column) for column in load.columns)
    return f"INSERT INTO {quoted(database)}.{quoted(load.table)} ({names}) FORMAT JSONEachRow"


def lines_of(load: Load, dialect: Dialect) -> bytes:
    """The rows, one JSON object a line; a column without a value is left out."""
    lines = []
    for row in load.rows:
        values = {column: dialect.value_of(value) for column, value in zip(load.columns, row, strict=True)}
        lines.append(jsonio.dumps({column: value for column, value in values.items() if value is not None}))
    return b"\n".join(lines)

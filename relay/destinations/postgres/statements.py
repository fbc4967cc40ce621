"""The SQL. Names are quoted; values go as parameters, one array per column."""

from collections.abc import Iterator
from typing import Final

from relay.kit.warehouse import Change, Kind, Load

TYPES: Final = {
    Kind.TIMESTAMP: "timestamptz",
    Kind.INTEGER: "bigint",
    Kind.FLOAT: "double precision",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
}
_KINDS: Final = {
    "timestamp with time zone": Kind.TIMESTAMP,
    "timestamp without time zone": Kind.TIMESTAMP,
    "bigint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "smallint": Kind.INTEGER,
    "double precision": Kind.FLOAT,
    "real": Kind.FLOAT,
    "numeric": Kind.FLOAT,
    "boolean": Kind.BOOLEAN,
}

COLUMNS_OF: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
LOCK: Final = "SELECT pg_advisory_xact_lock(7310579627117310066)"
"""One relay at a time makes tables and columns: IF NOT EXISTS alone is no protection from another that makes the same."""


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def kind_named(name: str) -> Kind:
    """The kind of a column whose type PostgreSQL calls so; what relay does not know is text."""
    return _KINDS.get(name, Kind.TEXT)


def create_schema(schema: str) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}"


def create_table(schema: str, change: Change) -> str:
    """With its keys alone; `add_columns` brings the rest, also when another relay has made the table in the meantime."""
    return f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.{quoted(change.table)} (id text PRIMARY KEY, received_at timestamptz)"


def add_columns(schema: str, change: Change) -> Iterator[str]:
    table = f"{quoted(schema)}.{quoted(change.table)}"
    parts = [f"ADD COLUMN IF NOT EXISTS {quoted(column)} {TYPES[kind]}" for column, kind in change.added.items()]
    if parts:
        yield f"ALTER TABLE {table} {', '.join(parts)}"
    if change.is_new:
        yield f"CREATE INDEX ON {table} USING brin (received_at)"


def widen(schema: str, table: str, column: str, kind: Kind, wider: Kind) -> str:
    name = quoted(column)
    old = f"""to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""" if kind is Kind.TIMESTAMP else f"{name}::{TYPES[wider]}"
    return f"ALTER TABLE {quoted(schema)}.{quoted(table)} ALTER COLUMN {name} TYPE {TYPES[wider]} USING {old}"


def insert(schema: str, load: Load) -> str:
    """Rows that are there already stay as they are. Of users and accounts each column gets its newest value, whichever order events come in."""
    table, names = f"{quoted(schema)}.{quoted(load.table)}", [quoted(column) for column in load.columns]
    arrays = ", ".join(f"${number}::{TYPES[kind]}[]" for number, kind in enumerate(load.kinds, 1))
    text = f"INSERT INTO {table} AS t ({', '.join(names)}) SELECT * FROM unnest({arrays}) ON CONFLICT (id) "  # noqa: S608
    if not load.is_latest:
        return text + "DO NOTHING"
    newer = "EXCLUDED.received_at >= t.received_at"
    sets = [f"{name} = CASE WHEN {newer} THEN COALESCE(EXCLUDED.{name}, t.{name}) ELSE COALESCE(t.{name}, EXCLUDED.{name}) END" for name in names]
    return text + f"DO UPDATE SET {', '.join(sets)}"

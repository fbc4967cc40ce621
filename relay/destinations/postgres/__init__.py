"""PostgreSQL: events as rows of tables, in Segment's warehouse layout. Needs the extra relay[postgres]."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from relay.base.secret import reveal
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import EVERY_CALL, Eraser, Sink, SinkContext
from relay.kit.warehouse import schema_of

if TYPE_CHECKING:
    from relay.destinations.postgres.server import Server

TLS = ("verify", "require", "disable")


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.postgres.sink import PostgresSink

    return PostgresSink(_server(settings), settings.get("schema") or "", context)


def _open_eraser(settings: dict[str, Any], context: SinkContext, slugs: Sequence[str]) -> Eraser:
    from relay.destinations.postgres.eraser import PostgresEraser

    schemas = [settings["schema"]] if settings.get("schema") else [schema_of(slug) for slug in slugs]
    return PostgresEraser(_server(settings), schemas, context)


def _server(settings: dict[str, Any]) -> "Server":
    from relay.destinations.postgres.server import Server

    return Server(
        host=settings["host"],
        port=settings["port"],
        database=settings["database"],
        user=settings["user"],
        password=reveal(settings.get("password")),
        tls=settings["tls"],
        ca_file=settings.get("caFile") or "",
    )


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if find_spec("asyncpg") is None:
        problems.append(Problem("the driver for PostgreSQL is not installed", None, "pip install 'relay[postgres]'"))
    if not 1 <= int(settings.get("port") or 0) <= 65_535:
        problems.append(Problem("port must be between 1 and 65535"))
    schema = str(settings.get("schema") or "")
    if len(schema.encode()) > 63 or schema.startswith("pg_") or "\0" in schema:
        problems.append(Problem(f"schema: '{schema}' is no name that PostgreSQL gives to a schema"))
    return problems


DEFINITION = Definition(
    slug="postgres",
    name="PostgreSQL",
    description="Writes events to tables, one schema per source and one table per event, each event exactly once.",
    mode="storage",
    settings=(
        Setting("host", "Server", required=True, help="Name or address of the server."),
        Setting("port", "Port", "integer", default=5432),
        Setting("database", "Database", required=True, help="It must exist; relay makes schemas, tables and columns in it."),
        Setting("user", "User name", required=True, help="Needs CREATE on the database."),
        Setting("password", "Password", secret=True),
        Setting("schema", "Schema", help="Left out: one for each source, named like it."),
        Setting("tls", "TLS", default="verify", choices=TLS, help="verify checks the server's certificate, require only encrypts."),
        Setting("caFile", "CA file", help="Certificates (PEM) to trust instead of the system's."),
    ),
    actions={
        "write": Action(
            "write",
            "Write",
            description="Adds the event's rows to the tables of its source.",
            default_trigger=EVERY_CALL,
            batch_size=1_000,
            batch_bytes=4_000_000,
            linger_ms=250,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "write", EVERY_CALL),),
    check=_check,
    open_sink=_open,
    has_tables=True,
    open_eraser=_open_eraser,
)

"""ClickHouse: events as rows of tables, in Segment's warehouse layout, over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from relay.destinations.clickhouse.eraser import ClickHouseEraser
from relay.destinations.clickhouse.server import Server, ask
from relay.destinations.clickhouse.sink import ClickHouseSink
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.request import Request
from relay.kit.sink import EVERY_CALL, Eraser, Sink, SinkContext
from relay.kit.warehouse import schema_of


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    return ClickHouseSink(Server.of(settings), settings.get("database") or "", context)


def _open_eraser(settings: dict[str, Any], context: SinkContext, slugs: Sequence[str]) -> Eraser:
    databases = [settings["database"]] if settings.get("database") else [schema_of(slug) for slug in slugs]
    return ClickHouseEraser(Server.of(settings), databases, context)


def _test(settings: Mapping[str, Any]) -> Request:
    return ask(Server.of(settings), "SELECT 1")


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = []
    url = str(settings.get("url") or "")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        has_login = parts.username is not None or parts.password is not None
    except ValueError:
        fits = has_login = False
    if not fits:
        problems.append(Problem(f"url: '{url}' is no address of a server", None, "write it like https://clickhouse.example.com:8443"))
    elif has_login:
        problems.append(Problem("url must not hold a user name or password", None, "use the settings user and password"))
    if not str(settings.get("user") or "").isprintable():
        problems.append(Problem("user holds a character that no header can hold"))
    return problems


DEFINITION = Definition(
    slug="clickhouse",
    name="ClickHouse",
    description="Writes events to tables over HTTP, one database per source and one table per event.",
    mode="storage",
    settings=(
        Setting("url", "Server", required=True, help="Its HTTP interface, as https://clickhouse.example.com:8443."),
        Setting("user", "User name", default="default", help="Needs CREATE, ALTER, INSERT and SELECT."),
        Setting("password", "Password", secret=True),
        Setting("database", "Database", help="Left out: one for each source, named like it."),
    ),
    actions={
        "write": Action(
            "write",
            "Write",
            description="Adds the event's rows to the tables of its source.",
            default_trigger=EVERY_CALL,
            batch_size=5_000,
            batch_bytes=8_000_000,
            linger_ms=1_000,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "write", EVERY_CALL),),
    check=_check,
    test=_test,
    open_sink=_open,
    has_tables=True,
    open_eraser=_open_eraser,
)

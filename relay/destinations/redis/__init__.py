"""Redis streams: each event as one entry (XADD), the stream cut to a length. Needs the extra relay[redis]."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from relay.base.secret import reveal
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import EVERY_CALL, Sink, SinkContext
from relay.kit.stream import host_and_port, name_problems, server_problems

PORT = 6379
FIELDS = ("event", "userId", "anonymousId", "receivedAt", "timestamp")
"""What an entry may hold besides message_id, source, type and json."""


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.redis.sink import Entries, RedisSink, Server

    host, port = host_and_port(settings["server"], PORT)
    server = Server(
        host=host,
        port=port,
        is_tls=settings["security"] == "tls",
        ca_file=settings.get("caFile") or "",
        username=settings.get("username") or "",
        password=reveal(settings.get("password")),
        database=int(settings["database"]),
    )
    return RedisSink(server, Entries(settings["key"], int(settings["maxLength"]), tuple(settings.get("fields") or ())), context)


def _is_key(text: str) -> bool:
    return bool(text) and text.isprintable()


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = server_problems("server", [str(settings["server"])] if settings.get("server") else (), f"redis.example.com:{PORT}")
    if find_spec("redis") is None:
        problems.append(Problem("the library for Redis is not installed", None, "pip install 'relay[redis]'"))
    problems += name_problems("key", str(settings.get("key") or ""), _is_key)
    problems += [Problem(f"{name} must not be negative") for name in ("database", "maxLength") if int(settings.get(name) or 0) < 0]
    unknown = [name for name in settings.get("fields") or () if name not in FIELDS]
    problems += [Problem(f"fields: there is no '{name}'", None, f"known are {', '.join(FIELDS)}") for name in unknown]
    if settings.get("username") and not settings.get("password"):
        problems.append(Problem("username needs a password"))
    return problems


DEFINITION = Definition(
    slug="redis",
    name="Redis Streams",
    description="Appends every event to a Redis stream.",
    mode="storage",
    settings=(
        Setting("server", "Server", required=True, help="host:6379."),
        Setting("security", "Security", default="plain", choices=("plain", "tls"), help="tls checks the server's certificate."),
        Setting("caFile", "CA file", help="Certificates (PEM) to trust instead of the system's."),
        Setting("username", "User name", help="Left out: the default user."),
        Setting("password", "Password", secret=True),
        Setting("database", "Database", "integer", default=0),
        Setting("key", "Key", default="events:{source}", help="The stream's key; may hold {source}, {type} and {event}."),
        Setting("maxLength", "Entries to keep", "integer", default=1_000_000, help="About so many; older ones are cut off. 0: all."),
        Setting("fields", "More fields", "list", help="Besides message_id, source, type and json: " + ", ".join(FIELDS) + "."),
    ),
    actions={
        "append": Action(
            "append",
            "Append",
            description="Appends the event to the stream (XADD).",
            default_trigger=EVERY_CALL,
            batch_size=256,
            batch_bytes=2_000_000,
            linger_ms=5,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "append", EVERY_CALL),),
    check=_check,
    open_sink=_open,
)

"""NATS JetStream: each event as one message, stored before it counts as delivered. Needs the extra relay[nats]."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from relay.base.secret import reveal
from relay.errors import Problem
from relay.kit.definition import Action, Definition, Preset, Setting
from relay.kit.sink import EVERY_CALL, Sink, SinkContext
from relay.kit.stream import host_and_port, name_problems, server_problems

PORT = 4222


def _open(settings: dict[str, Any], context: SinkContext) -> Sink:
    from relay.destinations.nats.sink import Account, NatsSink

    account = Account(
        servers=tuple(host_and_port(server, PORT) for server in settings["servers"]),
        is_tls=settings["security"] == "tls",
        ca_file=settings.get("caFile") or "",
        username=settings.get("username") or "",
        password=reveal(settings.get("password")),
        token=reveal(settings.get("token")),
        credentials=reveal(settings.get("credentials")),
    )
    return NatsSink(account, settings["subject"], settings.get("stream") or "", context)


def _is_subject(text: str) -> bool:
    return re.fullmatch(r"[^\s.*>]+(\.[^\s.*>]+)*", text) is not None and text.isprintable() and not text.startswith("$")


def _check(settings: Mapping[str, Any]) -> list[Problem]:
    problems = server_problems("servers", settings.get("servers") or (), f"nats.example.com:{PORT}")
    if find_spec("nats") is None:
        problems.append(Problem("the library for NATS is not installed", None, "pip install 'relay[nats]'"))
    elif settings.get("credentials") and find_spec("nkeys") is None:
        problems.append(Problem("the library for NATS credentials is not installed", None, "pip install 'relay[nats]'"))
    problems += name_problems("subject", str(settings.get("subject") or ""), _is_subject)
    if bool(settings.get("username")) != bool(settings.get("password")):
        problems.append(Problem("username and password belong together", None, "set both, or none"))
    if sum(bool(settings.get(name)) for name in ("username", "token", "credentials")) > 1:
        problems.append(Problem("only one of username, token and credentials can be used"))
    return problems


DEFINITION = Definition(
    slug="nats",
    name="NATS JetStream",
    description="Publishes every event to a subject that a JetStream stream stores.",
    mode="storage",
    settings=(
        Setting("servers", "Servers", "list", required=True, help="host:4222; the first that answers is used."),
        Setting("security", "Security", default="plain", choices=("plain", "tls"), help="tls checks the server's certificate."),
        Setting("caFile", "CA file", help="Certificates (PEM) to trust instead of the system's."),
        Setting("username", "User name"),
        Setting("password", "Password", secret=True),
        Setting("token", "Token", secret=True),
        Setting("credentials", "Credentials", secret=True, help="The text of a .creds file (JWT and seed): ${file:/path/to/user.creds}."),
        Setting("subject", "Subject", default="events.{source}.{type}", help="May hold {source}, {type} and {event}."),
        Setting("stream", "Stream", help="The stream that must take the messages; left out: any."),
    ),
    actions={
        "publish": Action(
            "publish",
            "Publish",
            description="Publishes the event's JSON and waits until the stream has stored it.",
            default_trigger=EVERY_CALL,
            batch_size=256,
            batch_bytes=2_000_000,
            linger_ms=5,
            batch_always=True,
        )
    },
    presets=(Preset("All events", "publish", EVERY_CALL),),
    check=_check,
    open_sink=_open,
)

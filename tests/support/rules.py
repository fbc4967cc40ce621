"""Rules as a file has them, read and compiled without the rest of a configuration."""

from pathlib import Path
from typing import Any

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import load
from relay.workspace.model import Workspace
from tests.support.app import source, table

HOOK = {"slug": "hook", "type": "webhook", "settings": {"url": "https://hooks.example/"}}


def workspace_of(folder: Path, *, source_has: dict[str, Any] | None = None, destination: dict[str, Any] | None = None) -> Workspace:
    """A workspace of the source `web` and the destination `hook`. Raises ConfigError."""
    path = folder / "relay.toml"
    path.write_text(source(**(source_has or {})) + table("destination", HOOK | (destination or {})))
    return load(path, load_catalog(), environment={"KEY": "k", "EMPTY": ""}).workspace


def mistakes(folder: Path, **given: Any) -> list[str]:
    """`line: message | remedy` of every mistake."""
    try:
        workspace_of(folder, **given)
    except ConfigError as error:
        return [f"{one.place.line if one.place else 0}: {one.message} | {one.remedy}" for one in error.problems]
    return []


def event(kind: str = "track", **fields: Any) -> Event:
    """An event as it is stored."""
    message: dict[str, Any] = {"type": kind, "messageId": "m1", "userId": "u1"}
    message |= {"event": "Order Completed", "properties": {"total": 5, "code": "X-1"}} if kind == "track" else {}
    body = jsonio.dumps(message | fields)
    return event_of(jsonio.loads(body), "web", 0, body)

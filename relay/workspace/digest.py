"""A workspace as a document and back, and digests of it. A secret enters as a mask with a short hash: a change shows, the text never does."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from relay.base import jsonio
from relay.base.secret import MASK, Secret
from relay.workspace.model import Destination, Workspace

_OUTSIDE = {"place", "schema_places"}


def document(workspace: Workspace) -> dict[str, Any]:
    """The content of a workspace for JSON, without number, author, time and places."""
    return {
        "sources": [plain(source) for source in workspace.sources],
        "destinations": [plain(destination) for destination in workspace.destinations],
        "alert_rules": [plain(rule) for rule in workspace.alert_rules],
        "plans": [plain(plan) for plan in workspace.plans],
        "matchers": [plain(matcher) for matcher in workspace.matchers],
        "colors": plain(workspace.colors),
    }


def digest(workspace: Workspace) -> str:
    """Equal for workspaces of equal content."""
    return _digest(document(workspace))


def setting_digest(destination: Destination) -> str:
    """Changes when the destination's type, settings (secrets too) or allow_private change: what ends a hold."""
    return _digest([destination.type, plain(destination.settings), list(destination.allow_private)])


def _digest(value: Any) -> str:
    return hashlib.sha256(jsonio.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def plain(value: Any) -> Any:
    """A part of a workspace as it stands in its document: equal for what means the same."""
    if isinstance(value, Secret):
        short = hashlib.sha256(f"relay setting\0{value.reveal()}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"{MASK}{short}" if value else ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value) if entry.name not in _OUTSIDE}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value

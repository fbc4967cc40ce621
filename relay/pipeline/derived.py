"""Events that relay makes itself. Pure; they enter the log as any other event, and so reach destinations with the same durability."""

from collections.abc import Mapping
from typing import Any, Final

from relay import __version__
from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.pipeline.stages.normalize import time_text
from relay.workspace.model import BUILT_IN_SOURCE

FIRED: Final = "Alert Fired"
REMINDED: Final = "Alert Reminded"
RESOLVED: Final = "Alert Resolved"
USER: Final = "relay"
"""All alerts are of one user, so that a destination gets them in their order."""


def alert_event(name: str, properties: Mapping[str, Any], *, message_id: str, at_ms: int, only: str = "") -> Event:
    """A track event of the built-in source. `only`: the slug of the one destination that may carry it; empty: all.

    `properties.subject` is `{kind, slug}`: the destination that it names drops the event (`about_itself`).
    """
    at = time_text(at_ms)
    payload: dict[str, Any] = {
        "type": "track",
        "event": name,
        "messageId": message_id,
        "userId": USER,
        "properties": dict(properties),
        "context": {"library": {"name": "relay", "version": __version__}},
        "integrations": {"All": False, only: True} if only else {},
        "originalTimestamp": at,
        "sentAt": at,
        "receivedAt": at,
        "timestamp": at,
        "channel": "server",
        "version": 2,
    }
    return event_of(payload, BUILT_IN_SOURCE, at_ms, jsonio.dumps(payload))


def is_about(event: Event, slug: str) -> bool:
    """Whether an event is an alert about the destination with this slug."""
    if event.source_id != BUILT_IN_SOURCE:
        return False
    properties = event.payload.get("properties")
    subject = properties.get("subject") if isinstance(properties, Mapping) else None
    return isinstance(subject, Mapping) and subject.get("kind") == "destination" and subject.get("slug") == slug

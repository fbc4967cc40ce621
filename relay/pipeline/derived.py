"""Events that relay makes itself. Pure; they enter the log as any other event, and so reach destinations with the same durability."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay import __version__
from relay.base import jsonio
from relay.base.event import FORWARDED_FROM, Event, event_of
from relay.kit.violations import Violation
from relay.pipeline.stages.normalize import time_text
from relay.pipeline.stages.redact import Redact
from relay.workspace.model import BUILT_IN_SOURCE, Source
from relay.workspace.rules import Plan

FIRED: Final = "Alert Fired"
REMINDED: Final = "Alert Reminded"
RESOLVED: Final = "Alert Resolved"
DRIFTED: Final = "Plan Drift Reported"
USER: Final = "relay"
"""All alerts are of one user, so that a destination gets them in their order."""

VIOLATED: Final = "Violation Generated"
VIOLATIONS_USER: Final = "schema-violations"
FORWARDED_MAX: Final = 20
"""Violations of one event that are forwarded: an event that is wrong all over must not make a hundred others."""
VIEWED: Final[Mapping[str, str]] = {"page": "Page Viewed", "screen": "Screen Viewed"}
"""How Segment names these calls where it shows them as events; a TRACK rule of such a name holds for them as well."""


def alert_event(name: str, properties: Mapping[str, Any], *, message_id: str, at_ms: int, only: str = "") -> Event:
    """A track event of the built-in source. `only`: the slug of the one destination that may carry it; empty: all.

    `properties.subject` is `{kind, slug}`: the destination that it names drops the event (`about_itself`).
    """
    payload: dict[str, Any] = {
        "type": "track",
        "event": name,
        "messageId": message_id,
        "userId": USER,
        "properties": dict(properties),
        "context": {"library": {"name": "relay", "version": __version__}},
        "integrations": {"All": False, only: True} if only else {},
        **_stamp(at_ms),
    }
    return event_of(payload, BUILT_IN_SOURCE, at_ms, jsonio.dumps(payload))


def _stamp(at_ms: int) -> dict[str, Any]:
    """What intake adds to a message."""
    at = time_text(at_ms)
    return {"originalTimestamp": at, "sentAt": at, "receivedAt": at, "timestamp": at, "channel": "server", "version": 2}


def is_about(event: Event, slug: str) -> bool:
    """Whether an event is an alert about the destination with this slug."""
    if event.source_id != BUILT_IN_SOURCE:
        return False
    properties = event.payload.get("properties")
    subject = properties.get("subject") if isinstance(properties, Mapping) else None
    return isinstance(subject, Mapping) and subject.get("kind") == "destination" and subject.get("slug") == slug


@dataclass(frozen=True, slots=True)
class Target:
    """A source that another one forwards to."""

    source_id: str
    redact: Redact | None = None
    """What it must not keep: a derived event does not pass through intake."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What a source tells other sources: its violations, and its blocked events.

    Ids are hashes of what the events say, so that an event that is routed again after a crash makes the same ones, and the log's dedup drops them.
    """

    source: Source
    plan: Plan | None = None
    violations_to: Target | None = None
    blocked_to: Target | None = None
    feeders: frozenset[str] = frozenset()
    """Ids of the sources that forward to this one."""

    def violations(self, event: Event, violations: Sequence[Violation]) -> tuple[Event, ...]:
        """One track event for each violation, up to FORWARDED_MAX."""
        target = self.violations_to
        return tuple(self._violation(event, one, target) for one in violations[:FORWARDED_MAX]) if target is not None else ()

    def blocked(self, event: Event) -> tuple[Event, ...]:
        """The whole event again, as one of the other source."""
        target = self.blocked_to
        if target is None:
            return ()
        message_id = f"blk-{_hash(event, 'blocked')}"
        return (_for(target, {**event.payload, "messageId": message_id, FORWARDED_FROM: self.source.source_id}, event),)

    def _violation(self, event: Event, violation: Violation, target: Target) -> Event:
        payload = event.payload
        context = payload.get("context")
        app = context.get("app") if isinstance(context, Mapping) else None
        version = app.get("version") if isinstance(app, Mapping) else None
        properties = {
            "appVersion": version if isinstance(version, str) else "",
            "eventMessageID": event.message_id,
            "eventName": event.name if event.type == "track" else VIEWED.get(event.type, ""),
            "eventSentAt": payload.get("sentAt", ""),
            "eventTimestamp": payload.get("timestamp", ""),
            "eventType": event.type,
            "sourceID": self.source.source_id,
            "sourceName": self.source.name,
            "sourceSlug": self.source.slug,
            "trackingPlanID": self.plan.slug if self.plan else "",
            "trackingPlanName": self.plan.name if self.plan else "",
            "violationDescription": violation.description,
            "violationField": violation.field,
            "violationType": violation.type,
        }
        message = {
            "type": "track",
            "event": VIOLATED,
            "messageId": f"sch-{_hash(event, violation.type, violation.field, violation.description)}",
            "userId": VIOLATIONS_USER,
            "properties": properties,
            "context": {"app": app, "library": {"name": "relay", "version": __version__}},
            "integrations": {},
            **_stamp(event.received_ms),
            FORWARDED_FROM: self.source.source_id,
        }
        return _for(target, message, event)


def _for(target: Target, message: dict[str, Any], event: Event) -> Event:
    payload = target.redact(message) if target.redact is not None else message
    return event_of(payload, target.source_id, event.received_ms, jsonio.dumps(payload))


def _hash(event: Event, *said: str) -> str:
    """Of one event and what is said of it; the time of its arrival tells it from a later one with the same id."""
    parts = (event.source_id, event.message_id, str(event.received_ms), *said)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

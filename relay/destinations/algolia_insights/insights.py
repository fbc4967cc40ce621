"""The events call that all actions share, and the parts that every event has. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay import __version__
from relay.base.secret import reveal
from relay.errors import Misconfigured, PayloadError
from relay.kit.definition import Action, Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request

REGIONS: Final = {"default": "insights.algolia.io", "us": "insights.us.algolia.io", "de": "insights.de.algolia.io"}
AGENT: Final = f"relay ({__version__})"
SECRETS: Final = frozenset(("x-algolia-api-key",))
BATCH_SIZE: Final = 1000
"""Most events that Algolia takes in one request."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells one action's events from another's."""

    name: str
    """The event name where the mapping gives none."""
    event_type: str
    special: Callable[[Mapping[str, Any]], dict[str, Any]]
    """From the fields to the keys of this kind; None takes a key away, also from the further properties."""


def action(slug: str, title: str, description: str, fields: tuple[Field, ...], trigger: str, kind: Kind) -> Action:
    """An action that sends events of a kind."""

    def perform(settings: Mapping[str, Any], delivery: Delivery) -> Request:
        return _request(settings, [_event(delivery.fields, kind)])

    def perform_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
        return _request(settings, [_event(delivery.fields, kind) for delivery in deliveries])

    return Action(
        slug, title, description, fields=fields, default_trigger=trigger, perform=perform, perform_batch=perform_batch, batch_size=BATCH_SIZE
    )


def headers_of(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Application, key and agent; raises Misconfigured where a setting is empty."""
    app_id, key = str(settings.get("appId") or ""), reveal(settings.get("apiKey"))
    if not app_id or not key:
        raise Misconfigured(f"the setting {'apiKey' if app_id else 'appId'} is empty")
    return (("x-algolia-application-id", app_id), ("x-algolia-api-key", key), ("x-algolia-agent", AGENT))


def _request(settings: Mapping[str, Any], events: Sequence[dict[str, Any]]) -> Request:
    host = REGIONS[settings.get("region") or "default"]
    return post_json(f"https://{host}/1/events", {"events": events}, headers_of(settings), secrets=SECRETS)


def _event(fields: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """The further properties, and over them what Algolia knows: a known key without a value is left out, whatever the properties say."""
    known = {
        "eventName": fields.get("eventName", kind.name),
        "eventType": fields.get("eventType", kind.event_type),
        "index": fields["index"],
        "queryID": fields.get("queryID"),
        "userToken": fields["userToken"],
        "authenticatedUserToken": fields.get("authenticatedUserToken"),
        "timestamp": _timestamp(fields.get("timestamp")),
    } | kind.special(fields)
    event = {name: value for name, value in (fields.get("extraProperties") or {}).items() if name not in known}
    return event | {name: value for name, value in known.items() if value is not None}


def _timestamp(value: Any) -> int | None:
    moment = unix_ms(value)
    if moment is None and value is not None:
        raise PayloadError('field "timestamp" is no time', field="timestamp")
    return moment

"""Heap's server-side API: events, and the properties of users. Pure. The app id in the body is all the authentication there is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.errors import PayloadError
from relay.kit.definition import Delivery
from relay.kit.js import print_as_js
from relay.kit.moment import iso_utc, unix_ms
from relay.kit.post import json_text, post_json
from relay.kit.request import Request
from relay.kit.steps import Steps

Settings = Mapping[str, Any]

HOSTS: Final = {"US": "https://heapanalytics.com", "EU": "https://c.eu.heap-api.com"}
NAMES: Final = {"page": "Page viewed", "screen": "Screen viewed"}
NAMELESS: Final = "track"
MARK: Final = {"segment_library": "cloud-mode-destination"}
"""A property that reports made for Segment's integration look at."""
BLANK: Final = ("", "0", None)
"""Ids that stand for nobody."""


def track_event(settings: Settings, delivery: Delivery) -> Steps[None]:
    """The event; for a known user the properties first."""
    fields = delivery.fields
    identity, anonymous_id, traits = fields.get("identity"), fields.get("anonymous_id"), fields.get("traits")
    user = {"identity": identity} if identity not in BLANK else {"anonymous_id": anonymous_id} if anonymous_id not in BLANK else None
    if user is None:
        raise PayloadError('field "anonymous_id" or "identity" is required: Heap takes no event of nobody', field="anonymous_id")
    if identity not in BLANK and (anonymous_id not in BLANK or traits):
        answer = yield _add_properties(settings, str(identity), anonymous_id, traits)
        if not answer.is_ok:
            return
    properties = MARK | flat(fields.get("properties") or {})
    if fields.get("name") not in BLANK:
        properties["name"] = fields["name"]
    event: dict[str, Any] = {
        "event": _name(fields),
        "custom_properties": properties,
        "idempotency_key": fields["message_id"],
        "user_identifier": user,
    }
    moment = unix_ms(fields.get("timestamp"))
    if moment is not None:
        event["timestamp"] = iso_utc(moment)
    yield post_json(f"{_host(settings)}/api/integrations/track", {"app_id": settings["appId"], "events": [event], "library": "server"})


def identify_user(settings: Settings, delivery: Delivery) -> Request:
    """The traits of a known user."""
    fields = delivery.fields
    if fields.get("user_id") in BLANK:
        raise PayloadError('field "user_id" is required: Heap keeps properties of known users only', field="user_id")
    return _add_properties(settings, fields["user_id"], fields.get("anonymous_id"), fields.get("traits"))


def flat(value: Any) -> dict[str, str]:
    """One level, keys joined by dots, lists by position, every value as text; empty objects and lists vanish."""
    return dict(_leaves(value, ""))


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in items:
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(item, Mapping | list):
            yield from _leaves(item, name)
        else:
            yield name, json_text(item) if item is None else print_as_js(item)


def _add_properties(settings: Settings, identity: str, anonymous_id: Any, traits: Mapping[str, Any] | None) -> Request:
    properties: dict[str, Any] = {"anonymous_id": anonymous_id} if anonymous_id not in BLANK else {}
    body = {"identity": identity, "app_id": settings["appId"], "properties": properties | flat(traits or {})}
    return post_json(f"{_host(settings)}/api/add_user_properties", body)


def _name(fields: Mapping[str, Any]) -> str:
    kind = fields.get("type")
    return str(fields.get("event") or NAMELESS) if kind == "track" else NAMES.get(str(kind), NAMELESS)


def _host(settings: Settings) -> str:
    return HOSTS.get(settings.get("region") or "US", HOSTS["US"])

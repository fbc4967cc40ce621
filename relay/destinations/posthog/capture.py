"""PostHog's capture API: `/batch/` for events, `/i/v0/e/` for persons. Pure. The key stands in the body."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import DeliveryError, Misconfigured
from relay.kit.definition import Delivery
from relay.kit.post import post_json
from relay.kit.request import Request, Response

Settings = Mapping[str, Any]

NAMES: Final = {"page": "$pageview", "screen": "$screen"}
PLACES: Final = {"page": "current_url", "screen": "screen_name"}
"""The field that says where, by the kind of event."""


def capture(settings: Settings, delivery: Delivery) -> Request:
    """One event; PostHog takes a batch of one."""
    return capture_batch(settings, [delivery])


def capture_batch(settings: Settings, deliveries: Sequence[Delivery]) -> Request:
    """Events of any kind in one request."""
    body = {
        "api_key": reveal(settings.get("api_key")),
        "historical_migration": settings.get("historical_migration") is True,
        "batch": [_event(settings, delivery) for delivery in deliveries],
    }
    return post_json(f"{_server(settings)}/batch/", body)


def identify(settings: Settings, delivery: Delivery) -> Request:
    """The traits of one person."""
    fields = delivery.fields
    body: dict[str, Any] = {
        "event": "$identify",
        "api_key": reveal(settings.get("api_key")),
        "distinct_id": fields["distinct_id"],
        "properties": {"$set": fields["properties"]} | _place(settings, fields),
    }
    return post_json(f"{_server(settings)}/i/v0/e/", body | _when(fields) | _identity(settings, delivery))


def probe(settings: Settings) -> Request:
    """An empty batch: PostHog looks at the key, and nothing is kept."""
    return post_json(f"{_server(settings)}/batch/", {"api_key": reveal(settings.get("api_key")), "batch": []})


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """200 with `quota_limited` means that PostHog threw the events away: the destination waits until a person has looked."""
    if response.status != 200 or b"quota_limited" not in response.body:
        return None
    limited = response.json_object().get("quota_limited")
    if isinstance(limited, list) and "events" in limited:
        raise Misconfigured("PostHog's quota of events is used up: it takes no more in this billing period", code="QUOTA", status=200)
    return None


def _event(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    fields = delivery.fields
    kind = fields["event_type"]
    properties = dict(fields.get("properties") or {})
    place = PLACES.get(kind)
    if place is not None and place in fields:
        properties[f"${place}"] = fields[place]
    properties["distinct_id"] = fields["distinct_id"]
    properties["$process_person_profile"] = fields["anonymous_event_capture"]
    properties |= _place(settings, fields)
    return {"event": NAMES.get(kind, fields["event_name"])} | _when(fields) | {"properties": properties} | _identity(settings, delivery)


def _place(settings: Settings, fields: Mapping[str, Any]) -> dict[str, Any]:
    place: dict[str, Any] = {"$geoip_disable": True} if settings.get("geoip_disable") is True else {}
    return place | {"$ip": fields["ip_address"]} if fields.get("ip_address") else place


def _when(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"timestamp": fields["timestamp"]} if "timestamp" in fields else {}


def _identity(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    """PostHog merges events of one uuid; the same for every attempt and replay."""
    return {"uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, delivery.key))} if settings.get("deduplicate") is True else {}


def _server(settings: Settings) -> str:
    return str(settings.get("endpoint") or "https://us.i.posthog.com").rstrip("/")

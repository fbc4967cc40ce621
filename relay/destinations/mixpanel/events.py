"""Events of Mixpanel's import API: one for each track, page and screen, and for an order one more per product. Pure.

Mixpanel keeps one of several events with equal name, user, time and `$insert_id`, so all four are the same on every attempt.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.destinations.mixpanel.browser import browser_of
from relay.destinations.mixpanel.server import import_events
from relay.errors import DeliveryError, Permanent
from relay.kit.definition import Delivery
from relay.kit.moment import unix_ms
from relay.kit.request import Request, Response

Settings = Mapping[str, Any]
Fields = Mapping[str, Any]

PROPERTIES: Final[tuple[tuple[str, str], ...]] = (
    ("ip", "ip"), ("id", "distinct_id"), ("$anon_id", "anonymous_id"), ("$app_build_number", "app_build"), ("$app_version_string", "app_version"),
    ("$app_namespace", "app_namespace"), ("$app_name", "app_name"), ("$bluetooth_enabled", "bluetooth"), ("$cellular_enabled", "cellular"),
    ("$carrier", "carrier"), ("$current_url", "url"), ("$device", "device_name"), ("$device_id", "anonymous_id"), ("$device_type", "device_type"),
    ("$device_name", "device_name"), ("$group_id", "group_id"), ("$identified_id", "user_id"), ("$ios_ifa", "idfa"), ("$lib_version", "library_version"),
    ("$locale", "language"), ("$manufacturer", "device_manufacturer"), ("$model", "device_model"), ("$os", "os_name"), ("$os_version", "os_version"),
    ("$referrer", "referrer"), ("$screen_height", "screen_height"), ("$screen_width", "screen_width"), ("$screen_density", "screen_density"),
    ("$user_id", "user_id"), ("$wifi_enabled", "wifi"), ("mp_country_code", "country"), ("advertising_id", "advertising_id"),
    ("ad_tracking_enabled", "ad_tracking_enabled"), ("timezone", "timezone"), ("app_platform", "app_platform"), ("event_original_name", "name"),
)  # fmt: skip
"""Mixpanel's property, and the field that it is filled from."""
HINTS: Final = ("mobile", "platform", "bitness", "platformVersion", "uaFullVersion", "wow64")
"""The client hints that are sent, each behind a `$`."""
RESERVED: Final = frozenset(("time", "id", "$anon_id", "distinct_id", "$group_id", "$insert_id", "$user_id"))
"""Properties of the event that may not replace ours."""
OF_THE_ORDER: Final = frozenset(
    ("affiliation", "subtotal", "total", "revenue", "shipping", "tax", "discount", "coupon", "currency", "order_number", "products")
)
"""Properties of an order that are not said of each product."""

_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
"""Mixpanel, Import Events, `$insert_id`."""


def track_event(settings: Settings, delivery: Delivery) -> Request:
    """One event."""
    return track_batch(settings, [delivery])


def track_batch(settings: Settings, deliveries: Sequence[Delivery]) -> Request:
    """Events in one request."""
    return import_events(settings, [_event(settings, delivery) for delivery in deliveries])


def track_purchase(settings: Settings, delivery: Delivery) -> Request:
    """One order and its products."""
    return track_purchases(settings, [delivery])


def track_purchases(settings: Settings, deliveries: Sequence[Delivery]) -> Request:
    """Orders in one request, each followed by its products."""
    return import_events(settings, [event for delivery in deliveries for event in _order(settings, delivery)])


def read_import(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """400 names the events that are refused; the rest is in. Without such a list the status decides."""
    if response.status != 400:
        return None
    refused = _refused(response.body)
    if not refused:
        return None
    errors: list[DeliveryError | None] = []
    first = 0
    for delivery in deliveries:
        last = first + 1 + len(_products(delivery.fields))
        reason = next((refused[index] for index in range(first, last) if index in refused), None)
        errors.append(None if reason is None else Permanent(f"Mixpanel refuses the event: {reason}", status=400))
        first = last
    return errors


def _refused(body: bytes) -> dict[int, str]:
    """Why, by the position of the event in the request."""
    try:
        answer = jsonio.loads(body)
    except ValueError:
        return {}
    records = answer.get("failed_records") if isinstance(answer, dict) else None
    if not isinstance(records, list):
        return {}
    return {
        record["index"]: str(record.get("message") or record.get("field") or "no reason given")
        for record in records
        if isinstance(record, dict) and isinstance(record.get("index"), int)
    }


def _event(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    return {"event": delivery.fields["event"], "properties": _properties(settings, delivery)}


def _order(settings: Settings, delivery: Delivery) -> Iterator[dict[str, Any]]:
    """The order; then each product, a millisecond earlier than the one before, so that Mixpanel shows the order last."""
    order = _event(settings, delivery)
    yield order
    properties = {name: value for name, value in order["properties"].items() if name not in OF_THE_ORDER}
    insert_id, time_ms = _raw_insert_id(delivery), properties["time"]
    for number, product in enumerate(_products(delivery.fields)):
        own = {"$insert_id": _fit(f"{number}{insert_id}"), "time": time_ms - number - 1}
        yield {"event": "Product Purchased", "properties": {**properties, **own, **product}}


def _products(fields: Fields) -> Sequence[Mapping[str, Any]]:
    """The products of an order that become events of their own; none for an event of another action."""
    return fields.get("products") or () if fields.get("generatePurchaseEventPerProduct") else ()


def _properties(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    fields = delivery.fields
    moment = unix_ms(fields.get("time"))
    properties: dict[str, Any] = {"time": delivery.event.received_ms if moment is None else moment, "distinct_id": fields.get("distinct_id", "")}
    properties |= {name: fields[field] for name, field in PROPERTIES if field in fields}
    properties["$insert_id"] = _fit(_raw_insert_id(delivery))
    properties["$source"] = "Iterable" if _integration(fields) == "Iterable" else "relay"
    if agent := fields.get("userAgent"):
        name, version = browser_of(agent)
        properties["$browser"] = name
        if version is not None:
            properties["$browser_version"] = version
    if library := fields.get("library_name"):
        properties["mp_lib"] = f"relay: {library}"
    if source := settings.get("sourceName"):
        properties["segment_source_name"] = source
    properties |= fields.get("utm_properties") or {}
    hints = fields.get("userAgentData") or {}
    properties |= {f"${name}": hints[name] for name in HINTS if name in hints}
    return properties | {name: value for name, value in (fields.get("event_properties") or {}).items() if name not in RESERVED}


def _integration(fields: Fields) -> Any:
    """The tool that an event was sent back by, where its context says so."""
    integration = (fields.get("context") or {}).get("integration")
    return integration.get("name") if isinstance(integration, Mapping) else None


def _raw_insert_id(delivery: Delivery) -> str:
    return str(delivery.fields.get("insert_id") or delivery.event.message_id)


def _fit(insert_id: str) -> str:
    """As it is where Mixpanel takes it, else a hash of it: the browser's ids are longer than 36 characters."""
    return insert_id if _INSERT_ID.fullmatch(insert_id) else hashlib.sha256(insert_id.encode()).hexdigest()[:32]

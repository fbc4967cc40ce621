"""Events of Amplitude's HTTP API: one for each track, page and screen, and for an order one more per product. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.destinations.amplitude.server import post_events
from relay.destinations.amplitude.users import OWN_LIBRARY, is_given, merge_campaign, told_by_agent, with_insert_id, with_platform
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.definition import Delivery
from relay.kit.moment import unix_ms
from relay.kit.request import Request, Response

Settings = Mapping[str, Any]
Fields = Mapping[str, Any]

REVENUE: Final = ("revenue", "price", "productId", "quantity", "revenueType")
NOT_SENT: Final = frozenset((
    *REVENUE, "time", "session_id", "userAgent", "userAgentParsing", "includeRawUserAgent", "userAgentData", "min_id_length", "library", "library2",
    "setOnce", "setAlways", "add", "utm_properties", "referrer", "use_batch_endpoint", "trackRevenuePerProduct",
))  # fmt: skip
"""Fields that an event is made with, but that are not keys of it."""
OPERATIONS: Final = (("setOnce", "$setOnce"), ("setAlways", "$set"), ("add", "$add"))
BATCH_KEYS: Final = ("use_batch_endpoint", "min_id_length")
THROTTLED_S: Final = 30.0
"""Amplitude, HTTP V2 API, 429: how long to wait before the next request."""
LISTS: Final = ("events_with_invalid_fields", "events_with_missing_fields", "events_with_invalid_id_lengths")
"""What a 400 lists: an object of what is wrong to the positions of the events."""


def log_event(settings: Settings, delivery: Delivery) -> Request:
    """One event."""
    return log_events(settings, [delivery])


def log_events(settings: Settings, deliveries: Sequence[Delivery]) -> Request:
    """Events in one request."""
    return post_events(settings, [_event(settings, delivery) for delivery in deliveries], deliveries[0].fields)


def log_purchase(settings: Settings, delivery: Delivery) -> Request:
    """One order and its products."""
    return log_purchases(settings, [delivery])


def log_purchases(settings: Settings, deliveries: Sequence[Delivery]) -> Request:
    """Orders in one request, each followed by its products."""
    return post_events(settings, [event for delivery in deliveries for event in _order(settings, delivery)], deliveries[0].fields)


def read_event_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """For the action of events: each delivery is one event."""
    return _read_answer(response, [1] * len(deliveries))


def read_purchase_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """For the action of orders: each delivery is an order and its products."""
    return _read_answer(response, [1 + len(delivery.fields.get("products") or ()) for delivery in deliveries])


def _event(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    fields = delivery.fields
    event = _base(settings, delivery)
    for field, operation in OPERATIONS:
        if is_given(fields.get(field)):
            event["user_properties"] = {**event.get("user_properties", {}), operation: fields[field]}
    return told_by_agent(fields) | event


def _order(settings: Settings, delivery: Delivery) -> Iterator[dict[str, Any]]:
    """The order, which alone tells of the device; the revenue stands in it, or in its products."""
    fields = delivery.fields
    base = _base(settings, delivery)
    products = base.pop("products", ())
    properties = merge_campaign(fields, fields.get("user_properties"), mine_first=False)
    if properties is not None:
        base["user_properties"] = properties
    each = bool(fields.get("trackRevenuePerProduct"))
    yield told_by_agent(fields) | base | ({} if products and each else _revenue(fields))
    for number, product in enumerate(products, 2):
        own: dict[str, Any] = {"event_properties": product, "event_type": "Product Purchased"}
        if base.get("insert_id"):
            own["insert_id"] = f"{base['insert_id']}-{number}"
        yield base | (_revenue(product) if each else {}) | own


def _base(settings: Settings, delivery: Delivery) -> dict[str, Any]:
    fields = delivery.fields
    event = {name: value for name, value in fields.items() if name not in NOT_SENT}
    time_ms, session_ms = unix_ms(fields.get("time")), unix_ms(fields.get("session_id"))
    if time_ms is not None:
        event["time"] = time_ms
    if session_ms:
        event["session_id"] = session_ms
    chosen = fields.get("library2") or {}
    library = chosen.get("mapping") if chosen.get("behavior") == "use_mapping" else OWN_LIBRARY
    if library is not None:
        event["library"] = library
    return with_insert_id(settings, delivery, with_platform(event, fields.get("library")))


def _revenue(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Price times quantity where both are known, else the revenue; nothing where that is nothing."""
    revenue, quantity, price = fields.get("revenue"), fields.get("quantity"), fields.get("price")
    if quantity is not None and price is not None:
        revenue = quantity * price
    if not revenue:
        return {}
    told = {"revenue": revenue, "revenueType": fields.get("revenueType") or "Purchase", "quantity": quantity, "price": price}
    told["productId"] = fields.get("productId")
    return {name: value for name, value in told.items() if value is not None}


def _read_answer(response: Response, sizes: Sequence[int]) -> Sequence[DeliveryError | None] | None:
    """`sizes`: how many events each delivery is. 400 takes nothing in: what it names is dead, the rest goes once more."""
    if response.status not in (400, 429):
        return None
    try:
        answer = jsonio.loads(response.body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    if response.status == 429:
        if "retry-after" not in response.headers and not answer.get("throttled_users") and not answer.get("throttled_devices"):
            raise Retryable("Amplitude takes no more events for now", status=429, retry_after_s=THROTTLED_S)
        return None
    if str(answer.get("error") or "").lower().startswith("invalid api key"):
        raise Misconfigured("Amplitude does not know the API key", code="credentials", status=400)
    refused = _refused(answer)
    if not refused:
        return None
    errors: list[DeliveryError | None] = []
    first = 0
    for size in sizes:
        reason = next((refused[index] for index in range(first, first + size) if index in refused), None)
        first += size
        if reason is None:
            errors.append(Retryable("another event of the same request was refused", status=400))
        else:
            errors.append(Permanent(f"Amplitude refuses the event: {reason}", status=400))
    return errors


def _refused(answer: Mapping[str, Any]) -> dict[int, str]:
    """Why, by the position of the event in the request."""
    refused: dict[int, str] = {}
    for name in LISTS:
        listed = answer.get(name)
        for what, indexes in listed.items() if isinstance(listed, dict) else ():
            refused |= dict.fromkeys(_positions(indexes), f"{name.removeprefix('events_with_').replace('_', ' ')}: {what}")
    return refused | dict.fromkeys(_positions(answer.get("silenced_events")), "its device is silenced")


def _positions(value: Any) -> list[int]:
    return [index for index in value if isinstance(index, int)] if isinstance(value, list) else []

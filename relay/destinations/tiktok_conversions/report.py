"""The one action: an event for TikTok, and what its answer means. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base.secret import reveal
from relay.destinations.tiktok_conversions.fields import FIELDS
from relay.destinations.tiktok_conversions.person import user_of
from relay.errors import DeliveryError, Misconfigured, PayloadError, Permanent, Retryable
from relay.kit.definition import Action, Delivery
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request, Response

URL: Final = "https://business-api.tiktok.com/open_api/v1.3/event/track/"
SECRETS: Final = frozenset(("access-token",))
PARTNER: Final = "relay"
BATCH_SIZE: Final = 1000
"""Most events that TikTok takes in one request."""

NOT_ALLOWED: Final = frozenset((40001, 40102, 40104, 40105))
"""Codes of an answer: no permission, and a token that is wrong, empty or expired."""
TOO_MANY: Final = frozenset((40016, 40100, 40133))
"""Codes of an answer: called too often."""

_PROPERTIES: Final = (
    "content_type", "currency", "value", "query", "description", "order_id", "shop_id", "content_ids", "delivery_category", "num_items",
    "predicted_ltv", "search_string",
)  # fmt: skip
_RESHAPED: Final = frozenset(("mileage_value", "mileage_unit", "preferred_price_range_min", "preferred_price_range_max"))


def report(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event."""
    return report_batch(settings, [delivery])


def report_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """All events in one call; they share event source and test code."""
    fields = deliveries[0].fields
    body: dict[str, Any] = {
        "event_source": _source_of(fields),
        "event_source_id": settings.get("pixelCode"),
        "partner_name": PARTNER,
    }
    if fields.get("test_event_code"):
        body["test_event_code"] = fields["test_event_code"]
    body["data"] = [_event(delivery) for delivery in deliveries]
    return post_json(URL, body, headers_of(settings), secrets=SECRETS)


def headers_of(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The token; raises Misconfigured where it is missing."""
    token = reveal(settings.get("accessToken"))
    if not token:
        raise Misconfigured("the setting accessToken is empty")
    return (("access-token", token),)


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """TikTok answers 200 to what it refuses; the body's `code` tells, 0 is success."""
    if not response.is_ok:
        return None
    body = response.json_object()
    code = body.get("code", 0)
    if code == 0 or not isinstance(code, int):
        return None
    message = f"TikTok answers {code}: {body.get('message') or 'no reason given'}"
    if code in NOT_ALLOWED:
        raise Misconfigured(message, code="credentials")
    if code in TOO_MANY or code >= 50_000:
        raise Retryable(message, code=str(code))
    raise Permanent(message, code=str(code))


def _source_of(fields: Mapping[str, Any]) -> str:
    return str(fields.get("event_source") or "web")


def _event(delivery: Delivery) -> dict[str, Any]:
    fields = delivery.fields
    event: dict[str, Any] = {"event": fields["event"], "event_time": _event_time(delivery)}
    if fields.get("event_id"):
        event["event_id"] = fields["event_id"]
    event |= {"user": user_of(fields), "properties": _properties(fields)}
    page = {name: fields[name] for name in ("url", "referrer") if fields.get(name)}
    if page:
        event["page"] = page
    lead = fields.get("lead_fields") or {}
    if _source_of(fields) == "crm" and "lead_id" in lead:
        event["lead"] = {name: value for name, value in lead.items() if value or name == "lead_id"}
    return event | {"limited_data_use": fields.get("limited_data_use", False)}


def _event_time(delivery: Delivery) -> int:
    """Unix time in seconds; of sending, where the event has none."""
    value = delivery.fields.get("timestamp")
    if value is None:
        return int(delivery.sent_s)
    moment = unix_ms(value)
    if moment is None:
        raise PayloadError('field "timestamp" is no time', field="timestamp")
    return moment // 1000


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the event is about; fields of a kind go along only for web events of that kind."""
    properties: dict[str, Any] = {"contents": fields.get("contents") or []}
    properties |= {name: fields[name] for name in _PROPERTIES if name in fields}
    kind = fields.get("event_spec_type")
    if _source_of(fields) == "web" and kind == "travel_fields":
        properties |= fields.get("travel_fields") or {}
    if _source_of(fields) == "web" and kind == "vehicle_fields":
        properties |= _vehicle(fields.get("vehicle_fields") or {})
    return properties


def _vehicle(given: Mapping[str, Any]) -> dict[str, Any]:
    """Mileage and price range are pairs: half of one is left out."""
    vehicle = {name: value for name, value in given.items() if name not in _RESHAPED}
    if "mileage_unit" in given and "mileage_value" in given:
        vehicle["mileage"] = {"unit": given["mileage_unit"], "value": given["mileage_value"]}
    if "preferred_price_range_min" in given and "preferred_price_range_max" in given:
        vehicle["preferred_price_range"] = [given["preferred_price_range_min"], given["preferred_price_range_max"]]
    return vehicle


REPORT_WEB_EVENT: Final = Action(
    slug="reportWebEvent",
    title="Report Web Event",
    description="Reports an event of a web page or a CRM.",
    fields=FIELDS,
    perform=report,
    perform_batch=report_batch,
    read_answer=read_answer,
    batch_size=BATCH_SIZE,
    batch_keys=("event_source", "test_event_code"),
)

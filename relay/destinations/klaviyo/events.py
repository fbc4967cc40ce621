"""Events: those of track calls, and orders with an event for each product. Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from relay.destinations.klaviyo.api import BATCH_BYTES, COUNTRY, Fields, batching, made_of, read_batch, send, whom
from relay.kit.defaults import path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.moment import iso_utc, unix_ms
from relay.kit.request import Request
from relay.kit.steps import Steps

LARGEST_BATCH: Final = 1000
ORDER: Final = "Order Completed"
PRODUCT: Final = "Ordered Product"


def event(fields: Fields) -> dict[str, Any]:
    """An event with its profile."""
    return {"type": "event", "attributes": _attributes(fields, fields["metric_name"])}


def track(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event."""
    return send(settings, "/api/events/", {"data": event(delivery.fields)})


def track_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Several events; a single one goes alone."""
    if len(deliveries) == 1:
        return track(settings, deliveries[0])
    events = [_of_batch(one["attributes"]) for one in made_of(event, deliveries)]
    job = {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": events}}}
    return send(settings, "/api/event-bulk-create-jobs/", {"data": job})


def _of_batch(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A bulk job has the events below the profile instead of beside it."""
    alone = {"type": "event", "attributes": {name: value for name, value in attributes.items() if name != "profile"}}
    return {"type": "event-bulk-create", "attributes": {"profile": attributes["profile"], "events": {"data": [alone]}}}


def order(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """The order, and when Klaviyo has taken it, an event for each product."""
    attributes = _attributes(delivery.fields, delivery.fields.get("event_name") or ORDER)
    key = attributes.get("unique_id") or delivery.event.message_id
    return _order(settings, delivery.fields, attributes, key)


def _order(settings: Mapping[str, Any], fields: Fields, attributes: dict[str, Any], key: str) -> Steps[None]:
    response = yield send(settings, "/api/events/", {"data": {"type": "event", "attributes": attributes}})
    if response.status != 202:
        return
    shared = {name: value for name, value in attributes["properties"].items() if name != "products"}
    base: dict[str, Any] = {name: attributes[name] for name in ("time", "profile") if name in attributes}
    base["metric"] = _metric(fields.get("product_event_name") or PRODUCT)
    for place, product in enumerate(fields.get("products") or ()):
        one = base | {"properties": shared | product, "unique_id": f"{key}-{place}"}
        response = yield send(settings, "/api/events/", {"data": {"type": "event", "attributes": one}})
        if response.status != 202:
            return


def _attributes(fields: Fields, metric: str) -> dict[str, Any]:
    """What an event is made of; its unique id lets Klaviyo know a repeat."""
    given = fields["profile"]
    profile = {name: value for name, value in given.items() if name not in ("phone_number", "country_code")} | whom(given, "anonymous_id")
    attributes = {
        "properties": dict(fields["properties"]),
        "metric": _metric(metric),
        "profile": {"data": {"type": "profile", "attributes": profile}},
    }
    attributes |= {name: fields[name] for name in ("value", "unique_id") if name in fields}
    ms = unix_ms(fields.get("time"))
    return attributes if ms is None else attributes | {"time": iso_utc(ms)}


def _metric(name: str) -> dict[str, Any]:
    return {"data": {"type": "metric", "attributes": {"name": name}}}


def _profile(email_format: str) -> Field:
    return Field(
        "profile", "Profile", type="object", required=True, additional_properties=True,
        properties=(
            Field("email", "E-mail", format=email_format), Field("phone_number", "Phone"), COUNTRY, Field("external_id", "External id"),
            Field("anonymous_id", "Anonymous id"),
        ),
        help="Who it was: one of email, phone_number, external_id or anonymous_id is needed.",
    )  # fmt: skip


PROPERTIES: Final = Field("properties", "Properties", type="object", required=True, default=path("properties"))
TIME: Final = Field("time", "Time", type="datetime", default=path("timestamp"))
VALUE: Final = Field("value", "Value", type="number", help="In money, for reports.")
UNIQUE_ID: Final = Field("unique_id", "Unique id", default=path("messageId"), help="By which a repeat is known.")

TRACK_EVENT: Final = Action(
    slug="trackEvent",
    title="Track an event",
    description="Sends a track call as an event of a profile.",
    fields=(
        _profile("email"),
        Field("metric_name", "Metric", required=True, default=path("event"), help="Name of the event."),
        PROPERTIES,
        TIME,
        VALUE,
        UNIQUE_ID,
        *batching(True, LARGEST_BATCH),
    ),
    default_trigger='type = "track"',
    perform=track,
    perform_batch=track_batch,
    read_answer=partial(read_batch, event),
    batch_size=LARGEST_BATCH,
    batch_bytes=BATCH_BYTES,
)
ORDER_COMPLETED: Final = Action(
    slug="orderCompleted",
    title="Order completed",
    description="Sends an order as an event, and one more for each product.",
    fields=(
        _profile(""),
        PROPERTIES,
        TIME,
        VALUE,
        UNIQUE_ID,
        Field("products", "Products", type="object", multiple=True, help="Each becomes an event of its own."),
        Field("event_name", "Name of the order's event", default=ORDER),
        Field("product_event_name", "Name of the products' events", default=PRODUCT),
    ),
    default_trigger='type = "track"',
    perform=order,
)

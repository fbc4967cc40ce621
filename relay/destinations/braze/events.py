"""What users do: events and purchases. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.braze.api import BRAZE_ID, EXTERNAL_ID, USER_ALIAS, Fields, iso_time, tracking, whom
from relay.errors import PayloadError
from relay.kit.defaults import first_of, path
from relay.kit.definition import Field

_OF_PRODUCT: Final = ("product_id", "currency", "price", "quantity")
TIME: Final = Field("time", "Time", type="datetime", required=True, default=path("receivedAt"))


def event(settings: Mapping[str, Any], fields: Fields) -> list[dict[str, Any]]:
    """A custom event."""
    return [_base(settings, fields) | {name: fields[name] for name in ("name", "properties") if name in fields}]


def purchases(settings: Mapping[str, Any], fields: Fields) -> list[dict[str, Any]]:
    """One purchase per product, each with the properties of the order."""
    base = _base(settings, fields)
    if not fields["products"]:
        raise PayloadError('field "products": there is no product, so there is nothing to send', field="products")
    order = {name: value for name, value in (fields.get("properties") or {}).items() if name != "products"}
    return [
        base
        | {"product_id": product["product_id"], "currency": product.get("currency") or "USD", "price": product["price"]}
        | ({"quantity": product["quantity"]} if "quantity" in product else {})
        | {"properties": {name: value for name, value in product.items() if name not in _OF_PRODUCT} | order}
        for product in fields["products"]
    ]


def _base(settings: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Who, when, and in which app."""
    base = whom(fields)
    if settings.get("app_id"):
        base["app_id"] = settings["app_id"]
    time = iso_time(fields["time"])
    if time is not None:
        base["time"] = time
    if "_update_existing_only" in fields:
        base["_update_existing_only"] = fields["_update_existing_only"]
    return base


TRACK_EVENT: Final = tracking(
    "trackEvent", "Track an event", "Sends a track call as a custom event.", 'type = "track" and event != "Order Completed"', "events", event,
    (
        EXTERNAL_ID,
        USER_ALIAS,
        Field("email", "E-mail", default=first_of("context.traits.email", "properties.email"), help="Who it was, when there is no other id."),
        BRAZE_ID,
        Field("name", "Event", required=True, default=path("event")),
        TIME,
        Field("properties", "Properties", type="object", default=path("properties")),
    ),
)  # fmt: skip
TRACK_PURCHASE: Final = tracking(
    "trackPurchase", "Track a purchase", "Sends an order as purchases, one per product.", 'event = "Order Completed"', "purchases", purchases,
    (
        EXTERNAL_ID,
        USER_ALIAS,
        Field("email", "E-mail", default=path("traits.email"), help="Who it was, when there is no other id."),
        BRAZE_ID,
        TIME,
        Field(
            "products", "Products", type="object", multiple=True, required=True, additional_properties=True, default=path("properties.products"),
            properties=(
                Field("product_id", "Product id", required=True),
                Field("currency", "Currency", help="ISO code; USD when left out."),
                Field("price", "Price", type="number", required=True),
                Field("quantity", "Quantity", type="integer"),
            ),
        ),
        Field("properties", "Properties", type="object", default=path("properties"), help="Of the order; they go with each product."),
    ),
)  # fmt: skip

"""Fields that the actions share."""

from typing import Any, Final

from relay.kit.definition import Field

USER_FIRST: Final = {"@if": {"exists": {"@path": "$.userId"}, "then": {"@path": "$.userId"}, "else": {"@path": "$.anonymousId"}}}
STREAM_TYPES: Final = ("Web", "Mobile App")
CONSENT: Final = ("GRANTED", "DENIED")


def of(name: str) -> dict[str, Any]:
    """The property of that name."""
    return {"@path": f"$.properties.{name}"}


def opening(client: str = "client_id") -> tuple[Field, ...]:
    """Which stream and who; `client`: what the action calls the client id."""
    return (
        Field("data_stream_type", "Kind of stream", choices=STREAM_TYPES, default="Web", help="Web: measurement id; Mobile App: Firebase app id."),
        Field("app_instance_id", "App instance id", help="Of the Firebase SDK; needed for an app."),
        Field(client, "Client id", default=USER_FIRST, help="Of the browser; needed for the web."),
        Field("user_id", "User id", help="For reports across devices."),
        Field("timestamp_micros", "Time", default={"@path": "$.timestamp"}, help="A date, or Unix time in microseconds."),
    )


USER_PROPERTIES: Final = Field("user_properties", "User properties", type="object", help="Texts and numbers; null takes one away.")
CLOSING: Final = (
    Field("engagement_time_msec", "Engagement time", type="number", default=1, help="In ms; without it Google does not count the user as active."),
    Field("params", "Further parameters", type="object", help="Texts and numbers; they go before those of other fields."),
    Field("ad_user_data_consent", "Consent: ad user data", choices=CONSENT),
    Field("ad_personalization_consent", "Consent: personalised ads", choices=CONSENT),
)
REST: Final = (USER_PROPERTIES, *CLOSING)

AFFILIATION: Final = Field("affiliation", "Affiliation", default=of("affiliation"), help="Shop or branch.")
CURRENCY: Final = Field("currency", "Currency", default=of("currency"), help="ISO 4217.")
VALUE: Final = Field("value", "Value", type="number", default=of("value"))
TOTAL: Final = Field("value", "Value", type="number", default=of("total"))
TRANSACTION_ID: Final = Field("transaction_id", "Order id", required=True, default=of("order_id"), help="Google counts an order once.")
COUPON: Final = Field("coupon", "Coupon")
ORDER_COUPON: Final = Field("coupon", "Coupon", default=of("coupon"))
SHIPPING: Final = Field("shipping", "Shipping", type="number", default=of("shipping"))

PRODUCT: Final = (
    Field("item_id", "Id"),
    Field("item_name", "Name", help="One of id and name is needed."),
    Field("affiliation", "Affiliation"),
    Field("coupon", "Coupon"),
    Field("currency", "Currency"),
    Field("discount", "Discount", type="number"),
    Field("index", "Position", type="number"),
    Field("item_brand", "Brand"),
    Field("item_category", "Category"),
    Field("item_category2", "Category 2"),
    Field("item_category3", "Category 3"),
    Field("item_category4", "Category 4"),
    Field("item_category5", "Category 5"),
    Field("item_list_id", "List id"),
    Field("item_list_name", "List name"),
    Field("item_variant", "Variant"),
    Field("location_id", "Place id"),
    Field("price", "Price", type="number"),
    Field("quantity", "Quantity", type="integer"),
)
PROMOTION: Final = (
    Field("creative_name", "Creative name"),
    Field("creative_slot", "Creative slot"),
    Field("promotion_name", "Promotion name"),
    Field("promotion_id", "Promotion id"),
)
_SHAPE: Final = {
    "item_id": {"@path": "$.product_id"},
    "item_name": {"@path": "$.name"},
    "affiliation": {"@path": "$.affiliation"},
    "coupon": {"@path": "$.coupon"},
    "item_brand": {"@path": "$.brand"},
    "item_category": {"@path": "$.category"},
    "item_variant": {"@path": "$.variant"},
    "price": {"@path": "$.price"},
    "quantity": {"@path": "$.quantity"},
}


def one_item(*, required: bool = True, further: tuple[Field, ...] = ()) -> Field:
    """The properties are the product."""
    return _items({"@arrayPath": ["$.properties", _SHAPE]}, required, further)


def many_items(*, required: bool = True) -> Field:
    """`properties.products`, with their positions."""
    return _items({"@arrayPath": ["$.properties.products", _SHAPE | {"index": {"@path": "$.position"}}]}, required, ())


def _items(default: dict[str, Any], required: bool, further: tuple[Field, ...]) -> Field:
    return Field(
        "items", "Products", type="object", multiple=True, required=required, properties=(*PRODUCT, *further), additional_properties=True,
        default=default, help="Parameters of a product that are not listed go along.",
    )  # fmt: skip

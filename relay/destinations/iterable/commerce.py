"""Carts and purchases. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.iterable.api import CAMPAIGN, EMAIL, MERGE, USER_ID, check_user, created_at, post, read_order, user_data, with_dates
from relay.kit.defaults import each, path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

_KNOWN_OF_ITEM: Final = frozenset(
    ("product_id", "id", "sku", "name", "price", "quantity", "categories", "category", "url", "image_url", "imageUrl", "dataFields")
)


def update_cart(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """What is in the user's cart, as a whole."""
    fields = delivery.fields
    return post(settings, "/api/commerce/updateCart", {"user": _user(fields["user"]), "items": _items(fields["items"])})


def track_purchase(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """An order; its id lets Iterable know a repeat."""
    fields = delivery.fields
    body = {name: fields[name] for name in ("id", "total", "campaignId", "templateId") if name in fields}
    data = {name: value for name, value in (fields.get("dataFields") or {}).items() if name != "products"}
    body |= {"user": _user(fields["user"]), "items": _items(fields["items"]), "dataFields": with_dates(data)}
    return post(settings, "/api/commerce/trackPurchase", body | created_at(fields))


def _user(user: Mapping[str, Any]) -> dict[str, Any]:
    check_user(user)
    known = {name: value for name, value in user.items() if name not in ("phoneNumber", "dataFields")}
    return known | {"dataFields": user_data(user.get("dataFields"), user)}


def _items(items: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each item, with what Iterable has no field for in `dataFields` as well, and its category as a list."""
    return [
        {name: value for name, value in item.items() if name not in ("dataFields", "categories")}
        | {"dataFields": with_dates({name: value for name, value in item.items() if name not in _KNOWN_OF_ITEM})}
        | ({"categories": [item["categories"]]} if item.get("categories") else {})
        for item in items
    ]


USER: Final = Field(
    "user", "User", type="object", required=True,
    properties=(
        Field("email", "E-mail", format="email"), Field("userId", "User id"), Field("dataFields", "Data fields", type="object"),
        Field("mergeNestedObjects", "Merge objects", type="boolean"), Field("phoneNumber", "Phone", allow_null=True),
    ),
    default={
        "email": EMAIL.default, "userId": USER_ID.default, "dataFields": path("context.traits"), "phoneNumber": path("context.traits.phone"),
        "mergeNestedObjects": MERGE.default,
    },
    help="Who it was; email or userId is needed.",
)  # fmt: skip
ITEMS: Final = Field(
    "items", "Items", type="object", multiple=True, required=True, additional_properties=True,
    properties=(
        Field("id", "Id", required=True), Field("name", "Name", required=True), Field("sku", "SKU"),
        Field("quantity", "Quantity", type="integer", required=True), Field("price", "Price", type="number", required=True),
        Field("description", "Description"), Field("categories", "Category"), Field("url", "URL"), Field("imageUrl", "Image URL"),
    ),
    default=each("properties.products", {
        "id": "product_id", "sku": "sku", "categories": "category", "name": "name", "price": "price", "quantity": "quantity", "url": "url",
        "imageUrl": "image_url", "description": "description",
    }),
)  # fmt: skip

UPDATE_CART: Final = Action(
    slug="updateCart",
    title="Update the cart",
    description="Replaces what is in the user's cart.",
    fields=(USER, ITEMS),
    default_trigger='type = "track" and event = "Cart Updated"',
    perform=update_cart,
    read_answer=read_order,
)
TRACK_PURCHASE: Final = Action(
    slug="trackPurchase",
    title="Track a purchase",
    description="Sends an order with its items.",
    fields=(
        Field("id", "Id", default=path("properties.order_id"), help="By which a repeat is known: it replaces the earlier one."),
        USER,
        Field("dataFields", "Data fields", type="object", default=path("properties"), help="Of the order; products are left out."),
        ITEMS,
        Field("total", "Total", type="number", required=True, default=path("properties.total")),
        Field("createdAt", "Time", type="datetime", default=path("timestamp")),
        *CAMPAIGN,
    ),
    default_trigger='type = "track" and event = "Order Completed"',
    perform=track_purchase,
    read_answer=read_order,
)

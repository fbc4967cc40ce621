"""Events about several products: bought, listed, filtered."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.algolia_insights.fields import CURRENCY, INDEX, QUERY_ID, VALUE, rest, who_and_when
from relay.destinations.algolia_insights.insights import Kind, action
from relay.kit.definition import Field

PRODUCT_ID: Final = Field("product_id", "Product id", required=True)
OBJECT_DATA: Final = ("queryID", "price", "discount", "quantity")


def _converted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`objectData` has an entry for each product as soon as one of them has a price, a quantity, a discount or a query."""
    products = fields["products"]
    data = [{name: product[name] for name in OBJECT_DATA if name in product} for product in products]
    return {
        "eventSubtype": fields.get("eventSubtype", "purchase"),
        "objectIDs": [product["product_id"] for product in products],
        "objectData": data if any(data) else None,
        "value": fields.get("value"),
        "currency": fields.get("currency"),
    }


def _listed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"objectIDs": [product["product_id"] for product in fields["products"]]}


def _filtered(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"filters": [f"{one['attribute']}:{one['value']}" for one in fields["filters"]]}


CONVERSION: Final = action(
    "conversionEvents",
    "Conversion Events",
    "A purchase, or another success with several objects.",
    (
        Field("eventSubtype", "Event subtype", choices=("purchase", "addToCart"), default="purchase"),
        Field(
            "products", "Products", type="object", multiple=True, required=True,
            properties=(
                PRODUCT_ID,
                Field("price", "Price", type="number"),
                Field("quantity", "Quantity", type="number"),
                Field("discount", "Discount", type="number"),
                Field("queryID", "Query id"),
            ),
            default={
                "@arrayPath": [
                    "$.properties.products",
                    {name: {"@path": f"$.{name}"} for name in ("product_id", "price", "quantity", "discount", "queryID")},
                ]
            },
            help="What was bought; each with its product_id.",
        ),
        INDEX,
        QUERY_ID,
        *who_and_when(),
        VALUE,
        CURRENCY,
        *rest("Conversion Event", "conversion"),
    ),
    'type = "track" and event = "Order Completed"',
    Kind("Conversion Event", "conversion", _converted),
)  # fmt: skip

PRODUCT_LIST_VIEWED: Final = action(
    "productListViewedEvents",
    "Product List Viewed Events",
    "A view of a list of products.",
    (
        Field(
            "products", "Products", type="object", multiple=True, required=True, properties=(PRODUCT_ID,),
            default={"@arrayPath": ["$.properties.products", {"product_id": {"@path": "$.product_id"}}]},
            help="What was in the list; each with its product_id.",
        ),
        INDEX,
        QUERY_ID,
        *who_and_when(),
        *rest("Product List Viewed", "view"),
    ),
    'type = "track" and event = "Product List Viewed"',
    Kind("Product List Viewed", "view", _listed),
)  # fmt: skip

PRODUCT_LIST_FILTERED: Final = action(
    "productListFilteredEvents",
    "Product List Filtered Events",
    "Filters were set on a list of products.",
    (
        Field(
            "filters", "Filters", type="object", multiple=True, required=True,
            properties=(Field("attribute", "Attribute", required=True), Field("value", "Value", required=True)),
            default={"@arrayPath": ["$.properties.filters", {"attribute": {"@path": "$.attribute"}, "value": {"@path": "$.value"}}]},
            help="At most 10; sent as attribute:value.",
        ),
        INDEX,
        QUERY_ID,
        *who_and_when(),
        *rest("Product List Filtered", "click"),
    ),
    'type = "track" and event = "Product List Filtered"',
    Kind("Product List Filtered", "click", _filtered),
)  # fmt: skip

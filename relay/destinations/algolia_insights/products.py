"""Events about one product: clicked, viewed, put into the cart."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.algolia_insights.fields import INDEX, OBJECT_ID, QUERY_ID, USER_FIRST, rest, who_and_when
from relay.destinations.algolia_insights.insights import Kind, action
from relay.kit.definition import Field


def _clicked(fields: Mapping[str, Any]) -> dict[str, Any]:
    position = fields.get("position")
    return {"objectIDs": [fields["objectID"]], "positions": None if position is None else [position]}


def _viewed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"objectIDs": [fields["objectID"]]}


def _added(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"eventSubtype": "addToCart", "objectIDs": [fields["product"]]}


PRODUCT_CLICKED: Final = action(
    "productClickedEvents",
    "Product Clicked Events",
    "A click on a product, as the result of a search or not.",
    (
        OBJECT_ID,
        INDEX,
        QUERY_ID,
        Field("position", "Position", type="integer", default={"@path": "$.properties.position"}, help="In the list of results, from 1."),
        *who_and_when(),
        *rest("Product Clicked", "click"),
    ),
    'type = "track" and event = "Product Clicked"',
    Kind("Product Clicked", "click", _clicked),
)

PRODUCT_VIEWED: Final = action(
    "productViewedEvents",
    "Product Viewed Events",
    "A view of a product, as the result of a search or not.",
    (OBJECT_ID, INDEX, QUERY_ID, *who_and_when(), *rest("Product Viewed", "view")),
    'type = "track" and event = "Product Viewed"',
    Kind("Product Viewed", "view", _viewed),
)

PRODUCT_ADDED: Final = action(
    "productAddedEvents",
    "Product Added Events",
    "A product was put into the cart.",
    (
        Field("product", "Product id", required=True, default={"@path": "$.properties.product_id"}, help="The object in the index."),
        INDEX,
        QUERY_ID,
        *who_and_when(USER_FIRST),
        *rest("Add to cart", "conversion"),
    ),
    'type = "track" and event = "Product Added"',
    Kind("Add to cart", "conversion", _added),
)

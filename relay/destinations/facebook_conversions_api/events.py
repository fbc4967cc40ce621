"""The actions: Meta's standard events that an online shop has, a page, and any other event."""

from typing import Final

from relay.destinations.facebook_conversions_api.fields import (
    ACTION_SOURCE,
    APP_DATA,
    BATCHING,
    CONTENT_CATEGORY,
    CONTENT_IDS,
    CONTENT_NAME,
    CONTENT_TYPE,
    CURRENCY,
    CUSTOM_DATA,
    EVENT_ID,
    EVENT_SOURCE_URL,
    EVENT_TIME,
    HANDLING,
    NUM_ITEMS,
    USER_DATA,
    contents,
    value,
)
from relay.destinations.facebook_conversions_api.graph import action
from relay.kit.definition import Action, Field

ONE: Final = "$.properties"
"""The properties are the product."""
MANY: Final = "$.properties.products"


def fields_of(*own: Field, second: Field | None = None) -> tuple[Field, ...]:
    """An action's own fields among those that all have; `second`: one that stands before the others."""
    start = (ACTION_SOURCE, EVENT_TIME) if second is None else (ACTION_SOURCE, second, EVENT_TIME)
    return (*start, USER_DATA, APP_DATA, *own, CUSTOM_DATA, *HANDLING, *BATCHING)


PURCHASE: Final = action(
    "purchase",
    "Purchase",
    "A purchase was completed.",
    fields_of(
        value({"@path": "$.properties.revenue"}, required=True),
        Field("net_revenue", "Net revenue", type="number"),
        CONTENT_IDS,
        CONTENT_NAME,
        CONTENT_TYPE,
        contents(MANY),
        EVENT_ID,
        EVENT_SOURCE_URL,
        NUM_ITEMS,
        second=Field("currency", "Currency", required=True, default=CURRENCY.default, help=CURRENCY.help),
    ),
    'type = "track" and event = "Order Completed"',
    "Purchase",
    ("currency", "value", "net_revenue", "content_ids", "content_name", "content_type", "contents", "num_items"),
)

INITIATE_CHECKOUT: Final = action(
    "initiateCheckout",
    "Initiate Checkout",
    "A checkout was begun.",
    fields_of(
        CONTENT_CATEGORY,
        CONTENT_IDS,
        contents(MANY),
        CURRENCY,
        EVENT_ID,
        EVENT_SOURCE_URL,
        NUM_ITEMS,
        value({"@path": "$.properties.revenue"}),
    ),
    'type = "track" and event = "Checkout Started"',
    "InitiateCheckout",
    ("currency", "value", "content_ids", "contents", "num_items", "content_category"),
)

ADD_TO_CART: Final = action(
    "addToCart",
    "Add to Cart",
    "A product was put into the cart.",
    fields_of(
        CONTENT_IDS,
        CONTENT_NAME,
        CONTENT_TYPE,
        contents(ONE),
        CURRENCY,
        EVENT_ID,
        EVENT_SOURCE_URL,
        value({"@path": "$.properties.price"}),
    ),
    'type = "track" and event = "Product Added"',
    "AddToCart",
    ("currency", "value", "content_ids", "content_name", "contents", "content_type"),
)

VIEW_CONTENT: Final = action(
    "viewContent",
    "View Content",
    "A product was viewed.",
    fields_of(
        CONTENT_CATEGORY,
        Field("content_ids", "Content ids", multiple=True, default={"@path": "$.properties.product_id"}),
        CONTENT_NAME,
        CONTENT_TYPE,
        contents(ONE),
        CURRENCY,
        EVENT_ID,
        EVENT_SOURCE_URL,
        value({"@path": "$.properties.price"}),
    ),
    'type = "track" and event = "Product Viewed"',
    "ViewContent",
    ("currency", "value", "content_ids", "content_name", "content_type", "contents", "content_category"),
)

SEARCH: Final = action(
    "search",
    "Search",
    "Something was searched for.",
    fields_of(
        CONTENT_CATEGORY,
        CONTENT_IDS,
        contents(ONE),
        CURRENCY,
        EVENT_ID,
        EVENT_SOURCE_URL,
        Field("search_string", "Search string", default={"@path": "$.properties.query"}),
        value(),
    ),
    'type = "track" and event = "Products Searched"',
    "Search",
    ("currency", "content_ids", "contents", "content_category", "value", "search_string"),
)

PAGE_VIEW: Final = action(
    "pageView",
    "Page View",
    "A page was viewed.",
    fields_of(EVENT_ID, EVENT_SOURCE_URL),
    'type = "page"',
    "PageView",
    (),
)

CUSTOM: Final = action(
    "custom",
    "Custom Event",
    "Any other event.",
    (
        ACTION_SOURCE,
        Field("event_name", "Event name", required=True, default={"@path": "$.event"}, help="A standard event of Meta, or a name of your own."),
        EVENT_TIME,
        USER_DATA,
        APP_DATA,
        CUSTOM_DATA,
        EVENT_ID,
        EVENT_SOURCE_URL,
        *HANDLING,
        *BATCHING,
    ),
    "",
    "",
    (),
)

ACTIONS: Final[tuple[Action, ...]] = (PURCHASE, INITIATE_CHECKOUT, ADD_TO_CART, VIEW_CONTENT, SEARCH, PAGE_VIEW, CUSTOM)

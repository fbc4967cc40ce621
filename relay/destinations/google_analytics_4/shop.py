"""The actions of an online shop, from the list of products to the refund."""

from typing import Final

from relay.destinations.google_analytics_4.collect import Kind, action, currency_beside_value, currency_somewhere, some_items
from relay.destinations.google_analytics_4.fields import (
    AFFILIATION,
    COUPON,
    CURRENCY,
    ORDER_COUPON,
    PROMOTION,
    REST,
    SHIPPING,
    TOTAL,
    TRANSACTION_ID,
    VALUE,
    many_items,
    of,
    one_item,
    opening,
)
from relay.kit.definition import Field

STRICT: Final = (currency_beside_value, currency_somewhere)
CREATIVE: Final = ("creative_name", "creative_slot", "location_id", "promotion_id", "promotion_name", "items")

PURCHASE: Final = action(
    "purchase",
    "Purchase",
    "An order was completed.",
    (
        *opening(),
        AFFILIATION,
        ORDER_COUPON,
        Field("currency", "Currency", required=True, default=of("currency"), help=CURRENCY.help),
        many_items(),
        TRANSACTION_ID,
        SHIPPING,
        Field("tax", "Tax", type="number", default=of("tax")),
        TOTAL,
        *REST,
    ),
    'type = "track" and event = "Order Completed"',
    Kind("purchase", ("affiliation", "coupon", "currency", "items", "transaction_id", "shipping", "value", "tax")),
)

REFUND: Final = action(
    "refund",
    "Refund",
    "An order, or a part of it, was refunded.",
    (
        *opening(),
        CURRENCY,
        TRANSACTION_ID,
        TOTAL,
        AFFILIATION,
        COUPON,
        SHIPPING,
        Field("tax", "Tax", type="number"),
        many_items(required=False),
        *REST,
    ),
    'type = "track" and event = "Order Refunded"',
    Kind("refund", ("currency", "transaction_id", "value", "affiliation", "coupon", "shipping", "tax", "items"), STRICT),
)

ADD_TO_CART: Final = action(
    "addToCart",
    "Add to Cart",
    "A product was put into the cart.",
    (*opening(), CURRENCY, one_item(), VALUE, *REST),
    'type = "track" and event = "Product Added"',
    Kind("add_to_cart", ("currency", "items", "value")),
)

REMOVE_FROM_CART: Final = action(
    "removeFromCart",
    "Remove from Cart",
    "A product was taken out of the cart.",
    (*opening(), CURRENCY, VALUE, one_item(), *REST),
    'type = "track" and event = "Product Removed"',
    Kind("remove_from_cart", ("currency", "value", "items"), STRICT),
)

ADD_TO_WISHLIST: Final = action(
    "addToWishlist",
    "Add to Wishlist",
    "A product was put on the wish list.",
    (*opening(), CURRENCY, VALUE, one_item(), *REST),
    'type = "track" and event = "Product Added to Wishlist"',
    Kind("add_to_wishlist", ("currency", "value", "items"), STRICT),
)

VIEW_CART: Final = action(
    "viewCart",
    "View Cart",
    "The cart was viewed.",
    (*opening(), CURRENCY, VALUE, many_items(), *REST),
    'type = "track" and event = "Cart Viewed"',
    Kind("view_cart", ("currency", "value", "items"), STRICT),
)

BEGIN_CHECKOUT: Final = action(
    "beginCheckout",
    "Begin Checkout",
    "A checkout was begun.",
    (*opening(), ORDER_COUPON, CURRENCY, many_items(), VALUE, *REST),
    'type = "track" and event = "Checkout Started"',
    Kind("begin_checkout", ("coupon", "currency", "items", "value")),
)

ADD_PAYMENT_INFO: Final = action(
    "addPaymentInfo",
    "Add Payment Info",
    "The way of payment was given.",
    (
        *opening(),
        CURRENCY,
        VALUE,
        COUPON,
        Field("payment_type", "Way of payment", default=of("payment_method")),
        many_items(),
        *REST,
    ),
    'type = "track" and event = "Payment Info Entered"',
    Kind("add_payment_info", ("currency", "value", "coupon", "payment_type", "items"), (some_items, *STRICT)),
)

VIEW_ITEM: Final = action(
    "viewItem",
    "View Item",
    "A product was viewed.",
    (*opening(), CURRENCY, VALUE, one_item(), *REST),
    'type = "track" and event = "Product Viewed"',
    Kind("view_item", ("currency", "items", "value")),
)

SELECT_ITEM: Final = action(
    "selectItem",
    "Select Item",
    "A product was chosen from a list.",
    (*opening(), Field("item_list_name", "List name"), Field("item_list_id", "List id"), one_item(), *REST),
    'type = "track" and event = "Product Clicked"',
    Kind("select_item", ("items", "item_list_name", "item_list_id")),
)

VIEW_ITEM_LIST: Final = action(
    "viewItemList",
    "View Item List",
    "A list of products was viewed.",
    (
        *opening(),
        Field("item_list_id", "List id", default=of("list_id")),
        Field("item_list_name", "List name", default=of("category")),
        many_items(),
        *REST,
    ),
    'type = "track" and event = "Product List Viewed"',
    Kind("view_item_list", ("item_list_id", "item_list_name", "items")),
)

VIEW_PROMOTION: Final = action(
    "viewPromotion",
    "View Promotion",
    "A promotion was shown.",
    (
        *opening(),
        Field("creative_name", "Creative name"),
        Field("creative_slot", "Creative slot", default=of("creative")),
        Field("location_id", "Place id", default=of("position")),
        Field("promotion_id", "Promotion id", default=of("promotion_id")),
        Field("promotion_name", "Promotion name", default=of("name")),
        one_item(further=PROMOTION),
        *REST,
    ),
    'type = "track" and event = "Promotion Viewed"',
    Kind("view_promotion", CREATIVE),
)

SELECT_PROMOTION: Final = action(
    "selectPromotion",
    "Select Promotion",
    "A promotion was chosen.",
    (
        *opening(),
        Field("creative_name", "Creative name"),
        Field("creative_slot", "Creative slot", default=of("creative")),
        Field("location_id", "Place id"),
        Field("promotion_id", "Promotion id", default=of("promotion_id")),
        Field("promotion_name", "Promotion name", default=of("name")),
        one_item(required=False, further=PROMOTION),
        *REST,
    ),
    'type = "track" and event = "Promotion Clicked"',
    Kind("select_promotion", CREATIVE),
)

"""TikTok Conversions: web and CRM events to TikTok's Events API, with what identifies people hashed."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.tiktok_conversions.report import REPORT_WEB_EVENT, headers_of, read_answer
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.post import post_json
from relay.kit.request import Request

PRODUCT: Final = {
    "price": {"@path": "$.price"},
    "quantity": {"@path": "$.quantity"},
    "content_category": {"@path": "$.category"},
    "content_id": {"@path": "$.product_id"},
    "content_name": {"@path": "$.name"},
    "brand": {"@path": "$.brand"},
}
ONE: Final = {"contents": {"@arrayPath": ["$.properties", PRODUCT]}}
"""The properties are the product."""
MANY: Final = {"contents": {"@arrayPath": ["$.properties.products", PRODUCT]}}

PRESETS: Final[tuple[tuple[str, str, str, Mapping[str, Any]], ...]] = (
    ("Complete Payment", 'event = "Order Completed"', "CompletePayment", MANY),
    ("Contact", 'event = "Callback Started"', "Contact", {}),
    ("Subscribe", 'event = "Subscription Created"', "Subscribe", {}),
    ("Submit Form", 'event = "Form Submitted"', "SubmitForm", {}),
    ("Page View", 'type="page"', "PageView", MANY),
    ("View Content", 'event = "Product Viewed"', "ViewContent", ONE),
    ("Click Button", 'event = "Product Clicked"', "ClickButton", ONE),
    ("Search", 'event = "Products Searched"', "Search", ONE),
    ("Add to Wishlist", 'event = "Product Added to Wishlist"', "AddToWishlist", ONE),
    ("Add to Cart", 'event = "Product Added"', "AddToCart", ONE),
    ("Initiate Checkout", 'event = "Checkout Started"', "InitiateCheckout", MANY),
    ("Add Payment Info", 'event = "Payment Info Entered"', "AddPaymentInfo", MANY),
    ("Place an Order", 'event = "Order Placed"', "PlaceAnOrder", MANY),
    ("Download", 'event = "Download Link Clicked"', "Download", {}),
    ("Complete Registration", 'event = "Signed Up"', "CompleteRegistration", {}),
)
"""Name, trigger, TikTok's event, and where its contents come from."""


def test(settings: Mapping[str, Any]) -> Request:
    """An event that lacks everything: it is refused, but the answer's code tells whether the token is known."""
    body = {"event_source": "web", "event_source_id": settings["pixelCode"], "data": []}
    url = "https://business-api.tiktok.com/open_api/v1.3/event/track/"
    return post_json(url, body, headers_of(settings), secrets=frozenset(("access-token",)))


DEFINITION = Definition(
    slug="tiktok-conversions",
    name="TikTok Conversions",
    description="Reports conversions to TikTok's Events API.",
    settings=(
        Setting("accessToken", "Access token", required=True, secret=True, help="Made in TikTok's Events Manager for the pixel."),
        Setting("pixelCode", "Pixel code", required=True, help="The id of the pixel, or of the CRM event set."),
    ),
    actions={REPORT_WEB_EVENT.slug: REPORT_WEB_EVENT},
    presets=tuple(Preset(name, REPORT_WEB_EVENT.slug, trigger, {**contents, "event": event}) for name, trigger, event, contents in PRESETS),
    test=test,
    read_test=read_answer,
)

"""Google Analytics 4: events by the Measurement Protocol, for a web page or an app."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.google_analytics_4.collect import HOSTS, SECRETS, secret_of
from relay.destinations.google_analytics_4.shop import (
    ADD_PAYMENT_INFO,
    ADD_TO_CART,
    ADD_TO_WISHLIST,
    BEGIN_CHECKOUT,
    PURCHASE,
    REFUND,
    REMOVE_FROM_CART,
    SELECT_ITEM,
    SELECT_PROMOTION,
    VIEW_CART,
    VIEW_ITEM,
    VIEW_ITEM_LIST,
    VIEW_PROMOTION,
)
from relay.destinations.google_analytics_4.visits import CUSTOM_EVENT, GENERATE_LEAD, LOGIN, PAGE_VIEW, SEARCH, SIGN_UP
from relay.errors import Problem
from relay.kit.definition import Definition, Setting
from relay.kit.post import post_json
from relay.kit.request import Request

ACTIONS = (
    PURCHASE, ADD_TO_CART, PAGE_VIEW, CUSTOM_EVENT, SELECT_ITEM, BEGIN_CHECKOUT, SELECT_PROMOTION, VIEW_ITEM, REMOVE_FROM_CART, VIEW_CART, SEARCH,
    VIEW_ITEM_LIST, SIGN_UP, VIEW_PROMOTION, ADD_PAYMENT_INFO, REFUND, LOGIN, GENERATE_LEAD, ADD_TO_WISHLIST,
)  # fmt: skip


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    if settings.get("measurementId") or settings.get("firebaseAppId"):
        return []
    return [Problem("one of measurementId (web) and firebaseAppId (app) is required", None, "both stand in Google's Admin > Data streams")]


def test(settings: Mapping[str, Any]) -> Request:
    """The debug call: it counts nothing and tells in its body what it thinks of the event. It does not check the secret."""
    web = settings.get("measurementId")
    stream = f"measurement_id={web}" if web else f"firebase_app_id={settings.get('firebaseAppId')}"
    device = {"client_id": "relay.check"} if web else {"app_instance_id": "0" * 32}
    body = {**device, "events": [{"name": "relay_check", "params": {"engagement_time_msec": 1}}]}
    host = HOSTS[settings.get("region") or "global"]
    return post_json(f"https://{host}/debug/mp/collect?api_secret={secret_of(settings)}&{stream}", body, secrets=SECRETS)


DEFINITION = Definition(
    slug="google-analytics-4",
    name="Google Analytics 4 Cloud",
    description="Sends events by the Measurement Protocol, for a web page or an app.",
    settings=(
        Setting("measurementId", "Measurement id", help="G-...: of a web stream."),
        Setting("firebaseAppId", "Firebase app id", help="1:...: of an app stream."),
        Setting("apiSecret", "API secret", required=True, secret=True, help="Made in Admin > Data streams > Measurement Protocol."),
        Setting("region", "Region", default="global", choices=tuple(HOSTS), help="eu: events go to a host in the EU."),
    ),
    actions={action.slug: action for action in ACTIONS},
    check=check,
    test=test,
)

"""Algolia Insights: clicks, views and conversions on the objects of a search index."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.base.secret import reveal
from relay.destinations.algolia_insights.insights import REGIONS, SECRETS, headers_of
from relay.destinations.algolia_insights.lists import CONVERSION, PRODUCT_LIST_FILTERED, PRODUCT_LIST_VIEWED
from relay.destinations.algolia_insights.products import PRODUCT_ADDED, PRODUCT_CLICKED, PRODUCT_VIEWED
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.request import Request

PRESETS = (
    ("Send product clicked events to Algolia", PRODUCT_CLICKED),
    ("Send purchase events to Algolia", CONVERSION),
    ("Send an add-to-cart event to Algolia", PRODUCT_ADDED),
    ("Send product viewed events to Algolia", PRODUCT_VIEWED),
    ("Send product list filtered events to Algolia", PRODUCT_LIST_FILTERED),
    ("Send product list viewed events to Algolia", PRODUCT_LIST_VIEWED),
)


def test(settings: Mapping[str, Any]) -> Request:
    """What the key may do: 200 and its rights, or 403 and 404 for a wrong one."""
    app_id, key = quote(str(settings["appId"]), safe=""), quote(reveal(settings["apiKey"]), safe="")
    return Request("GET", f"https://{app_id}.algolia.net/1/keys/{key}", headers_of(settings), secrets=SECRETS | {"url"})


DEFINITION = Definition(
    slug="algolia-insights",
    name="Algolia Insights (Actions)",
    description="Sends clicks, views and conversions on the objects of a search index.",
    settings=(
        Setting("appId", "Application id", required=True),
        Setting("apiKey", "API key", required=True, secret=True, help="A key with the right search, for the Insights API."),
        Setting("region", "Region", default="default", choices=tuple(REGIONS), help="Where Algolia keeps the events."),
    ),
    actions={action.slug: action for _, action in PRESETS},
    presets=tuple(Preset(name, action.slug, action.default_trigger) for name, action in PRESETS),
    test=test,
)

"""Iterable: users, events, carts and purchases."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.iterable.api import ORIGINS, SECRETS, delete_user, key, origin
from relay.destinations.iterable.commerce import TRACK_PURCHASE, UPDATE_CART
from relay.destinations.iterable.events import TRACK_EVENT
from relay.destinations.iterable.users import UPDATE_USER
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.post import USER_AGENT
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Asks for the project's webhooks."""
    return Request("GET", f"{origin(settings)}/api/webhooks", (USER_AGENT, key(settings)), secrets=SECRETS)


DEFINITION = Definition(
    slug="iterable",
    name="Iterable (Actions)",
    description="Writes users and sends events, carts and purchases to Iterable.",
    settings=(
        Setting("apiKey", "API key", required=True, secret=True, help="Of the type server-side, from Integrations, API keys."),
        Setting("dataCenterLocation", "Data center", default="united_states", choices=tuple(ORIGINS), help="Where the project's data lies."),
    ),
    actions={action.slug: action for action in (UPDATE_USER, TRACK_EVENT, UPDATE_CART, TRACK_PURCHASE)},
    presets=(
        Preset("Track Calls", "trackEvent", TRACK_EVENT.default_trigger),
        Preset("Identify Calls", "updateUser", UPDATE_USER.default_trigger),
        Preset("Update Cart Calls", "updateCart", UPDATE_CART.default_trigger),
        Preset("Order Completed Calls", "trackPurchase", TRACK_PURCHASE.default_trigger),
    ),
    test=test,
    on_delete=delete_user,
)

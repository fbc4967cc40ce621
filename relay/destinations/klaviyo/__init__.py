"""Klaviyo: profiles, lists, consent and events."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.klaviyo.api import delete_profile, get
from relay.destinations.klaviyo.events import ORDER_COMPLETED, TRACK_EVENT
from relay.destinations.klaviyo.profiles import ADD_TO_LIST, REMOVE_FROM_LIST, UPSERT_PROFILE
from relay.destinations.klaviyo.subscriptions import SUBSCRIBE, UNSUBSCRIBE
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Asks whose key it is."""
    return get(settings, "/api/accounts/")


DEFINITION = Definition(
    slug="klaviyo",
    name="Klaviyo (Actions)",
    description="Writes profiles, lists and consent, and sends events to Klaviyo.",
    settings=(
        Setting("api_key", "API key", required=True, secret=True, help="A private key that may write profiles, lists, subscriptions and events."),
    ),
    actions={action.slug: action for action in (UPSERT_PROFILE, ADD_TO_LIST, REMOVE_FROM_LIST, TRACK_EVENT, ORDER_COMPLETED, SUBSCRIBE, UNSUBSCRIBE)},
    test=test,
    on_delete=delete_profile,
)

"""Braze: profiles, events and purchases through its REST API."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.braze.api import delete_user
from relay.destinations.braze.events import TRACK_EVENT, TRACK_PURCHASE
from relay.destinations.braze.users import CREATE_ALIAS, IDENTIFY_USER, UPDATE_PROFILE
from relay.errors import Problem
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.url import url_problem

SENT_OTHERWISE = ("Order Completed", "Checkout Started", "Order Refunded", "Order Cancelled", "Product Viewed")


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    endpoint = settings.get("endpoint") or ""
    wrong = url_problem(endpoint)
    if not wrong and endpoint.rstrip("/").count("/") > 2:
        wrong = "the URL ends after the host"
    return [Problem(f"endpoint: {wrong}", None, "write it as https://rest.iad-01.braze.com")] if wrong else []


DEFINITION = Definition(
    slug="braze",
    name="Braze Cloud Mode (Actions)",
    description="Sends profiles, events and purchases to Braze.",
    settings=(
        Setting("api_key", "API key", required=True, secret=True, help="A REST API key that may write user data, aliases included."),
        Setting("app_id", "App id", help="The app that events and purchases belong to."),
        Setting(
            "endpoint", "REST endpoint", required=True, default="https://rest.iad-01.braze.com",
            help="Of the instance, for example https://rest.us-10.braze.com or https://rest.fra-01.braze.eu.",
        ),
    ),
    actions={action.slug: action for action in (UPDATE_PROFILE, TRACK_EVENT, TRACK_PURCHASE, CREATE_ALIAS, IDENTIFY_USER)},
    presets=(
        Preset("Track Calls", "trackEvent", 'type = "track"' + "".join(f' and event != "{name}"' for name in SENT_OTHERWISE)),
        Preset("Identify Calls", "updateUserProfile", 'type = "identify"'),
    ),
    check=check,
    on_delete=delete_user,
)  # fmt: skip

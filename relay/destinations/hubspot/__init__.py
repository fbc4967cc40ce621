"""HubSpot: contacts, companies and custom events by the CRM API. OAuth in Segment; here the token of a private app is pasted."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.hubspot.api import call
from relay.destinations.hubspot.behavior import SEND_CUSTOM_BEHAVIORAL_EVENT
from relay.destinations.hubspot.company import UPSERT_COMPANY
from relay.destinations.hubspot.contact import UPSERT_CONTACT
from relay.destinations.hubspot.custom_event import CUSTOM_EVENT
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Reads one contact."""
    return call(settings, "GET", "/crm/v3/objects/contacts?limit=1")


DEFINITION = Definition(
    slug="hubspot",
    name="HubSpot Cloud Mode (Actions)",
    description="Keeps contacts and companies of HubSpot up to date, and sends custom events.",
    settings=(
        Setting("accessToken", "Access token", required=True, secret=True, help="The token of a private app with the scopes of the actions in use."),
        Setting("portalId", "Hub id", help="Custom behavioural events must carry it in their name."),
    ),
    actions={one.slug: one for one in (UPSERT_CONTACT, UPSERT_COMPANY, SEND_CUSTOM_BEHAVIORAL_EVENT, CUSTOM_EVENT)},
    test=test,
)

"""Customer.io: people, objects, devices and events through the Track API."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.customerio import devices, events, objects, people, reports
from relay.destinations.customerio.api import SECRETS, authorization, delete_person, origin
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.post import USER_AGENT
from relay.kit.request import Request

ACTIONS: Final = {action.slug: action for action in (*people.ACTIONS, *events.ACTIONS, *objects.ACTIONS, *devices.ACTIONS, *reports.ACTIONS)}
PRESETS: Final = {
    "Create or Update Person": "createUpdatePerson",
    "Create or Update Device": "createUpdateDevice",
    "Delete Device": "deleteDevice",
    "Delete Relationship": "deleteRelationship",
    "Delete Person": "deletePerson",
    "Delete Object": "deleteObject",
    "Track Event": "trackEvent",
    "Track Page View": "trackPageView",
    "Track Screen View": "trackScreenView",
    "Create or Update Object": "createUpdateObject",
    "Merge People": "mergePeople",
    "Suppress Person": "suppressPerson",
    "Unsuppress Person": "unsuppressPerson",
    "Report Delivery Event": "reportDeliveryEvent",
    "Report Content Event": "reportContentEvent",
}
"""Each with the action's own trigger and defaults."""


def test(settings: Mapping[str, Any]) -> Request:
    """Asks for the account's region."""
    return Request("GET", f"{origin(settings)}/api/v1/accounts/region", (USER_AGENT, authorization(settings)), secrets=SECRETS)


DEFINITION = Definition(
    slug="customerio",
    name="Customer.io (Actions)",
    description="Writes people, objects, devices and events to Customer.io.",
    settings=(
        Setting("siteId", "Site id", required=True, secret=True, help="From Account Settings, API Credentials, Track API Keys."),
        Setting("apiKey", "API key", required=True, secret=True, help="It stands beside the site id."),
        Setting("accountRegion", "Region", default="US 🇺🇸", choices=("US 🇺🇸", "EU 🇪🇺", "US", "EU"), help="Where the account's data lies."),
    ),
    actions=ACTIONS,
    presets=tuple(Preset(name, slug, ACTIONS[slug].default_trigger) for name, slug in PRESETS.items()),
    test=test,
    on_delete=delete_person,
)

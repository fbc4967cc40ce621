"""Intercom: contacts, companies and events. OAuth in Segment; here the access token of an app is pasted."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.intercom.api import ORIGINS, call, delete_contact
from relay.destinations.intercom.company import GROUP_IDENTIFY_CONTACT
from relay.destinations.intercom.contact import IDENTIFY_CONTACT
from relay.destinations.intercom.event import TRACK_EVENT
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Asks whose token it is."""
    return call(settings, "GET", "/me")


DEFINITION = Definition(
    slug="intercom",
    name="Intercom Cloud Mode (Actions)",
    description="Keeps contacts and companies of Intercom up to date, and sends events.",
    settings=(
        Setting("accessToken", "Access token", required=True, secret=True, help="Of an app in Intercom's Developer Hub."),
        Setting("endpoint", "Region", default="north_america", choices=tuple(ORIGINS), help="Where the workspace is hosted."),
        Setting("apiVersion", "API version", help="Sent as Intercom-Version; left out: the app's own."),
    ),
    actions={one.slug: one for one in (IDENTIFY_CONTACT, GROUP_IDENTIFY_CONTACT, TRACK_EVENT)},
    test=test,
    on_delete=delete_contact,
)

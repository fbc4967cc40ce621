"""SendGrid: marketing contacts, and mail from dynamic templates."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.sendgrid.api import EU, GLOBAL, call
from relay.destinations.sendgrid.contact import UPDATE_USER_PROFILE
from relay.destinations.sendgrid.mail import SEND_EMAIL
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Asks what the key may do."""
    return call(settings, "GET", "/v3/scopes")


DEFINITION = Definition(
    slug="sendgrid",
    name="SendGrid",
    description="Keeps marketing contacts up to date, and sends mail from templates.",
    settings=(
        Setting("sendGridApiKey", "API key", required=True, secret=True),
        Setting("endpoint", "Region", default=GLOBAL, choices=(GLOBAL, EU), help="The EU's address for an account that is hosted there."),
    ),
    actions={one.slug: one for one in (UPDATE_USER_PROFILE, SEND_EMAIL)},
    test=test,
)

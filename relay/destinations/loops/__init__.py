"""Loops: contacts and events for e-mail that follows what people do."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.loops.api import ORIGIN, SECRETS, authorization, delete_contact
from relay.destinations.loops.contacts import UPDATE_CONTACT
from relay.destinations.loops.events import SEND_EVENT
from relay.kit.definition import Definition, Setting
from relay.kit.post import USER_AGENT
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Asks whose key it is."""
    return Request("GET", f"{ORIGIN}/api/v1/api-key", (USER_AGENT, authorization(settings)), secrets=SECRETS)


DEFINITION = Definition(
    slug="loops",
    name="Loops (Actions)",
    description="Writes contacts and sends events to Loops.",
    settings=(Setting("apiKey", "API key", required=True, secret=True, help="From Settings, API, in Loops."),),
    actions={action.slug: action for action in (UPDATE_CONTACT, SEND_EVENT)},
    test=test,
    on_delete=delete_contact,
)

"""Twilio: text messages."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.destinations.twilio.message import ORIGIN, SECRETS, SEND_SMS, account_of, authorized
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """Reads the account."""
    return Request("GET", f"{ORIGIN}/{quote(account_of(settings), safe='')}.json", (authorized(settings),), secrets=SECRETS)


DEFINITION = Definition(
    slug="twilio",
    name="Twilio",
    description="Sends text messages.",
    settings=(
        Setting("accountId", "Account SID", required=True, help="AC..."),
        Setting("token", "Auth token", required=True, secret=True),
        Setting("phoneNumber", "From", required=True, help="Your number with + and country code."),
    ),
    actions={SEND_SMS.slug: SEND_SMS},
    test=test,
)

"""Text messages. Pure. Twilio has no idempotency key, and a second message is worse than none: what may have been sent is not sent again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.definition import Action, Delivery, Field
from relay.kit.post import basic_auth, post_form
from relay.kit.request import Request, Response

ORIGIN: Final = "https://api.twilio.com/2010-04-01/Accounts"
SECRETS: Final = frozenset(("authorization",))
TOO_MANY: Final = 20429
UNSURE: Final = frozenset((500, 502, 504))
"""Answers after which the message may be on its way."""


def send_sms(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One message from the setting `phoneNumber`."""
    account = account_of(settings)
    sender = settings.get("phoneNumber")
    if not sender:
        raise Misconfigured("the setting phoneNumber is empty")
    form = {"From": sender} | {name: delivery.fields[name] for name in ("To", "Body", "MediaUrl") if delivery.fields.get(name)}
    return post_form(f"{ORIGIN}/{quote(account, safe='')}/Messages.json", form, (authorized(settings),), secrets=SECRETS)


def account_of(settings: Mapping[str, Any]) -> str:
    """The account's SID; raises Misconfigured when it is missing."""
    account = settings.get("accountId")
    if not account:
        raise Misconfigured("the setting accountId is empty")
    return str(account)


def authorized(settings: Mapping[str, Any]) -> tuple[str, str]:
    """The header with account and token."""
    return basic_auth(account_of(settings), reveal(settings.get("token")))


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """Too many requests by Twilio's own code is retried; an answer that leaves the message's fate open is final."""
    if response.status in UNSURE:
        return [Permanent("Twilio failed after it took the message; it may have been sent", code="unsure", status=response.status)]
    if 400 <= response.status < 500 and response.json_object().get("code") == TOO_MANY and response.status != 429:
        return [Retryable("Twilio's limit is reached", code="429", status=response.status)]
    return None


SEND_SMS: Final = Action(
    slug="sendSMS",
    title="Send SMS",
    description="Sends a text message.",
    fields=(
        Field("To", "To", required=True, help="The number with + and country code (E.164)."),
        Field("Body", "Text", type="text", required=True, help="At most 1,600 characters."),
        Field("MediaUrl", "Media URL", help="Address of a picture for an MMS."),
    ),
    default_trigger='type = "track"',
    perform=send_sms,
    read_answer=read_answer,
    is_repeatable=False,
)

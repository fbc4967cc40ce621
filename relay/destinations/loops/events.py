"""Send an event, which may start a loop. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.loops.api import read_answer, request
from relay.errors import DeliveryError
from relay.kit.defaults import first_of, path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request, Response

_EVENT: Final = ("email", "eventName", "userId", "eventProperties")


def send_event(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event; its messageId is the key by which Loops knows a repeat."""
    fields = delivery.fields
    body = {name: fields[name] for name in _EVENT if name in fields} | dict(fields.get("contactProperties") or {})
    return request(settings, "POST", "/api/v1/events/send", body, (("idempotency-key", delivery.event.message_id),))


def read_repeat(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """409 says that an earlier attempt has arrived."""
    return [None] if response.status == 409 else read_answer(deliveries, response)


SEND_EVENT: Final = Action(
    slug="sendEvent",
    title="Send an event",
    description="Sends a track call as an event of a contact.",
    fields=(
        Field("email", "E-mail", format="email", default=first_of("properties.email", "context.traits.email"), help="Of a contact that may be new."),
        Field("eventName", "Event", required=True, default=path("event")),
        Field("userId", "User id", required=True, default=path("userId"), help="What the contact is found by."),
        Field("contactProperties", "Contact properties", type="object", help="Written to the contact as well."),
        Field("eventProperties", "Event properties", type="object", default=path("properties"), help="May be used in the mails of the loop."),
    ),
    default_trigger='type = "track"',
    perform=send_event,
    read_answer=read_repeat,
)

"""Custom behavioural events that exist in HubSpot. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.hubspot.api import call, flat
from relay.destinations.hubspot.fields import first_of, path
from relay.errors import PayloadError
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

_GAP = re.compile(r"[\s.]+")
_PREFIX = re.compile(r"pe\d+_")


def send_event(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event; its name must carry the portal's prefix, and one id of a contact is needed."""
    fields = delivery.fields
    name = _GAP.sub("_", fields["eventName"]).lower()
    portal = str(settings.get("portalId") or "")
    if not (name.startswith(f"pe{portal}_") if portal else _PREFIX.match(name)):
        raise PayloadError(f'field "eventName": the internal name begins with pe{portal or "<hub id>"}_', field="eventName")
    who = {key: fields[key] for key in ("utk", "email", "objectId") if fields.get(key)}
    if not who:
        raise PayloadError('field "email": one of email, utk and objectId is needed', field="email")
    body = {"eventName": name} | {"occurredAt": fields.get("occurredAt")} | who
    if "properties" in fields:
        body["properties"] = flat(fields["properties"])
    return call(settings, "POST", "/events/v3/send", {key: value for key, value in body.items() if value is not None})


SEND_CUSTOM_BEHAVIORAL_EVENT: Final = Action(
    slug="sendCustomBehavioralEvent",
    title="Send custom behavioural event",
    description="Sends an event that is defined in HubSpot.",
    fields=(
        Field("eventName", "Event name", required=True, help="The full internal name, pe<hub id>_name."),
        Field("occurredAt", "Time", type="datetime", default=path("timestamp")),
        Field("email", "E-mail", format="email", default=first_of("properties.email", "context.traits.email")),
        Field("utk", "User token"),
        Field("objectId", "Object id"),
        Field("properties", "Properties", type="object", help="By the internal name in HubSpot; nested values go as JSON text."),
    ),
    default_trigger='type = "track"',
    perform=send_event,
)

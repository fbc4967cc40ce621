"""Events of a contact. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.intercom.api import call, find_contact, read_answer, seconds_of
from relay.errors import Permanent
from relay.kit.definition import Action, Delivery, Field
from relay.kit.steps import Steps

NOT_FOUND: Final = 404
MOVED: Final = ("email", "revenue", "currency")
"""Properties that leave the metadata: they are said elsewhere."""


def track_event(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """One event; with an e-mail alone the contact is looked up first, since it may be a lead."""
    body = {name: value for name, value in delivery.fields.items() if name not in ("revenue", "currency")}
    body["created_at"] = seconds_of(body["created_at"])
    if "metadata" in body:
        body["metadata"] = {name: value for name, value in body["metadata"].items() if name not in MOVED}
    revenue = delivery.fields.get("revenue")
    if revenue is not None:
        cents = round(revenue * 100, 6)
        price = {"amount": int(cents) if float(cents).is_integer() else cents, "currency": delivery.fields.get("currency") or "USD"}
        body["metadata"] = body.get("metadata", {}) | {"price": price}
    if body.get("email") and not body.get("user_id") and not body.get("id"):
        contact, is_found = yield from find_contact(settings, "", body["email"])
        if not is_found:
            return
        if not contact:
            raise Permanent("Intercom has no contact, or several, with this e-mail", status=NOT_FOUND)
        body["id"] = contact
    yield call(settings, "POST", "/events", body)


TRACK_EVENT: Final = Action(
    slug="trackEvent",
    title="Track event",
    description="Sends an event of a contact.",
    fields=(
        Field("event_name", "Event name", required=True, default={"@path": "$.event"}),
        Field("created_at", "Time", type="datetime", required=True, default={"@path": "$.timestamp"}, help="ISO time, or Unix seconds."),
        Field("user_id", "User id", default={"@path": "$.userId"}),
        Field("email", "E-mail", format="email", default={"@path": "$.properties.email"}, help="Finds the contact when there is no user id."),
        Field("revenue", "Revenue", type="number", default={"@path": "$.properties.revenue"}, help="Sent as a price, in cents."),
        Field("currency", "Currency", default={"@path": "$.properties.currency"}, help="Of the revenue; USD when left out."),
        Field("id", "Contact id", help="Intercom's own id."),
        Field("metadata", "Metadata", type="object", default={"@path": "$.properties"}, help="Intercom keeps ten keys, and no nested ones."),
    ),
    default_trigger='type = "track"',
    perform=track_event,
    read_answer=read_answer,
)

"""Contacts: found by id or e-mail, then updated or created. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.intercom.api import call, find_contact, read_answer, seconds_of, segment_of
from relay.errors import Retryable
from relay.kit.definition import Action, Delivery, Field
from relay.kit.steps import Steps

CONFLICT: Final = 409


def identify_contact(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Search; exactly one hit is updated, otherwise a contact is created."""
    body = dict(delivery.fields)
    for name in ("signed_up_at", "last_seen_at"):
        if name in body:
            body[name] = seconds_of(body[name])
    contact, is_found = yield from find_contact(settings, body.get("external_id", ""), body.get("email", ""))
    if not is_found:
        return
    if contact:
        response = yield call(settings, "PUT", f"/contacts/{segment_of(contact)}", body)
    else:
        response = yield call(settings, "POST", "/contacts", body)
    if response.status == CONFLICT:
        raise Retryable("Intercom knows the contact but its search does not find it yet", code=str(CONFLICT), status=CONFLICT)


IDENTIFY_CONTACT: Final = Action(
    slug="identifyContact",
    title="Identify contact",
    description="Creates or updates a contact.",
    fields=(
        Field("role", "Role", required=True, choices=("lead", "user")),
        Field("external_id", "External id", default={"@path": "$.userId"}, help="Your id of the user. Finds the contact."),
        Field("email", "E-mail", format="email", default={"@path": "$.traits.email"}, help="Finds the contact when there is no external id."),
        Field("phone", "Phone", default={"@path": "$.traits.phone"}),
        Field("name", "Name", default={"@path": "$.traits.name"}),
        Field("avatar", "Avatar", format="uri", default={"@path": "$.traits.avatar"}, help="Address of an image."),
        Field("signed_up_at", "Signed up", type="datetime", help="ISO time, or Unix seconds."),
        Field("last_seen_at", "Last seen", type="datetime", default={"@path": "$.timestamp"}, help="ISO time, or Unix seconds."),
        Field("owner_id", "Owner", type="number", help="The id of the admin who owns the contact."),
        Field("unsubscribed_from_emails", "Unsubscribed", type="boolean"),
        Field("custom_attributes", "Custom attributes", type="object", help="They must exist in Intercom."),
    ),
    default_trigger='type = "identify"',
    perform=identify_contact,
    read_answer=read_answer,
)

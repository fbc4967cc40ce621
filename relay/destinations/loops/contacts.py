"""Create or update a contact. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.loops.api import read_answer, request
from relay.kit.defaults import first_of, path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

_CONTACT: Final = ("createdAt", "email", "firstName", "lastName", "source", "subscribed", "userGroup", "userId")
_SWITCHES: Final[Mapping[Any, bool]] = {True: True, False: False, "true": True, "false": False}


def update_contact(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """The attributes flat, with the contact's own fields over them."""
    fields = delivery.fields
    attributes = dict(fields.get("customAttributes") or {})
    lists = attributes.pop("mailingLists", None)
    body = attributes | {name: fields[name] for name in _CONTACT if name in fields}
    body["mailingLists"] = _switches(fields.get("mailingLists") or lists)
    return request(settings, "PUT", "/api/v1/contacts/update", body)


def _switches(lists: Any) -> dict[str, bool]:
    """List ids with true or false, which may come as text; anything else is left out."""
    given = lists.items() if isinstance(lists, Mapping) else ()
    return {name: _SWITCHES[value] for name, value in given if isinstance(value, bool | str) and value in _SWITCHES}


UPDATE_CONTACT: Final = Action(
    slug="createOrUpdateContact",
    title="Create or update a contact",
    description="Writes the traits of a person to their contact, and makes it when there is none.",
    fields=(
        Field("createdAt", "Created at", type="datetime", format="date-time", help="When the contact was made."),
        Field("customAttributes", "Attributes", type="object", default=path("traits"), help="Further properties of the contact; Loops must know them."),
        Field("email", "E-mail", format="email", default=first_of("traits.email", "email"), help="Needed for a new contact."),
        Field("firstName", "First name", default=path("traits.firstName")),
        Field("lastName", "Last name", default=path("traits.lastName")),
        Field("mailingLists", "Mailing lists", type="object", help="Ids of lists with true (subscribe) or false (unsubscribe)."),
        Field(
            "source", "Source", help="Where the contact came from.",
            default={"@if": {"exists": path("traits.source"), "then": path("traits.source"), "else": "relay"}},
        ),
        Field("subscribed", "Subscribed", type="boolean", help="Whether the contact takes campaigns and loops."),
        Field("userGroup", "User group", default=path("traits.userGroup"), help="A group of contacts, to send to."),
        Field("userId", "User id", required=True, default=path("userId"), help="What the contact is found by."),
    ),
    default_trigger='type = "identify"',
    perform=update_contact,
    read_answer=read_answer,
)  # fmt: skip

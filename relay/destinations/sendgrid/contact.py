"""Marketing contacts: one call for up to 30,000, whose custom fields are named by the ids that SendGrid gave them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.sendgrid.api import call, read_answer
from relay.errors import PayloadError
from relay.kit.definition import Action, Delivery, Field
from relay.kit.post import json_text
from relay.kit.request import Response
from relay.kit.steps import Steps

IDS: Final = ("primary_email", "phone_number_id", "external_id", "anonymous_id")
RENAMED: Final[Mapping[str, str]] = {"state": "state_province_region", "primary_email": "email"}
APART: Final = frozenset(("enable_batching", "batch_size", "customFields"))


def update_contact(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """One contact."""
    return update_contacts(settings, [delivery])


def update_contacts(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Steps[None]:
    """Read the account's custom fields, then write all contacts in one call; SendGrid queues them (202)."""
    for delivery in deliveries:
        if not any(delivery.fields.get(name) for name in IDS):
            raise PayloadError(f"the contact has none of {', '.join(IDS)}", field="primary_email")
    response = yield call(settings, "GET", "/v3/marketing/field_definitions")
    if not response.is_ok:
        return
    by_name = _custom_fields(response)
    contacts = [_contact(delivery.fields, by_name) for delivery in deliveries]
    yield call(settings, "PUT", "/v3/marketing/contacts", {"contacts": contacts})


def _contact(fields: Mapping[str, Any], by_name: Mapping[str, str]) -> dict[str, Any]:
    contact = {RENAMED.get(name, name): value for name, value in fields.items() if name not in APART}
    return contact | {"custom_fields": {_id_of(name, by_name): _plain(value) for name, value in (fields.get("customFields") or {}).items()}}


def _custom_fields(response: Response) -> dict[str, str]:
    """Ids by id and by name in lower case; an id wins over a name."""
    listed = response.json_object().get("custom_fields")
    known = [(str(one["id"]), str(one.get("name") or "")) for one in listed or () if isinstance(one, Mapping) and "id" in one]
    return {name.lower(): field_id for field_id, name in reversed(known)} | {f"#{field_id}": field_id for field_id, _ in known}


def _id_of(name: str, by_name: Mapping[str, str]) -> str:
    found = by_name.get(f"#{name}") or by_name.get(name.lower())
    if found is None:
        raise PayloadError(f'field "customFields": SendGrid has no custom field "{name}"', field="customFields")
    return found


def _plain(value: Any) -> Any:
    """Texts and numbers as they are; anything else as JSON text."""
    return json_text(value) if value is None or isinstance(value, bool | list | Mapping) else value


def _either(name: str) -> dict[str, Any]:
    """The trait, or the property of that name."""
    return {"@if": {"exists": {"@path": f"$.traits.{name}"}, "then": {"@path": f"$.traits.{name}"}, "else": {"@path": f"$.properties.{name}"}}}


def _text(name: str, label: str, source: str, help_text: str = "") -> Field:
    return Field(name, label, allow_null=True, default=_either(source), help=help_text)


UPDATE_USER_PROFILE: Final = Action(
    slug="updateUserProfile",
    title="Upsert contact",
    description="Creates or updates a marketing contact.",
    fields=(
        Field("enable_batching", "Batch events", type="boolean", default=True, help="Up to 30,000 contacts in one call."),
        _text("first_name", "First name", "first_name"),
        _text("last_name", "Last name", "last_name"),
        _text("country", "Country", "address.country"),
        _text("postal_code", "Postal code", "address.postal_code"),
        _text("city", "City", "address.city"),
        _text("state", "State", "address.state"),
        _text("address_line_1", "Address, line 1", "address.line1"),
        _text("address_line_2", "Address, line 2", "address.line2"),
        _text("phone_number", "Phone", "phone"),
        _text("whatsapp", "WhatsApp", "whatsapp"),
        _text("line", "Line", "line"),
        _text("facebook", "Facebook", "facebook"),
        _text("unique_name", "Unique name", "unique_name"),
        _text("primary_email", "E-mail", "email", "An id of the contact."),
        _text("phone_number_id", "Phone as id", "phone", "An id of the contact, with + and country code (E.164)."),
        _text("external_id", "External id", "external_id", "An id of the contact."),
        Field("anonymous_id", "Anonymous id", allow_null=True, default={"@path": "$.anonymousId"}, help="An id of the contact."),
        Field("customFields", "Custom fields", type="object", help="By id or name in SendGrid; they must exist there."),
    ),
    perform=update_contact,
    perform_batch=update_contacts,
    read_answer=read_answer,
    batch_size=30_000,
    batch_bytes=5_000_000,
)

"""Contacts: found by e-mail, updated, or created when HubSpot has none. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.hubspot.api import NOT_FOUND, call, flat, found, kept, segment_of
from relay.destinations.hubspot.fields import POSTAL_CODE, STAGE, first_of, path
from relay.errors import Permanent, Retryable
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Response
from relay.kit.steps import Steps

CONTACTS: Final = "/crm/v3/objects/contacts"
KNOWN: Final = ("company", "firstname", "lastname", "phone", "address", "city", "state", "country", "zip", "email", "website")
PARTIAL: Final = 207


def upsert_contact(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Update by e-mail; create on 404; a lifecycle stage that HubSpot kept back is emptied and set again."""
    address = f"{CONTACTS}/{segment_of(delivery.fields['email'])}?idProperty=email"
    properties = _properties(delivery.fields)
    update = call(settings, "PATCH", address, {"properties": properties})
    response = yield update
    if response.status == NOT_FOUND:
        yield call(settings, "POST", CONTACTS, {"properties": properties})
        return
    stage = properties.get("lifecyclestage")
    if stage and response.is_ok and _stage_of(response.json_object()) != stage:
        response = yield call(settings, "PATCH", address, {"properties": {"lifecyclestage": ""}})
        if response.is_ok:
            yield update


def upsert_contacts(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Steps[None]:
    """The same for up to 100: read by e-mail, then create and update. A refused item raises Permanent, so that the batch is halved."""
    wanted = _by_email(deliveries)
    asked = {"properties": ["email", "lifecyclestage", "hs_additional_emails"], "idProperty": "email", "inputs": [{"id": email} for email in wanted]}
    response = yield call(settings, "POST", f"{CONTACTS}/batch/read", asked)
    if not response.is_ok:
        return
    known, missing = _sort(response, wanted)
    if missing:
        response = yield call(settings, "POST", f"{CONTACTS}/batch/create", {"inputs": [{"properties": wanted[email]} for email in missing]})
        if not _all_taken(response):
            return
    if known and not (yield from _update(settings, {known[email]: wanted[email] for email in wanted if email in known})):
        return
    if len(known) + len(missing) < len(wanted):
        raise Retryable("HubSpot's answer leaves out contacts that were asked for", status=response.status)


def _update(settings: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> Steps[bool]:
    """Update contacts by id, and set again each lifecycle stage that HubSpot held back; False: the last answer decides."""
    inputs = [{"id": contact, "properties": _without_email(properties)} for contact, properties in wanted.items()]
    response = yield call(settings, "POST", f"{CONTACTS}/batch/update", {"inputs": inputs})
    if not _all_taken(response):
        return False
    stages = {contact: properties.get("lifecyclestage") for contact, properties in wanted.items()}
    held = [(contact, stages[contact]) for contact, stage in _stages_now(response) if stages.get(contact) and stages[contact] != stage]
    for is_second in (False, True) if held else ():
        again = [{"id": contact, "properties": {"lifecyclestage": stage if is_second else ""}} for contact, stage in held]
        response = yield call(settings, "POST", f"{CONTACTS}/batch/update", {"inputs": again})
        if not _all_taken(response):
            return False
    return True


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    stage = fields.get("lifecyclestage")
    known = {name: fields.get(name) for name in KNOWN} | {"lifecyclestage": stage.lower() if stage else None}
    return kept(known) | flat(fields.get("properties"))


def _by_email(deliveries: Sequence[Delivery]) -> dict[str, dict[str, Any]]:
    """Properties by e-mail in lower case; the later event of one contact wins where both speak."""
    wanted: dict[str, dict[str, Any]] = {}
    for delivery in deliveries:
        email = delivery.fields["email"].lower()
        wanted[email] = wanted.get(email, {}) | _properties(delivery.fields) | {"email": email}
    return wanted


def _without_email(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "email"}


def _sort(response: Response, wanted: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """E-mails that HubSpot knows, with the contact's id, and those that it does not know."""
    known: dict[str, str] = {}
    for one in found(response, "results"):
        properties = one.get("properties") or {}
        emails = [str(properties.get("email") or ""), *str(properties.get("hs_additional_emails") or "").split(";")]
        email = next((email.lower() for email in emails if email.lower() in wanted), None)
        if email and one.get("id") is not None:
            known[email] = str(one["id"])
    for error in found(response, "errors"):
        if error.get("category") != "OBJECT_NOT_FOUND":
            raise _refused(error, response.status)
    missing = [str(item).lower() for error in found(response, "errors") for item in (error.get("context") or {}).get("ids") or ()]
    return known, [email for email in dict.fromkeys(missing) if email in wanted and email not in known]


def _all_taken(response: Response) -> bool:
    """False: the status decides. Raises when HubSpot took a part only: sending a contact twice changes nothing."""
    if response.status == PARTIAL:
        raise _refused(next(iter(found(response, "errors")), {}), response.status)
    return response.is_ok


def _refused(error: Mapping[str, Any], status: int) -> Permanent | Retryable:
    text = f"HubSpot took only a part: {error.get('category') or 'error'}: {error.get('message') or ''}"
    return Retryable(text, status=status) if error.get("category") == "RATE_LIMITS" else Permanent(text, status=status)


def _stages_now(response: Response) -> list[tuple[str, Any]]:
    """Id and lifecycle stage of each contact that an answer shows."""
    return [(str(one.get("id")), _stage_of(one)) for one in found(response, "results")]


def _stage_of(contact: Mapping[str, Any]) -> Any:
    properties = contact.get("properties")
    return properties.get("lifecyclestage") if isinstance(properties, Mapping) else None


UPSERT_CONTACT: Final = Action(
    slug="upsertContact",
    title="Upsert contact",
    description="Creates or updates the contact with an e-mail address.",
    fields=(
        Field("email", "E-mail", format="email", required=True, default=path("traits.email"), help="Finds the contact."),
        Field("company", "Company name", default=path("traits.company"), help="A text; an object is refused."),
        Field("firstname", "First name", default=first_of("traits.first_name", "traits.firstName")),
        Field("lastname", "Last name", default=first_of("traits.last_name", "traits.lastName")),
        Field("phone", "Phone", default=path("traits.phone")),
        Field("address", "Street", default=path("traits.address.street")),
        Field("city", "City", default=path("traits.address.city")),
        Field("state", "State", default=path("traits.address.state")),
        Field("country", "Country", default=path("traits.address.country")),
        Field("zip", "Postal code", default=POSTAL_CODE),
        Field("website", "Website", default=path("traits.website")),
        STAGE,
        Field("properties", "Other properties", type="object", help="By the internal name in HubSpot; they must exist there."),
        Field("enable_batching", "Batch events", type="boolean", default=False, help="Up to 100 contacts in one call."),
    ),
    default_trigger='type = "identify"',
    perform=upsert_contact,
    perform_batch=upsert_contacts,
    batch_size=100,
)  # fmt: skip

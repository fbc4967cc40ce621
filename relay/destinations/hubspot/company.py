"""Companies: found by Segment's group id, else by other properties, created when HubSpot has none; tied to the contact. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.destinations.hubspot.api import CONFLICT, GROUP_ID, NOT_FOUND, call, flat, found, id_of, kept, segment_of
from relay.destinations.hubspot.fields import POSTAL_CODE, STAGE, first_of, path
from relay.errors import DeliveryError, PayloadError, Permanent, Retryable
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request, Response
from relay.kit.steps import Steps

COMPANIES: Final = "/crm/v3/objects/companies"
KNOWN: Final = ("name", "description", "address", "city", "state", "zip", "domain", "phone", "numberofemployees", "industry")
GROUP_ID_PROPERTY: Final[Mapping[str, Any]] = {
    "name": GROUP_ID, "label": "Segment Group ID", "description": "Unique Property to map Segment Group ID with a HubSpot Company Object",
    "groupName": "companyinformation", "type": "string", "fieldType": "text",
    "hidden": True, "displayOrder": -1, "hasUniqueValue": True, "formField": False,
}  # fmt: skip
"""As Segment creates it, so that both find the same property."""


def upsert_company(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Update by group id; on 404 search by the search fields, then update or create; then tie it to the contact."""
    fields = delivery.fields
    if (fields.get("properties") or {}).get(GROUP_ID):
        raise PayloadError(f'field "properties": {GROUP_ID} is set by the field groupid', field="properties")
    contact = ""
    if fields["associateContact"]:
        response = yield call(settings, "GET", f"/crm/v3/objects/contacts/{segment_of(_email_of(delivery))}?idProperty=email")
        if response.status == NOT_FOUND:
            raise Permanent("HubSpot has no contact with the e-mail of this event; identify comes first", status=NOT_FOUND)
        if not response.is_ok:
            return
        contact = id_of(response)
    company = yield from _upsert(settings, fields)
    if company and contact:
        response = yield call(settings, "PUT", f"{COMPANIES}/{segment_of(company)}/associations/contacts/{segment_of(contact)}/company_to_contact")
        if response.status == NOT_FOUND:
            raise Permanent("HubSpot cannot tie the company to the contact: one of them is gone", status=NOT_FOUND)


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """A company that HubSpot lacks and that is not to be created: nothing was left to do."""
    return [None] if response.status == NOT_FOUND and not deliveries[0].fields["createNewCompany"] else None


def _upsert(settings: Mapping[str, Any], fields: Mapping[str, Any]) -> Steps[str]:
    """The company's id; empty: nothing is to be tied, and the last answer decides."""
    body = {"properties": _properties(fields)}
    response = yield call(settings, "PATCH", f"{COMPANIES}/{segment_of(fields['groupid'])}?idProperty={GROUP_ID}", body)
    if _lacks_group_id(response):
        response = yield call(settings, "POST", "/crm/v3/properties/companies", GROUP_ID_PROPERTY)
        if response.is_ok or response.status == CONFLICT:
            raise Retryable(f"HubSpot had no company property {GROUP_ID}; it has one now", status=400)
        return ""
    if response.status != NOT_FOUND and not response.is_ok:
        return ""
    if company := id_of(response) if response.is_ok else "":
        return company
    sought = fields.get("companysearchfields")
    if sought:
        response = yield call(settings, "POST", f"{COMPANIES}/search", _search(sought))
        if response.status == 400:
            raise Permanent("HubSpot refuses the search for the company: do the search fields exist there?", status=400)
        if not response.is_ok:
            return ""
        hits = found(response, "results")
        if max(int(response.json_object().get("total") or 0), len(hits)) > 1:
            raise Permanent("the search fields find more than one company", status=400)
        if hits:
            company = str(hits[0].get("id") or "")
            response = yield from _with_property(settings, call(settings, "PATCH", f"{COMPANIES}/{segment_of(company)}", body))
            return company if response.is_ok else ""
    if not fields["createNewCompany"]:
        return ""
    response = yield from _with_property(settings, call(settings, "POST", COMPANIES, body | {"associations": []}))
    return id_of(response) if response.is_ok else ""


def _with_property(settings: Mapping[str, Any], request: Request) -> Steps[Response]:
    """The answer to `request`, sent again once the group id's property is made if HubSpot lacks it."""
    response = yield request
    if _lacks_group_id(response):
        made = yield call(settings, "POST", "/crm/v3/properties/companies", GROUP_ID_PROPERTY)
        if not made.is_ok and made.status != CONFLICT:
            return made
        response = yield request
    return response


def _lacks_group_id(response: Response) -> bool:
    """HubSpot says so in a list of problems that stands as JSON inside the message."""
    if response.status != 400:
        return False
    message = str(response.json_object().get("message") or "").replace("Property values were not valid: ", "")
    try:
        problems = jsonio.loads(message)
    except ValueError:
        return False
    one = problems[0] if isinstance(problems, list) and len(problems) == 1 and isinstance(problems[0], Mapping) else {}
    return one.get("name") == GROUP_ID and one.get("error") == "PROPERTY_DOESNT_EXIST"


def _email_of(delivery: Delivery) -> str:
    """The e-mail of the person in the event: the trait of an identify, the context of any other call."""
    payload = delivery.event.payload
    owner = payload if delivery.event.type == "identify" else payload.get("context")
    traits = owner.get("traits") if isinstance(owner, Mapping) else None
    email = traits.get("email") if isinstance(traits, Mapping) else None
    if not isinstance(email, str) or not email:
        raise PayloadError('field "associateContact": the event has no context.traits.email to find the contact by', field="associateContact")
    return email


def _properties(fields: Mapping[str, Any]) -> dict[str, Any]:
    stage = fields.get("lifecyclestage")
    known = {name: fields.get(name) for name in KNOWN} | {"lifecyclestage": stage.lower() if stage else None}
    return kept(known) | {GROUP_ID: fields["groupid"]} | flat(fields.get("properties"))


def _search(sought: Mapping[str, Any]) -> dict[str, Any]:
    filters = [{"filters": [{"propertyName": name, "operator": "EQ", "value": value}]} for name, value in sought.items()]
    return {"filterGroups": filters, "properties": ["name", "domain", "lifecyclestage", GROUP_ID], "sorts": ["name"]}


UPSERT_COMPANY: Final = Action(
    slug="upsertCompany",
    title="Upsert company",
    description="Creates or updates the company of a group, and ties it to the contact.",
    fields=(
        Field("groupid", "Group id", required=True, default=first_of("groupId", "context.groupId"), help=f"Kept in the property {GROUP_ID}."),
        Field("createNewCompany", "Create if not found", type="boolean", required=True, default=True),
        Field(
            "associateContact", "Tie to the contact", type="boolean", required=True, default=True,
            help="The contact is found by context.traits.email; without one nothing is sent.",
        ),
        Field("companysearchfields", "Search fields", type="object", help="Further properties to find the company by; one that fits is enough."),
        Field("name", "Name", default=path("traits.name")),
        Field("description", "Description", default=path("traits.description")),
        Field("address", "Street", default=path("traits.address.street")),
        Field("city", "City", default=path("traits.address.city")),
        Field("state", "State", default=path("traits.address.state")),
        Field("zip", "Postal code", default=POSTAL_CODE),
        Field("domain", "Domain", default=path("traits.website")),
        Field("phone", "Phone", default=path("traits.phone")),
        Field("numberofemployees", "Employees", type="integer", default=path("traits.employees")),
        Field("industry", "Industry", default=path("traits.industry")),
        STAGE,
        Field("properties", "Other properties", type="object", help="By the internal name in HubSpot; they must exist there."),
    ),
    default_trigger='type = "group"',
    perform=upsert_company,
    read_answer=read_answer,
)  # fmt: skip

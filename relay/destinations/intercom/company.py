"""Companies: created or updated by your id, and tied to the contact when there is one. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.intercom.api import call, find_contact, read_answer, segment_of
from relay.kit.definition import Action, Delivery, Field
from relay.kit.steps import Steps


def identify_company(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Look for the contact, write the company, tie the two."""
    body = {name: value for name, value in delivery.fields.items() if name not in ("email", "external_id")}
    contact, is_found = yield from find_contact(settings, delivery.fields.get("external_id", ""), delivery.fields.get("email", ""))
    if not is_found:
        return
    response = yield call(settings, "POST", "/companies", body)
    contact = contact or body.get("contact_id", "")
    company = response.json_object().get("id")
    if response.is_ok and contact:
        yield call(settings, "POST", f"/contacts/{segment_of(contact)}/companies", {} if company is None else {"id": company})


GROUP_IDENTIFY_CONTACT: Final = Action(
    slug="groupIdentifyContact",
    title="Identify company",
    description="Creates or updates a company, and ties the contact to it.",
    fields=(
        Field("remote_created_at", "Created", type="datetime", default={"@path": "$.traits.createdAt"}, help="When you made the company."),
        Field("external_id", "External id", default={"@path": "$.userId"}, help="Finds the contact."),
        Field("email", "E-mail", format="email", default={"@path": "$.traits.email"}, help="Finds the contact when there is no external id."),
        Field("company_id", "Company id", required=True, default={"@path": "$.groupId"}, help="Cannot change later."),
        Field("contact_id", "Contact id", help="Intercom's own id, for when the search finds nobody."),
        Field("name", "Name", default={"@path": "$.traits.name"}),
        Field("monthly_spend", "Monthly spend", type="number", default={"@path": "$.traits.monthly_spend"}),
        Field("plan", "Plan", default={"@path": "$.traits.plan"}),
        Field("size", "Employees", type="number", default={"@path": "$.traits.employees"}),
        Field("website", "Website", default={"@path": "$.traits.website"}),
        Field("industry", "Industry", default={"@path": "$.traits.industry"}),
        Field("custom_attributes", "Custom attributes", type="object", help="They must exist in Intercom."),
    ),
    default_trigger='type = "group"',
    perform=identify_company,
    read_answer=read_answer,
)

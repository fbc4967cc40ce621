"""Custom events whose definition is made and widened in HubSpot as events come. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.hubspot.api import CONFLICT, NOT_FOUND, call, found
from relay.destinations.hubspot.fields import first_of, path
from relay.errors import PayloadError, Permanent, Retryable
from relay.kit.definition import Action, Delivery, Field
from relay.kit.js import print_as_js
from relay.kit.post import json_text
from relay.kit.request import Response
from relay.kit.steps import Steps

DEFINITIONS: Final = "/events/v3/event-definitions"
MODE: Final = "__segment_internal_sync_mode"
"""Segment's key for it in a mapping."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[ T]\d{2}:?\d{2}(?::?\d{2}(?:[,.]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"
)  # fmt: skip


def send_custom_event(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Look the definition up; make it or add what it lacks, where the mode allows that; then send."""
    fields = delivery.fields
    record = _record(fields["record_details"])
    name = re.sub(r"[^a-z0-9_-]", "_", fields["event_name"].lower())
    properties = _clean(fields.get("properties") or {})
    mode = fields.get(MODE)
    response = yield call(settings, "GET", f"{DEFINITIONS}/{name}/?includeProperties=true")
    if not response.is_ok and response.status not in (400, NOT_FOUND):
        return
    definition = response.json_object() if response.is_ok else {}
    if definition and not definition.get("archived"):
        full_name = str(definition.get("fullyQualifiedName") or "")
        if name not in (definition.get("name"), full_name):
            raise PayloadError('field "event_name": HubSpot answers with the definition of another event', field="event_name")
        missing = _fit(properties, response)
        if missing and mode == "add":
            raise Permanent(f"the event in HubSpot lacks {', '.join(missing)}, and the sync mode is add", code="HUBSPOT_SCHEMA_PROPERTIES_MISSING")
        for one in missing:
            response = yield call(settings, "POST", f"{DEFINITIONS}/{full_name}/property", _property(one, properties[one]))
            if not response.is_ok and not _exists(response):
                return
    else:
        if mode == "update":
            raise Permanent("the event is not defined in HubSpot, and the sync mode is update", code="HUBSPOT_SCHEMA_MISSING")
        response = yield call(settings, "POST", DEFINITIONS, _definition(name, record["object_type"], properties))
        if _exists(response):
            raise Retryable("another event has just made the definition in HubSpot", status=CONFLICT)
        if not response.is_ok:
            return
        full_name = str(response.json_object().get("fullyQualifiedName") or "")
    body = {"eventName": full_name, "objectId": record.get("object_id"), "email": record.get("email"), "utk": record.get("utk")}
    body |= {"occurredAt": fields.get("occurred_at"), "properties": properties}
    yield call(settings, "POST", "/events/v3/send", {key: value for key, value in body.items() if value is not None})


def _record(details: Mapping[str, Any]) -> dict[str, Any]:
    """The record that the event belongs to; e-mail and token are for contacts only."""
    record = dict(details)
    if record["object_type"] != "contact":
        record.pop("email", None)
        record.pop("utk", None)
        if "object_id" not in record:
            raise PayloadError('field "record_details.object_id" is needed for any object but a contact', field="record_details.object_id")
    elif not any(record.get(key) for key in ("object_id", "email", "utk")):
        raise PayloadError('field "record_details": a contact needs object_id, email or utk', field="record_details")
    return record


def _clean(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values as HubSpot takes them; null says nothing and goes."""
    clean: dict[str, Any] = {}
    for key, value in properties.items():
        name = re.sub(r"[^a-z0-9_]", "_", key.lower())
        if not name[:1].isalpha():
            raise PayloadError('field "properties": a property name must start with a letter', field="properties")
        if value is not None:
            clean[name] = _value(value)
    return clean


def _value(value: Any) -> Any:
    """Text that is a number or a boolean becomes one; objects and lists become JSON text."""
    if isinstance(value, Mapping | list):
        return json_text(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() and abs(number) <= 2**53 else number
    return text


def _fit(properties: dict[str, Any], response: Response) -> list[str]:
    """The names that HubSpot lacks; a number for a text property becomes text. Raises when a type cannot fit."""
    theirs = {str(one.get("name")): one for one in found(response, "properties")}
    missing = []
    for name, value in properties.items():
        one = theirs.get(name)
        if one is None:
            missing.append(name)
            continue
        kind, is_number = one.get("type"), isinstance(value, int | float) and not isinstance(value, bool)
        if one.get("archived") is True:
            raise PayloadError(f'field "properties.{name}": the property is archived in HubSpot', field="properties")
        if (kind == "number") != is_number and kind in ("number", "datetime", "enumeration") and (is_number or kind == "number"):
            raise PayloadError(f'field "properties.{name}": HubSpot wants the type {kind}', field="properties")
        if is_number and kind == "string":
            properties[name] = print_as_js(value)
    return missing


def _property(name: str, value: Any) -> dict[str, Any]:
    """The definition of a property, by the first value that came."""
    told: dict[str, Any] = {"name": name, "label": name, "description": f"{name} - (created by relay)"}
    if isinstance(value, bool):
        options = [
            {"label": str(one).lower(), "value": one, "hidden": False, "description": str(one), "displayOrder": order}
            for order, one in enumerate((True, False), 1)
        ]
        return told | {"type": "enumeration", "options": options}
    if isinstance(value, int | float):
        return told | {"type": "number"}
    return told | {"type": "datetime" if _TIME.fullmatch(value) else "string"}


def _definition(name: str, object_type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    made = [_property(key, value) for key, value in properties.items()]
    return {"label": name, "name": name, "description": f"{name} - (created by relay)", "primaryObject": object_type, "propertyDefinitions": made}


def _exists(response: Response) -> bool:
    return response.status == CONFLICT and "already exists" in str(response.json_object().get("message") or "")


CUSTOM_EVENT: Final = Action(
    slug="customEvent",
    title="Custom event",
    description="Sends an event, whose definition relay makes and widens in HubSpot.",
    fields=(
        Field("event_name", "Event name", required=True, help="Sent in lower case, other characters as _."),
        Field(
            "record_details", "Record", type="object", required=True,
            properties=(
                Field("object_type", "Object type", required=True, help="contact, company, deal, ticket or a custom object."),
                Field("object_id", "Object id", type="number"),
                Field("email", "E-mail", format="email", default=first_of("properties.email", "context.traits.email"), help="Of a contact."),
                Field("utk", "User token", help="Of a contact."),
            ),
        ),
        Field("properties", "Properties", type="object"),
        Field("occurred_at", "Time", type="datetime", default=path("timestamp")),
        Field(
            MODE, "Sync mode", choices=("upsert", "add", "update"),
            help="May definitions be made (add), widened (update), or both (upsert, also when left out)?",
        ),
    ),
    perform=send_custom_event,
)  # fmt: skip

"""Mail from a dynamic template. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.sendgrid.api import call, read_answer
from relay.errors import PayloadError
from relay.kit.definition import Action, Delivery, Field
from relay.kit.js import print_as_js
from relay.kit.moment import unix_ms
from relay.kit.request import Request

RESERVED: Final = frozenset(
    (
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    )
)
"""Headers that SendGrid sets itself (SendGrid, Mail Send: personalizations.headers)."""
AHEAD_S: Final = 72 * 3600
CATEGORY_CHARS: Final = 255
POOL_CHARS: Final = range(3, 64)


def send_email(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One mail to one recipient; SendGrid queues it (202)."""
    fields = delivery.fields
    sender, recipient = fields["from"], fields["to"]
    domain = fields.get("domain")
    if domain and not sender["email"].endswith(domain):
        raise PayloadError('field "from.email" must be of the field domain', field="from")
    person = {
        "to": [_address(recipient)],
        "cc": _addresses(fields.get("cc")),
        "bcc": _addresses(fields.get("bcc")),
        "headers": _headers(fields.get("headers") or {}),
        "dynamic_template_data": fields.get("dynamic_template_data"),
        "custom_args": {name: print_as_js(value) for name, value in (fields.get("custom_args") or {}).items()} or None,
        "send_at": _send_at(fields.get("send_at"), delivery.sent_s),
    }
    reply = fields.get("reply_to") or {}
    body = {
        "personalizations": [_present(person)],
        "from": _address(sender),
        "reply_to": _address({"email": reply.get("email") or sender["email"], "name": reply.get("name") or sender.get("name")}),
        "template_id": _template(fields["template_id"]),
        "categories": _categories(fields.get("categories")),
        "asm": _group(fields.get("group_id")),
        "ip_pool_name": _pool(fields.get("ip_pool_name")),
    }
    return call(settings, "POST", "/v3/mail/send", _present(body))


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _address(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ("email", "name") if value.get(name)}


def _addresses(values: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if values is None else [_address(value) for value in values if value.get("email")]


def _headers(given: Mapping[str, Any]) -> dict[str, str]:
    for name in given:
        if name.lower() in RESERVED:
            raise PayloadError(f'field "headers": SendGrid sets the header "{name}" itself', field="headers")
    return {name: print_as_js(value) for name, value in given.items()}


def _template(text: str) -> str:
    """The id, which may stand at the end of a label (`d-...`)."""
    found = re.search(r"d-[0-9A-Za-z]+", text)
    if found is None:
        raise PayloadError('field "template_id" must be the id of a dynamic template (d-...)', field="template_id")
    return found[0]


def _send_at(value: str | None, now_s: float) -> int | None:
    if not value:
        return None
    ms = unix_ms(value)
    if ms is None or ms / 1000 > now_s + AHEAD_S:
        raise PayloadError('field "send_at" is at most 72 hours ahead', field="send_at")
    # What is past, for the delivery was late, goes at once.
    return ms // 1000 if ms / 1000 > now_s else None


def _categories(values: Sequence[str] | None) -> list[str] | None:
    if any(len(value) > CATEGORY_CHARS for value in values or ()):
        raise PayloadError(f'field "categories": a category has at most {CATEGORY_CHARS} characters', field="categories")
    return list(values) if values else None


def _group(value: str | None) -> dict[str, int] | None:
    if not value:
        return None
    digits = re.match(r"\d+", value)
    if digits is None:
        raise PayloadError('field "group_id" must begin with the number of the group', field="group_id")
    return {"group_id": int(digits[0])}


def _pool(value: str | None) -> str | None:
    if value and len(value) not in POOL_CHARS:
        raise PayloadError('field "ip_pool_name" has 3 to 63 characters', field="ip_pool_name")
    return value or None


def _person(name: str, label: str, *, required: bool = False, multiple: bool = False, default: Any = None) -> Field:
    parts = (Field("email", "E-mail", format="email", required=name != "reply_to"), Field("name", "Name"))
    return Field(name, label, type="object", required=required, multiple=multiple, default=default, properties=parts)


SEND_EMAIL: Final = Action(
    slug="sendEmail",
    title="Send e-mail",
    description="Sends a mail from a dynamic template.",
    fields=(
        Field("domain", "Domain", help="The verified domain of the sender; checked against from."),
        _person("from", "From", required=True),
        _person("to", "To", required=True, default={"email": {"@path": "$.properties.email"}, "name": {"@path": "$.properties.name"}}),
        _person("cc", "Cc", multiple=True),
        _person("bcc", "Bcc", multiple=True),
        Field("headers", "Headers", type="object"),
        Field("dynamic_template_data", "Template data", type="object", help="What the template fills in."),
        Field("template_id", "Template", required=True, help="The id of a dynamic template, d-..."),
        Field("custom_args", "Custom arguments", type="object", help="Come back in SendGrid's event webhook."),
        Field("send_at", "Send at", format="date-time", help="At most 72 hours ahead."),
        _person("reply_to", "Reply to"),
        Field("categories", "Categories", multiple=True),
        Field("ip_pool_name", "IP pool"),
        Field("group_id", "Unsubscribe group", help="The number of the group."),
    ),
    perform=send_email,
    read_answer=read_answer,
)

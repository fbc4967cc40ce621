"""Requests to Iterable, the dates that it reads, and what its answers say. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import DeliveryError, PayloadError, Permanent
from relay.kit.defaults import first_of, path
from relay.kit.definition import Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.post import USER_AGENT, post_json
from relay.kit.request import Request, Response

ORIGINS: Final[Mapping[str, str]] = {"united_states": "https://api.iterable.com", "europe": "https://api.eu.iterable.com"}
SECRETS: Final = frozenset(("api-key",))
LARGEST_BATCH: Final = 1000
NOBODY: Final = "email or userId is needed"

EMAIL: Final = Field(
    "email", "E-mail", format="email", default=first_of("properties.email", "context.traits.email"), help="Of the user, unless userId says who it is.",
)  # fmt: skip
USER_ID: Final = Field("userId", "User id", default=path("userId"))
MERGE: Final = Field(
    "mergeNestedObjects", "Merge objects", type="boolean", default=False, help="Merges objects of dataFields instead of replacing them."
)
CAMPAIGN: Final = (
    Field("campaignId", "Campaign", type="integer", default=path("properties.campaignId"), help="What the event is due to."),
    Field("templateId", "Template", type="integer", default=path("properties.templateId"), help="What the event is due to."),
)
BATCHING: Final = (
    Field("enable_batching", "Batch", type="boolean", default=True, help="Sends several events in one request."),
    Field("batch_size", "Batch size", type="number", default=1001, help="Most events in one request; Iterable takes 1,000."),
)

_ISO_TIME: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[ T]\d{2}:?\d{2}(:?\d{2}([,.]\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?")
_COMPACT_CLOCK: Final = re.compile(r"(?<=^.{11})(\d{2})(\d{2})(\d{2})?(?=\D|$)")


def origin(settings: Mapping[str, Any]) -> str:
    """The API where the project's data lies."""
    return ORIGINS.get(str(settings.get("dataCenterLocation")), ORIGINS["united_states"])


def key(settings: Mapping[str, Any]) -> tuple[str, str]:
    """The header that opens the API."""
    return "api-key", reveal(settings["apiKey"])


def post(settings: Mapping[str, Any], where: str, body: Mapping[str, Any]) -> Request:
    """`where`: the path of the API."""
    return post_json(origin(settings) + where, body, (key(settings),), secrets=SECRETS)


def delete_user(settings: Mapping[str, Any], user_id: str) -> Request:
    """Deletes a user; Iterable answers before it is done."""
    return Request("DELETE", f"{origin(settings)}/api/users/byUserId/{quote(user_id, safe='')}", (USER_AGENT, key(settings)), secrets=SECRETS)


def check_user(fields: Mapping[str, Any]) -> None:
    """Raises PayloadError when nothing says who it is."""
    if not fields.get("email") and not fields.get("userId"):
        raise PayloadError(NOBODY, field="userId")


def with_dates(value: Any) -> Any:
    """A copy in which times in ISO 8601 are written as Iterable reads them, at any depth; dates without a time stay."""
    if isinstance(value, Mapping):
        return {name: with_dates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_dates(item) for item in value]
    if not isinstance(value, str) or not _ISO_TIME.fullmatch(value):
        return value
    ms = unix_ms(_COMPACT_CLOCK.sub(lambda clock: ":".join(part for part in clock.groups() if part), value))
    return value if ms is None else datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")


def user_data(data: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The data fields of a user, among them the phone number; a null removes it."""
    whole: dict[str, Any] = with_dates(data or {})
    return whole | {"phoneNumber": fields["phoneNumber"]} if "phoneNumber" in fields else whole


def created_at(fields: Mapping[str, Any]) -> dict[str, int]:
    """When it happened, in Unix seconds; Iterable takes now when it is left out."""
    ms = unix_ms(fields.get("createdAt"))
    return {} if ms is None else {"createdAt": ms // 1000}


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """Success may be in the body's code only; a bulk answer lists the users and events that it did not take."""
    whole = read_order(deliveries, response)
    if whole is not None or not response.is_ok:
        return whole
    reasons = dict(_refused(response.json_object()))
    return [_error(delivery.fields, reasons) for delivery in deliveries]


def read_order(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """As `read_answer`, where there are no lists."""
    answer = response.json_object() if response.is_ok else {}
    if answer.get("code", "Success") == "Success":
        return None
    error = Permanent(f"Iterable refuses it: {answer['code']}: {answer.get('msg') or 'no reason given'}", status=response.status)
    return [error] * len(deliveries)


def _error(fields: Mapping[str, Any], reasons: Mapping[tuple[str, str], str]) -> DeliveryError | None:
    if not fields.get("email") and not fields.get("userId"):
        return Permanent(NOBODY, code=PayloadError.code, status=400)
    named = [(name, str(fields.get(name) or "")) for name in ("userId", "eventName")]
    named.append(("email", str(fields.get("email") or "").lower()))
    reason = next((reasons[one] for one in named if one in reasons), None)
    return Permanent(f"Iterable refuses it: {reason}", status=400) if reason else None


def _refused(answer: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """What a bulk answer names: which field, its value, and the name of the list that it stands in."""
    failed = answer.get("failedUpdates")
    for lists in (answer, failed if isinstance(failed, Mapping) else {}):
        for name, values in lists.items():
            kind = (
                "email"
                if name.endswith("Emails")
                else "userId"
                if name.endswith("UserIds")
                else "eventName"
                if name == "disallowedEventNames"
                else ""
            )
            for value in values if kind and isinstance(values, list) else ():
                text = str(value)
                yield (kind, text.lower() if kind == "email" else text), name

"""Operations of Customer.io's Track API v2: hosts, identifiers, times, requests, answers. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import DeliveryError, Permanent
from relay.kit.definition import Action, Delivery, Field
from relay.kit.formats import FORMATS
from relay.kit.moment import unix_ms
from relay.kit.post import basic_auth, post_json
from relay.kit.request import Request, Response

US: Final = "https://track.customer.io"
EU: Final = "https://track-eu.customer.io"
SECRETS: Final = frozenset(("authorization",))
LARGEST_BATCH: Final = 100
OBJECT_TYPE: Final = "1"
"""The type of an object when nobody names one."""

Fields = Mapping[str, Any]
Operation = dict[str, Any]
Build = Callable[[Fields], Operation]

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?)?")
_UNIX = re.compile(r"\d+(\.\d+)?")

BATCHING: Final = (
    Field("enable_batching", "Batch", type="boolean", default=True, help="Sends several operations in one request."),
    Field("batch_size", "Batch size", type="number", default=50, help="Most operations in one request, 2 to 100."),
)
CONVERT: Final = Field("convert_timestamp", "Convert times", type="boolean", default=True, help="ISO dates among the attributes become Unix seconds.")


def origin(settings: Mapping[str, Any]) -> str:
    """The API of the account's region."""
    return EU if str(settings.get("accountRegion") or "").startswith("EU") else US


def authorization(settings: Mapping[str, Any]) -> tuple[str, str]:
    """The header that opens the API."""
    return basic_auth(reveal(settings["siteId"]), reveal(settings["apiKey"]))


def send(build: Build, settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One operation."""
    return post(settings, "/api/v2/entity", build(delivery.fields))


def send_batch(build: Build, settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Several operations; a single one goes alone."""
    if len(deliveries) == 1:
        return send(build, settings, deliveries[0])
    return post(settings, "/api/v2/batch", {"batch": [build(delivery.fields) for delivery in deliveries]})


def post(settings: Mapping[str, Any], where: str, body: Mapping[str, Any]) -> Request:
    """`where`: the path of the API."""
    return post_json(origin(settings) + where, body, (authorization(settings),), secrets=SECRETS)


def delete_person(settings: Mapping[str, Any], user_id: str) -> Request:
    """Deletes a person and what they did."""
    return post(settings, "/api/v2/entity", operation("person", "delete", {"person_id": user_id}))


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """A batch that was taken names the operations that were not, by their place in it."""
    if not response.is_ok or b'"errors"' not in response.body:
        return None
    named = response.json_object().get("errors")
    errors: list[DeliveryError | None] = [None] * len(deliveries)
    for error in named if isinstance(named, list) else ():
        place = error.get("batch_index", 0) if isinstance(error, dict) else None
        if isinstance(place, int) and 0 <= place < len(errors):
            errors[place] = Permanent(f"Customer.io refuses it: {_reason(error)}", status=400)
    return errors


def _reason(error: Mapping[str, Any]) -> str:
    field = f"{error['field']}: " if error.get("field") else ""
    return f"{field}{error.get('message') or error.get('reason') or 'no reason given'}"


def operation(kind: str, name: str, fields: Fields, more: Mapping[str, Any] | None = None) -> Operation:
    """An operation on a person or an object (`kind`): `more` is what belongs to it besides whom it is about and when.

    `fields` may hold person_id, email, anonymous_id, object_id, object_type_id, timestamp and convert_timestamp. What is None is left out.
    """
    body: Operation = {"type": kind, "action": name} | {key: value for key, value in (more or {}).items() if value is not None}
    if fields.get("convert_timestamp"):
        for key in ("attributes", "device"):
            if key in body:
                body[key] = with_unix_times(body[key])
    if fields.get("timestamp"):
        body["timestamp"] = unix_time(fields["timestamp"])
    who = identifiers(fields)
    if who is not None:
        body["identifiers"] = who
    if fields.get("anonymous_id"):
        attributes = dict(body.get("attributes") or {})
        attributes.pop("anonymous_id", None)
        body["attributes"] = attributes if who and "anonymous_id" in who else attributes | {"anonymous_id": fields["anonymous_id"]}
    return body


def identifiers(fields: Fields) -> dict[str, str] | None:
    """Whom an operation is about: an object, or a person by the best id there is; None: nobody."""
    person = fields.get("person_id") or ""
    if fields.get("object_id"):
        return {"object_id": fields["object_id"], "object_type_id": fields.get("object_type_id") or OBJECT_TYPE}
    if person.startswith("cio_"):
        return {"cio_id": person[4:]}
    if FORMATS["email"][0](person):
        return {"email": person}
    if person:
        return {"id": person}
    return next(({name: fields[name]} for name in ("email", "anonymous_id") if fields.get(name)), None)


def with_unix_times(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which ISO dates are Unix seconds, also in objects, not in lists."""
    return {key: with_unix_times(value) if isinstance(value, Mapping) else unix_date(value) for key, value in values.items()}


def unix_date(value: Any) -> Any:
    """An ISO date as Unix seconds; anything else as it is."""
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return value
    ms = unix_ms(value)
    return value if ms is None else ms // 1000


def unix_time(value: Any) -> Any:
    """Any date as Unix seconds; digits, and what is no date, as they are."""
    if not isinstance(value, str) or _UNIX.fullmatch(value):
        return value
    ms = unix_ms(value)
    return value if ms is None else ms // 1000


def action(slug: str, title: str, description: str, trigger: str, build: Build, fields: tuple[Field, ...]) -> Action:
    """An action that sends the operation that `build` makes of the fields, alone or with others."""
    return Action(
        slug=slug, title=title, description=description, fields=(*fields, *BATCHING), default_trigger=trigger,
        perform=partial(send, build), perform_batch=partial(send_batch, build), read_answer=read_answer, batch_size=LARGEST_BATCH,
    )  # fmt: skip

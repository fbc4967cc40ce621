"""Profiles of users and groups, counters and aliases: Mixpanel's form API, which says 1 or 0 and almost always answers 200. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.destinations.mixpanel.server import post_data
from relay.errors import DeliveryError, PayloadError, Permanent
from relay.kit.definition import Delivery
from relay.kit.js import print_as_js
from relay.kit.request import Request, Response
from relay.kit.steps import Steps

Settings = Mapping[str, Any]

CREATED: Final = ("created", "createdAt", "created_at")
PROFILE: Final = {
    "email": "$email", "firstName": "$first_name", "lastName": "$last_name", "name": "$name", "username": "$username", "phone": "$phone",
}  # fmt: skip
"""Traits that have a name of their own in a user's profile."""
INCREMENTS_MAX: Final = 20


def identify_user(settings: Settings, delivery: Delivery) -> Steps[None]:
    """The two ids are joined, then the profile is set; each only where there is something to say."""
    fields = delivery.fields
    if fields.get("anonymous_id"):
        identity = {"$identified_id": fields.get("user_id"), "$anon_id": fields["anonymous_id"], "token": settings["projectToken"]}
        if fields.get("user_id") is None and "user_id" not in fields:
            del identity["$identified_id"]
        answer = yield post_data(settings, "/track", {"event": "$identify", "properties": identity | _source(settings)})
        if not answer.is_ok or refusal(answer):
            return
    traits = fields.get("traits")
    if traits:
        yield post_data(settings, "/engage", _user(settings, fields) | {"$set": _profile(traits)})


def group_identify_user(settings: Settings, delivery: Delivery) -> Request:
    """The profile of a group."""
    fields = delivery.fields
    traits = fields.get("traits")
    if traits is None:
        raise PayloadError('field "traits" is required and has no value', field="traits")
    key = fields.get("group_key") or "$group_id"
    profile = {name: value for name, value in traits.items() if name not in CREATED and name != "name"}
    profile |= ({"$name": traits["name"]} if "name" in traits else {}) | _created(traits)
    data = {"$token": settings["projectToken"], "$group_key": key, "$group_id": traits.get(key) or fields["group_id"], "$set": profile}
    return post_data(settings, "/groups", data)


def alias(settings: Settings, delivery: Delivery) -> Request:
    """Another name for an id."""
    fields = delivery.fields
    names = {name: fields[name] for name in ("distinct_id", "alias") if name in fields}
    properties = names | {"token": settings["projectToken"]} | _source(settings)
    return post_data(settings, "/track", {"event": "$create_alias", "properties": properties})


def increment_properties(settings: Settings, delivery: Delivery) -> Steps[None]:
    """Adds to numbers of the profile; nothing is sent where nothing is added."""
    fields = delivery.fields
    increments = fields["increment"]
    if not increments:
        return
    if len(increments) > INCREMENTS_MAX:
        raise PayloadError(f'field "increment": at most {INCREMENTS_MAX} properties, got {len(increments)}', field="increment")
    added = {name: _number(name, value) for name, value in increments.items() if isinstance(value, str | int | float) and not isinstance(value, bool)}
    yield post_data(settings, "/engage", _user(settings, fields) | {"$add": added})


def read_profile(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """200 with `0` is a refusal."""
    error = refusal(response)
    return None if error is None else [error] * len(deliveries)


def refusal(response: Response) -> DeliveryError | None:
    """What a 200 hides: the body `0`, or `{"status": 0, "error": ..}`."""
    if response.status != 200:
        return None
    try:
        answer = jsonio.loads(response.body)
    except ValueError:
        return None
    status, reason = (answer.get("status"), answer.get("error")) if isinstance(answer, dict) else (answer, None)
    if status != 0 or isinstance(status, bool):
        return None
    return Permanent(f"Mixpanel refuses the data: {reason or 'no reason given'}", status=200)


def _user(settings: Settings, fields: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"$token": settings["projectToken"]}
    if "user_id" in fields or "anonymous_id" in fields:
        user_id = fields.get("user_id")
        data["$distinct_id"] = fields.get("anonymous_id") if user_id is None else user_id
    return data | ({"$ip": fields["ip"]} if "ip" in fields else {})


def _profile(traits: Mapping[str, Any]) -> dict[str, Any]:
    profile = {name: value for name, value in traits.items() if name not in PROFILE and name not in CREATED}
    profile |= {theirs: traits[ours] for ours, theirs in PROFILE.items() if ours in traits} | _created(traits)
    first, last = traits.get("firstName"), traits.get("lastName")
    if traits.get("name") is None:
        profile.pop("$name", None)
        if first and last:
            profile["$name"] = f"{print_as_js(first)} {print_as_js(last)}"
    return profile


def _created(traits: Mapping[str, Any]) -> dict[str, Any]:
    """The first of the three spellings that has a value; a null in the last of them empties the profile's."""
    name = next((name for name in CREATED if traits.get(name) is not None), CREATED[-1])
    return {"$created": traits[name]} if name in traits else {}


def _number(name: str, value: str | int | float) -> int | float:
    try:
        number = float(value) if value != "" else 0.0
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise PayloadError(f'field "increment": the value of "{name}" is no number', field="increment")
    return value if isinstance(value, int | float) else int(number) if number.is_integer() else number


def _source(settings: Settings) -> dict[str, Any]:
    return {"segment_source_name": settings["sourceName"]} if settings.get("sourceName") else {}

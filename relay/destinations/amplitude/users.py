"""User and group properties, and what events share with them: platform, device, campaign. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.amplitude.device import device_of
from relay.destinations.amplitude.server import post_identification, post_user_map
from relay.kit.definition import Delivery
from relay.kit.moment import unix_ms
from relay.kit.request import Request
from relay.kit.steps import Steps

Settings = Mapping[str, Any]
Fields = Mapping[str, Any]

OWN_LIBRARY: Final = "relay"
BROWSER_LIBRARY: Final = "analytics.js"
SPELLINGS: Final = (("iOS", re.compile("ios", re.IGNORECASE)), ("Android", re.compile("android", re.IGNORECASE)))
NOT_SENT: Final = frozenset(
    ("utm_properties", "referrer", "userAgent", "userAgentParsing", "includeRawUserAgent", "userAgentData", "min_id_length", "library")
)


def identify_user(settings: Settings, delivery: Delivery) -> Request:
    """The properties of one user."""
    fields = delivery.fields
    user = with_platform({name: value for name, value in fields.items() if name not in NOT_SENT}, fields.get("library"))
    properties = merge_campaign(fields, fields.get("user_properties"), mine_first=True)
    if properties is not None:
        user["user_properties"] = properties
    user["library"] = OWN_LIBRARY
    return post_identification(settings, "/identify", told_by_agent(fields) | with_insert_id(settings, delivery, user), fields)


def map_user(settings: Settings, delivery: Delivery) -> Request:
    """Two user ids are one user."""
    return post_user_map(settings, [dict(delivery.fields)], delivery.fields)


def group_identify_user(settings: Settings, delivery: Delivery) -> Steps[None]:
    """The user joins the group, then the group gets its properties."""
    fields = delivery.fields
    kind, group = fields["group_type"], fields["group_value"]
    if fields.get("user_id") or fields.get("device_id"):
        member = {name: fields[name] for name in ("device_id", "insert_id", "user_id") if name in fields}
        member |= {"groups": {kind: group}, "library": OWN_LIBRARY, "user_properties": {kind: group}}
        moment = unix_ms(fields.get("time"))
        member["time"] = delivery.event.received_ms if moment is None else moment
        answer = yield post_identification(settings, "/identify", [with_insert_id(settings, delivery, member)], fields)
        if not answer.is_ok:
            return
    properties = {"group_properties": fields["group_properties"]} if "group_properties" in fields else {}
    whole = properties | {"group_value": group, "group_type": kind, "library": OWN_LIBRARY}
    yield post_identification(settings, "/groupidentify", [whole], fields)


def with_platform(event: dict[str, Any], library: Any) -> dict[str, Any]:
    """`event` with Amplitude's spelling of the platform; the browser's library stands for `Web` where there is none."""
    platform = event.get("platform")
    if platform:
        for spelling, pattern in SPELLINGS:
            platform = pattern.sub(spelling, platform, count=1)
        return event | {"platform": platform}
    return event | {"platform": "Web"} if library == BROWSER_LIBRARY else event


def with_insert_id(settings: Settings, delivery: Delivery, event: dict[str, Any]) -> dict[str, Any]:
    """`event` with its `messageId` as the insert id, where the settings ask for it and the mapping gives none."""
    return event | {"insert_id": delivery.event.message_id} if settings.get("deduplicate") is True and not event.get("insert_id") else event


def told_by_agent(fields: Fields) -> dict[str, Any]:
    """What the user agent and the client hints tell of the device; what the mapping gives goes before it."""
    agent = fields.get("userAgent")
    if not agent:
        return {}
    told: dict[str, Any] = {}
    if fields.get("userAgentParsing"):
        told |= device_of(agent)
        hints = fields.get("userAgentData") or {}
        told |= {ours: hints[theirs] for ours, theirs in (("os_version", "platformVersion"), ("device_model", "model")) if theirs in hints}
    return told | {"user_agent": agent} if fields.get("includeRawUserAgent") else told


def merge_campaign(fields: Fields, properties: Mapping[str, Any] | None, *, mine_first: bool) -> dict[str, Any] | None:
    """User properties with campaign and referrer: the last in `$set`, the first ones in `$setOnce`; None: there are none at all.

    `mine_first`: what the mapping sets is replaced by the campaign, else it replaces it.
    """
    mine = dict(properties) if properties is not None else None
    campaign, referrer = fields.get("utm_properties") or {}, fields.get("referrer")
    if not campaign and not referrer:
        return mine
    last = dict(campaign) | ({"referrer": referrer} if referrer else {})
    theirs: dict[str, Any] = {"$set": last, "$setOnce": {f"initial_{name}": value for name, value in last.items()}}
    kept = {name: value for name, value in (mine or {}).items() if name not in ("utm_properties", "referrer")}
    merged = kept | theirs
    for operation, value in theirs.items():
        own = kept.get(operation)
        if isinstance(own, Mapping):
            merged[operation] = {**own, **value} if mine_first else {**value, **own}
    return merged


def is_given(properties: Any) -> bool:
    """Whether there is a property that is not an empty text."""
    return isinstance(properties, Mapping) and any(value != "" for value in properties.values())

"""FullStory's server API: `/v2/events` and `/v2/users`. Pure. The key is sent as it is, behind `Basic`."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from relay.base.secret import reveal
from relay.kit.definition import Delivery
from relay.kit.moment import iso_utc, unix_ms
from relay.kit.post import USER_AGENT, Headers, post_json
from relay.kit.request import Request

Settings = Mapping[str, Any]

HOST: Final = "https://api.fullstory.com"
EU_HOST: Final = "https://api.eu1.fullstory.com"
EU_KEY: Final = "eu1."
SECRETS: Final = frozenset(("authorization",))
DEPTH_MAX: Final = 5
"""Deeper objects are sent as they are."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


def track_event(settings: Settings, delivery: Delivery) -> Request:
    """One event; without a user it needs a session."""
    fields = delivery.fields
    body: dict[str, Any] = {"name": fields["name"], "properties": plain_names(fields.get("properties") or {})}
    if fields.get("userId"):
        body["user"] = {"uid": fields["userId"]}
    moment = unix_ms(fields.get("timestamp"))
    if moment is not None:
        body["timestamp"] = iso_utc(moment)
    session: dict[str, Any] = {}
    if fields.get("sessionUrl"):
        session["id"] = unquote(fields["sessionUrl"].rpartition("/")[2])
    if fields.get("useRecentSession"):
        session["use_most_recent"] = True
    if session:
        body["session"] = session
    return _post(settings, "/v2/events", body)


def identify_user(settings: Settings, delivery: Delivery) -> Request:
    """One user with everything that is known of it."""
    fields = delivery.fields
    properties = plain_names(fields.get("properties") or {})
    if fields.get("anonymousId"):
        properties["segmentAnonymousId"] = fields["anonymousId"]
    known = {"uid": fields.get("uid"), "email": fields.get("email"), "display_name": fields.get("displayName")}
    return _post(settings, "/v2/users", {name: value for name, value in known.items() if value is not None} | {"properties": properties})


def probe(settings: Settings) -> Request:
    """Who the key belongs to."""
    return Request("GET", f"{_host(settings)}/me", (USER_AGENT, *_headers(settings)), secrets=SECRETS)


def delete_user(settings: Settings, user_id: str) -> Request:
    """Deletes a user with all sessions and events; the key must be an admin's."""
    return Request("DELETE", f"{_host(settings)}/v2/users?uid={quote(user_id, safe='')}", (USER_AGENT, *_headers(settings)), secrets=SECRETS)


def plain_names(properties: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    """Names without the characters that FullStory refuses, also in inner objects; lists stay as they are."""
    if depth > DEPTH_MAX:
        return dict(properties)
    return {_NOT_IN_NAMES.sub("", name): plain_names(value, depth + 1) if isinstance(value, Mapping) else value for name, value in properties.items()}


def _post(settings: Settings, path: str, body: Mapping[str, Any]) -> Request:
    return post_json(_host(settings) + path, body, _headers(settings), secrets=SECRETS)


def _headers(settings: Settings) -> Headers:
    return (("authorization", f"Basic {reveal(settings['apiKey'])}"), ("integration-source", "relay"))


def _host(settings: Settings) -> str:
    return EU_HOST if reveal(settings["apiKey"]).startswith(EU_KEY) else HOST

"""Where Amplitude is, and how it is asked. Pure. The key stands in the body."""

from collections.abc import Mapping
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import Misconfigured
from relay.kit.post import USER_AGENT, basic_auth, json_text, post_form, post_json
from relay.kit.request import Request

Settings = Mapping[str, Any]

SECRETS: Final = frozenset(("authorization",))
REGIONS: Final = ("north_america", "europe")
HOST: Final = "https://api2.amplitude.com"
EU_HOST: Final = "https://api.eu.amplitude.com"
USER_MAP_HOST: Final = "https://api.amplitude.com"
"""The one call that North America takes elsewhere."""


def post_events(settings: Settings, events: list[dict[str, Any]], fields: Mapping[str, Any]) -> Request:
    """`events` to the HTTP API, or where a field asks for it to the batch API; `fields`: those of any event of the request."""
    body = {"api_key": reveal(settings["apiKey"]), "events": events} | _options(fields)
    return post_json(_host(settings) + ("/batch" if fields.get("use_batch_endpoint") else "/2/httpapi"), body)


def post_identification(settings: Settings, path: str, identification: Any, fields: Mapping[str, Any]) -> Request:
    """User or group properties to `/identify` or `/groupidentify`."""
    return _post_form(settings, _host(settings) + path, {"identification": json_text(identification)}, fields)


def post_user_map(settings: Settings, pairs: Any, fields: Mapping[str, Any]) -> Request:
    """Which user ids are one user."""
    host = EU_HOST if _is_eu(settings) else USER_MAP_HOST
    return _post_form(settings, f"{host}/usermap", {"mapping": json_text(pairs)}, fields)


def probe(settings: Settings) -> Request:
    """With the secret key: a search for a user. Without it: a request with no event, which Amplitude refuses and which shows that it is there."""
    if not settings.get("secretKey"):
        return post_events(settings, [], {})
    authorization = basic_auth(reveal(settings["apiKey"]), reveal(settings["secretKey"]))
    return Request("GET", f"{_dashboard(settings)}/api/2/usersearch?user=relay@example.com", (USER_AGENT, authorization), secrets=SECRETS)


def delete_user(settings: Settings, user_id: str) -> Request:
    """A job of Amplitude's that deletes what the project has of a user (User Privacy API); a user that it does not know is no error."""
    secret = reveal(settings.get("secretKey"))
    if not secret:
        raise Misconfigured("deleting a user needs the setting secret_key")
    body = {"user_ids": [user_id], "requester": "relay", "ignore_invalid_id": "True"}
    return post_json(f"{_dashboard(settings)}/api/2/deletions/users", body, (basic_auth(reveal(settings["apiKey"]), secret),), secrets=SECRETS)


def _post_form(settings: Settings, url: str, pairs: dict[str, str], fields: Mapping[str, Any]) -> Request:
    options = {name: json_text(value) for name, value in _options(fields).items()}
    return post_form(url, {"api_key": reveal(settings["apiKey"])} | pairs | options)


def _options(fields: Mapping[str, Any]) -> dict[str, Any]:
    length = fields.get("min_id_length")
    return {"options": {"min_id_length": length}} if length and length > 0 else {}


def _host(settings: Settings) -> str:
    return EU_HOST if _is_eu(settings) else HOST


def _dashboard(settings: Settings) -> str:
    """Where the calls are that need the secret key."""
    return "https://analytics.eu.amplitude.com" if _is_eu(settings) else "https://amplitude.com"


def _is_eu(settings: Settings) -> bool:
    return settings.get("endpoint") == "europe"

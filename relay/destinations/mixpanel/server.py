"""Where Mixpanel is, and how it is asked. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.base.secret import reveal
from relay.kit.post import basic_auth, json_text, post_form, post_json
from relay.kit.request import Request

Settings = Mapping[str, Any]

REGIONS: Final = ("US 🇺🇸", "EU 🇪🇺", "IN 🇮🇳", "US", "EU", "IN")
"""As Segment spells them, and as people type them."""
HOSTS: Final = {"EU": "https://api-eu.mixpanel.com", "IN": "https://api-in.mixpanel.com"}
SECRETS: Final = frozenset(("authorization",))


def import_events(settings: Settings, events: list[dict[str, Any]]) -> Request:
    """`events` to the import API, which keeps events of any age and tells of each that it refuses."""
    secret = reveal(settings.get("apiSecret")) or settings["projectToken"]
    url = f"{_host(settings)}/import?strict={settings.get('strictMode') or '1'}"
    return post_json(url, events, (basic_auth(secret),), secrets=SECRETS)


def post_data(settings: Settings, path: str, data: Mapping[str, Any]) -> Request:
    """`data` to `/track`, `/engage` or `/groups`; the token stands inside it."""
    return post_form(_host(settings) + path, {"data": json_text(data)})


def probe(settings: Settings) -> Request:
    """With a secret: do token and secret belong together? Without one: an import of nothing."""
    secret = reveal(settings.get("apiSecret"))
    if not secret:
        return import_events(settings, [])
    url = "https://mixpanel.com/api/app/validate-project-credentials/"
    return post_json(url, {"api_secret": secret, "project_token": settings["projectToken"]})


def _host(settings: Settings) -> str:
    return HOSTS.get((settings.get("apiRegion") or "US")[:2], "https://api.mixpanel.com")

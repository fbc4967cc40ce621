"""SendGrid's API: requests, and what its answers say. Pure."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import Misconfigured
from relay.kit.post import post_json
from relay.kit.request import Request
from relay.kit.window import read_window

GLOBAL: Final = "https://api.sendgrid.com"
EU: Final = "https://api.eu.sendgrid.com"
SECRETS: Final = frozenset(("authorization",))
read_answer: Final = partial(read_window, "SendGrid")


def call(settings: Mapping[str, Any], method: str, path: str, body: Any = None) -> Request:
    """A request to SendGrid's region; `body` None: there is none."""
    key = reveal(settings.get("sendGridApiKey"))
    if not key:
        raise Misconfigured("the setting sendGridApiKey is empty")
    headers: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {key}"), ("accept", "application/json"))
    url = (settings.get("endpoint") or GLOBAL) + path
    if body is None:
        return Request(method, url, headers, secrets=SECRETS)
    return post_json(url, body, headers, secrets=SECRETS, method=method)

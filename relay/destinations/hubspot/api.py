"""HubSpot's API: addresses, requests, and what its answers say. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import Misconfigured
from relay.kit.js import print_as_js
from relay.kit.post import json_text, post_json
from relay.kit.request import Request, Response

ORIGIN: Final = "https://api.hubapi.com"
SECRETS: Final = frozenset(("authorization",))
GROUP_ID: Final = "segment_group_id"
"""The company property that holds Segment's group id, as Segment names it: companies that Segment made are found again."""
NOT_FOUND: Final = 404
CONFLICT: Final = 409


def call(settings: Mapping[str, Any], method: str, path: str, body: Any = None) -> Request:
    """A request to HubSpot; `body` None: there is none."""
    token = reveal(settings.get("accessToken"))
    if not token:
        raise Misconfigured("the setting accessToken is empty")
    headers = (("authorization", f"Bearer {token}"),)
    if body is None:
        return Request(method, ORIGIN + path, headers, secrets=SECRETS)
    return post_json(ORIGIN + path, body, headers, secrets=SECRETS, method=method)


def segment_of(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="@+!$&'*,;=:~")


def id_of(response: Response) -> str:
    """The id of the object that an answer shows; empty when it shows none."""
    value = response.json_object().get("id")
    return "" if value is None else str(value)


def found(response: Response, name: str) -> Sequence[Mapping[str, Any]]:
    """The objects in the list `name` of an answer."""
    value = response.json_object().get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is absent; texts are trimmed."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items() if value is not None}


def flat(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Properties as HubSpot takes them: null goes, a list becomes text with `;` between, an object JSON text, texts are trimmed."""
    return {name: _flat(value) for name, value in (values or {}).items() if value is not None}


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join([json_text(item) if isinstance(item, Mapping | list) else print_as_js(item) for item in value])
    if isinstance(value, Mapping):
        return json_text(value)
    return value.strip() if isinstance(value, str) else value

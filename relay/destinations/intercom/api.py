"""Intercom's API: addresses by region, requests, the search for a contact, and what its answers say. Pure."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import Misconfigured
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request
from relay.kit.steps import Steps
from relay.kit.window import read_window

ORIGINS: Final[Mapping[str, str]] = {
    "north_america": "https://api.intercom.io", "europe": "https://api.eu.intercom.io", "australia": "https://api.au.intercom.io",
}  # fmt: skip
SECRETS: Final = frozenset(("authorization",))
read_answer: Final = partial(read_window, "Intercom")


def call(settings: Mapping[str, Any], method: str, path: str, body: Any = None) -> Request:
    """A request to Intercom's region; `body` None: there is none."""
    token = reveal(settings.get("accessToken"))
    if not token:
        raise Misconfigured("the setting accessToken is empty")
    headers: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {token}"),)
    if settings.get("apiVersion"):
        headers = (*headers, ("intercom-version", str(settings["apiVersion"])))
    url = ORIGINS[settings.get("endpoint") or "north_america"] + path
    if body is None:
        return Request(method, url, headers, secrets=SECRETS)
    return post_json(url, body, headers, secrets=SECRETS, method=method)


def find_contact(settings: Mapping[str, Any], external_id: str, email: str) -> Steps[tuple[str, bool]]:
    """The id of the only contact with this id (by e-mail when there is none); False: the search failed, and its answer decides."""
    if not external_id and not email:
        return "", True
    field, value = ("external_id", external_id) if external_id else ("email", email)
    query = {"query": {"field": field, "operator": "=", "value": value}}
    response = yield call(settings, "POST", "/contacts/search", query)
    if not response.is_ok:
        return "", False
    hits = response.json_object()
    contacts = hits.get("data")
    if hits.get("total_count") == 1 and isinstance(contacts, list) and contacts and isinstance(contacts[0], Mapping):
        return str(contacts[0].get("id") or ""), True
    return "", True


def delete_contact(settings: Mapping[str, Any], user_id: str) -> Steps[None]:
    """Deletes the contact with this external id; when there is none, nothing."""
    contact_id, _ = yield from find_contact(settings, user_id, "")
    if contact_id:
        yield call(settings, "DELETE", f"/contacts/{segment_of(contact_id)}")


def segment_of(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def seconds_of(value: Any) -> Any:
    """A time as Unix seconds; digits and what is no ISO time stay as they are."""
    if not isinstance(value, str) or re.fullmatch(r"\d+", value):
        return value
    ms = unix_ms(value)
    return value if ms is None else ms // 1000

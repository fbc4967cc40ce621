"""What identifies a person, cleaned and hashed as TikTok wants it. Pure.

A value that is a SHA-256 in hex already is not hashed again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from relay.kit.hashing import is_hashed, sha256_hex

PHONE_LENGTH: Final = 15
"""Most characters of a number, `+` included (E.164)."""

_SPACE = re.compile(r"\s")
_NO_DIGIT = re.compile(r"[^0-9]")
_NO_LETTER = re.compile(r"[^A-Za-z0-9]")


def user_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The object `user`; the names and the address are always there, empty where they are not known."""
    address = fields.get("address") or {}
    user: dict[str, Any] = {
        "external_id": _hash_each(value.lower() for value in fields.get("external_id") or ()),
        "phone": [_phone(value) for value in fields.get("phone_number") or ()],
        "email": _hash_each(value.lower() for value in fields.get("email") or ()),
        "first_name": _name(fields.get("first_name")),
        "last_name": _name(fields.get("last_name")),
        "city": _plain(address.get("city")),
        "state": _plain(address.get("state")),
        "country": _plain(address.get("country")),
        "zip_code": _name(address.get("zip_code")),
    }
    click = _click_in(fields.get("url") or "") or fields.get("ttclid")
    known = {"ttclid": click} | {name: fields.get(name) for name in ("ttp", "ip", "user_agent", "locale")}
    return user | {name: value for name, value in known.items() if value}


def _hash_each(values: Iterable[str]) -> list[str]:
    return [sha256_hex(value) for value in values]


def _phone(value: str) -> str:
    if not value.strip() or is_hashed(value):
        return value.strip()
    return sha256_hex(f"+{_NO_DIGIT.sub('', value)}"[:PHONE_LENGTH])


def _name(value: str | None) -> str:
    return sha256_hex(_SPACE.sub("", value or "").lower())


def _plain(value: str | None) -> str:
    """TikTok takes city, state and country unhashed, letters and digits only."""
    return _NO_LETTER.sub("", value or "").lower()


def _click_in(url: str) -> str:
    """The click id in a page's URL; empty: there is none."""
    try:
        parts = urlsplit(url)
        return dict(reversed(parse_qsl(parts.query))).get("ttclid", "") if parts.scheme else ""
    except ValueError:
        return ""

"""What identifies a person (`user_data`), cleaned and hashed as Meta wants it. Pure.

A value that is a SHA-256 in hex already is not hashed again.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.facebook_conversions_api.places import COUNTRIES, STATES
from relay.kit.hashing import is_hashed, sha256_hex

GENDERS: Final = {"male": "m", "female": "f"}
PLAIN: Final = {
    "client_ip_address": "client_ip_address",
    "client_user_agent": "client_user_agent",
    "fbc": "fbc",
    "fbp": "fbp",
    "subscriptionID": "subscription_id",
    "leadID": "lead_id",
    "anonId": "anon_id",
    "madId": "madid",
    "fbLoginID": "fb_login_id",
    "partner_id": "partner_id",
    "partner_name": "partner_name",
}
"""Fields that go as they are, and what Meta calls them."""

_SPACE = re.compile(r"\s")
_NO_DIGIT = re.compile(r"\D")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T.*)?", re.DOTALL)


def user_data_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The object `user_data`; what is not known is left out."""
    hashed = {
        "em": sha256_hex(clean(given.get("email"))),
        "ph": sha256_hex(_digits(given.get("phone") or "")),
        "ge": sha256_hex(_gender(given.get("gender"))),
        "db": sha256_hex(_DATE.sub(r"\1\2\3", (given.get("dateOfBirth") or "").strip())),
        "ln": sha256_hex(clean(given.get("lastName"))),
        "fn": sha256_hex(clean(given.get("firstName"))),
        "ct": sha256_hex(clean(given.get("city"))),
        "st": sha256_hex(_code(given.get("state"), STATES)),
        "zp": sha256_hex(clean(given.get("zip"))),
        "country": sha256_hex(_code(given.get("country"), COUNTRIES)),
        "external_id": [text for value in given.get("externalId") or () if (text := sha256_hex(clean(value)))],
    }
    data = {name: value for name, value in hashed.items() if value}
    return data | {name: given[field] for field, name in PLAIN.items() if given.get(field) not in (None, "")}


def clean(text: str | None) -> str:
    """Lower case, without any white space."""
    return _SPACE.sub("", text or "").lower()


def _digits(phone: str) -> str:
    return phone if is_hashed(phone) else _NO_DIGIT.sub("", phone)


def _gender(text: str | None) -> str:
    word = clean(text)
    return GENDERS.get(word, word)


def _code(name: str | None, codes: Mapping[str, str]) -> str:
    word = clean(name)
    return codes.get(word, word)

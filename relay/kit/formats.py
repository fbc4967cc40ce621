"""The formats that a field may ask of a text: names and meaning of ajv-formats."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _is_date_time(text: str) -> bool:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) > 10 and parsed.tzinfo is not None


def _is_ipv6(text: str) -> bool:
    """Eight groups, or fewer with one `::`; the last two may be written as an IPv4 address."""
    head, _, tail = text.rpartition(":")
    if "." in tail:
        if not _IPV4(tail):
            return False
        text = f"{head}:0:0"
    halves = text.split("::")
    groups = [group for half in halves for group in half.split(":") if half]
    full = len(groups) == 8 if len(halves) == 1 else len(groups) < 8
    return len(halves) <= 2 and full and all(re.fullmatch(r"[0-9A-Fa-f]{1,4}", group) for group in groups)


_IPV4 = _matches(rf"(?:{_OCTET}\.){{3}}{_OCTET}")

FORMATS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "email": (_matches(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}"), "must be an e-mail address"),
    "uri": (_matches(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]+"), "must be a URL with its scheme (https://...)"),
    "date": (_is_date, "must be a date (2026-01-31)"),
    "date-time": (_is_date_time, "must be a time with its zone (2026-01-31T09:00:00Z)"),
    "uuid": (_matches(r"(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"), "must be a UUID"),
    "hostname": (_matches(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*"), "must be a host name"),
    "ipv4": (_IPV4, "must be an IPv4 address"),
    "ipv6": (_is_ipv6, "must be an IPv6 address"),
}
"""By name: whether a text has the format, and what to tell a person when it has not."""

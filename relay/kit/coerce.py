"""After the mapping: empties and unknown keys go, types are coerced as Segment's field validation does, the rest is refused.

Promises: an `object` field without declared properties is neither copied nor walked, so the payload stays the same object;
a PayloadError names the field and the kind of what was found, never the value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from relay.errors import ConfigError, PayloadError
from relay.kit.definition import Field
from relay.kit.js import kind_of, print_as_js

Coercer = Callable[[Any], Any]
"""A value to the value as the field wants it; raises _Unfit."""


class _Unfit(Exception):
    """The value does not fit; `path` is where inside the field."""

    def __init__(self, wanted: str, path: str = "") -> None:
        self.wanted, self.path = wanted, path
        super().__init__(wanted)


def compile_fields(fields: tuple[Field, ...], known: Mapping[str, Any] | None = None) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function from mapped values to what the action gets; it raises PayloadError. `known`: fields that were coerced before."""
    given = dict(known or {})
    keepers = {field.name: (_compile_field(field, field.name), field.allow_null) for field in fields}
    required = tuple(field.name for field in fields if field.required)

    def coerce(values: Mapping[str, Any]) -> dict[str, Any]:
        result = given.copy()
        for name, value in values.items():
            keeper = keepers.get(name)
            if keeper is None or value == "":
                continue
            if value is None:
                if keeper[1]:
                    result[name] = None
                continue
            try:
                result[name] = keeper[0](value)
            except _Unfit as unfit:
                field = name + unfit.path
                raise PayloadError(f'field "{field}" {unfit.wanted}', field=field) from None
        for name in required:
            if name not in result:
                raise PayloadError(f'field "{name}" is required and has no value', field=name)
        return result

    return coerce


def _compile_field(field: Field, place: str) -> Coercer:
    one = _compile_one(field, place)
    if not field.multiple:
        return one

    def coerce_each(value: Any) -> list[Any]:
        items = value if isinstance(value, list) else [value]
        return [one(item) for item in items if item is not None]

    return coerce_each


def _compile_one(field: Field, place: str) -> Coercer:
    if field.properties:
        coerce = _compile_properties(field, place)
    elif field.type in _COERCERS:
        coerce = _COERCERS[field.type]
    else:
        raise ConfigError(f'field "{place}" has the unknown type "{field.type}"')
    if field.format and field.type in ("string", "text", "password"):
        coerce = _with_format(coerce, field.format, place)
    if field.choices:
        coerce = _with_choices(coerce, field.choices)
    return coerce


def _with_format(coerce: Coercer, name: str, place: str) -> Coercer:
    if name not in FORMATS:
        raise ConfigError(f'field "{place}" has the unknown format "{name}"')
    fits, wanted = FORMATS[name]

    def check(value: Any) -> Any:
        text = coerce(value)
        # An empty string gets here inside objects and lists only, where it stays.
        if not fits(text):
            raise _Unfit(wanted)
        return text

    return check


def _with_choices(coerce: Coercer, choices: tuple[str, ...]) -> Coercer:
    wanted = f"must be one of {', '.join(choices)}"

    accepted = frozenset(choices)

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in accepted and coerce is _string:
            return value
        chosen = coerce(value)
        if chosen not in choices and print_as_js(chosen) not in choices:
            raise _Unfit(wanted)
        return chosen

    return check


def _compile_properties(field: Field, place: str) -> Coercer:
    """An object with declared properties: others are removed unless the field says otherwise, null too; '' stays where a string is wanted."""
    declared = frozenset(part.name for part in field.properties)
    parts = [(part, _compile_field(part, f"{place}.{part.name}")) for part in field.properties]

    def coerce(value: Any) -> dict[str, Any]:
        given = _object(value)
        result = {name: item for name, item in given.items() if name not in declared} if field.additional_properties else {}
        for part, keep in parts:
            item = given.get(part.name)
            try:
                if item is None or (item == "" and part.type not in ("string", "text", "password")):
                    if part.allow_null and part.name in given and item is None:
                        result[part.name] = None
                    elif part.required:
                        raise _Unfit("is required and has no value")
                else:
                    result[part.name] = keep(item)
            except _Unfit as unfit:
                raise _Unfit(unfit.wanted, f".{part.name}{unfit.path}") from None
        return result

    return coerce


# --- types -------------------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def _scalar(value: Any) -> Any:
    """A list of one item counts as the item."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    value = _scalar(value)
    if value is None or isinstance(value, Mapping | list):
        raise _Unfit(f"must be a string, got {kind_of(value)}")
    return print_as_js(value)


def _number(value: Any, wanted: str = "must be a number") -> int | float:
    value = _scalar(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
        if abs(number) < float("inf"):
            return int(number) if number.is_integer() and abs(number) <= 2**53 else number
    raise _Unfit(f"{wanted}, got {kind_of(value)}{' that is none' if isinstance(value, str) else ''}")


def _integer(value: Any) -> int:
    number = _number(value, "must be a whole number")
    if isinstance(number, float) and not number.is_integer():
        raise _Unfit("must be a whole number, got a fraction")
    return int(number)


def _boolean(value: Any) -> bool:
    value = _scalar(value)
    if value is True or value == "true" or value == 1:
        return True
    if value is False or value == "false" or value == 0:
        return False
    raise _Unfit(f"must be true or false, got {kind_of(value)}")


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    value = _scalar(value)
    if isinstance(value, Mapping):
        return value
    raise _Unfit(f"must be an object, got {kind_of(value)}")


_WORD = re.compile(r"[A-Za-z]+")
_DATE_WORDS = re.compile(r"(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*|am|pm|t|z|ut|utc|gmt|[ecmp][sd]t")


def _datetime(value: Any) -> Any:
    """Any number, and any string that JavaScript's date parsing takes (it takes `2026-13-45`); unchanged."""
    value = _scalar(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = re.sub(r"\([^)]*\)", "", value)
        if any(letter.isdigit() for letter in text) and all(_DATE_WORDS.fullmatch(word) for word in _WORD.findall(text)):
            return value
    raise _Unfit(f"must be a date, got {kind_of(value)}{' that is none' if isinstance(value, str) else ''}")


_COERCERS: Final[dict[str, Coercer]] = {
    "string": _string, "text": _string, "password": _string, "number": _number, "integer": _integer,
    "boolean": _boolean, "datetime": _datetime, "object": _object,
}  # fmt: skip

# --- formats (the names and the meaning of ajv-formats) ------------------------------------------------------------------------

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

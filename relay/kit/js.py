"""Values as JavaScript sees them: what is undefined, what is true, what prints as what. The mapping kit is defined in these terms."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from relay.base import jsonio
from relay.errors import PayloadError


class Absent:
    """The type of ABSENT: what JavaScript calls undefined."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()

SAFE_INTEGER: Final = 2**53
"""Integers beyond lose digits in JavaScript."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_SPACE: Final = " \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


def kind_of(value: Any) -> str:
    """What JSON calls the type of `value`, with its article."""
    if value is ABSENT:
        return "nothing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"


def is_truthy(value: Any) -> bool:
    """An empty object or list is true."""
    return bool(value) or isinstance(value, Mapping | list)


def is_number(value: Any) -> bool:
    """A boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_same(value: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(value == other) and isinstance(value, bool) is isinstance(other, bool)


def length_of(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def print_number(value: int | float) -> str:
    """`2.0` is `2`, `1e21` is `1e+21`; what is not finite prints as null."""
    if isinstance(value, int) and -SAFE_INTEGER <= value <= SAFE_INTEGER:
        return str(value)
    try:
        return jsonio.js_dumps(float(value)).decode()
    except OverflowError:
        return "null"


def print_as_js(value: Any) -> str:
    """As a JavaScript template prints it, but an object as JSON rather than `[object Object]`, which only loses data."""
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return print_number(value)
    if isinstance(value, list):
        return ",".join([print_as_js(item) for item in value])
    return encode(value)


def encode(value: Any) -> str:
    """Compact JSON as `JSON.stringify` writes it; raises PayloadError for what JSON cannot hold (nested too deep, half an emoji)."""
    try:
        return jsonio.js_dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        raise PayloadError("a value cannot be written as JSON: it is nested too deep, or holds a character or number that JSON cannot") from None


def number_of(text: str) -> int | float | None:
    """The number that `Number(text)` gives: blank is 0, `0x10` is 16; None for NaN and for what is not finite."""
    text = text.strip(_SPACE)
    if not text:
        return 0
    if _PREFIXED.fullmatch(text):
        whole = int(text, 0)
        return whole if whole <= SAFE_INTEGER else float(whole) if whole.bit_length() < 1024 else None
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    if abs(number) == float("inf"):
        return None
    return int(number) if number.is_integer() and abs(number) <= SAFE_INTEGER else number

"""JSON in and out: strict and fast first, lenient where real clients need it, and as JavaScript prints it where a signature does."""

import json
import math
import re
from typing import Any, Final

import orjson

INT64_MIN: Final = -(2**63)
UINT64_MAX: Final = 2**64 - 1

loads = orjson.loads
dumps = orjson.dumps
Fragment = orjson.Fragment
INDENT: Final = orjson.OPT_INDENT_2
SORTED: Final = orjson.OPT_SORT_KEYS

_NUMBER_AS_JS_PRINTS_IT_NOT = re.compile(rb"[0-9](?:\.0(?:[,\]}\s]|$|0000)|[eE][-+0-9]|[0-9]{15})")
"""What a number in JSON must look like for JavaScript to print it otherwise; may match text as well, which costs time only."""


def loads_lenient(body: bytes) -> Any:
    """Parse JSON as real clients send it: NaN and Infinity become null, lone surrogates U+FFFD, huge integers floats.

    analytics-python sends bare NaN, JavaScript and Python send half an emoji (tracking API page 1.7).
    Raises ValueError when it is no JSON, no UTF-8, or nested too deep.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    text = body.decode("utf-8-sig")
    try:
        return _mend(json.loads(text, parse_constant=lambda _: None))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and not INT64_MIN <= value <= UINT64_MAX:
        return _mend(float(value)) if value.bit_length() < 1024 else None
    return value


def js_dumps(value: Any) -> bytes:
    """Compact JSON with numbers as JavaScript prints them (`2.0` is `2`): receivers made for Segment sign exactly that text."""
    return js_text(orjson.dumps(value), value)


def js_text(body: bytes, value: Any) -> bytes:
    """`body`, the JSON of `value` as `dumps` writes it, when JavaScript would print the same; else printed anew."""
    return orjson.dumps(_as_js(value)) if _NUMBER_AS_JS_PRINTS_IT_NOT.search(_without_strings(body)) else body


def _without_strings(body: bytes) -> bytes:
    """Compact JSON less its strings: looking for numbers in a fifth of the text is cheap, and an id in hex is none."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2])


def _as_js(value: Any) -> Any:
    if isinstance(value, float):
        return _js_float(value)
    if isinstance(value, dict):
        return {key: _as_js(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_js(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return _js_float(float(value))
    return value


def _js_float(value: float) -> Any:
    """ECMAScript Number::toString: plain digits from 1e-6 up to 1e21, an exponent with sign elsewhere."""
    if not math.isfinite(value):
        return None
    digits, _, exponent = repr(abs(value)).partition("e")
    sign = "-" if value < 0 else ""
    if value == 0:
        return 0
    if abs(value) >= 1e21 or abs(value) < 1e-6:
        return Fragment(f"{sign}{digits.removesuffix('.0')}e{int(exponent):+d}".encode())
    if not exponent:
        return int(value) if value.is_integer() else value
    whole, _, part = digits.partition(".")
    if int(exponent) > 0:
        return Fragment(f"{sign}{(whole + part).ljust(int(exponent) + 1, '0')}".encode())
    return Fragment(f"{sign}{abs(value):.{len(part) - int(exponent)}f}".encode())

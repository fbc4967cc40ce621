"""The filters of LiquidJS that `@liquid` allows, as pure functions over JSON values. No result is longer than `MAX_TEXT_CHARS`."""

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

from relay.errors import PayloadError
from relay.kit.dates import parse_date, strftime
from relay.kit.js import encode, is_number, number_of, print_number

MAX_TEXT_CHARS: Final = 100_000
"""Longer texts (an event has at most 32 KB) and lists of more items end a template."""


class _Unused:
    """The type of UNUSED: an argument that was not given."""


UNUSED: Final = _Unused()

Filter = Callable[..., Any]
"""Takes the value, then the arguments as they were given."""


def print_liquid(value: Any) -> str:
    """As LiquidJS prints: lists without commas, null as nothing; an object as JSON."""
    if isinstance(value, str):
        return value
    if value is None or value is UNUSED:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int | float):
        return print_number(value)
    if isinstance(value, list | tuple):
        return "".join([print_liquid(item) for item in value])
    return encode(value) if isinstance(value, Mapping) else str(value)


def filter_of(name: str) -> Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]:
    """A filter that takes its arguments as a list, refuses wrong numbers of them and too long results by PayloadError."""
    apply = FILTERS[name]

    def call(value: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        try:
            result = apply(value, *arguments, **named)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            raise PayloadError(f"@liquid: the filter {name} does not fit its value or arguments") from None
        if isinstance(result, str | list) and len(result) > MAX_TEXT_CHARS:
            raise _too_long(name)
        return result

    return call


def _too_long(name: str) -> PayloadError:
    return PayloadError(f"@liquid: the filter {name} makes more than {MAX_TEXT_CHARS} characters")


# --- numbers -----------------------------------------------------------------------------------------------------------------


def to_number(value: Any) -> int | float:
    """`+value || 0`."""
    if isinstance(value, bool) or value is None or value is UNUSED:
        return int(value is True)
    if isinstance(value, int | float):
        return 0 if value != value else value
    if isinstance(value, list):
        return to_number(value[0]) if len(value) == 1 else 0
    return (number_of(value) or 0) if isinstance(value, str) else 0


def _tidy(value: float) -> int | float:
    """JavaScript has one kind of number: a whole float is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


def _arithmetic(apply: Callable[[float, float], float]) -> Filter:
    def call(value: Any, other: Any = UNUSED) -> Any:
        return _tidy(apply(float(to_number(value)), float(to_number(other))))

    return call


def _quotient(value: float, other: float) -> float:
    if other:
        return value / other
    return math.nan if not value or value != value else math.copysign(math.inf, value) * math.copysign(1, other)


def _divided_by(value: Any, other: Any = UNUSED, whole: Any = False) -> Any:
    result = _quotient(float(to_number(value)), float(to_number(other)))
    return _tidy(math.floor(result) if whole and math.isfinite(result) else result)


def _modulo(value: float, other: float) -> float:
    return math.fmod(math.fmod(value, other) + other, other) if other and math.isfinite(value) else math.nan


def _round(value: Any, digits: Any = 0) -> Any:
    number, places = float(to_number(value)), int(to_number(digits))
    if abs(places) > 300 or not math.isfinite(number):
        return _tidy(number)
    scaled = _shift(abs(number), places)
    if not scaled <= 2**53 - 1:
        return _tidy(number)
    return _tidy(math.copysign(_shift(math.floor(scaled + 0.5), -places), number))


def _shift(value: float, exponent: int) -> float:
    mantissa, _, power = repr(value).partition("e")
    return float(f"{mantissa}e{int(power or 0) + exponent}")


def _sum(value: Any, name: Any = UNUSED) -> Any:
    items = _as_list(value)
    if name is not UNUSED:
        items = [item.get(name) if isinstance(item, Mapping) else None for item in items]
    return _tidy(math.fsum(to_number(item) for item in items))


# --- texts -------------------------------------------------------------------------------------------------------------------

_SPACE: Final = " \t\n\v\f\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_SPACES = re.compile(f"[{_SPACE}]+")
_URI_SAFE: Final = "-_.!~*'()"


def _text(change: Callable[..., Any]) -> Filter:
    """A filter whose value and arguments are texts."""

    def call(value: Any, *arguments: Any) -> Any:
        return change(print_liquid(value), *[print_liquid(argument) for argument in arguments])

    return call


def _stripper(pattern: Callable[[str], str]) -> Filter:
    def strip(value: Any, letters: Any = UNUSED) -> str:
        chosen = print_liquid(letters)
        wanted = "".join(re.escape(letter) for letter in chosen) if chosen else _SPACE
        return re.sub(pattern(f"[{wanted}]+"), "", print_liquid(value))

    return strip


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) + (text.count(old) if count < 0 else 1) * len(new) > 2 * MAX_TEXT_CHARS:
        raise _too_long("replace")
    return text.replace(old, new, count)


def _replace_last(text: str, old: str, new: str) -> str:
    at = text.rfind(old)
    return text if at < 0 else text[:at] + new + text[at + len(old) :]


def _split(text: str, separator: str = "") -> list[str]:
    parts = text.split(separator) if separator else list(text)
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _truncate(value: Any, length: Any = 50, end: Any = "...") -> str:
    text, tail, room = print_liquid(value), print_liquid(end), int(to_number(length))
    return text if len(text) <= room else text[: max(room - len(tail), 0)] + tail


def _truncate_words(value: Any, count: Any = 15, end: Any = "...") -> str:
    words = _SPACES.split(print_liquid(value).lstrip())
    most = max(int(to_number(count)), 1)
    return " ".join(words[:most]) + (print_liquid(end) if len(words) >= most else "")


def _strip_html(text: str) -> str:
    """Linear: what has no end is looked for once."""
    blocks = {"<script": "</script>", "<style": "</style>", "<!--": "-->", "<": ">"}
    kept, at = [], 0
    while (start := text.find("<", at)) >= 0:
        kept.append(text[at:start])
        for opener in [opener for opener in blocks if text.startswith(opener, start)]:
            end = text.find(blocks[opener], start + len(opener))
            if end >= 0:
                at = end + len(blocks[opener])
                break
            del blocks[opener]
        else:
            at = start
            break
    return "".join(kept) + text[at:]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;").replace("'", "&#39;")


def _escape_once(text: str) -> str:
    for name, letter in (("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'")):
        text = text.replace(name, letter)
    return _escape(text)


_SLUG: Final = {
    "raw": re.compile(r"\s+"), "default": re.compile(r"[\W_]+"), "pretty": re.compile(r"[^\w.~!$&'()+,;=@]+"),
    "ascii": re.compile(r"[^A-Za-z0-9]+"), "latin": re.compile(r"[\W_]+"),
}  # fmt: skip
_LATIN: Final = (
    ("àáâãäå", "a"), ("æ", "ae"), ("ç", "c"), ("èéêë", "e"), ("ìíîï", "i"), ("ð", "d"), ("ñ", "n"), ("òóôõöø", "o"), ("ùúûü", "u"),
    ("ýÿ", "y"), ("ß", "ss"), ("œ", "oe"), ("þ", "th"), ("ẞ", "SS"), ("Œ", "OE"), ("Þ", "TH"),
)  # fmt: skip
_ACCENTS: Final = str.maketrans({letter: plain for letters, plain in _LATIN for letter in letters})


def _slugify(value: Any, mode: Any = "default", cased: Any = False) -> str:
    text = print_liquid(value)
    if mode in _SLUG:
        if mode == "latin":
            text = text.translate(_ACCENTS)
        text = _SLUG[mode].sub("-", text).removeprefix("-").removesuffix("-")
    return text if cased else text.lower()


def _number_of_words(text: str, *_: str) -> int:
    return len(_SPACES.split(text.strip())) if text.strip() else 0


def _base64_decode(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/").partition("=")[0])
    return base64.b64decode(cleaned[: len(cleaned) - (len(cleaned) % 4 == 1)] + "==").decode("utf-8", "replace")


# --- lists and the rest ------------------------------------------------------------------------------------------------------


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _join(value: Any, separator: Any = UNUSED) -> str:
    items = [print_liquid(item) for item in _as_list(value)]
    between = " " if separator is UNUSED else print_liquid(separator)
    if sum(map(len, items)) + len(items) * len(between) > 2 * MAX_TEXT_CHARS:
        raise _too_long("join")
    return between.join(items)


def _end(index: int) -> Filter:
    return lambda value: value[index] if isinstance(value, str | list) and value else "" if value is None or isinstance(value, list) else None


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list) else 0


def _slice(value: Any, begin: Any = 0, length: Any = 1) -> Any:
    if value is None:
        return []
    items: Any = value if isinstance(value, list) else print_liquid(value)
    start, count = int(to_number(begin)), int(to_number(length))
    start = start + len(items) if start < 0 else start
    return items[start : start + count] if start >= 0 and count >= 0 else items[:0]


def _where(value: Any, name: Any, wanted: Any = UNUSED) -> list[Any]:
    def holds(item: Any) -> bool:
        found = item.get(name) if isinstance(item, Mapping) else None
        if wanted is UNUSED:
            return found is not None and found is not False
        return type(found) is type(wanted) and found == wanted if not is_number(found) else is_number(wanted) and found == wanted

    return [item for item in _as_list(value) if holds(item)]


def _default(value: Any, other: Any = UNUSED, *, allow_false: Any = False) -> Any:
    empty = value is None or (value is False and not allow_false) or (isinstance(value, str | list) and not value)
    return (None if other is UNUSED else other) if empty else value


def _json(value: Any, indent: Any = 0) -> str:
    return encode(value)


# --- times -------------------------------------------------------------------------------------------------------------------


def _date(value: Any, pattern: Any = UNUSED, offset: Any = UNUSED) -> Any:
    moment = parse_date(value)
    if moment is None:
        return value
    if is_number(offset):
        moment -= timedelta(minutes=offset)
    return strftime(moment, "%A, %B %-e, %Y at %-l:%M %P %z" if pattern in (UNUSED, None) else print_liquid(pattern), offset)


def _dated(pattern: str) -> Filter:
    def call(value: Any, *_: Any) -> Any:
        moment = parse_date(value)
        return value if moment is None else strftime(moment, pattern)

    return call


FILTERS: Final[dict[str, Filter]] = {
    "abs": lambda value: abs(to_number(value)),
    "append": _text(lambda text, more: text + more),
    "at_least": _arithmetic(max),
    "at_most": _arithmetic(min),
    "base64_decode": _text(_base64_decode),
    "base64_encode": _text(lambda text: base64.b64encode(text.encode()).decode()),
    "capitalize": _text(_capitalize),
    "ceil": lambda value: math.ceil(to_number(value)),
    "cgi_escape": _text(lambda text: quote(text, safe="-_.~").replace("%20", "+")),
    "compact": lambda value: [item for item in _as_list(value) if item is not None],
    "date": _date,
    "date_to_long_string": _dated("%d %B %Y"),
    "date_to_rfc822": _dated("%a, %d %b %Y %H:%M:%S %z"),
    "date_to_string": _dated("%d %b %Y"),
    "date_to_xmlschema": _dated("%Y-%m-%dT%H:%M:%S%:z"),
    "default": _default,
    "divided_by": _divided_by,
    "downcase": _text(str.lower),
    "escape": _text(_escape),
    "escape_once": _text(_escape_once),
    "first": _end(0),
    "floor": lambda value: math.floor(to_number(value)),
    "hmac_sha256": _text(lambda text, key: hmac.digest(key.encode(), text.encode(), hashlib.sha256).hex()),
    "inspect": _json,
    "join": _join,
    "json": _json,
    "jsonify": _json,
    "last": _end(-1),
    "lstrip": _stripper(lambda letters: f"^{letters}"),
    "minus": _arithmetic(lambda value, other: value - other),
    "modulo": _arithmetic(_modulo),
    "normalize_whitespace": _text(lambda text: _SPACES.sub(" ", text)),
    "number_of_words": _text(_number_of_words),
    "plus": _arithmetic(lambda value, other: value + other),
    "pop": lambda value: _as_list(value)[:-1],
    "prepend": _text(lambda text, more: more + text),
    "push": lambda value, item: [*_as_list(value), None if item is UNUSED else item],
    "raw": lambda value: value,
    "remove": _text(lambda text, old: text.replace(old, "")),
    "remove_first": _text(lambda text, old: text.replace(old, "", 1)),
    "remove_last": _text(lambda text, old: _replace_last(text, old, "")),
    "replace": _text(_replace),
    "replace_first": _text(lambda text, old, new: _replace(text, old, new, 1)),
    "replace_last": _text(_replace_last),
    "round": _round,
    "rstrip": _stripper(lambda letters: f"{letters}$"),
    "sha256": _text(lambda text: hashlib.sha256(text.encode()).hexdigest()),
    "shift": lambda value: _as_list(value)[1:],
    "size": _size,
    "slice": _slice,
    "slugify": _slugify,
    "split": _text(_split),
    "squish": _text(lambda text: _SPACES.sub(" ", text).strip()),
    "strip": _stripper(lambda letters: f"^{letters}|{letters}$"),
    "strip_html": _text(_strip_html),
    "strip_newlines": _text(lambda text: re.sub(r"\r?\n", "", text)),
    "sum": _sum,
    "times": _arithmetic(lambda value, other: value * other),
    "to_integer": lambda value: to_number(value),
    "truncate": _truncate,
    "truncatewords": _truncate_words,
    "unshift": lambda value, item: [None if item is UNUSED else item, *_as_list(value)],
    "upcase": _text(str.upper),
    "uri_escape": _text(lambda text: quote(text, safe=_URI_SAFE + ";/?:@&=+$,#[]")),
    "url_decode": _text(lambda text: unquote(text.replace("+", " "), errors="strict")),
    "url_encode": _text(lambda text: quote(text, safe=_URI_SAFE).replace("%20", "+")),
    "where": _where,
    "xml_escape": _text(_escape),
}

"""Hints for one event: what Segment's specs and common sense would write otherwise. Nothing is stopped or changed by a hint. Pure.

Names, what an event needs and the types of traits come from the plan templates, handed in.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from relay.base.event import Event
from relay.base.secret import MASK
from relay.kit.currency import CODES as CURRENCIES
from relay.kit.dates import parse_date
from relay.kit.formats import FORMATS
from relay.kit.hashing import is_hashed
from relay.pipeline.stages.normalize import parse_time
from relay.workspace.plan_files import types_of

HINTS_MAX: Final = 20
NAME_CHARS: Final = 200
EMAIL_CHARS: Final = 320
"""No more of a name, and of a longer id nothing, is looked at: searching takes time with the square of the length."""
AHEAD_MS: Final = 5 * 60_000
"""A clock may be so far ahead before anybody is told."""
AMOUNTS: Final = ("revenue", "value", "price", "quantity", "total", "subtotal", "shipping", "tax", "discount")
PLACEHOLDERS: Final = frozenset(
    ("null", "undefined", "none", "nil", "nan", "n/a", "na", "0", "-1", "true", "false", "anonymous", "guest", "unknown", "[object object]")
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+\d(?:[ ().-]?\d){7,14}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b")
_NUMBER = re.compile(r"\d{4,}|#\s?\d+|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.IGNORECASE)
_VIEW = re.compile(r"(?:viewed|view|loaded|opened) (?:.* )?(page|screen)|(?:.* )?(page|screen) (?:viewed|view|views|loaded|opened)")
_ENDINGS: Final = ("ed", "e", "s", "d")


@dataclass(frozen=True, slots=True)
class Hint:
    """One remark. `path`: which field it is about; empty: the event."""

    code: str
    text: str
    path: str = ""


Lint = Callable[[Event], list[Hint]]


def compile_lint(rules: Iterable[Mapping[str, Any]]) -> Lint:
    """The lint that knows the events and traits of these rules."""
    tracks: dict[str, Mapping[str, Any]] = {}
    traits: dict[str, Mapping[str, Any]] = {}
    for rule in rules:
        parts = rule["jsonSchema"].get("properties", {})
        if rule["type"] == "TRACK":
            tracks[rule["key"]] = parts.get("properties", {})
        elif rule["type"] in ("IDENTIFY", "GROUP"):
            traits[rule["type"].lower()] = parts.get("traits", {}).get("properties", {})
    near = {_squeezed(name): name for name in tracks} | {_stems(name): name for name in tracks}

    def lint(event: Event) -> list[Hint]:
        hints = [*_ids(event), *_time(event)]
        if event.name:
            hints += _name(event.name[:NAME_CHARS], "event" if event.type == "track" else "name")
        if event.type == "track":
            hints += _track(event, tracks, near)
        elif event.type in traits:
            hints += _traits(event, traits[event.type])
        return hints[:HINTS_MAX]

    return lint


def is_dynamic(name: str) -> bool:
    """Whether a name holds what differs from event to event: an id, a date, an address."""
    return any(pattern.search(name[:NAME_CHARS]) for pattern in (_UUID, _DATE, _NUMBER, _EMAIL, _PHONE))


def _ids(event: Event) -> Iterator[Hint]:
    for key in ("userId", "anonymousId", "groupId", "previousId"):
        value = event.payload.get(key)
        if not isinstance(value, str):
            continue
        if value.strip().lower() in PLACEHOLDERS:
            text = f'"{value.strip()}" is no id: everybody without one becomes the same person. Leave {key} out instead.'
            yield Hint("placeholder_id", text, key)
        elif key != "anonymousId" and len(value) <= EMAIL_CHARS and _EMAIL.fullmatch(value.strip()):
            yield Hint("email_as_id", f"{key} is an e-mail address, which people change; send your own id, and the address as the trait email.", key)


def _time(event: Event) -> Iterator[Hint]:
    at_us, _ = parse_time(event.payload.get("timestamp"))
    if at_us is not None and at_us // 1000 > event.received_ms + AHEAD_MS:
        hours = (at_us / 1000 - event.received_ms) / 3_600_000
        yield Hint("future_timestamp", f"timestamp is {hours:.1f} h after the event came in; check the clock, or the unit of the time.", "timestamp")


def _name(name: str, path: str) -> Iterator[Hint]:
    if _EMAIL.search(name) or _PHONE.search(name):
        yield Hint("pii_in_name", "The name holds an e-mail address or a phone number: names reach every tool. Send it as a trait.", path)
    elif is_dynamic(name):
        yield Hint("dynamic_name", "The name holds an id or a date, so that each value makes an event of its own. Send it as a property.", path)


def _track(event: Event, tracks: Mapping[str, Mapping[str, Any]], near: Mapping[str, str]) -> Iterator[Hint]:
    properties = event.payload.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    name, schema = event.name[:NAME_CHARS], tracks.get(event.name)
    words = " ".join(_words(name))
    if found := _VIEW.fullmatch(words):
        call = found[1] or found[2]
        yield Hint(
            f"should_be_{call}", f"Send this as a {call} call: tools count visits from {call} calls, not from a track call of this name.", "event"
        )
    elif schema is None:
        known = near.get(_squeezed(name)) or near.get(_stems(name)) or next(iter(get_close_matches(name, tracks, n=1, cutoff=0.9)), None)
        if known:
            schema = tracks[known]
            yield Hint("near_miss", f'Tools look for "{known}", in exactly this spelling.', "event")
        elif not is_dynamic(name) and not _is_title(name):
            yield Hint("name_case", 'The spec writes names as object and action, in title case: "Report Shared". Keep to one style.', "event")
    if schema is not None:
        yield from _missing(properties, schema)
    yield from _amounts(properties)
    yield from _keys(properties)


def _missing(properties: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Hint]:
    for key in schema.get("required", ()):
        if properties.get(key) in (None, ""):
            yield Hint("missing_core", f"Tools that know this event need {key}.", f"properties.{key}")
    if "currency" in schema.get("properties", {}) and any(properties.get(key) is not None for key in AMOUNTS) and not properties.get("currency"):
        yield Hint("currency_missing", "There is an amount without a currency: tools take it for US dollars.", "properties.currency")


def _amounts(properties: Mapping[str, Any]) -> Iterator[Hint]:
    objects = [("properties", properties)]
    products = properties.get("products")
    if isinstance(products, list):
        objects += [(f"properties.products.{index}", item) for index, item in enumerate(products) if isinstance(item, Mapping)]
    for path, item in objects:
        for key in AMOUNTS:
            value = item.get(key)
            if value is not None and not _is_hidden(value) and (isinstance(value, bool) or not isinstance(value, int | float)):
                yield Hint("not_a_number", f"{key} must be a number, so that tools can add it up; it is {_kind(value)}.", f"{path}.{key}")
    currency = properties.get("currency")
    if currency is not None and not (isinstance(currency, str) and currency in CURRENCIES):
        code = currency.strip().upper() if isinstance(currency, str) else ""
        text = f'Write it as "{code}".' if code in CURRENCIES else "It must be a code of ISO 4217, such as USD or EUR."
        yield Hint("bad_currency", text, "properties.currency")


def _keys(properties: Mapping[str, Any]) -> Iterator[Hint]:
    snake = next((key for key in properties if "_" in key and key == key.lower()), None)
    camel = next((key for key in properties if "_" not in key and " " not in key and key[:1].islower() and key != key.lower()), None)
    if snake and camel:
        yield Hint("key_case", f"Properties are written in two ways, as {snake} and as {camel}; the specs write snake_case.", "properties")


def _traits(event: Event, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[Hint]:
    traits = event.payload.get("traits")
    for key, value in traits.items() if isinstance(traits, Mapping) else ():
        schema = schemas.get(key)
        if schema is None or value is None or _is_hidden(value):
            continue
        wanted, form = types_of(schema), schema.get("format")
        if form == "date-time":
            if parse_date(value) is None:
                yield Hint("trait_type", f"{key} must be a time, such as 2026-01-31T09:00:00Z.", f"traits.{key}")
        elif wanted and _type(value) not in wanted and not (_type(value) == "integer" and "number" in wanted):
            yield Hint("trait_type", f"{key} is reserved: it must be a {' or a '.join(wanted)}; it is {_kind(value)}.", f"traits.{key}")
        elif form in FORMATS and isinstance(value, str) and not FORMATS[form][0](value):
            yield Hint("trait_type", f"{key} {FORMATS[form][1]}.", f"traits.{key}")


def _is_hidden(value: Any) -> bool:
    """Whether a privacy rule has masked or hashed it: what the app sent is not known."""
    return isinstance(value, str) and (value == MASK or is_hashed(value))


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Mapping):
        return "object"
    return {str: "string", int: "integer", float: "number", list: "array"}.get(type(value), "null")


def _kind(value: Any) -> str:
    kind = {"string": "text", "boolean": "true or false", "object": "an object", "array": "a list", "integer": "a number", "number": "a number"}
    return kind.get(_type(value), "nothing")


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _squeezed(name: str) -> str:
    return "".join(_words(name))


def _stems(name: str) -> str:
    """The words without their endings, in the order of the alphabet: what `Order Completed` and `Complete Order` share."""
    return " ".join(sorted(_stem(word) for word in _words(name)))


def _stem(word: str) -> str:
    ending = next((one for one in _ENDINGS if word.endswith(one) and len(word) > len(one) + 2), "")
    return word.removesuffix(ending)


def _is_title(name: str) -> bool:
    """Words with a capital, between spaces; small words and what begins with no letter may stay."""
    words = name.split()
    return "_" not in name and all(word[0].isupper() or not word[0].isalpha() or (number and len(word) <= 4) for number, word in enumerate(words))

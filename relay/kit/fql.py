"""FQL: triggers of subscriptions and filters, compiled once into closures over an event. One parser, two dialects.

A trigger keeps to the reference where that has a meaning for it, and else has the whole language of filters.

Promises: what cannot be read, and what the reference misreads without a word, is refused with the position and a remedy.
A person's orders (which dead letters, which events of a replay) take filters.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from relay.base.event import TYPES, Event
from relay.errors import ConfigError, PayloadError
from relay.kit import fql_filter, fql_trigger, fql_wide
from relay.kit.fql_parser import MAX_CHARS, tokenize
from relay.kit.fql_trigger import Read, Test
from relay.kit.js import kind_of

__all__ = [
    "Read",
    "Test",
    "compile_filter",
    "compile_trigger",
    "compile_value",
    "filter_types",
    "match_filter",
    "match_trigger",
    "possible_types",
    "spelled",
]

Made = TypeVar("Made")
_WORDS = {"==": "=", "AND": "and", "OR": "or", "IN": "in"}


def compile_trigger(text: str) -> Test:
    """The test of a trigger (destinations page 1.2); raises ConfigError with position and remedy."""
    return _fast_types(text) or _compile(text, _trigger(fql_trigger.compile_text, fql_wide.compile_text), "trigger")


def compile_filter(text: str, fields: Collection[str] = ()) -> Test:
    """The test of a filter (semantics page 3); raises ConfigError with position and remedy. The test itself never raises.

    `fields`: the only first names that a field may have; none given: any, and a field that is not there is null.
    """
    if fields:
        return _compile(text, lambda known: fql_filter.compile_text(known, fields), "filter")
    return _fast_types(text) or _compile(text, fql_filter.compile_text, "filter")


def compile_value(text: str) -> Read:
    """The value that a formula of the filters' dialect gives for an event; raises ConfigError with position and remedy."""
    return _compile(text, fql_filter.compile_value, "formula")


def filter_types(text: str) -> frozenset[str]:
    """The types of the calls that a filter may match; conditions on anything but the type count as open. Raises ConfigError."""
    return _compile(text, lambda known: fql_filter.types_of(known, TYPES), "filter")


def filter_names(text: str) -> frozenset[str] | None:
    """The names of tracks that a filter may match; None: any. Raises ConfigError."""
    return _compile(text, fql_filter.names_of, "filter")


def spelled(text: str) -> tuple[object, ...]:
    """Equal for filters that differ in nothing but spaces, quotes, `==` and the case of keywords. Raises ConfigError."""
    tokens = tokenize(text, fql_filter.FORM)
    return tuple((token.kind, token.value if token.kind in ("string", "number") else _WORDS.get(token.text, token.text)) for token in tokens)


def match_trigger(trigger: str, event: Mapping[str, Any]) -> bool:
    """Whether a message, as Segment shapes it, matches a trigger. Raises ConfigError, or PayloadError when the event is no object."""
    return compile_trigger(trigger)(_event_of(event))


def match_filter(fql: str, event: Mapping[str, Any]) -> bool:
    """Whether a message matches a filter. Raises ConfigError, or PayloadError when the event is no object."""
    return compile_filter(fql)(_event_of(event))


def possible_types(trigger: str) -> frozenset[str]:
    """The types of the calls that a trigger may match; conditions on anything but the type count as met. Raises ConfigError."""
    return _compile(trigger, _trigger(_narrow_types, lambda text: fql_wide.types_of(text, TYPES)), "trigger")


def _narrow_types(trigger: str) -> frozenset[str]:
    test = fql_trigger.types_only(trigger)
    return frozenset(kind for kind in TYPES if test(Event("", "", kind, "", "", "", 0, {}, b"")))


def _trigger(narrow: Callable[[str], Made], wide: Callable[[str], Made]) -> Callable[[str], Made]:
    """A trigger means what the reference makes of it; what the reference cannot read is read as a filter, if that can be."""

    def read(text: str) -> Made:
        try:
            return narrow(text)
        except ConfigError as error:
            try:
                return wide(text)
            except ConfigError:
                raise error from None

    return read


def _compile(text: Any, compile_text: Callable[[str], Made], name: str) -> Made:
    if not isinstance(text, str):
        raise ConfigError(f"a {name} must be a string, not {kind_of(text)}")
    try:
        return compile_text(text)
    except ConfigError as error:
        raise ConfigError([replace(one, message=f"{name}, {one.message}") for one in error.problems]) from None


def _event_of(payload: Any) -> Event:
    if not isinstance(payload, Mapping):
        raise PayloadError(f"an event must be an object, not {kind_of(payload)}")
    kind = payload.get("type")
    return Event("", "", kind if isinstance(kind, str) else "", "", "", "", 0, payload, b"")


_ONE_TYPE = r'type\s*=\s*"(\w+)"'
_TYPES = re.compile(rf"\s*{_ONE_TYPE}(?:\s*or\s+{_ONE_TYPE})*\s*")


def _fast_types(text: Any) -> Test | None:
    """`type = "a" or type = "b"`, the trigger of almost everything that takes all events: one look into a set."""
    if not isinstance(text, str) or len(text) > MAX_CHARS or not _TYPES.fullmatch(text):
        return None
    types = frozenset(re.findall(_ONE_TYPE, text))
    if len(types) == 1:
        (only,) = types
        return lambda event: event.type == only
    return lambda event: event.type in types

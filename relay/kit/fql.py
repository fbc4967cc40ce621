"""FQL: triggers of subscriptions and filters, compiled once into closures over an event. One parser, two dialects.

Promises: what cannot be read, and what the reference misreads without a word, is refused with the position and a remedy.
A person's orders (which dead letters, which events of a replay) take filters.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from relay.base.event import TYPES, Event
from relay.errors import ConfigError, PayloadError
from relay.kit import fql_filter, fql_trigger
from relay.kit.fql_parser import MAX_CHARS
from relay.kit.fql_trigger import Test
from relay.kit.js import kind_of

__all__ = ["Test", "compile_filter", "compile_trigger", "match_filter", "match_trigger", "possible_types"]


def compile_trigger(text: str) -> Test:
    """The test of a trigger (destinations page 1.2); raises ConfigError with position and remedy."""
    return _fast_types(text) or _compile(text, fql_trigger.compile_text, "trigger")


def compile_filter(text: str, fields: Collection[str] = ()) -> Test:
    """The test of a filter (semantics page 3); raises ConfigError with position and remedy. The test itself never raises.

    `fields`: the only first names that a field may have; none given: any, and a field that is not there is null.
    """
    if fields:
        return _compile(text, lambda known: fql_filter.compile_text(known, fields), "filter")
    return _fast_types(text) or _compile(text, fql_filter.compile_text, "filter")


def match_trigger(trigger: str, event: Mapping[str, Any]) -> bool:
    """Whether a message, as Segment shapes it, matches a trigger. Raises ConfigError, or PayloadError when the event is no object."""
    return compile_trigger(trigger)(_event_of(event))


def match_filter(fql: str, event: Mapping[str, Any]) -> bool:
    """Whether a message matches a filter. Raises ConfigError, or PayloadError when the event is no object."""
    return compile_filter(fql)(_event_of(event))


def possible_types(trigger: str) -> frozenset[str]:
    """The types of the calls that a trigger may match; conditions on anything but the type count as met. Raises ConfigError."""
    test = _compile(trigger, fql_trigger.types_only, "trigger")
    return frozenset(kind for kind in TYPES if test(Event("", "", kind, "", "", "", 0, {}, b"")))


def _compile(text: Any, compile_text: Callable[[str], Test], name: str) -> Test:
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

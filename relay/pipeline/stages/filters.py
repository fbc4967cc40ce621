"""Destination filters: sample, drop, drop properties, allow properties (semantics page 4).

The four run in that order over all filters of a destination, and every condition sees the event as it came.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.base import jsonio
from relay.base.event import Event, changed
from relay.kit.edits import read, split_path, with_objects
from relay.kit.fql import Test, compile_filter
from relay.kit.js import ABSENT, encode
from relay.pipeline.decision import Drop, Rules
from relay.pipeline.stages.candidates import compile_candidates, rule_name
from relay.workspace.rules import Filter, FilterAction

STAGE: Final = "filters"
DROPPED: Final = Drop(STAGE, "FILTERED_BY_RULES")
ENVELOPE: Final = frozenset(("type", "messageId"))
"""What makes a message an event: no list of allowed keys takes these away."""

Edit = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Filter:
    """A filter, compiled."""

    name: str
    test: Test
    samples: tuple[tuple[float, Test], ...]
    """Share that is kept, and whether an event is part of it."""
    drops: bool
    removals: tuple[Edit, ...]
    allowances: tuple[Edit, ...]


def compile_filters(filters: Sequence[Filter], slug: str) -> Rules | None:
    """All filters of the destination `slug` as one step; None when there is nothing to do. Raises ConfigError."""
    candidates = compile_candidates(filters, lambda one, position: _compile(one, position, slug))
    if candidates is None:
        return None

    def rewrite(event: Event) -> Event | Drop:
        possible = candidates(event)
        held = [one for one in possible if one.test(event)] if possible else possible
        if not held:
            return event
        if _dropping(held, event):
            return DROPPED
        payload = event.payload
        for one in held:
            for edit in one.removals:
                payload = edit(payload)
        for one in held:
            for edit in one.allowances:
                payload = edit(payload)
        return event if payload is event.payload else changed(event, payload)

    def name(event: Event) -> str:
        held = [one for one in candidates(event) if one.test(event)]
        if dropping := _dropping(held, event):
            return dropping
        return ", ".join(one.name for one in held if any(edit(event.payload) is not event.payload for edit in (*one.removals, *one.allowances)))

    return Rules(STAGE, rewrite, name)


def _dropping(held: Sequence[_Filter], event: Event) -> str:
    """Which filter drops the event, and how; empty: none does."""
    for one in held:
        for share, keeps in one.samples:
            if not keeps(event):
                return f"{one.name}: keeps {share * 100:g} % of such events, and this is not one of them"
    return next((one.name for one in held if one.drops), "")


def _compile(given: Filter, position: int, slug: str) -> _Filter:
    actions = given.actions
    return _Filter(
        name=rule_name("filter", position, given.title, given.condition),
        test=compile_filter(given.condition),
        samples=tuple((action.percent, _sample(action, slug)) for action in actions if action.type == "SAMPLE"),
        drops=any(action.type == "DROP" for action in actions),
        removals=tuple(edit for action in actions if action.type == "DROP_PROPERTIES" for edit in _edits(action, _removal)),
        allowances=tuple(edit for action in actions if action.type == "ALLOW_PROPERTIES" for edit in _edits(action, _allowance)),
    )


def _sample(action: FilterAction, slug: str) -> Test:
    """Whether an event is among the share that is kept: the first 64 bits of a hash, read as a fraction.

    With a path of its field's JSON text, as Segment does; of an event without that field, and without a path, of destination and messageId,
    so that every attempt and every explanation of it agree.
    """
    limit, keys = action.percent * 2.0**64, split_path(action.path) if action.path else ()

    def keeps(event: Event) -> bool:
        value = read(event.payload, keys) if keys else ABSENT
        if value is ABSENT or value is None:
            return _first_64_bits(f"{slug}\0{event.message_id}".encode()) < limit
        return _first_64_bits(jsonio.dumps(value) if isinstance(value, str) else encode(value).encode()) < limit

    return keeps


def _first_64_bits(text: bytes) -> int:
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big")


def _edits(action: FilterAction, make: Callable[[frozenset[str]], Edit]) -> list[Edit]:
    return [
        _at(split_path(path) if path else (), make(frozenset(keys) if path else _of_message(action, keys))) for path, keys in action.fields.items()
    ]


def _of_message(action: FilterAction, keys: Sequence[str]) -> frozenset[str]:
    """The keys as they count for the message itself."""
    return frozenset(keys) | ENVELOPE if action.type == "ALLOW_PROPERTIES" else frozenset(keys) - ENVELOPE


def _at(keys: tuple[str, ...], change: Edit) -> Edit:
    return lambda payload: with_objects(payload, keys, change)


def _removal(names: frozenset[str]) -> Edit:
    def remove(value: Mapping[str, Any]) -> Mapping[str, Any]:
        return value if names.isdisjoint(value) else {key: item for key, item in value.items() if key not in names}

    return remove


def _allowance(names: frozenset[str]) -> Edit:
    def keep(value: Mapping[str, Any]) -> Mapping[str, Any]:
        return value if names.issuperset(value) else {key: item for key, item in value.items() if key in names}

    return keep

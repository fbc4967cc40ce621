"""Rules with a condition, compiled and sorted by the calls that they can hold for, tracks by their names too: an event meets no others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from relay.base.event import TYPES, Event
from relay.kit.fql import filter_names, filter_types
from relay.workspace.rules import Filter, Transformation

Rule = TypeVar("Rule", bound=Filter | Transformation)
Made = TypeVar("Made")


def compile_candidates(rules: Sequence[Rule], compile_one: Callable[[Rule, int], Made]) -> Callable[[Event], tuple[Made, ...]] | None:
    """Event to the rules that may hold for it, in their order; None: no rule is switched on. Each is told its position, from 1.

    Raises ConfigError.
    """
    compiled = [(one.condition, compile_one(one, position)) for position, one in enumerate(rules, 1) if one.enabled]
    if not compiled:
        return None
    by_type = {kind: tuple(made for condition, made in compiled if kind in filter_types(condition)) for kind in TYPES if kind != "track"}
    tracks = [(filter_names(condition), made) for condition, made in compiled if "track" in filter_types(condition)]
    by_type["track"] = tuple(made for names, made in tracks if names is None)
    named = {
        name: tuple(made for names, made in tracks if names is None or name in names)
        for name in frozenset().union(*(names for names, _ in tracks if names is not None))
    }

    def candidates(event: Event) -> tuple[Made, ...]:
        kind = event.type
        if kind == "track" and event.name in named:
            return named[event.name]
        return by_type.get(kind, ())

    return candidates


def rule_name(kind: str, position: int, title: str, condition: str) -> str:
    """How an explanation calls a rule."""
    return f'{kind} {position} "{title}"' if title else f"{kind} {position}: {condition}"

"""Rules with a condition, compiled and sorted by the types of calls that they can hold for: an event meets no others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from relay.kit.fql import filter_types
from relay.workspace.rules import Filter, Transformation

Rule = TypeVar("Rule", bound=Filter | Transformation)
Made = TypeVar("Made")


def compile_by_type(rules: Sequence[Rule], compile_one: Callable[[Rule, int], Made]) -> dict[str, tuple[Made, ...]]:
    """Those that are switched on, in their order; each knows its position, from 1. Raises ConfigError."""
    found: dict[str, tuple[Made, ...]] = {}
    for position, one in enumerate(rules, 1):
        if one.enabled:
            made = compile_one(one, position)
            for kind in filter_types(one.condition):
                found[kind] = (*found.get(kind, ()), made)
    return found


def rule_name(kind: str, position: int, title: str, condition: str) -> str:
    """How an explanation calls a rule."""
    return f'{kind} {position} "{title}"' if title else f"{kind} {position}: {condition}"

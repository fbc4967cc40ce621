"""Typed reading of one table: every mistake is collected with its place, and every unknown word with the nearest known one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from relay.base.secret import Secret
from relay.config.table import SettingSpec
from relay.config.tree import Tree, child
from relay.errors import Problem

_EXPECTED = {
    "string": "a string",
    "secret": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list of strings",
    "numbers": "a list of numbers",
    "object": "a table",
}
LATER = "not in this release"


def mistake(value: Any, kind: str, *, choices: Sequence[str] = (), minimum: float | None = None, maximum: float | None = None) -> tuple[str, str]:
    """What is wrong with a value (as `must be ...`) and a remedy; two empty strings when it is right."""
    if not _has_type(value, kind):
        return f"must be {_EXPECTED[kind]}", ""
    for item in value if isinstance(value, list | tuple) else (value,):
        if choices and item not in choices:
            return "must be " + ", ".join(f'"{choice}"' for choice in choices[:-1]) + f' or "{choices[-1]}"', nearest(str(item), choices)
        if minimum is not None and item < minimum:
            return f"must be at least {minimum:g}", ""
        if maximum is not None and item > maximum:
            return f"must be at most {maximum:g}", ""
    return "", ""


def _has_type(value: Any, kind: str) -> bool:
    if kind in ("string", "secret"):
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind == "list":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "numbers":
        return isinstance(value, list) and all(_has_type(item, "number") for item in value)
    return isinstance(value, dict)


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing when no known word is near."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[close[0]]}'?" if close else ""


@dataclass(slots=True)
class TableReader:
    """Takes values out of one table of the tree; `label` names the table in messages."""

    tree: Tree
    path: str
    label: str
    problems: list[Problem]
    table: Mapping[str, Any]
    known: set[str] = field(default_factory=set)

    def complain(self, message: str, key: str | int = "", remedy: str = "") -> None:
        """Note a mistake at `key`, or at the table itself."""
        self.problems.append(Problem(f"{self.label}: {message}", self.tree.place(self.at(key)), remedy))

    def at(self, key: str | int = "") -> str:
        return self.path if key == "" else child(self.path, key)

    def take(self, key: str, kind: str, default: Any = None, *, choices: Sequence[str] = (), minimum: float | None = None,
             maximum: float | None = None) -> Any:  # fmt: skip
        """The value of `key`, or `default` when it is absent or wrong."""
        self.known.add(key)
        if key not in self.table:
            return default
        path, value = self.at(key), self.table[key]
        if kind in ("string", "secret") and not isinstance(value, str) and path in self.tree.texts:
            value = self.tree.texts[path]  # a token like 12345 from the environment is a text
        if self.is_open(path):
            return default
        message, remedy = mistake(value, kind, choices=choices, minimum=minimum, maximum=maximum)
        if message:
            self.complain(f"'{key}' {message}", key, remedy)
            return default
        return Secret(value) if kind == "secret" else tuple(value) if isinstance(value, list) else value

    def take_spec(self, spec: SettingSpec, default: Any) -> Any:
        """The value of a process setting."""
        return self.take(spec.name, spec.type, default, choices=spec.choices, minimum=spec.minimum, maximum=spec.maximum)

    def is_open(self, path: str) -> bool:
        """Whether a reference in the value at `path` was not found."""
        return any(name == path or name.startswith((f"{path}.", f"{path}[")) for name in self.tree.unresolved)

    def finish(self, later: Iterable[str] = (), *, noun: str = "setting") -> None:
        """Complain about every key that nobody took."""
        for key in self.table:
            if key in self.known:
                continue
            if key in later:
                self.complain(f"'{key}' is {LATER}", key, "remove it")
            else:
                self.complain(f"unknown {noun} '{key}'", key, nearest(key, self.known))

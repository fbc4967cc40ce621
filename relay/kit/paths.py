"""Paths and templates of the mapping kit: `a.b[0]`, `Hi {{a.b}}`, compiled into functions of their input."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from relay.kit.js import ABSENT, length_of, print_as_js

Resolver = Callable[[Any], Any]


class Constant(NamedTuple):
    """A part of a mapping that is the same for every event."""

    value: Any


Node = Constant | Resolver

_SEPARATOR = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")
_QUOTE = re.compile("[\"']")
_INDEX = re.compile(r"0|[1-9][0-9]*")
_LONG = re.compile(r"\{\{\{([^}]+)\}\}\}")
_SHORT = re.compile(r"\{\{([^}]+)\}\}")
TEMPLATE_CACHE: Final = 1024


def resolver_of(node: Node) -> Resolver:
    """A constant as a function."""
    if isinstance(node, Constant):
        value = node.value
        return lambda payload: value
    return node


def _itself(payload: Any) -> Any:
    return payload


@lru_cache(maxsize=4096)
def compile_path(path: str) -> Resolver:
    """The value at `path`, or ABSENT; the first `$.` is left out, the empty path is the whole input.

    Walking through null, 0, false or '' stops there and gives that value.
    """
    # Quotes leave a key only after the empty parts have gone, as in the reference.
    keys = tuple(_QUOTE.sub("", part) for part in _SEPARATOR.split(path.replace("$.", "", 1)) if part)
    if not keys:
        return _itself
    if len(keys) == 1:
        (only,) = keys
        return lambda payload: payload.get(only, ABSENT) if type(payload) is dict else walk(payload, keys)
    if len(keys) == 2:
        first, second = keys

        def resolve_two(payload: Any) -> Any:
            if type(payload) is dict:
                value = payload.get(first, ABSENT)
                if type(value) is dict:
                    return value.get(second, ABSENT)
                return value if value is ABSENT else _step(value, second)
            return walk(payload, keys)

        return resolve_two
    return lambda payload: walk(payload, keys)


def walk(value: Any, keys: tuple[str, ...]) -> Any:
    """The value below `value`, or ABSENT."""
    for key in keys:
        if type(value) is dict:
            value = value.get(key, ABSENT)
        else:
            value = _step(value, key)
            if value is ABSENT:
                return ABSENT
    return value


def _step(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, ABSENT)
    if isinstance(value, list):
        if _INDEX.fullmatch(key) and len(key) < 16:
            return value[int(key)] if int(key) < len(value) else ABSENT
        return len(value) if key == "length" else ABSENT
    if not value:
        return value
    if isinstance(value, str):
        if key == "length":
            return length_of(value)
        if _INDEX.fullmatch(key) and len(key) < 16 and int(key) < len(value):
            return value[int(key)]
    return ABSENT


def empty_placeholder(text: str) -> bool:
    """Whether a placeholder holds nothing but space: it would print the whole input."""
    return any(not found.strip() for pattern in (_LONG, _SHORT) for found in pattern.findall(text))


@lru_cache(maxsize=TEMPLATE_CACHE)
def compile_template(text: str) -> Node:
    """The text with `{{path}}` and `{{{path}}}` filled in; nothing is escaped, and there are no helpers or filters."""
    parts: list[str | Resolver] = []
    for index, piece in enumerate(_LONG.split(text)):
        if index % 2:
            parts.append(_placeholder(piece))
        else:
            parts += [_placeholder(inner) if odd % 2 else inner for odd, inner in enumerate(_SHORT.split(piece)) if inner]
    fixed = [part for part in parts if isinstance(part, str)]
    if len(fixed) == len(parts):
        return Constant("".join(fixed))
    if len(parts) == 1:
        (only,) = parts
        assert callable(only)
        return lambda payload: print_as_js(only(payload))
    return lambda payload: "".join([part if isinstance(part, str) else print_as_js(part(payload)) for part in parts])


def _placeholder(path: str) -> Resolver:
    # A template's paths have no `$.`: here it is a key of that name.
    path = path.strip()
    return compile_path("$." + path) if "$." in path else compile_path(path)

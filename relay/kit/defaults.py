"""The mapping directives that field defaults are made of, as short words: a definition reads as a table."""

from collections.abc import Mapping
from typing import Any


def path(where: str) -> dict[str, Any]:
    """The value at `where` in the event, without `$.`."""
    return {"@path": f"$.{where}"}


def template(text: str) -> dict[str, Any]:
    """`text` with its `{{paths}}` filled in."""
    return {"@template": text}


def first_of(wanted: str, otherwise: str) -> dict[str, Any]:
    """The value at `wanted`, where it exists and is not null, else that at `otherwise`."""
    return {"@if": {"exists": path(wanted), "then": path(wanted), "else": path(otherwise)}}


def each(where: str, shape: Mapping[str, str]) -> dict[str, Any]:
    """A list with the shape of each item at `where`; `shape`: the name of each key to a path inside the item."""
    return {"@arrayPath": [f"$.{where}", {name: {"@path": inner} for name, inner in shape.items()}]}


def paths(shape: Mapping[str, str]) -> dict[str, Any]:
    """An object: the name of each key to a path in the event."""
    return {name: path(where) for name, where in shape.items()}

"""Plans to begin with: the semantic events of Segment's industry specs and the reserved traits, one JSON file a block, shipped as data.

Descriptions and reasons (`x-why`) are ours; names, types and what is required are the spec's, for receivers look for exactly those.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from relay.base import jsonio
from relay.workspace.plan_files import Content, fields_of, types_of

NUMERIC: Final = ("number", "integer")


@cache
def names() -> tuple[str, ...]:
    """Every template."""
    return tuple(sorted(item.name.removesuffix(".json") for item in files(__name__).iterdir() if item.name.endswith(".json")))


@cache
def template(name: str) -> Mapping[str, Any]:
    """`{name, description, rules}`. Not to be changed. Raises KeyError when there is none of this name."""
    if name not in names():
        raise KeyError(name)
    content: Content = jsonio.loads((files(__name__) / f"{name}.json").read_bytes())
    return content


@cache
def known_rules() -> tuple[Mapping[str, Any], ...]:
    """The rules of all templates."""
    return tuple(rule for name in names() for rule in template(name)["rules"])


@cache
def numeric_names() -> frozenset[str]:
    """Properties that may have a fraction wherever they occur, such as `price`: whole values alone do not make them integers."""
    found = [(path[-1], types_of(schema)) for rule in known_rules() for path, schema, _ in fields_of(rule["jsonSchema"])]
    return frozenset(name for name, types in found if "number" in types) - frozenset(name for name, types in found if "integer" in types)

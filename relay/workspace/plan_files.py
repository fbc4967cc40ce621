"""A plan's content for people: as JSON in one stable form, and what differs between two plans. Pure.

Content is what a plan's file holds: `{"rules": [{"type", "key", "version", "jsonSchema"}]}`; whatever else stands in it is kept.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from relay.workspace.plan_rules import ANNOTATIONS, TYPES
from relay.workspace.rules import Plan, PlanRule

Content = dict[str, Any]
Identity = tuple[str, str, float]
"""Type, key and version: what tells one rule from another."""

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_RULE_KEYS: Final = ("type", "key", "version", "jsonSchema")
_SCHEMA_KEYS: Final = (
    "$schema",
    "$id",
    "title",
    "description",
    *ANNOTATIONS,
    "type",
    "format",
    "pattern",
    "enum",
    "const",
    "required",
    "properties",
    "items",
)
_BY_NAME: Final = frozenset(("properties", "patternProperties", "definitions", "dependencies"))
"""Keywords whose value is an object of names: sorted, since their order means nothing."""
_SCHEMAS: Final = frozenset(("items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else", "propertyNames"))
_LISTS: Final = frozenset(("allOf", "anyOf", "oneOf", "items"))


def content_of(plan: Plan) -> Content:
    """The content of a plan in use."""
    return {"rules": [rule_content(rule) for rule in plan.rules]}


def rule_content(rule: PlanRule) -> Content:
    """A rule as a plan's file has it."""
    named = {"key": rule.key} if rule.key else {}
    return {"type": rule.type, **named, "version": rule.version, "jsonSchema": rule.schema}


def identity(rule: Mapping[str, Any]) -> Identity:
    """What a rule of a content is known by."""
    return str(rule.get("type", "")), str(rule.get("key") or ""), float(rule.get("version") or 1)


def label(rule: Identity) -> str:
    """How a rule is named to people: `TRACK "Order Completed"`, `IDENTIFY`, `TRACK "Signed Up" version 2`."""
    kind, key, version = rule
    return kind + (f' "{key}"' if key else "") + (f" version {version:g}" if version != 1 else "")


def unwrapped(value: Any) -> Content | None:
    """The content of a plan's file: a bare list of rules, and what Segment's API gives, are brought into the one form; None: it is no plan."""
    if isinstance(value, dict) and "rules" not in value and isinstance(value.get("data"), dict):
        value = value["data"]
    content = {"rules": value} if isinstance(value, list) else value
    return content if isinstance(content, dict) and isinstance(content.get("rules"), list) else None


def rules_of(content: Mapping[str, Any]) -> dict[Identity, Content]:
    """The rules of a content by identity, in their order."""
    return {identity(rule): dict(rule) for rule in content.get("rules", [])}


def canonical(content: Mapping[str, Any]) -> Content:
    """The same content in its one order: rules by type, name and version, keywords by meaning, names by the alphabet."""
    rules = sorted(content.get("rules", []), key=lambda rule: _order(identity(rule)))
    rest = {key: content[key] for key in sorted(content) if key != "rules"}
    return rest | {"rules": [_rule(rule) for rule in rules]}


def to_json(content: Mapping[str, Any]) -> str:
    """The canonical text, with a line end: equal contents give equal files."""
    return json.dumps(canonical(content), indent=2, ensure_ascii=False) + "\n"


def diff_plans(before: Mapping[str, Any], after: Mapping[str, Any]) -> Content:
    """`{added, removed, changed}`; a changed rule tells each value that differs, `before` or `after` None where it is absent."""
    old, new = rules_of(canonical(before)), rules_of(canonical(after))
    changed = [(one, list(_changes(old[one], new[one], ""))) for one in old if one in new]
    return {
        "added": [_named(one) for one in new if one not in old],
        "removed": [_named(one) for one in old if one not in new],
        "changed": [_named(one) | {"changes": changes} for one, changes in changed if changes],
    }


def deprecated(rule: Mapping[str, Any]) -> bool:
    """Whether Segment keeps a rule only for the record: it is in the file, and not in the plan in use."""
    return bool(rule.get("deprecatedAt")) and not str(rule["deprecatedAt"]).startswith("0001-01-01")


def differs(diff: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a diff tells of anything."""
    return any(diff[part] for part in ("added", "removed", "changed"))


def merged(base: Mapping[str, Any], more: Iterable[Mapping[str, Any]]) -> Content:
    """`base` with the rules of `more` that it does not have; its own rules stay as they are."""
    known = rules_of(base)
    added = [dict(rule) for rule in more if identity(rule) not in known]
    return dict(base) | {"rules": [*base.get("rules", []), *added]}


def replaced(base: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> Content:
    """`base` with these rules added, or in the place of those of the same identity."""
    return dict(base) | {"rules": list((rules_of(base) | {identity(rule): dict(rule) for rule in rules}).values())}


def schema_at(schema: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    """The part of a schema that speaks about a field (`$`: the items of an array); None: it is not planned."""
    for name in path:
        inner = schema.get("items") if name == "$" else (schema.get("properties") or {}).get(name)
        if not isinstance(inner, Mapping):
            return None
        schema = inner
    return schema


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that a schema allows; empty: any."""
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def fields_of(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any], bool]]:
    """Every field that a schema plans, parents first: its path, its schema, and whether its parent requires it."""
    required = schema.get("required", ())
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, Mapping) and name != "$":
            yield (*path, name), inner, name in required
            yield from fields_of(inner, (*path, name))
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield (*path, "$"), items, False
        yield from fields_of(items, (*path, "$"))


def path_text(path: Sequence[str]) -> str:
    """A path as people write it: `properties.products.$.sku`; a dot in a name has a backslash before it."""
    return ".".join(part if part == "$" else part.replace("\\", "\\\\").replace(".", "\\.") for part in path)


def path_keys(text: str) -> tuple[str, ...]:
    """The parts of such a path; a backslash takes what follows as it is. Raises ValueError when one is empty."""
    parts, part, escaped = [], "", False
    for character in text.strip():
        if not escaped and character in "\\.":
            if character == ".":
                parts.append(part)
                part = ""
            escaped = character == "\\"
        else:
            part, escaped = part + character, False
    parts.append(part)
    if escaped or not all(parts):
        raise ValueError("a part of the path is empty")
    return tuple(parts)


def _named(rule: Identity) -> Content:
    return {"type": rule[0], "key": rule[1], "version": _plain(rule[2])}


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number


def _order(rule: Identity) -> tuple[int, str, str, float]:
    kind, key, version = rule
    return (TYPES.index(kind) if kind in TYPES else len(TYPES), kind, key, version)


def _rule(rule: Mapping[str, Any]) -> Content:
    """In order, with the annotations where they are read from: in the schema."""
    schema = rule.get("jsonSchema", {})
    beside = {key: rule[key] for key in ANNOTATIONS if key in rule}
    rule = {key: value for key, value in rule.items() if key not in beside} | {"jsonSchema": beside | schema}
    known: Content = {}
    for key in _RULE_KEYS:
        if key == "version":
            known[key] = _plain(identity(rule)[2])
        elif key == "jsonSchema":
            known[key] = _schema(rule.get(key, {}))
        elif rule.get(key):
            known[key] = rule[key]
    return known | {key: rule[key] for key in sorted(rule) if key not in _RULE_KEYS}


def _schema(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    keys = [key for key in _SCHEMA_KEYS if key in schema] + sorted(key for key in schema if key not in _SCHEMA_KEYS)
    return {key: _keyword(key, schema[key]) for key in keys}


def _keyword(key: str, value: Any) -> Any:
    if key in _BY_NAME and isinstance(value, Mapping):
        return {name: _schema(value[name]) for name in sorted(value)}
    if key == "required" and isinstance(value, list | tuple):
        return sorted(value, key=str)
    if key in _LISTS and isinstance(value, list | tuple):
        return [_schema(one) for one in value]
    return _schema(value) if key in _SCHEMAS else value


def _changes(before: Any, after: Any, path: str) -> Iterator[Content]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*before, *(key for key in after if key not in before)):
            inner = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                yield {"path": inner, "before": before.get(key), "after": after.get(key)}
            else:
                yield from _changes(before[key], after[key], inner)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield {"path": path, "before": before, "after": after}

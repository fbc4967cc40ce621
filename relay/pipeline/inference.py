"""From what events look like to the rules of a plan, and how a rule is widened to allow what was seen. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from relay.base.masking import mask
from relay.base.secret import MASK
from relay.kit.matchers import STANDARD, THINGS, Matcher, classifier, classify
from relay.pipeline.shapes import EventShape, Shape, Traffic
from relay.workspace.plan_files import DRAFT, Content, identity, path_text, replaced, rules_of, schema_at, types_of
from relay.workspace.templates import known_rules, numeric_names

REQUIRED_SHARE: Final = 0.99
REQUIRED_MIN: Final = 50
"""A field is required when it was there in 99 % of at least fifty."""
FORMAT_MIN: Final = 10
ENUM_MIN: Final = 50
ENUM_MAX: Final = 10
ENUM_EACH: Final = 10
"""A list of values is one when each occurred ten times on average, and none only once."""
MAP_FIELDS: Final = 60
MAP_SHARE: Final = 0.1
"""An object of so many keys, none of them in a tenth of the events, is a map: its keys are data."""
_RULE_TYPE: Final = {"track": "TRACK", "page": "PAGE", "screen": "SCREEN", "identify": "IDENTIFY", "group": "GROUP"}
CALLS: Final = {rule: call for call, rule in _RULE_TYPE.items()}
"""Type of rule to type of call."""
_LIMITS: Final = frozenset(("pattern", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"))
Hides = Callable[[tuple[str, ...], Any], bool]
"""Path and value to whether the value is of a person, or a secret."""


def compile_hiding(matchers: Sequence[Matcher]) -> Hides:
    """By the matchers that have a colour."""
    colored = [matcher for matcher in matchers if matcher.color]
    judges = classifier(colored), classifier(colored, in_thing=True)

    def hides(path: tuple[str, ...], value: Any) -> bool:
        in_thing = False
        for depth, name in enumerate(path[1:], 2):
            if judges[in_thing]("" if name == "$" else name, value if depth == len(path) else None) is not None:
                return True
            in_thing = in_thing or name in THINGS
        return False

    return hides


def rule_of(event: EventShape) -> Content:
    """The rule that one event gives."""
    kind = _RULE_TYPE[event.type]
    inner = _schema(event.root, event.inner, may_require=event.inner == "properties")
    schema: Content = {"$schema": DRAFT, "type": "object", "properties": {event.inner: inner}}
    rule: Content = {"type": kind, **({"key": event.name} if event.name else {}), "version": 1, "jsonSchema": schema}
    known = _semantic().get(identity(rule))
    if known is not None:
        _describe(schema, known["jsonSchema"])
    return rule


def extended(plan: Mapping[str, Any], events: Iterable[EventShape]) -> Content:
    """A plan with rules for the events that it has none for, and with the fields that its rules do not know; what it says stays."""
    known, made = rules_of(plan), []
    versions: dict[tuple[str, str], list[Content]] = {}
    for (kind, key, _), rule in known.items():
        versions.setdefault((kind, key), []).append(rule)
    for event in events:
        fresh = rule_of(event)
        planned = versions.get((fresh["type"], fresh.get("key", "")))
        if planned is None:
            made.append(fresh)
        elif len(planned) == 1:  # of several versions nobody can tell which one a field belongs to
            made.append(dict(planned[0]) | {"jsonSchema": _grown(planned[0]["jsonSchema"], fresh["jsonSchema"])})
    return replaced(plan, made)


def with_field(rule: Mapping[str, Any], event: EventShape, path: tuple[str, ...]) -> Content:
    """A rule that allows one field as it was seen: planned if it was not, else widened; one that never came is required no more."""
    found = event.at(path)
    if found is None:
        return dict(rule) | {"jsonSchema": _without_need(rule["jsonSchema"], path)}
    shape, parent = found
    kinds: Content = {"type": sorted(shape.types)}
    if shape.values and set(shape.types) <= {"string", "null"} and not _is_personal(path[-1], shape.values):
        kinds["enum"] = sorted(shape.values)
    if form := _format(shape):
        kinds["format"] = form
    above = schema_at(rule["jsonSchema"], path[:-1]) or {}
    was_missing = _share(shape, parent) < 1 and path[-1] in above.get("required", ())
    own = schema_at(rule["jsonSchema"], path)
    made = _widened(own, kinds, keep_limits=was_missing) if own is not None else _schema(shape, path[-1], may_require=False)
    schema = _placed(rule["jsonSchema"], path, made)
    return dict(rule) | {"jsonSchema": _without_need(schema, path) if was_missing else schema}


def facts(traffic: Traffic, mask_names: tuple[str, ...], matchers: Sequence[Matcher] = STANDARD) -> list[dict[str, Any]]:
    """What was seen, for people; values of a person (by `matchers`) and of secrets (by `mask_names`) are masked."""
    hides = compile_hiding(matchers)
    return [
        {
            "type": _RULE_TYPE[event.type],
            "key": event.name,
            "count": event.n,
            "first_s": event.first_ms / 1000,
            "last_s": event.last_ms / 1000,
            "properties": [_fact(path, shape, parent, mask_names, hides) for path, shape, parent in event.each_field()],
        }
        for event in sorted(traffic.events.values(), key=lambda one: -one.n)
    ]


def _fact(path: tuple[str, ...], shape: Shape, parent: Shape, mask_names: tuple[str, ...], hides: Hides) -> dict[str, Any]:
    hidden = any(hides(path, example) for example in shape.examples)
    return {
        "path": path_text(path),
        "count": shape.n,
        "share": round(_share(shape, parent), 4),
        "types": dict(sorted(shape.types.items())),
        "format": _format(shape) or "",
        "examples": [MASK if hidden else mask({path[-1]: example}, mask_names)[path[-1]] for example in shape.examples],
        "first_s": shape.first_ms / 1000,
        "last_s": shape.last_ms / 1000,
    }


def _share(shape: Shape, parent: Shape) -> float:
    """In which share of the objects a field was; of the arrays, for items."""
    if shape is parent.items:
        return 1.0
    return shape.n / parent.types["object"] if parent.types.get("object") else 0.0


def _schema(shape: Shape, name: str, *, may_require: bool) -> Content:
    types = _types(shape, name)
    schema: Content = {} if not types else {"type": types[0] if len(types) == 1 else types}
    if "string" in types and (found := _format(shape)):
        schema["format"] = found
    elif types == ["string"] and (values := _values(shape, name)):
        schema["enum"] = values
    if shape.fields and not _is_map(shape):
        schema["properties"] = {each: _schema(inner, each, may_require=may_require) for each, inner in shape.fields.items()}
        objects = shape.types.get("object", 0)
        required = [each for each, inner in shape.fields.items() if may_require and objects >= REQUIRED_MIN and inner.n >= REQUIRED_SHARE * objects]
        if required:
            schema["required"] = required
    if shape.items is not None:
        schema["items"] = _schema(shape.items, name, may_require=may_require)
    return schema


def _types(shape: Shape, name: str) -> list[str]:
    """What a rule should say; nothing when only null was seen."""
    types = set(shape.types)
    if "integer" in types and ("number" in types or name in numeric_names()):
        types = (types - {"integer"}) | {"number"}
    return [] if types == {"null"} else sorted(types - {"null"}) + (["null"] if "null" in types else [])


def _format(shape: Shape) -> str:
    return shape.formats[0] if shape.formats and shape.types.get("string", 0) >= FORMAT_MIN else ""


def _values(shape: Shape, name: str) -> list[str]:
    texts, values = shape.types.get("string", 0), shape.values
    if values is None or not 2 <= len(values) <= ENUM_MAX or texts < max(ENUM_MIN, ENUM_EACH * len(values)):
        return []
    if min(values.values()) < 2 or all(value.isdigit() for value in values) or _is_personal(name, values):
        return []
    return sorted(values)


def _is_personal(name: str, values: Iterable[str]) -> bool:
    """Whether texts are of a person: those are never written into a plan."""
    return any(classify(name, value) is not None for value in values)


def _is_map(shape: Shape) -> bool:
    objects = shape.types.get("object", 0)
    return len(shape.fields) > MAP_FIELDS and all(inner.n < MAP_SHARE * objects for inner in shape.fields.values())


@cache
def _semantic() -> dict[tuple[str, str, float], Content]:
    return {identity(rule): dict(rule) for rule in known_rules()}


def _describe(schema: Content, known: Mapping[str, Any]) -> None:
    """Descriptions of the spec, where the rule speaks about the same."""
    schema |= {key: known[key] for key in ("description", "x-why") if key in known}
    for name, inner in schema.get("properties", {}).items():
        if isinstance(below := (known.get("properties") or {}).get(name), Mapping):
            _describe(inner, below)
    if "items" in schema and isinstance(known.get("items"), Mapping):
        _describe(schema["items"], known["items"])


def _grown(schema: Mapping[str, Any], fresh: Mapping[str, Any]) -> Content:
    """A schema with the fields of another that it does not know; it requires what it required."""
    grown = dict(schema)
    own = schema.get("properties")
    if isinstance(fresh.get("properties"), Mapping) and (own or not types_of(schema) or "object" in types_of(schema)):
        own = own if isinstance(own, Mapping) else {}
        grown["properties"] = {
            **{name: _grown(inner, fresh["properties"].get(name, {})) if isinstance(inner, Mapping) else inner for name, inner in own.items()},
            **{name: inner for name, inner in fresh["properties"].items() if name not in own},
        }
    if isinstance(schema.get("items"), Mapping) and isinstance(fresh.get("items"), Mapping):
        grown["items"] = _grown(schema["items"], fresh["items"])
    return grown


def _placed(schema: Mapping[str, Any], path: tuple[str, ...], made: Content) -> Content:
    """`schema` with `made` at a path; what leads there is an object (or array) if nothing is planned."""
    if not path:
        return made
    name, rest = path[0], path[1:]
    base = schema.get("items") if name == "$" else (schema.get("properties") or {}).get(name)
    if not isinstance(base, Mapping):
        base = {} if not rest else {"type": "array" if rest[0] == "$" else "object"}
    inner = _placed(base, rest, made)
    if name == "$":
        return dict(schema) | {"items": inner}
    return dict(schema) | {"properties": {**(schema.get("properties") or {}), name: inner}}


def _without_need(schema: Mapping[str, Any], path: tuple[str, ...]) -> Content:
    """`schema` with the field at a path required no more."""
    name, rest = path[0], path[1:]
    if not rest:
        required = [one for one in schema.get("required", ()) if one != name]
        return {key: value for key, value in schema.items() if key != "required"} | ({"required": required} if required else {})
    word, inner = ("items", schema.get("items")) if name == "$" else ("properties", schema.get("properties"))
    if not isinstance(inner, Mapping):
        return dict(schema)
    if name == "$":
        return dict(schema) | {word: _without_need(inner, rest)}
    below = inner.get(name)
    return dict(schema) | {word: dict(inner) | ({name: _without_need(below, rest)} if isinstance(below, Mapping) else {})}


def _widened(schema: Mapping[str, Any], seen: Content, *, keep_limits: bool) -> Content:
    """A schema that allows what it allowed and what was seen: other types, values, forms; and when it allowed all of these, no limits."""
    wide, own, new = dict(schema), types_of(schema), types_of(seen)
    if own:
        types = [*own, *(one for one in new if one not in own and not (one == "integer" and "number" in own))]
        types = [one for one in types if not (one == "integer" and "number" in types)]
        wide["type"] = types[0] if len(types) == 1 else types
    if "format" in schema and schema["format"] != seen.get("format"):
        del wide["format"]
    if "enum" in schema:
        if "enum" in seen:
            wide["enum"] = [*schema["enum"], *(value for value in seen["enum"] if value not in schema["enum"])]
        else:
            del wide["enum"]
    if wide == dict(schema) and not keep_limits:
        wide = {key: value for key, value in wide.items() if key not in _LIMITS}
    return wide

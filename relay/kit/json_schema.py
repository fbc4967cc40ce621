"""JSON Schema, draft 7, as tracking plans use it: checked before it is used, compiled once, patterns in linear time, nothing fetched.

The only module that knows the validator, besides `kit.violations`, which puts its errors into words.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from jsonschema_rs import Draft7Validator, ReferencingError, RegexOptions, ValidationError

from relay.errors import ConfigError

Keys = tuple[str | int, ...]
Schema = Mapping[str, Any]

DEPTH_MAX: Final = 100
SHOWN_CHARS: Final = 80

_ENGINE = RegexOptions()
_META = Draft7Validator({"$ref": "http://json-schema.org/draft-07/schema#"}, offline=True)
_SINGLE: Final = ("additionalProperties", "additionalItems", "contains", "items", "not", "if", "then", "else", "propertyNames")
_NAMED: Final = ("properties", "patternProperties", "definitions", "dependencies")
_LISTED: Final = ("allOf", "anyOf", "oneOf", "items")
_ASIDE: Final = ("allOf", "anyOf", "oneOf")
_TYPES: Final = "array, boolean, integer, null, number, object, string"
_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_LATER_DRAFT = re.compile(r"https?://json-schema\.org/draft/")
_LOCAL_POINTER = re.compile(r"#(?:/.*)?")


class SchemaMistake(NamedTuple):
    """What is wrong with a schema, where in it, and how to mend it."""

    keys: Keys
    message: str
    remedy: str = ""


def compile_schema(schema: Schema) -> Draft7Validator:
    """The validator of a schema; raises ConfigError when it has mistakes."""
    try:
        return Draft7Validator(_spelled_out(schema), pattern_options=_ENGINE, offline=True, validate_formats=True)
    except ValidationError as error:
        raise ConfigError(f"the schema cannot be used: {_short(error.message)}") from error
    except (ReferencingError, ValueError) as error:
        raise ConfigError(f"the schema cannot be used: {_short(str(error))}") from error


def mistakes_of(schema: Schema) -> list[SchemaMistake]:
    """Everything that is wrong with a schema; none: `compile_schema` takes it."""
    if deep := _too_deep(schema):
        return [SchemaMistake(deep, f"the schema is nested deeper than {DEPTH_MAX} levels", "flatten it, or move parts into definitions")]
    found = {mistake.keys: mistake for mistake in map(_told, _META.iter_errors(schema))}
    for keys, part in subschemas(schema):
        for mistake in (*_wrong_draft(keys, part), *_wrong_patterns(keys, part), *_wrong_reference(schema, keys, part)):
            found.setdefault(mistake.keys, mistake)
    if not found:
        try:
            compile_schema(schema)
        except ConfigError as error:
            keys = tuple(error.__cause__.instance_path) if isinstance(error.__cause__, ValidationError) else ()
            return [SchemaMistake(keys, error.message)]
    return list(found.values())


def subschemas(schema: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Schema]]:
    """A schema and every schema within it, each with its path."""
    if not isinstance(schema, Mapping):
        return
    yield keys, schema
    for word in _SINGLE:
        yield from subschemas(schema.get(word), (*keys, word))
    for word in _NAMED:
        inner = schema.get(word)
        for name, one in inner.items() if isinstance(inner, Mapping) else ():
            yield from subschemas(one, (*keys, word, name))
    for word in _LISTED:
        inner = schema.get(word)
        for index, one in enumerate(inner if isinstance(inner, list) else ()):
            yield from subschemas(one, (*keys, word, index))


def views(schema: Any, root: Schema) -> Iterator[Schema]:
    """The schemas that may speak about the same value: the schema itself, what it refers to, its alternatives and conditions."""
    waiting, known = [schema], set[int]()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping) or id(one) in known:
            continue
        known.add(id(one))
        if isinstance(one.get("$ref"), str):  # its siblings mean nothing in draft 7
            waiting.append(_resolve(root, one["$ref"]))
            continue
        yield one
        waiting += [one.get(word) for word in ("if", "then", "else")]
        waiting += [inner for word in _ASIDE for inner in one.get(word, ())]


def name_matcher(pattern: str) -> Draft7Validator:
    """`is_valid(name)`: whether a name matches a pattern of `patternProperties`."""
    return compile_schema({"pattern": pattern})


def _spelled_out(schema: Any) -> Any:
    """The same with an empty `properties` beside a lone `additionalProperties: false`: only then does the validator name what is too much."""
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for word in _SINGLE:
        if isinstance(made.get(word), Mapping):
            made[word] = _spelled_out(made[word])
    for word in _NAMED:
        if isinstance(made.get(word), Mapping):
            made[word] = {name: _spelled_out(one) for name, one in made[word].items()}
    for word in _LISTED:
        if isinstance(made.get(word), list):
            made[word] = [_spelled_out(one) for one in made[word]]
    if made.get("additionalProperties") is False:
        made.setdefault("properties", {})
    return made


def _told(error: ValidationError) -> SchemaMistake:
    """An error of the meta schema."""
    keys = tuple(error.instance_path)
    if keys and keys[-1] == "type":
        return SchemaMistake(keys, f"unknown type {_short(error.instance)}", f"one of {_TYPES}, or a list of them")
    if keys and keys[-1] == "pattern" and isinstance(error.instance, str):
        return SchemaMistake(
            keys, f"the pattern {_short(error.instance)} is no regular expression", "close every bracket; a backslash is written twice in JSON"
        )
    word = f"'{keys[-1]}' " if keys else ""
    return SchemaMistake(keys, f"{word}is not valid draft 7: {_short(error.message)}", "JSON Schema's page of the keyword says what it takes")


def _wrong_draft(keys: Keys, part: Schema) -> Iterator[SchemaMistake]:
    draft = part.get("$schema")
    if isinstance(draft, str) and _LATER_DRAFT.match(draft):
        remedy = 'write it in draft 7: "$schema": "http://json-schema.org/draft-07/schema#"'
        yield SchemaMistake((*keys, "$schema"), f"{_short(draft)} is a later draft, whose new words would mean nothing", remedy)


def _wrong_patterns(keys: Keys, part: Schema) -> Iterator[SchemaMistake]:
    patterns = [((*keys, "pattern"), part["pattern"])] if isinstance(part.get("pattern"), str) else []
    named = part.get("patternProperties")
    patterns += [((*keys, "patternProperties", name), name) for name in (named if isinstance(named, Mapping) else ())]
    for at, pattern in patterns:
        if _LOOKAROUND.search(pattern):
            remedy = 'say what must match; what must not match goes into `not`: {"not": {"pattern": ...}}'
            yield SchemaMistake(at, f"the pattern {_short(pattern)} looks ahead or behind, which takes no bounded time", remedy)
            continue
        try:
            name_matcher(pattern)
        except ConfigError:
            remedy = "patterns are matched in linear time: no backreferences, no look around, no huge repetitions"
            yield SchemaMistake(at, f"the pattern {_short(pattern)} cannot be used", remedy)


def _wrong_reference(root: Schema, keys: Keys, part: Schema) -> Iterator[SchemaMistake]:
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return
    if not reference.startswith("#"):
        yield SchemaMistake((*keys, "$ref"), f"refers to {_short(reference)}, which is outside of this schema", "copy what is meant into definitions")
    elif _LOCAL_POINTER.fullmatch(reference) and "$id" not in root and _resolve(root, reference) is None:
        yield SchemaMistake(
            (*keys, "$ref"), f"refers to {_short(reference)}, which is not there", "add it, or mend the path: it starts at this schema"
        )
    elif _is_circle(root, reference):
        yield SchemaMistake((*keys, "$ref"), f"refers to {_short(reference)}, which leads back to itself and says nothing", "say what is meant there")


def _is_circle(root: Schema, reference: Any) -> bool:
    """Whether references lead from one to the next for ever."""
    known = set[str]()
    while isinstance(reference, str) and _LOCAL_POINTER.fullmatch(reference):
        if reference in known:
            return True
        known.add(reference)
        target = _resolve(root, reference)
        reference = target.get("$ref") if isinstance(target, Mapping) else None
    return False


def _resolve(root: Schema, reference: str) -> Any:
    """What a local reference points to; None: nothing."""
    value: Any = root
    for token in unquote(reference[1:]).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _too_deep(schema: Any) -> Keys:
    """The path of what lies too deep; empty: nothing does."""
    waiting: list[tuple[Keys, Any]] = [((), schema)]
    while waiting:
        keys, value = waiting.pop()
        if len(keys) > DEPTH_MAX:
            return keys
        if isinstance(value, Mapping):
            waiting += [((*keys, str(key)), item) for key, item in value.items() if isinstance(item, Mapping | list)]
        elif isinstance(value, list):
            waiting += [((*keys, index), item) for index, item in enumerate(value) if isinstance(item, Mapping | list)]
    return ()


def _short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) and not value.startswith('"') else str(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"

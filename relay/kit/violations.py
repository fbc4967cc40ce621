"""What is wrong with an event by its rule, in the words of Segment's validator, so that what reads its violations reads these.

Types and texts are those of the Go library gojsonschema (semantics page 2.4), its type names in title case: `Required`, `Invalid Type`,
`Enum`, `String Gte` ... No text holds a value of the event, only its field names and what the rule says.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from jsonschema_rs import ValidationError

from relay.base import jsonio

Keys = tuple[str | int, ...]
ROOT: Final = "(root)"


class Violation(NamedTuple):
    """One way in which an event breaks its rule."""

    type: str
    field: str
    """The full dotted path, `(root)` for the message itself."""
    description: str
    keys: Keys = ()
    """The path in parts: names, and indices of lists."""


def path_text(keys: Iterable[str | int]) -> str:
    r"""A path as people read it: dotted, a dot within a name as `\.`, the message itself as `(root)`."""
    return ".".join([str(key).replace("\\", "\\\\").replace(".", "\\.") for key in keys]) or ROOT


def field_group(keys: Iterable[str | int]) -> str:
    """The path with every item of a list alike: `properties.products.$.price`, as Segment's plans write it."""
    return path_text("$" if isinstance(key, int) else key for key in keys)


def violations_of(errors: Iterable[ValidationError]) -> list[Violation]:
    """All violations, each once, in the order of the rule; conditions and `allOf` around an error are told before it."""
    found: dict[Violation, None] = {}
    for error in errors:
        where: Keys = tuple(error.instance_path)
        for kind, text, depth in _around(tuple(error.evaluation_path), len(where)):
            found.setdefault(_violation(kind, where[:depth], text))
        for violation in _told(error, where):
            found.setdefault(violation)
    return list(found)


def _around(path: Keys, deepest: int) -> Iterator[tuple[str, str, int]]:
    """(type, text, how deep in the event) of each keyword around an error that is a violation of its own."""
    at = depth = 0
    while at < len(path) - 1:
        word, following = path[at], path[at + 1]
        if word in ("properties", "patternProperties"):
            depth, at = depth + 1, at + 2
        elif word == "items":
            depth, at = depth + 1, at + 1 + isinstance(following, int)
        elif word in ("additionalProperties", "additionalItems"):
            depth, at = depth + 1, at + 1
        elif word in _AROUND:
            kind, text = _AROUND[word]
            yield kind, text, min(depth, deepest)
            at += 1 + isinstance(following, int)
        else:
            at += 2 if word in ("anyOf", "oneOf", "dependencies") else 1


def _told(error: ValidationError, keys: Keys) -> Iterator[Violation]:
    kind = type(error.kind).__name__
    said: dict[str, Any] = error.kind.as_dict()
    if kind == "Required":
        field = (*keys, said["property"])
        if error.schema_path[-1] == "dependencies":
            yield _violation("Missing Dependency", keys, f"Has a dependency on {said['property']}")
        else:
            yield _violation("Required", field, f"{path_text(field)} is required")
    elif kind == "AdditionalProperties":
        for name in said["unexpected"]:
            yield _violation("Additional Property Not Allowed", (*keys, name), f"Additional property {name} is not allowed")
    elif kind == "PropertyNames":
        name = str(said["error"].instance)
        yield _violation("Invalid Property Name", (*keys, name), f'Property name of "{name}" does not match')
    elif kind in _WORDS:
        title, text = _WORDS[kind]
        yield _violation(title, keys, text(said, error.instance, path_text(keys)))
    else:
        yield _violation(_title(kind), keys, "Does not match the rule")


def _violation(kind: str, keys: Keys, text: str) -> Violation:
    return Violation(kind, path_text(keys), text, keys)


def _title(kind: str) -> str:
    """`ContentEncoding` as `Content Encoding`."""
    return "".join(f" {letter}" if letter.isupper() else letter for letter in kind).strip()


def _given(value: Any) -> str:
    """What gojsonschema calls the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _json(value: Any) -> str:
    return jsonio.dumps(value).decode()


def _says(text: str, key: str = "") -> Callable[[dict[str, Any], Any, str], str]:
    return lambda said, instance, field: text.format(said.get(key))


_AROUND: Final = {
    "allOf": ("Number All Of", "Must validate all the schemas"),
    "then": ("Condition Then", 'Must validate "then" as "if" was valid'),
    "else": ("Condition Else", 'Must validate "else" as "if" was not valid'),
}
_WORDS: Final[dict[str, tuple[str, Callable[[dict[str, Any], Any, str], str]]]] = {
    "Type": ("Invalid Type", lambda said, instance, field: f"Invalid type. Expected: {','.join(said['types'])}, given: {_given(instance)}"),
    "Enum": ("Enum", lambda said, instance, field: f"{field} must be one of the following: {', '.join(map(_json, said['options']))}"),
    "Constant": ("Const", lambda said, instance, field: f"{field} does not match: {_json(said['expected_value'])}"),
    "Pattern": ("Pattern", _says("Does not match pattern '{}'", "pattern")),
    "Format": ("Format", _says("Does not match format '{}'", "format")),
    "MinLength": ("String Gte", _says("String length must be greater than or equal to {}", "limit")),
    "MaxLength": ("String Lte", _says("String length must be less than or equal to {}", "limit")),
    "Minimum": ("Number Gte", _says("Must be greater than or equal to {}", "limit")),
    "Maximum": ("Number Lte", _says("Must be less than or equal to {}", "limit")),
    "ExclusiveMinimum": ("Number Gt", _says("Must be greater than {}", "limit")),
    "ExclusiveMaximum": ("Number Lt", _says("Must be less than {}", "limit")),
    "MultipleOf": ("Multiple Of", _says("Must be a multiple of {}", "multiple_of")),
    "MinItems": ("Array Min Items", _says("Array must have at least {} items", "limit")),
    "MaxItems": ("Array Max Items", _says("Array must have at most {} items", "limit")),
    "UniqueItems": ("Unique", _says("array items must be unique")),
    "Contains": ("Contains", _says("At least one of the items must match")),
    "AdditionalItems": ("Array No Additional Items", _says("No additional items allowed on array")),
    "MinProperties": ("Array Min Properties", _says("Must have at least {} properties", "limit")),
    "MaxProperties": ("Array Max Properties", _says("Must have at most {} properties", "limit")),
    "AnyOf": ("Number Any Of", _says("Must validate at least one schema (anyOf)")),
    "OneOfNotValid": ("Number One Of", _says("Must validate one and only one schema (oneOf)")),
    "OneOfMultipleValid": ("Number One Of", _says("Must validate one and only one schema (oneOf)")),
    "Not": ("Number Not", _says("Must not validate the schema (not)")),
    "FalseSchema": ("False", _says("False always fails validation")),
}

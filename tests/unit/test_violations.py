"""What is wrong with an event, in Segment's words: type, field and text of each kind, and no value of the event in any of them."""

from typing import Any

import pytest

from relay.kit.json_schema import compile_schema
from relay.kit.violations import field_group, path_text, violations_of


def violations(schema: dict[str, Any], value: Any) -> list[tuple[str, str, str]]:
    """(type, field, text) of a value at `properties.x`."""
    whole = {"properties": {"properties": {"properties": {"x": schema}}}}
    return [one[:3] for one in violations_of(compile_schema(whole).iter_errors({"properties": {"x": value}}))]


@pytest.mark.parametrize(
    ("schema", "value", "kind", "text"),
    [
        ({"type": "integer"}, 1.5, "Invalid Type", "Invalid type. Expected: integer, given: number"),
        ({"type": "string"}, None, "Invalid Type", "Invalid type. Expected: string, given: null"),
        ({"type": "string"}, True, "Invalid Type", "Invalid type. Expected: string, given: boolean"),
        ({"type": "array"}, {}, "Invalid Type", "Invalid type. Expected: array, given: object"),
        ({"type": "object"}, 3, "Invalid Type", "Invalid type. Expected: object, given: integer"),
        ({"type": "number"}, "secret", "Invalid Type", "Invalid type. Expected: number, given: string"),
        ({"type": "null"}, ["secret"], "Invalid Type", "Invalid type. Expected: null, given: array"),
        ({"enum": ["S", 1]}, "secret", "Enum", 'properties.x must be one of the following: "S", 1'),
        ({"const": "S"}, "secret", "Const", 'properties.x does not match: "S"'),
        ({"pattern": "^a"}, "secret", "Pattern", "Does not match pattern '^a'"),
        ({"format": "date-time"}, "secret", "Format", "Does not match format 'date-time'"),
        ({"minLength": 9}, "secret", "String Gte", "String length must be greater than or equal to 9"),
        ({"maxLength": 2}, "secret", "String Lte", "String length must be less than or equal to 2"),
        ({"minimum": 9}, 1, "Number Gte", "Must be greater than or equal to 9"),
        ({"maximum": 9}, 10, "Number Lte", "Must be less than or equal to 9"),
        ({"exclusiveMinimum": 9}, 9, "Number Gt", "Must be greater than 9"),
        ({"exclusiveMaximum": 9}, 9, "Number Lt", "Must be less than 9"),
        ({"multipleOf": 2}, 9, "Multiple Of", "Must be a multiple of 2"),
        ({"minItems": 1}, [], "Array Min Items", "Array must have at least 1 items"),
        ({"maxItems": 1}, [1, 2], "Array Max Items", "Array must have at most 1 items"),
        ({"uniqueItems": True}, [1, 1], "Unique", "array items must be unique"),
        ({"contains": {"const": 1}}, [2], "Contains", "At least one of the items must match"),
        ({"items": [{}], "additionalItems": False}, [1, 2], "Array No Additional Items", "No additional items allowed on array"),
        ({"minProperties": 1}, {}, "Array Min Properties", "Must have at least 1 properties"),
        ({"maxProperties": 0}, {"a": 1}, "Array Max Properties", "Must have at most 0 properties"),
        ({"anyOf": [{"type": "string"}]}, 1, "Number Any Of", "Must validate at least one schema (anyOf)"),
        ({"oneOf": [{"type": "string"}]}, 1, "Number One Of", "Must validate one and only one schema (oneOf)"),
        ({"oneOf": [{}, {}]}, 1, "Number One Of", "Must validate one and only one schema (oneOf)"),
        ({"not": {"const": "secret"}}, "secret", "Number Not", "Must not validate the schema (not)"),
        ({"dependencies": {"a": ["b"]}}, {"a": "secret"}, "Missing Dependency", "Has a dependency on b"),
    ],
)  # fmt: skip
def test_each_kind_has_its_type_and_text(schema: dict[str, Any], value: Any, kind: str, text: str) -> None:
    assert violations(schema, value) == [(kind, "properties.x", text)]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"required": ["id"]}, {}, [("Required", "properties.x.id", "properties.x.id is required")]),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "b": 2, "c": 3},
            [("Additional Property Not Allowed", f"properties.x.{name}", f"Additional property {name} is not allowed") for name in "bc"],
        ),
        (
            {"additionalProperties": False},
            {"b": 2, "c": 3},
            [("Additional Property Not Allowed", f"properties.x.{name}", f"Additional property {name} is not allowed") for name in "bc"],
        ),
        (
            {"properties": {"dependencies": {"required": ["id"]}}},
            {"dependencies": {}},
            [("Required", "properties.x.dependencies.id", "properties.x.dependencies.id is required")],
        ),
        ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, [("Invalid Property Name", "properties.x.abc", 'Property name of "abc" does not match')]),
        ({"items": {"required": ["id"]}}, [{"id": 1}, {}], [("Required", "properties.x.1.id", "properties.x.1.id is required")]),
        (
            {"properties": {"a.b": {"type": "null"}}},
            {"a.b": 1},
            [("Invalid Type", "properties.x.a\\.b", "Invalid type. Expected: null, given: integer")],
        ),
        ({"properties": {"y": False}}, {"y": 1}, [("False", "properties.x.y", "False always fails validation")]),
    ],
)
def test_the_field_is_the_full_path_of_what_is_wrong(schema: dict[str, Any], value: Any, expected: list[tuple[str, str, str]]) -> None:
    assert violations(schema, value) == expected


def test_conditions_and_all_of_are_told_beside_what_breaks_them() -> None:
    then = {"if": {"type": "number"}, "then": {"minimum": 10}, "else": {"allOf": [{"type": "string"}, {"minLength": 3}]}}
    assert [one[0] for one in violations(then, 9)] == ["Condition Then", "Number Gte"]
    assert [one[0] for one in violations(then, "ab")] == ["Condition Else", "Number All Of", "String Gte"]
    common = compile_schema({"allOf": [{"required": ["userId"]}, {"properties": {"context": {"required": ["site"]}}}]})
    assert [one[:2] for one in violations_of(common.iter_errors({"context": {}}))] == [
        ("Number All Of", "(root)"), ("Required", "userId"), ("Required", "context.site"),
    ]  # fmt: skip


def test_names_of_keywords_in_an_event_are_names() -> None:
    schema = {"properties": {"then": {"properties": {"allOf": {"items": {"type": "string"}}}}}}
    assert [one[:2] for one in violations(schema, {"then": {"allOf": [1]}})] == [("Invalid Type", "properties.x.then.allOf.0")]


def test_each_violation_is_told_once() -> None:
    schema = {"allOf": [{"type": "string"}, {"type": "string"}], "anyOf": [{"type": "null"}, {"type": "string"}]}
    assert [one[0] for one in violations(schema, 1)] == ["Number All Of", "Invalid Type", "Number Any Of"]


def test_a_path_is_told_with_its_dots_escaped() -> None:
    assert (path_text(()), path_text(("a.b", 0, "c\\d"))) == ("(root)", "a\\.b.0.c\\\\d")
    assert field_group(("properties", "products", 12, "0")) == "properties.products.$.0"

"""Field coercion against captured cases of the reference, and its own promises."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError, PayloadError
from relay.kit import coerce_fields
from relay.kit.coerce import compile_fields
from relay.kit.definition import Field

DATA = json.loads((Path(__file__).parent.parent / "data" / "mapping_cases.json").read_text())


@pytest.mark.parametrize("case", DATA["fields"], ids=lambda case: case["id"])
def test_fields_are_coerced_as_in_the_reference(case: dict[str, Any]) -> None:
    if case.get("error"):
        with pytest.raises(PayloadError):
            coerce_fields(case["fields"], case["values"])
    else:
        assert json.dumps(coerce_fields(case["fields"], case["values"])) == json.dumps(case["payload"])


WEB = {"match": "any", "conditions": [{"fieldKey": "kind", "operator": "is", "value": "web"}, {"fieldKey": "id", "operator": "is"}]}
UNLESS = {"conditions": [{"fieldKey": "o.a", "operator": "is_not", "value": 1}]}


@pytest.mark.parametrize(
    ("fields", "values", "missing"),
    [
        ({"url": {"type": "string", "required": WEB}, "kind": {"type": "string"}}, {"kind": "web"}, "url"),
        ({"url": {"type": "string", "required": WEB}, "kind": {"type": "string"}, "id": {"type": "string"}}, {"kind": "app"}, "url"),
        ({"url": {"type": "string", "required": WEB}, "kind": {"type": "string"}, "id": {"type": "string"}}, {"kind": "app", "id": "1"}, ""),
        ({"url": {"type": "string", "required": UNLESS}, "o": {"type": "object"}}, {"o": {"a": 2}}, "url"),
        ({"url": {"type": "string", "required": UNLESS}, "o": {"type": "object"}}, {"o": {"a": 1}}, ""),
        ({"o": {"type": "object", "properties": {"a": {"type": "string", "required": WEB}}}, "kind": {"type": "string"}}, {"kind": "web"}, "o.a"),
    ],
)
def test_a_field_may_be_required_on_a_condition(fields: dict[str, Any], values: dict[str, Any], missing: str) -> None:
    if not missing:
        assert coerce_fields(fields, values) == values
        return
    with pytest.raises(PayloadError) as caught:
        coerce_fields(fields, values)
    assert caught.value.field == missing


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({"type": "string", "minimum": 2, "maximum": 3}, "ab", "abcd"), ({"type": "number", "minimum": 1, "maximum": 3}, "3", 3.5),
        ({"type": "number", "choices": [1, 2]}, "2", 3), ({"type": "string", "allowNull": True, "format": "email"}, None, "x"),
    ],
)  # fmt: skip
def test_a_range_or_a_choice_is_checked_after_the_type(field: dict[str, Any], good: Any, bad: Any) -> None:
    assert "x" in coerce_fields({"x": field}, {"x": good})
    with pytest.raises(PayloadError):
        coerce_fields({"x": field}, {"x": bad})


def test_an_open_object_keeps_what_it_does_not_declare() -> None:
    field = {"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": True}
    assert coerce_fields({"o": field}, {"o": {"a": "1", "b": None}}) == {"o": {"a": 1, "b": None}}


@pytest.mark.parametrize(
    ("field", "remedy"),
    [({"type": "strng"}, '"string"'), ({"type": "string", "format": "emial"}, '"email"'), ({"type": "string", "multipel": True}, '"multiple"')],
)
def test_a_wrong_definition_is_told_the_nearest_word(field: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        coerce_fields({"x": field}, {})
    assert remedy in caught.value.problems[0].remedy


def test_an_object_is_neither_copied_nor_walked() -> None:
    payload = {"a": {"b": None}}
    assert compile_fields((Field("data", "Data", "object"),))({"data": payload})["data"] is payload


@pytest.mark.parametrize(
    ("field", "values", "place"),
    [
        (Field("n", "N", "number"), {"n": "secret"}, "n"),
        (Field("n", "N", required=True), {}, "n"),
        (
            Field("o", "O", "object", properties=(Field("a", "A", "object", properties=(Field("b", "B", "integer"),)),)),
            {"o": {"a": {"b": "secret"}}},
            "o.a.b",
        ),
        (Field("c", "C", choices=("a",)), {"c": "secret"}, "c"),
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(field: Field, values: dict[str, Any], place: str) -> None:
    with pytest.raises(PayloadError) as caught:
        compile_fields((field,))(values)
    assert caught.value.field == place
    assert f'"{place}"' in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("number", " 5 ", 5), ("number", "1e3", 1000), ("number", [7], 7), ("string", 24.0, "24"), ("string", 1e21, "1e+21"),
        ("boolean", 0, False), ("boolean", "false", False), ("integer", 7.0, 7), ("datetime", "2026-13-45", "2026-13-45"),
        ("datetime", "Jan 10, 2026 09:00 UTC", "Jan 10, 2026 09:00 UTC"), ("object", [{"a": 1}], {"a": 1}),
    ],
)  # fmt: skip
def test_a_value_becomes_what_the_field_wants(kind: str, given: Any, wanted: Any) -> None:
    (value,) = compile_fields((Field("x", "X", kind),))({"x": given}).values()
    assert value == wanted
    assert type(value) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("boolean", 2), ("number", "1e999"), ("number", {}), ("integer", "2.5"), ("datetime", True), ("datetime", "10.0.0.1"), ("string", {})],
)
def test_a_value_that_does_not_fit_is_refused(kind: str, given: Any) -> None:
    with pytest.raises(PayloadError):
        compile_fields((Field("x", "X", kind),))({"x": given})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("email", "a.b+c@example.co", " a@b.co"), ("uri", "https://x.example/a?b=1", "https://a b"), ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-01-10T09:00:00.5Z", "2026-01-10T09:00:00"), ("uuid", "6fa459ea-ee8a-3ca4-894e-db77e160355e", "6fa459ea"),
        ("ipv4", "203.0.113.7", "203.0.113.256"), ("ipv6", "2001:db8::7", "2001:db8::7::1"), ("ipv6", "::ffff:203.0.113.7", "1:2:3:4:5:6:7"),
        ("hostname", "a-b.example", "-a.example"),
    ],
)  # fmt: skip
def test_a_format_is_checked(name: str, good: str, bad: str) -> None:
    coerce = compile_fields((Field("x", "X", format=name),))
    assert coerce({"x": good}) == {"x": good}
    with pytest.raises(PayloadError):
        coerce({"x": bad})


@pytest.mark.parametrize("field", [Field("x", "X", "strin"), Field("x", "X", format="emial")])
def test_a_definition_with_a_misspelt_type_or_format_is_refused(field: Field) -> None:
    with pytest.raises(ConfigError):
        compile_fields((field,))

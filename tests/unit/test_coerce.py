"""Field coercion against captured cases of the reference, and its own promises."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError, PayloadError
from relay.kit.coerce import compile_fields
from relay.kit.definition import Field

DATA = json.loads((Path(__file__).parent.parent / "data" / "mapping_cases.json").read_text())


def field_of(name: str, given: dict[str, Any]) -> Field:
    return Field(
        name, name, given["type"],
        required=given.get("required", False), multiple=given.get("multiple", False), allow_null=given.get("allowNull", False),
        choices=tuple(choice["value"] if isinstance(choice, dict) else choice for choice in given.get("choices", ())),
        format=given.get("format", ""),
        properties=tuple(field_of(key, value) for key, value in given.get("properties", {}).items()),
    )  # fmt: skip


@pytest.mark.parametrize("case", DATA["fields"], ids=lambda case: case["id"])
def test_fields_are_coerced_as_in_the_reference(case: dict[str, Any]) -> None:
    coerce = compile_fields(tuple(field_of(name, given) for name, given in case["fields"].items()))
    if case.get("error"):
        with pytest.raises(PayloadError):
            coerce(case["values"])
    else:
        assert json.dumps(coerce(case["values"])) == json.dumps(case["payload"])


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
    ("kind", "given"), [("boolean", 2), ("number", "1e999"), ("number", {}), ("integer", "2.5"), ("datetime", True), ("string", {})]
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

"""The mapping kit against captured cases of the reference, and its own promises."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError, PayloadError
from relay.kit import ABSENT, resolve_mapping
from relay.kit.mapping import compile_mapping

DATA = json.loads((Path(__file__).parent.parent / "data" / "mapping_cases.json").read_text())
CASES = DATA["mapping"]

OTHERWISE = {
    "map-d19": "an empty placeholder is refused: it would print the whole event as [object Object]",
    "map-d74": "a mapping that is a string is refused: the reference takes it apart into characters",
    "map-d79": "an object in a template is printed as JSON, not as [object Object]",
}
"""Quirks of the reference that are answered differently on purpose."""


KNOWN = [case for case in CASES if case["id"] not in OTHERWISE]


def event_of_case(case: dict[str, Any]) -> Any:
    return DATA["common"] if case["input"] == "common" else case["input"]


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case["id"])
def test_a_mapping_gives_what_the_reference_gives(case: dict[str, Any]) -> None:
    if case.get("error"):
        with pytest.raises((ConfigError, PayloadError)):
            resolve_mapping(case["mapping"], event_of_case(case))
    elif case.get("absent"):
        assert resolve_mapping(case["mapping"], event_of_case(case)) is ABSENT
    else:
        output = resolve_mapping(case["mapping"], event_of_case(case))
        assert json.dumps(output) == json.dumps(case["output"])  # the order of keys too: signatures depend on it


def test_only_quirks_are_answered_otherwise() -> None:
    assert len(KNOWN) + len(OTHERWISE) == len(CASES) == 79
    assert all(case.get("quirk") for case in CASES if case["id"] in OTHERWISE)


@pytest.mark.parametrize("mapping", [{"a": {"@template": "{{ }}"}}, "$.event"], ids=["map-d19", "map-d74"])
def test_quirks_that_only_lose_data_are_refused(mapping: Any) -> None:
    with pytest.raises(ConfigError):
        resolve_mapping(mapping, DATA["common"])


def test_a_template_prints_an_object_as_json() -> None:
    assert resolve_mapping({"a": {"@template": "{{e}} {{n}}"}}, {"e": {"f": 2.0}, "n": 1e21}) == {"a": '{"f":2} 1e+21'}


@pytest.mark.parametrize(
    ("mapping", "place", "remedy"),
    [
        ({"data": {"mail": {"@pth": "$.x"}}}, "data.mail.@pth", '"@path"'),
        ({"list": [1, {"@tmplate": "x"}]}, "list[1].@tmplate", '"@template"'),
        ({"a": {"@path": "$.x", "b": 1}}, "a.@path", '"b"'),
        ({"a": {"@if": {"exists": {"@path": 5}, "then": 1}}}, "a.@if.exists.@path", ""),
        ({"a": {"@case": {"operator": "uper", "value": "x"}}}, "a.@case.operator", '"upper"'),
        ({"a": {"@case": {"value": "x"}}}, "a.@case", '"operator": "lower"'),
        ({"a": {"@replace": {"patern": "a", "value": "b"}}}, "a.@replace.patern", '"pattern"'),
        ({"a": {"@replace": {"pattern": "a" * 11, "value": "b"}}}, "a.@replace.pattern", ""),
        ({"a": {"@json": {"mode": "encode", "value": ""}}}, "a.@json.value", ""),
        ({"a": {"@arrayPath": "$.x"}}, "a.@arrayPath", "$.properties.products"),
        ({"a": {"@arrayPath": ["$.x", {"y": {"@pat": 1}}]}}, "a.@arrayPath[1].y.@pat", '"@path"'),
        ({"a": {"@flatten": {"value": 1, "seperator": "."}}}, "a.@flatten.seperator", '"separator"'),
        ({"a": {"@merge": {"direction": "right", "objects": [{}, "x"]}}}, "a.@merge.objects[1]", ""),
        ({"a": {"@merge": {"direction": "rihgt", "objects": []}}}, "a.@merge.direction", '"right"'),
        ({"a": {"@transform": {"apply": "x", "mapping": {}}}}, "a.@transform.apply", ""),
        ({"a": {"@liquid": {"@path": "$.x"}}}, "a.@liquid", ""),
        ({"a": {"@liquid": "x" * 1_001}}, "a.@liquid", "two fields"),
        ({"a": {"@liquid": "{% for x in y %}{% endfor %}"}}, "a.@liquid", "tags are if"),
        ({"a": {"@liquid": "{{ x | sort }}"}}, "a.@liquid", "filters are"),
        ({"a": {"@liquid": "{{ x | upcas }}"}}, "a.@liquid", '"upcase"'),
        ({"a": {"@liquid": "{{ x | "}}, "a.@liquid", ""),
    ],
)
def test_a_mistake_names_its_place_and_the_remedy(mapping: dict[str, Any], place: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_mapping(mapping)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"{place}: ")
    assert remedy in problem.remedy


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_mapping({"a": {"@nope": 1}, "b": {"c": {"@path": 1}}})
    assert len(caught.value.problems) == 2


def test_the_whole_event_is_the_same_object() -> None:
    payload = {"type": "track", "properties": {"a": 1}}
    fields = compile_mapping({"data": {"@path": "$."}, "method": "POST"})(payload)
    assert fields["data"] is payload
    assert list(fields) == ["data", "method"]


def test_events_do_not_see_each_other_through_constants() -> None:
    resolve = compile_mapping({"a": 1, "b": {"@path": "x"}})
    assert (resolve({"x": 1}), resolve({}), resolve({"x": 2})) == ({"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 2})
    constant = compile_mapping({"a": 1})
    assert constant({}) is not constant({})


def test_fields_that_are_no_object_are_the_events_fault_or_the_mappings() -> None:
    with pytest.raises(PayloadError):
        compile_mapping({"@path": "$.userId"})({"userId": "u"})
    with pytest.raises(ConfigError):
        compile_mapping({"@literal": 5})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_event_resolves_without_a_bug(value: Any) -> None:
    mapping = {
        "path": {"@path": "$.a.b[0]"},
        "template": {"@template": "{{a}} {{a.b.c}}"},
        "if": {"@if": {"blank": {"@path": "$.a"}, "then": {"@path": "a.0"}, "else": {"@path": "a.length"}}},
    }
    assert isinstance(compile_mapping(mapping)({"a": value}), dict)

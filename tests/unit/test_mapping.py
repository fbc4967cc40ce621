"""The mapping kit against captured cases of the reference, and its own promises."""

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("mapping", "wanted"),
    [
        ({"@path": "$.s.0"}, "h"),
        ({"@path": "a$.b"}, 1),
        ({"a": {"@merge": {"direction": "right", "objects": [{"x": 1, "y": 2}, {"x": {"@path": "$.no"}}]}}}, {"a": {"y": 2}}),
        ({"a": {"@merge": {"direction": "right", "objects": [{"x": 1}, {"@if": {"exists": 1, "then": {"x": {"@path": "no"}}}}]}}}, {"a": {}}),
        ({"a": {"@arrayPath": ["$.list", {"@arrayPath": ["$.in", {"v": {"@path": "$."}}]}]}}, {"a": [[{"v": 1}, {"v": 2}], None]}),
        ({"a": {"@replace": {"pattern": "H", "replacement": "$$", "ignorecase": True, "value": {"@path": "s"}}}}, {"a": "$i $t$"}),
        ({"a": {"@flatten": {"value": {"@path": "$.list"}, "separator": "/"}}}, {"a": {"0/in/0": 1, "0/in/1": 2}}),
        ({"a": {"@template": "{{{s}}}{{s}} {{list.0.in}}"}}, {"a": "hi hthhi hth 1,2"}),
        ({"a": {"@json": {"mode": "encode", "value": {"@path": "$.f"}}}}, {"a": "[2,2.5,1e+21]"}),
        ({"__segment_internal_directive": {"@transform": {"apply": {"n": {"@path": "$.s"}}}}, "m": {"@path": "$.n"}}, {"m": "hi hth"}),
    ],
)
def test_a_mapping_gives_what_javascript_would(mapping: dict[str, Any], wanted: Any) -> None:
    event = {"s": "hi hth", "ab": 1, "list": [{"in": [1, 2]}, {}], "f": [2.0, 2.5, 1e21]}
    assert resolve_mapping(mapping, event) == wanted


@pytest.mark.parametrize(
    ("mapping", "event"),
    [
        ({"a": {"@path": {"@path": "$.n"}}}, {"n": 5}),
        ({"a": {"@arrayPath": ["$.l", {"@transform": {"apply": {}, "mapping": {}}}]}}, {"l": [1]}),
        ({"a": {"@liquid": "{{ n | append }}"}}, {"n": 5}),
        ({"a": {"@json": {"mode": "encode", "value": {"@path": "$.n"}}}}, {"n": "\ud800"}),
    ],
)
def test_what_an_event_makes_wrong_is_the_events_fault(mapping: dict[str, Any], event: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        resolve_mapping(mapping, event)


LIQUID = {
    "{{ p | times: 2 }} {{ p | plus: 0.1 }} {{ 7 | divided_by: 2 }} {{ p | round }} {{ 1.005 | round: 2 }}": "49 24.6 3.5 25 1.01",
    "{{ b }} {{ n }} {{ l }} {{ o }} {{ big }}": 'true  ab {"x":1} 1e+21',
    "{{ l | join }}|{{ l | first }}{{ l | last }}|{{ l.size }}|{{ s | size }}": "a b|ab|2|6",
    "{% assign x = s | upcase %}{{ x }}{% capture y %}<{{ n }}>{% endcapture %}{{ y | escape }}": "HI HTH&lt;&gt;",
    "{% unless n %}a{% endunless %}{% if l contains 'b' and p >= 24.5 %}b{% elsif b %}c{% endif %}": "ab",
    "{{ t | date: '%a %-d %b %Y %H:%M:%S.%L %s' }} {{ 0 | date: '%Y' }}": "Sat 10 Jan 2026 08:00:00.250 1768032000 1970",
    "{{ s | replace: 'h', '-' | split: '-' | json }} {{ o | json }}": '["","i ","t"] {"x":1}',
    "{{ s | truncate: 4 }} {{ s | truncatewords: 1 }} {{ s | slice: -3, 2 }} {{ s | capitalize }}": "h... hi... ht Hi hth",
    "{{ 'a b&c/d?é' | url_encode }} {{ 'a+b%20c' | url_decode }} {{ 'Hé Llo!' | slugify: 'latin' }}": "a+b%26c%2Fd%3F%C3%A9 a b c he-llo",
    "{{ s | sha256 | slice: 0, 8 }} {{ s | base64_encode | base64_decode }} {{ n | default: 'd' }} {{ s | nofilter }}": "89c9c11e hi hth d hi hth",
}


@pytest.mark.parametrize(("text", "wanted"), LIQUID.items())
def test_liquid_prints_as_the_reference(text: str, wanted: str) -> None:
    event = {
        "p": 24.5, "b": True, "n": None, "l": ["a", "b"], "o": {"x": 1.0}, "big": 1e21, "s": "hi hth", "t": "2026-01-10T09:00:00.250+01:00",
    }  # fmt: skip
    assert resolve_mapping({"a": {"@liquid": text}}, event) == {"a": wanted}


def test_liquid_that_grows_without_bound_is_ended() -> None:
    text = "{% assign x = s %}" + "{% assign x = x | replace: 'a', x %}" * 25 + "{{ x | size }}"
    with pytest.raises(PayloadError, match="characters"):
        resolve_mapping({"a": {"@liquid": text}}, {"s": "aa"})

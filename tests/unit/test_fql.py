"""Triggers against captured cases of the reference, and what is refused at save time."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.base.event import TYPES, event_of
from relay.errors import ConfigError, PayloadError
from relay.kit import match_filter, match_trigger
from relay.kit.fql import compile_filter, compile_trigger, filter_names, filter_types, possible_types

DATA = json.loads((Path(__file__).parent.parent / "data" / "mapping_cases.json").read_text())
CASES = DATA["triggers"]

REFUSED = {
    "trg-d42": "an index into a list never matches",
    "trg-d54": "and/or mixed: the reference lets the last keyword decide",
    "trg-d55": "and/or mixed",
    "trg-d56": "and/or mixed",
    "trg-d57": "== is misread",
    "trg-d58": "a bare word as value",
    "trg-d59": "single quotes are misread",
    "trg-d61": "no value",
    "trg-d64": "ends in a keyword",
    "trg-d70": "NOT is misread",
    "trg-d71": "AND cuts the rest off",
}
"""Quirks of the reference that are refused, since they only lose or misdirect data."""
WIDER = {"trg-d37": "match with * in the middle", "trg-d69": "in a list"}
"""What the reference misreads and relay reads: they mean what they say, as in a filter."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_trigger_matches_as_in_the_reference_or_is_refused(case: dict[str, Any]) -> None:
    event = DATA["common"] if case["event"] == "common" else case["event"]
    if case.get("parse_error") or case["id"] in REFUSED:
        with pytest.raises(ConfigError, match=r"^trigger, character \d+: "):
            match_trigger(case["trigger"], event)
    else:
        assert match_trigger(case["trigger"], event) is (case["matches"] or case["id"] in WIDER)


def test_only_quirks_are_refused() -> None:
    assert all(case.get("quirk") for case in CASES if case["id"] in REFUSED | WIDER)


@pytest.mark.parametrize(
    ("trigger", "character", "remedy"),
    [
        ('type = "track" and event = "A" or event = "B"', 32, "parentheses"),
        ('type = "track" AND event = "A"', 16, '"and"'),
        ('event == "A"', 7, '"="'),
        ("type = 'track'", 8, "double quotes"),
        ("type = track", 8, "double quotes"),
        ('type = "track', 8, "close it"),
        ('anonymousId = "a"', 1, "fields are type"),
        ("properties = 1", 1, ""),
        ('type.x = "a"', 1, ""),
        ('((type = "a"))', 2, "one level"),
        ("contains(event, 5)", 17, ""),
        ('!type = "a"', 2, '"!="'),
        ('type = "a" || type = "b"', 12, '"or"'),
        ("properties.a > true", 16, "number"),
        ('event !="A"', 9, ""),
        ("properties.a<1", 13, "space"),
        ("properties.a > 1.", 16, "digits"),
        ("$x = 1", 1, "\\$"),
        ("   ", 1, "condition"),
        ('(type = "a"', 12, ""),
    ],
)
def test_a_refusal_tells_where_and_what_to_write(trigger: str, character: int, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_trigger(trigger)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"trigger, character {character}: ")
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("trigger", "value", "matches"),
    [
        ("properties.x = true", True, True),
        ("properties.x = true", 1, False),
        ("properties.x = 1", True, False),
        ("properties.x != true", "true", False),
        ("properties.x != true", True, True),
        ("properties.x != true", None, True),
        ("properties.x != 7", "007", False),
        ("properties.x != 7", 8, True),
        ("properties.x = null", None, True),
        ("properties.x != null", "", True),
        ('!match(properties.x, "a*")', None, False),
        ('match(properties.x, "*")', "any", True),
        ("properties.x.y = null", {"y": 1}, False),
        ("properties.x > -10.5", -9.5, True),
    ],
)
def test_values_are_compared_by_their_json_type(trigger: str, value: Any, matches: bool) -> None:
    assert match_trigger(trigger, {"type": "track", "properties": {"x": value}}) is matches


@pytest.mark.parametrize("text", ['type = "track"', 'type = "page" or type = "track"', 'type="page"or type="track"', '(type = "track")'])
def test_the_short_way_for_types_matches_the_same(text: str) -> None:
    assert match_trigger(text, {"type": "track"})
    assert not match_trigger(text, {"type": "alias"})


def test_a_name_with_a_space_is_written_with_a_backslash() -> None:
    assert match_trigger(r'properties.order\ id = "1"', {"type": "track", "properties": {"order id": "1"}})


FILTERS = json.loads((Path(__file__).parent.parent / "data" / "fql.json").read_text())


@pytest.mark.parametrize("case", FILTERS["cases"], ids=lambda case: case["id"])
def test_a_filter_matches_as_the_rules_say(case: dict[str, Any]) -> None:
    assert [name for name, event in FILTERS["events"].items() if match_filter(case["fql"], event)] == case["match"]
    assert not set(case["match"]) & set(case["no_match"])


@pytest.mark.parametrize("case", [case for case in FILTERS["cases"] if "as" not in case], ids=lambda case: case["id"])
def test_a_trigger_means_the_same_as_a_filter(case: dict[str, Any]) -> None:
    assert [name for name, event in FILTERS["events"].items() if match_trigger(case["fql"], event)] == case["match"]


@pytest.mark.parametrize(
    ("text", "character", "remedy"),
    [
        ('type = "page" or type in ["track"] and event = "A"', 36, "parentheses"), ("userId in ['a']", 12, "double quotes"),
        ('lowercase(anonymousId) = "a"', 1, ""), ("!userId", 2, ""), ('upper(event) = "A"', 1, ""), ("userId in properties.a or userId", 8, ""),
    ],
)  # fmt: skip
def test_a_wide_trigger_is_refused_where_it_may_mean_something_else(text: str, character: int, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_trigger(text)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"trigger, character {character}: ")
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("trigger", "forms"),
    [
        (
            'type = "page" or type = "track" and event = "x"',
            'type = "page" or (type = "track" and event = "x"); (type = "page" or type = "track") and event = "x"',
        ),
        (
            'type = "track" and event in ["a", "b"] or !contains(name, "c")',
            '(type = "track" and event in ["a", "b"]) or !contains(name, "c"); type = "track" and (event in ["a", "b"] or !contains(name, "c"))',
        ),
        (
            'type = "track" and event = "a" or event = "b" and properties.c >= 1',
            '(type = "track" and event = "a") or (event = "b" and properties.c >= 1); '
            'type = "track" and (event = "a" or event = "b") and properties.c >= 1',
        ),
    ],
)
def test_a_trigger_that_mixes_and_with_or_is_refused_with_both_ways_to_bracket_it(trigger: str, forms: str) -> None:
    for text in (trigger, f"!({trigger})"):
        with pytest.raises(ConfigError, match='mixes "and" and "or"') as refused:
            compile_trigger(text)
        assert refused.value.problems[0].remedy == f"write one of these, with parentheses: {forms}"
    for form in forms.split("; "):
        compile_trigger(form)


def test_a_long_trigger_that_mixes_them_is_not_written_out() -> None:
    with pytest.raises(ConfigError, match='mixes "and" and "or"') as refused:
        compile_trigger('type = "track" or ' + " and ".join(['event = "some event"'] * 20))
    assert refused.value.problems[0].remedy == "put parentheses around the conditions that belong together"


@pytest.mark.parametrize(
    ("trigger", "types"),
    [
        ("all", set(TYPES)), ('type in ["page", "track"]', {"page", "track"}), ('!(type = "page") and properties.a', set(TYPES) - {"page"}),
        ('type != "page" and length(event) > 1', set(TYPES) - {"page"}), ('(type = "page" or event in ["A"]) and type != "alias"', set(TYPES) - {"alias"}),
        ('type = "track" and type = "page"', set()), ('properties.a in ["x"]', set(TYPES)),
    ],
)  # fmt: skip
def test_a_wide_trigger_tells_its_types(trigger: str, types: set[str]) -> None:
    assert possible_types(trigger) == types
    assert filter_types(trigger) == types


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("event = 'A'", {"A"}), ("type = 'track' and event in ['A', 'B'] and properties.x", {"A", "B"}), ("event = 'A' or event = 'B'", {"A", "B"}),
        ("event = 'A' or type = 'page'", {"A"}), ("event = 'A' or properties.x", None), ("!(event = 'A')", None), ("all", None), ("event = ''", None),
        ("event in [event, 'A']", None), ("type = 'page'", set()), ("(event = 'A') and event in ['B']", set()), ("event != 'A'", None),
    ],
)  # fmt: skip
def test_a_filter_tells_the_names_of_tracks_that_it_can_match(text: str, names: set[str] | None) -> None:
    assert filter_names(text) == names


@pytest.mark.parametrize("case", FILTERS["refused"], ids=lambda case: case["id"])
def test_a_filter_that_cannot_be_read_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^filter, character \d+: "):
        compile_filter(case["fql"])


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("event == 'Paid' AND properties.total > 5", True),
        ("orderId = null or android = 1", True),
        ("!properties.open", True),
        ("!(type = 'track' and properties.total = 6)", False),
        ("((type = 'track'))", True),
        ("properties.total in [1, 6]", True),
        ("properties.total in [true, '6']", False),
        ("6 = properties.total", True),
        ("properties.tags = ['a', 'b']", True),
        ("length(properties.tags) = length('ab')", True),
        ("snakecase('Enabled 2FA') = 'enabled_2fa'", True),
        ("snakecase('CStringRef') = 'cstring_ref'", True),
        ("titlecase('plan upgraded') = 'Plan Upgraded'", True),
        ("number('12') > 11 and string(12) = '12' and bool('true')", True),
        ("typeof(properties) = 'object' and typeof(nothing) = 'null'", True),
        ("match(event, '[^a-z]*\\d')", True),
        ("match(event, '[a')", False),
        ("match(event, 'P?*?d')", True),
        ("contains(event, properties.part)", True),
        (r"properties.order\ id = 7", True),
        ('event = "Paid" or null', True),
    ],
)
def test_a_filter_reads_the_whole_language(text: str, matches: bool) -> None:
    properties = {"total": 6, "tags": ["a", "b"], "part": "ai", "order id": 7, "open": 1}
    assert match_filter(text, {"type": "track", "event": "Paid", "properties": properties}) is matches


@pytest.mark.parametrize(
    ("text", "character", "remedy"),
    [
        ("", 1, "condition"), ("lowercase(event)", 1, "compare it"), ("lowercas(event) = 'a'", 1, '"lowercase"'), ("contains(event)", 1, ""),
        ("'text'", 1, "field"), ("type in 'track'", 9, "list"), ("type = 'a' event = 'b'", 12, '"and"'), ("(" * 60 + "a", 51, "50"),
        ("properties.0.id = 1", 1, " in "), ("a = 1 and(b = 2)", 7, "space"), ("! contains(event, 'a')", 1, "!contains"), ("a.größe = 1", 5, "\\"),
    ],
)  # fmt: skip
def test_a_filters_refusal_tells_where_and_what_to_write(text: str, character: int, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_filter(text)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"filter, character {character}: ")
    assert remedy in problem.remedy


def test_a_filter_takes_events_as_they_are_stored() -> None:
    payload = {"messageId": "m", "type": "track", "event": "Paid", "properties": {"total": 6}}
    assert compile_filter('event = "Paid" and properties.total > 5')(event_of(payload, "web", 0, b""))


def test_an_event_that_is_no_object_is_the_events_fault() -> None:
    for match in (match_filter, match_trigger):
        with pytest.raises(PayloadError):
            match('type = "track"', [])  # type: ignore[arg-type]

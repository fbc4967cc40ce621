"""A plan's file: Segment's shapes are taken, and every mistake is told with its place in the JSON and a remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.config.locate_json import JsonText, pointer
from relay.config.report import format_problem
from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import Loaded, load
from relay.workspace.plan_rules import RULES_MAX, PlanRules, read_rules
from relay.workspace.rules import PlanRule

RULE = {"type": "TRACK", "key": "Bought", "jsonSchema": {"type": "object"}, "version": 1}


def read(content: Any) -> PlanRules:
    body = content if isinstance(content, bytes) else json.dumps(content, indent=1).encode()
    return read_rules("plan.json", body, ["archive", "ga4"])


def mistakes(content: Any) -> list[tuple[str, str, str]]:
    """(pointer, message, remedy) of each."""
    return [(pointer(one.keys), one.problem.message, one.problem.remedy) for one in read(content).mistakes]


def mistaken(**rule: Any) -> tuple[str, str, str]:
    """The one mistake of a rule with these values (None: left out)."""
    (found,) = mistakes({"rules": [{key: value for key, value in (RULE | rule).items() if value is not None}]})
    return found


@pytest.mark.parametrize(
    "content",
    [
        {"rules": [RULE]},
        [RULE],
        {"data": {"rules": [RULE | {"createdAt": "2024-01-01", "deprecatedAt": "0001-01-01T00:00:00.000Z", "id": "x"}], "pagination": {}}},
        {"rules": [RULE | {"version": 1.0}, RULE | {"key": "Gone", "jsonSchema": 3, "deprecatedAt": "2024-01-01T00:00:00Z"}]},
        b"\xef\xbb\xbf" + json.dumps([RULE]).encode(),
    ],
    ids=["rules", "list", "export", "deprecated", "bom"],
)
def test_segments_shapes_are_taken(content: Any) -> None:
    assert read(content) == PlanRules((PlanRule("TRACK", {"type": "object"}, "Bought", 1),))


def test_rules_that_hold_for_a_type_have_no_key() -> None:
    rules = read({"rules": [{"type": kind, "key": None, "jsonSchema": {}} for kind in ("IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")]}).rules
    assert [(rule.type, rule.key, rule.version) for rule in rules] == [(kind, "", 1) for kind in ("IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")]


def test_annotations_stand_in_the_schema_or_beside_it() -> None:
    schema = {"x-why": "Who buys?", "x-owner": "shop", "x-destinations": ["ga4"], "x-ignore": ["properties.debug"]}
    beside = {"type": "TRACK", "key": "B", "jsonSchema": {}} | schema
    for rule in read([{"type": "TRACK", "key": "A", "jsonSchema": schema}, beside]).rules:
        assert (rule.why, rule.owners, rule.destinations, rule.ignored) == ("Who buys?", ("shop",), ("ga4",), ("properties.debug",))
    assert read([RULE | {"jsonSchema": {"x-owner": ["a", "b"]}}]).rules[0].owners == ("a", "b")


@pytest.mark.parametrize(
    ("rule", "at", "message", "remedy"),
    [
        ({"type": "track"}, "/type", "unknown type 'track'", "did you mean 'TRACK'?"),
        ({"type": None}, "", "a rule needs a type", "one of TRACK"),
        ({"key": None}, "", "a TRACK rule needs a key", "add"),
        ({"key": ""}, "/key", "a TRACK rule needs a key", "add"),
        ({"type": "PAGE"}, "/key", "a rule of type PAGE has no key", "remove it"),
        ({"version": 0}, "/version", "1 or more, not 0", "write"),
        ({"version": True}, "/version", "not True", "write"),
        ({"version": "1"}, "/version", "not '1'", "write"),
        ({"jsonSchema": None}, "", "a rule needs a jsonSchema", "add"),
        ({"jsonSchema": []}, "/jsonSchema", "a rule needs a jsonSchema", "add"),
        ({"jsonSchema": {"x-why": 3}}, "/jsonSchema/x-why", "'x-why' must be a string", ""),
        ({"jsonSchema": {"x-owner": [3]}}, "/jsonSchema/x-owner", "'x-owner' must be", ""),
        ({"jsonSchema": {"x-destinations": "ga4"}}, "/jsonSchema/x-destinations", "must be a list of strings", ""),
        ({"x-ignore": {}}, "/x-ignore", "must be a list of strings", ""),
        ({"jsonSchema": {"properties": {"a/b~c": {"type": "strin"}}}}, "/jsonSchema/properties/a~1b~0c/type", 'unknown type "strin"', "one of array"),
        ({"jsonSchema": {"minimum": "1"}}, "/jsonSchema/minimum", "not valid draft 7", ""),
        ({"jsonSchema": {"exclusiveMinimum": True}}, "/jsonSchema/exclusiveMinimum", "not valid draft 7", ""),
        ({"jsonSchema": {"pattern": "("}}, "/jsonSchema/pattern", "no regular expression", ""),
        ({"jsonSchema": {"pattern": "^(?!x)"}}, "/jsonSchema/pattern", "looks ahead or behind", "`not`"),
        ({"jsonSchema": {"allOf": [{"pattern": "(?<=x)y"}]}}, "/jsonSchema/allOf/0/pattern", "looks ahead or behind", "`not`"),
        ({"jsonSchema": {"pattern": r"(a)\1"}}, "/jsonSchema/pattern", "", ""),
        ({"jsonSchema": {"pattern": "(a{1000}){1000}"}}, "/jsonSchema/pattern", "cannot be used", "linear time"),
        ({"jsonSchema": {"patternProperties": {"x(?=y)": {}}}}, "/jsonSchema/patternProperties/x(?=y)", "looks ahead", "`not`"),
        ({"jsonSchema": {"$ref": "https://example.com/s.json"}}, "/jsonSchema/$ref", "outside of this schema", "definitions"),
        ({"jsonSchema": {"items": {"$ref": "file:///etc/passwd"}}}, "/jsonSchema/items/$ref", "outside of this schema", "definitions"),
        ({"jsonSchema": {"not": {"$ref": "#/definitions/no"}}}, "/jsonSchema/not/$ref", "which is not there", ""),
    ],
)
def test_a_mistake_has_a_place_and_a_remedy(rule: dict[str, Any], at: str, message: str, remedy: str) -> None:
    found = mistaken(**rule)
    assert found[0] == f"/rules/0{at}"
    assert message in found[1]
    assert remedy in found[2]


def test_a_schema_that_goes_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(150):
        schema = {"not": schema}
    assert "deeper" in mistaken(jsonSchema=schema)[1]


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    schema = {"properties": {"x": {"pattern": "(?=a)"}, "y": {"type": 3}, "z": {"$ref": "other.json"}}}
    assert len(mistakes([RULE | {"jsonSchema": schema, "version": -1}, 7])) == 5


def test_a_rule_that_stands_twice_names_the_first() -> None:
    (at, message, remedy), *rest = mistakes({"rules": [RULE, RULE | {"version": 2}, RULE]})
    assert (at, message, rest) == ("/rules/2", 'TRACK "Bought" stands here a second time', [])
    assert "line 3" in remedy


def test_a_plan_has_two_thousand_rules_at_most() -> None:
    many = [RULE | {"key": str(number)} for number in range(RULES_MAX + 1)]
    assert len(read({"rules": many[:-1]}).rules) == RULES_MAX
    ((at, message, _),) = mistakes({"rules": many})
    assert (at, message) == (f"/rules/{RULES_MAX}", "a plan has at most 2,000 rules, this one 2,001")


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (b'{"rules": [\n 1,\n]}', 2, "is no JSON"),
        (b"", 1, "is no JSON"),
        (b'{"rules": []\n\n, "\xff"}', 3, "is not UTF-8"),
        (b"[NaN]", 1, "is no JSON"),
        (b'\n{"rules": {}}', 2, "needs a list 'rules'"),
        (b"3", 1, "needs a list 'rules'"),
        (b"{}", 1, "needs a list 'rules'"),
    ],
)
def test_what_is_no_plan_is_told_with_its_line(body: bytes, line: int, message: str) -> None:
    (found,) = read(body).mistakes
    assert (found.problem.place.line, message in found.problem.message) == (line, True)
    assert found.problem.remedy


def test_unknown_destinations_are_warned_of() -> None:
    found = read([RULE | {"jsonSchema": {"x-destinations": ["ga4", "archiv"]}}])
    assert found.mistakes == ()
    assert [(pointer(one.keys), one.problem.remedy) for one in found.warnings] == [("/0/jsonSchema/x-destinations/1", "did you mean 'archive'?")]


# places

TEXT = """{
  "a": [1, {"b\\u0041": "x,]}"},
    [ ]],
  "a/b" : {"deep": null},
\t"last": 1, "last": {"two": 2}
}"""


@pytest.mark.parametrize(
    ("keys", "line", "column", "width"),
    [
        ((), 1, 1, 1), (("a",), 2, 3, 3), (("a", 0), 2, 9, 1), (("a", 1), 2, 12, 19), (("a", 1, "bA"), 2, 13, 9), (("a", 2), 3, 5, 3),
        (("a/b",), 4, 3, 5), (("a/b", "deep"), 4, 12, 6), (("last", "two"), 5, 22, 5), (("nothing", "here"), 1, 1, 1), (("a", 9), 2, 3, 3),
    ],
)  # fmt: skip
def test_a_path_is_found_in_the_text(keys: tuple[str | int, ...], line: int, column: int, width: int) -> None:
    place = JsonText("x.json", TEXT).place(keys)
    assert (place.file, place.line, place.column, place.width) == ("x.json", line, column, width)


def test_a_mistake_is_shown_with_its_line_unless_it_is_too_long() -> None:
    (found,) = read(b'{"rules": [\n  {"type": "TRACK", "key": "A", "jsonSchema": {"type": "strin"}}]}').mistakes
    assert format_problem(found.problem).splitlines()[0] == 'error: plan.json:2: unknown type "strin"'
    assert format_problem(found.problem).splitlines()[2].lstrip().startswith("^^^^^^ one of array")
    long = json.dumps({"rules": [RULE | {"jsonSchema": {"title": "x" * 300, "type": "strin"}}]}).encode()
    assert "\n" not in format_problem(read(long).mistakes[0].problem)


# the tables of the file


def loaded(folder: Path, text: str, **files: Any) -> Loaded:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "relay.toml").write_text(text)
    return load(folder / "relay.toml", load_catalog(), environment={})


def refused(folder: Path, text: str, **files: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **files)
    return [format_problem(problem).replace(str(folder), "") for problem in caught.value.problems]


SOURCE = '[[source]]\nslug = "web"\nwrite_key = "wk"\n'
PLAN = '[[plan]]\nslug = "shop"\nfile = "p.json"\n'


def test_a_plan_is_read_from_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "conf.d" / "plans").mkdir(parents=True)
    (tmp_path / "conf.d" / "plans" / "p.json").write_text(json.dumps([RULE]))
    (tmp_path / "conf.d" / "more.toml").write_text('[[plan]]\nslug = "shop"\nname = "Shop"\nfile = "plans/p.json"\n')
    (plan,) = loaded(tmp_path, SOURCE + 'plan = "shop"\n').workspace.plans
    assert (plan.slug, plan.name, [rule.label for rule in plan.rules]) == ("shop", "Shop", ['TRACK "Bought"'])
    assert plan.place is not None
    assert plan.place.line == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[plan]]\nslug = "Shop!"\nfile = "p.json"\n', "/relay.toml:2: plan \"Shop!\": 'Shop!' is no slug"),
        ('[[plan]]\nfile = "p.json"\n', "plan 1: a plan needs a slug"),
        ('[[plan]]\nslug = "shop"\n', "plan needs a file"),
        ('[[plan]]\nslug = "shop"\nfile = "no.json"\n', "/no.json cannot be read: No such file or directory"),
        ('[[plan]]\nslug = "shop"\nfile = "."\n', "cannot be read: Is a directory"),
        (PLAN + 'files = "x"\n', "unknown setting 'files'"),
        (PLAN + PLAN, "the plan slug 'shop' is used twice"),
        ('[plan]\nslug = "shop"\n', "'plan' must be a list of tables"),
        (PLAN + SOURCE + 'plan = "shp"\n', "unknown plan 'shp'"),
    ],
)
def test_tables_of_plans_are_checked(text: str, told: str, tmp_path: Path) -> None:
    assert any(told in one for one in refused(tmp_path, text, p=[RULE])), told


def test_mistakes_in_the_json_name_the_plan_and_the_line(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, PLAN, p=[RULE | {"type": "TRAK"}])
    assert told.splitlines()[0] == "error: /p.json:1: plan \"shop\": unknown type 'TRAK'"

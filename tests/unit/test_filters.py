"""Destination filters: what is refused, the order of their actions, sampling, and how they are explained."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from relay.base.event import Event
from relay.destinations import load_catalog
from relay.pipeline.compiled import compile_workspace
from relay.pipeline.decision import Drop, Rules, Sourced
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import explain_destination
from relay.pipeline.stages.filters import compile_filters
from relay.workspace.rules import Filter, FilterAction
from tests.support.governance import DATA, compiled_of, config_of
from tests.support.rules import event, mistakes, workspace_of

DROP = {"type": "DROP"}
SAMPLING = json.loads((DATA / "sampling.json").read_text())
FQL = json.loads((DATA.parent / "fql.json").read_text())


def filters(*given: Filter, slug: str = "hook") -> Rules:
    made = compile_filters(given, slug)
    assert made is not None
    return made


def result(rules: Rules, given: Event) -> Any:
    """The payload after the filters, or the Drop; what was given must be as it was."""
    before = copy.deepcopy(given.payload)
    made = rules(given)
    assert given.payload == before
    return made if isinstance(made, Drop) else made.payload


def remove(**fields: tuple[str, ...]) -> FilterAction:
    return FilterAction("DROP_PROPERTIES", fields=fields)


def allow(**fields: tuple[str, ...]) -> FilterAction:
    return FilterAction("ALLOW_PROPERTIES", fields=fields)


# --- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message", "remedy"),
    [
        ({"actions": [DROP]}, "a filter needs an if", "add if"),
        ({"if": "", "actions": [DROP]}, "the filter is empty", ""),
        ({"if": "event = 'x", "actions": [DROP]}, "filter, character 9: a text has no end", "close it"),
        ({"if": "upper(event) = \"A\"", "actions": [DROP]}, '"upper" is no function', "uppercase"),
        ({"if": 5, "actions": [DROP]}, "'if' must be a string", ""),
        ({"if": "all"}, "a filter needs actions", "add actions"),
        ({"if": "all", "actions": []}, "a filter needs actions", ""),
        ({"if": "all", "actions": [{}]}, "an action needs a type", "SAMPLE, DROP"),
        ({"if": "all", "actions": [{"type": "DROPP"}]}, "'type' must be", "did you mean 'DROP'"),
        ({"if": "all", "actions": [{"type": "SAMPLE"}]}, "SAMPLE needs 'percent'", "a tenth"),
        ({"if": "all", "actions": [{"type": "SAMPLE", "percent": 10}]}, "'percent' must be at most 1", "0.1 keeps 10 %"),
        ({"if": "all", "actions": [{"type": "SAMPLE", "percent": 0.1, "path": "a..b"}]}, "'a..b' is no path", "single dots"),
        ({"if": "all", "actions": [{"type": "DROP", "percent": 0.1}]}, "DROP takes no 'percent'", "remove it"),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES"}]}, "DROP_PROPERTIES needs 'fields'", "fields ="),
        ({"if": "all", "actions": [{"type": "ALLOW_PROPERTIES", "fields": {}}]}, "ALLOW_PROPERTIES needs 'fields'", ""),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": ["context"]}]}, "'fields' must be a table", ""),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"context": "ip"}}]}, "'context' must be a list of strings", ""),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"context": []}}]}, "'context' lists no keys", "name the keys"),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"": ["type"]}}]}, "an event cannot be without", "DROP"),
        ({"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"a..b": ["c"]}}]}, "'a..b' is no path", ""),
        ({"if": "all", "actions": [DROP], "title": "x" * 65}, "'title' must be at most 64 characters", "comment"),
        ({"if": "all", "actions": [DROP], "enable": True}, "unknown key 'enable'", "did you mean 'enabled'"),
        ({"if": "all", "actions": [{"type": "DROP", "pct": 1}]}, "unknown key 'pct'", ""),
    ],
)  # fmt: skip
def test_a_wrong_filter_is_refused_with_place_and_remedy(given: dict[str, Any], message: str, remedy: str, tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, destination={"filter": [given]})
    line, _, text = told.partition(": ")
    assert int(line) >= 8
    assert text.startswith('destination "hook", filter 1')
    assert message in text.partition(" | ")[0]
    assert remedy in text.partition(" | ")[2]


def test_an_export_of_the_public_api_pastes_in(tmp_path: Path) -> None:
    exported = {
        "id": "fil_1", "sourceId": "s", "destinationId": "d", "if": "type = 'track'", "actions": [{"type": "DROP", "path": ""}], "title": "No tracks",
        "description": "…", "enabled": True, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    (made,) = workspace_of(tmp_path, destination={"filter": [exported]}).destinations[0].filters
    assert (made.condition, made.actions, made.title) == ("type = 'track'", (FilterAction("DROP"),), "No tracks")


def test_the_eleventh_filter_is_refused(tmp_path: Path) -> None:
    one = {"if": "all", "actions": [{"type": "SAMPLE", "percent": 1}]}
    assert mistakes(tmp_path, destination={"filter": [one] * 10}) == []
    (told,) = mistakes(tmp_path, destination={"filter": [one] * 11})
    assert "filter 11: a destination has at most 10 filters" in told


@pytest.mark.parametrize("kind", ["archive", "postgres", "clickhouse", "s3"])
def test_stores_take_no_filters(kind: str, tmp_path: Path) -> None:
    settings = {"postgres": {"host": "h", "database": "d", "user": "u"}, "s3": {"bucket": "b"}, "clickhouse": {"url": "https://c.example"}}.get(
        kind, {}
    )
    told = mistakes(tmp_path, destination={"type": kind, "settings": settings, "filter": [{"if": "all", "actions": [DROP]}]})
    assert any("takes no filters" in one and "[[source.transformation]]" in one for one in told), told


# --- what they do ------------------------------------------------------------------------------------------------------------


def test_a_disabled_filter_costs_nothing() -> None:
    assert compile_filters([Filter("all", (FilterAction("DROP"),), enabled=False)], "hook") is None
    assert compile_filters([], "hook") is None


def test_an_event_that_no_filter_touches_is_the_same_object() -> None:
    given = event()
    rules = filters(Filter("event = 'Other'", (FilterAction("DROP"),)), Filter("all", (remove(context=("ip",)), allow(traits=("a",)))))
    assert rules(given) is given


def test_every_condition_sees_the_event_as_it_came() -> None:
    rules = filters(Filter("all", (remove(properties=("total",)),)), Filter("properties.total = 5", (FilterAction("DROP"),)))
    assert result(rules, event()) == Drop("filters", "FILTERED_BY_RULES")


def test_allowing_comes_last_whatever_the_order_of_the_file() -> None:
    rules = filters(Filter("all", (allow(properties=("total", "code")),)), Filter("all", (remove(properties=("code",)),)))
    assert result(rules, event(properties={"total": 1, "code": 2, "x": 3}))["properties"] == {"total": 1}


def test_the_message_keeps_what_makes_it_an_event() -> None:
    made = result(filters(Filter("all", (allow(**{"": ("event",)}),))), event())
    assert made == {"type": "track", "messageId": "m1", "event": "Order Completed"}


def test_a_changed_event_carries_its_own_body_and_ids() -> None:
    made = filters(Filter("all", (remove(**{"": ("userId",)}),)))(event(anonymousId="a1"))
    assert isinstance(made, Event)
    assert (made.user_id, made.keys, json.loads(made.body)) == ("", ("a1",), made.payload)


def test_lists_on_the_way_and_at_the_end_are_met() -> None:
    rows = {"properties": {"orders": [{"items": [{"price": 1, "id": 2}]}, {"items": {"price": 3}}]}}
    made = result(filters(Filter("all", (remove(**{"properties.orders.items": ("price",)}),))), event(**rows))
    assert made["properties"] == {"orders": [{"items": [{"id": 2}]}, {"items": {}}]}


@pytest.mark.parametrize("case", FQL["cases"], ids=lambda case: case["id"])
def test_an_expression_means_the_same_as_filter_and_as_trigger(case: dict[str, Any], tmp_path: Path) -> None:
    destinations: dict[str, Any] = {"filtered": {"filter": [{"if": case["fql"], "actions": [DROP]}]}}
    if "trigger" in case.get("as", ["trigger"]):
        destinations["triggered"] = {"trigger": case["fql"]}
    compiled = compiled_of(config_of({"destinations": destinations}, tmp_path, "http://127.0.0.1:9000", ["127.0.0.1:9000"]), tmp_path)
    for name, message in FQL["events"].items():
        given = Sourced(1, event(message["type"], **{"event": None, "properties": None, "userId": None} | message))
        matches = name in case["match"]
        assert isinstance(destination_side(given, compiled.destinations["filtered"]), Drop) is matches, name
        if "triggered" in destinations:
            assert isinstance(destination_side(given, compiled.destinations["triggered"]), Drop) is not matches, name


@pytest.mark.parametrize("case", FQL["refused"], ids=lambda case: case["id"])
def test_a_statement_that_cannot_be_read_is_refused_in_both_places(case: dict[str, Any], tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, destination={"filter": [{"if": case["fql"], "actions": [DROP]}]})
    assert "filter, character " in told
    with pytest.raises(Exception, match="trigger, character "):
        compile_workspace(workspace_of(tmp_path, destination={"mapping": [{"action": "send", "trigger": case["fql"]}]}), load_catalog())


# --- sampling ----------------------------------------------------------------------------------------------------------------


def fraction(value: Any) -> float:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big") / 2**64


@pytest.mark.parametrize(("value", "expected"), [("u1", 0.006341063), ("u2", 0.806105038), ("user-42", 0.066394985), (7, 0.558912538)])
def test_the_fraction_is_the_computed_one(value: Any, expected: float) -> None:
    for percent, keeps in ((expected - 1e-8, False), (expected + 1e-8, True)):
        rules = filters(Filter("all", (FilterAction("SAMPLE", percent, "properties.k"),)))
        assert isinstance(rules(event(properties={"k": value})), Event) is keeps


@pytest.mark.parametrize("case", SAMPLING["cases"], ids=lambda case: case["id"])
def test_a_sample_by_path_keeps_the_computed_events(case: dict[str, Any]) -> None:
    rules = filters(Filter("all", (FilterAction("SAMPLE", case["percent"], case["path"]),)))
    kept = [one["eid"] for one in SAMPLING["events"] if isinstance(rules(event(**one)), Event)]
    assert kept == case["keep"]


def test_a_tenth_of_20000_users_is_a_tenth_and_each_is_in_or_out_as_a_whole() -> None:
    rules = filters(Filter("all", (FilterAction("SAMPLE", 0.1, "userId"),)))
    kept = {user for user in range(20_000) if isinstance(rules(event(userId=f"user-{user}", messageId=f"a{user}")), Event)}
    assert 0.095 <= len(kept) / 20_000 <= 0.105
    again = {user for user in range(20_000) if isinstance(rules(event(userId=f"user-{user}", messageId=f"b{user}", event="Other")), Event)}
    assert again == kept


def test_a_sample_without_a_path_is_drawn_per_destination_and_message_and_always_the_same() -> None:
    def kept(slug: str) -> list[int]:
        rules = filters(Filter("all", (FilterAction("SAMPLE", 0.1),)), slug=slug)
        return [number for number in range(20_000) if isinstance(rules(event(messageId=f"m{number}")), Event)]

    one, other = kept("one"), kept("other")
    assert 0.095 <= len(one) / 20_000 <= 0.105
    assert one == kept("one")
    assert one != other


@pytest.mark.parametrize(("percent", "kept"), [(0, 0), (1, 500)])
def test_nothing_and_everything_are_kept_exactly(percent: float, kept: int) -> None:
    for path in ("", "userId", "properties.missing"):
        rules = filters(Filter("all", (FilterAction("SAMPLE", percent, path),)))
        assert sum(isinstance(rules(event(messageId=f"m{number}", userId=f"u{number}")), Event) for number in range(500)) == kept


def test_events_without_the_field_are_sampled_one_by_one() -> None:
    rules = filters(Filter("all", (FilterAction("SAMPLE", 0.5, "properties.team"),)))
    kept = sum(isinstance(rules(event(messageId=f"m{number}")), Event) for number in range(2_000))
    assert 900 < kept < 1_100


# --- explained ---------------------------------------------------------------------------------------------------------------


def explained(tmp_path: Path, *given: dict[str, Any]) -> tuple[str, str, str]:
    """Outcome, code and text of the stage of the filters."""
    workspace = workspace_of(tmp_path, destination={"filter": list(given)})
    destination = compile_workspace(workspace, load_catalog()).destinations["hook"]
    trace = next(one for one in explain_destination(Sourced(1, event(context={"ip": "1"})), destination).traces if one.stage == "filters")
    return trace.outcome, trace.code, trace.text


def test_the_explanation_names_the_filter(tmp_path: Path) -> None:
    other = {"if": "event = 'Other'", "actions": [DROP], "title": "Others"}
    no_ip = {"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"context": ["ip"]}}], "title": "No addresses"}
    big = {"if": "properties.total > 1", "actions": [DROP]}
    never = {"if": "all", "actions": [{"type": "SAMPLE", "percent": 0}]}
    assert explained(tmp_path, other) == ("passed", "", "")
    assert explained(tmp_path, other, no_ip) == ("changed", "", 'filter 2 "No addresses"')
    assert explained(tmp_path, other, no_ip, big) == ("dropped", "FILTERED_BY_RULES", "filter 3: properties.total > 1")
    assert explained(tmp_path, never, big) == ("dropped", "FILTERED_BY_RULES", "filter 1: all: keeps 0 % of such events, and this is not one of them")


def test_a_filter_that_fails_lets_nothing_pass_and_says_why() -> None:
    rules = filters(Filter("all", (FilterAction("SAMPLE", 0.5, "properties.k"),)))
    deep: Any = []
    for _ in range(2_000):
        deep = [deep]
    broken = event()
    broken.parsed = {**broken.payload, "properties": {"k": deep}}
    assert rules(broken) == Drop("filters", "INTERNAL")
    assert rules.tell(broken).startswith("a rule failed: PayloadError: ")

"""Where plan and traffic differ: new and missing events, new and unused properties, other types."""

from typing import Any

from relay.control.drift import SHOWN, UNUSED_MIN, drift
from relay.pipeline.shapes import Traffic
from tests.support.messages import event


def rule(key: str, kind: str = "TRACK", version: float = 1, **fields: Any) -> dict[str, Any]:
    inner = "traits" if kind in ("IDENTIFY", "GROUP") else "properties"
    schema = {"properties": {inner: {"type": "object", "properties": fields}}}
    return {"type": kind, "key": key, "version": version, "jsonSchema": schema}


def traffic(*events: Any) -> Traffic:
    found = Traffic()
    for one in events:
        found.add(one)
    return found


def test_traffic_that_keeps_to_its_plan_has_no_drift() -> None:
    plan = {"rules": [rule("Bought", total={"type": "number"}), rule("", "IDENTIFY", age={"type": "integer"}), rule("", "COMMON")]}
    seen = traffic(*[event(total=1), event(total=1.5), event(kind="identify", age=3.0)] * UNUSED_MIN)
    assert not any(drift(plan, seen).values())


def test_events_without_rule_and_rules_without_events() -> None:
    plan = {"rules": [rule("Gone"), rule("", "GROUP")]}
    found = drift(plan, traffic(event("New", at_ms=2_000), event("New", at_ms=5_000), event(kind="identify")))
    assert found["new_events"] == [{"type": "TRACK", "event": "New", "count": 2, "first_s": 2.0, "last_s": 5.0}]
    assert found["missing_events"] == [{"type": "TRACK", "key": "Gone"}, {"type": "GROUP", "key": ""}]


def test_a_new_property_tells_its_share_and_types_once() -> None:
    plan = {"rules": [rule("Bought", known={"type": "object"}, list={"type": "array", "items": {"type": "object", "properties": {"a": {}}}})]}
    seen = traffic(event(known={"free": 1}, new={"deep": 1}), event(list=[{"a": 1, "b": 2}, {"a": 1}]), event(), event(new={"deep": 2}))
    found = drift(plan, seen)["new_properties"]
    assert [(one["property"], one["share"], one["types"]) for one in found] == [
        ("properties.new", 0.5, {"object": 2}),
        ("properties.list.$.b", 0.5, {"integer": 1}),
    ]
    assert {one["event"] for one in found} == {"Bought"}


def test_a_property_counts_as_unused_only_when_its_event_came_often() -> None:
    plan = {"rules": [rule("Bought", a={}, gone={"type": "object", "properties": {"deep": {}}})]}
    assert drift(plan, traffic(*[event(a=1)] * (UNUSED_MIN - 1)))["unused_properties"] == []
    found = drift(plan, traffic(*[event(a=1)] * UNUSED_MIN))["unused_properties"]
    assert found == [{"type": "TRACK", "event": "Bought", "property": "properties.gone"}]


def test_another_type_tells_planned_and_seen() -> None:
    plan = {"rules": [rule("Bought", total={"type": "number"}, label={"type": "string"})]}
    (found,) = drift(plan, traffic(event(total="1", label="x"), event(total=1), event(total=2), event(total=None)))["type_changes"]
    assert found == {
        "type": "TRACK", "event": "Bought", "property": "properties.total", "planned": ["number"],
        "types": {"integer": 2, "null": 1, "string": 1}, "share": 0.5,
    }  # fmt: skip


def test_what_one_version_plans_is_planned() -> None:
    plan = {"rules": [rule("Bought", a={"type": "string"}), rule("Bought", version=2, a={"type": "integer"}, b={})]}
    assert not any(drift(plan, traffic(event(a=1), event(a="x", b=1))).values())


def test_a_track_rule_for_page_viewed_holds_for_pages() -> None:
    plan = {"rules": [rule("Page Viewed", path={"type": "string"})]}
    assert not any(drift(plan, traffic(event("Home", "page", path="/"))).values())
    assert drift(plan, traffic(event(kind="screen")))["missing_events"] == [{"type": "TRACK", "key": "Page Viewed"}]


def test_a_report_is_bounded() -> None:
    found = drift({"rules": []}, traffic(*(event(f"Event {chr(97 + number % 26)}{chr(97 + number // 26)}") for number in range(300))))
    assert len(found["new_events"]) == SHOWN

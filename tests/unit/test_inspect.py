"""What a source's schema and plan make of an event: blocked, omitted, told, forwarded. Segment's settings one by one, and all together."""

from collections.abc import Mapping
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.codes import CODES, Door
from relay.base.event import Event, event_of
from relay.errors import ConfigError
from relay.pipeline.browser import browser_plan
from relay.pipeline.compiled import Compiled, compile_workspace
from relay.pipeline.decision import Drop, Sourced
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import explain_destination, explain_source
from relay.pipeline.source_side import source_side
from relay.workspace.model import Destination, Source, Subscription, Workspace
from relay.workspace.rules import EventSetting, Matcher, Plan, PlanRule, PrivacyRules, SchemaSettings, TypeSettings

SEATS = {"type": "object", "properties": {"seats": {"type": "integer"}, "code": {"type": "string"}}, "required": ["seats"]}


def rule(section: Any = SEATS, key: str = "Upgraded", kind: str = "TRACK", version: float = 1, **more: Any) -> PlanRule:
    """A rule in the usual form."""
    place = "traits" if kind in ("IDENTIFY", "GROUP") else "properties"
    schema = {"type": "object", "properties": {"context": {}, place: section}}
    return PlanRule(kind, schema | more, key if kind == "TRACK" else "", version)


COMMON = PlanRule("COMMON", {"properties": {"context": {"required": ["site"]}}})


def compiled(
    *rules: PlanRule, plan: bool = True, sources: tuple[Source, ...] = (), destinations: tuple[Destination, ...] = (), **schema: Any
) -> Compiled:
    main = Source("main", "main", "Main", ("k",), plan="shop" if plan else "", schema=SchemaSettings(**schema))
    from relay.destinations import load_catalog

    return compile_workspace(Workspace(1, (main, *sources), destinations, plans=(Plan("shop", "Shop", rules),)), load_catalog())


def event(source_id: str = "main", **message: Any) -> Event:
    payload = {"type": "track", "event": "Upgraded", "messageId": "m1", "userId": "u1", "context": {}, "properties": {"seats": 1}} | message
    return event_of(payload, source_id, 1_700_000_000_000, jsonio.dumps(payload))


def judged(workspace: Compiled, **message: Any) -> Sourced:
    """The source side of an event; explain agrees, and the stored event is as it was."""
    made = event(**message)
    before = bytes(made.body), jsonio.dumps(made.payload)
    found = source_side(7, made, workspace.sources["main"])
    told, traces = explain_source(7, made, workspace.sources["main"])
    assert (told.drop, told.event.body, told.violations) == (found.drop, found.event.body, found.violations)
    assert (traces[-1].code, traces[-1].outcome == "dropped") == (found.drop.code if found.drop else "", found.drop is not None)
    assert (made.body, jsonio.dumps(made.payload)) == before
    assert found.event.body == jsonio.dumps(found.event.payload)
    return found


def code(found: Sourced) -> str:
    if found.drop is None:
        return ""
    assert found.drop.door == Door.BLOCKED
    assert found.drop.code in CODES
    return found.drop.code


def protocols(found: Sourced) -> Mapping[str, Any]:
    return found.event.payload["context"].get("protocols", {})


def test_a_source_without_plan_and_schema_is_not_looked_at() -> None:
    assert compiled(plan=False).sources["main"].inspect is None
    assert compiled(plan=False, events={"A": EventSetting(True, {"x": False})}, traits={"a": True}).sources["main"].inspect is None


def test_an_event_that_keeps_its_rule_is_handed_on_itself() -> None:
    made = event()
    found = source_side(1, made, compiled(rule(), COMMON).sources["main"])
    assert found.event is not made, "the rule for all is broken"
    found = source_side(1, made, compiled(rule(), track=TypeSettings(False, False, False, False, "BLOCK")).sources["main"])
    assert found.event is made
    assert (found.drop, found.derived, found.violations, found.is_unplanned) == (None, (), (), False)


def test_by_default_violations_are_told_and_nothing_is_stopped() -> None:
    found = judged(compiled(rule()), properties={"seats": "1", "zz": 2})
    assert (code(found), found.event.payload["properties"]) == ("", {"seats": "1", "zz": 2})
    assert protocols(found) == {
        "sourceId": "main", "omitted": [], "omitted_on_violation": [],
        "violations": [{"type": "Invalid Type", "field": "properties.seats", "description": "Invalid type. Expected: integer, given: string"}],
    }  # fmt: skip
    assert [one.field for one in found.violations] == ["properties.seats"]
    unplanned = judged(compiled(rule()), event="Other")
    assert (code(unplanned), unplanned.is_unplanned, protocols(unplanned)) == ("", True, {})


@pytest.mark.parametrize(
    ("track", "message", "expected"),
    [
        (TypeSettings(allow_unplanned_events=False), {"event": "Other"}, "unplanned"),
        (TypeSettings(allow_unplanned_events=False), {"event": "upgraded"}, "unplanned"),
        (TypeSettings(allow_unplanned_events=False), {}, ""),
        (TypeSettings(allow_event_on_violations=False), {"properties": {}}, "schema_violation"),
        (TypeSettings(allow_event_on_violations=False), {"properties": {"seats": 1, "zz": 1}}, ""),
        (
            TypeSettings(allow_event_on_violations=False, allow_unplanned_properties=False),
            {"properties": {"zz": 1}},
            "unplanned_and_schema_violation",
        ),
        (TypeSettings(allow_event_on_violations=False, allow_unplanned_properties=False), {"properties": {}}, "schema_violation"),
        (TypeSettings(common_on_violations="BLOCK"), {}, "common_schema_violation"),
        (TypeSettings(common_on_violations="BLOCK"), {"context": {"site": "s"}}, ""),
        (TypeSettings(allow_event_on_violations=False, common_on_violations="BLOCK"), {"properties": {}}, "schema_violation"),
        (TypeSettings(allow_unplanned_events=False, common_on_violations="BLOCK"), {"event": "Other"}, "unplanned"),
    ],
)
def test_a_track_call_is_blocked_by_what_the_settings_say(track: TypeSettings, message: dict[str, Any], expected: str) -> None:
    found = judged(compiled(rule(), COMMON, track=track), **message)
    assert code(found) == expected
    if "violation" in expected:
        assert protocols(found)["violations"]
        assert protocols(found)["omitted"] == [], "what is blocked is whole"


@pytest.mark.parametrize(
    ("section", "properties", "left", "omitted"),
    [
        (SEATS, {"seats": 1, "zz": 2, "code": "x"}, {"seats": 1, "code": "x"}, ["properties.zz"]),
        ({"required": ["seats"]}, {"seats": 1, "zz": 2}, {"seats": 1}, ["properties.zz"]),
        ({}, {"seats": 1}, {}, ["properties.seats"]),
        ({"additionalProperties": True, "properties": {"a": {}}}, {"zz": 1}, {"zz": 1}, []),
        ({"properties": {"a": {}}, "patternProperties": {"^utm_": {}}}, {"a": 1, "utm_x": 1, "b": 1}, {"a": 1, "utm_x": 1}, ["properties.b"]),
        ({"allOf": [{"properties": {"a": {}}}, {"$ref": "#/definitions/more"}]}, {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1}, ["properties.c"]),
        ({"if": {"properties": {"a": {}}}, "then": {"properties": {"b": {}}}}, {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1}, ["properties.c"]),
        ({"properties": {"a": {"type": "object"}}}, {"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"properties": {"a": {"properties": {"b": {}}}}}, {"a": {"b": 1, "c": 1}}, {"a": {"b": 1}}, ["properties.a.c"]),
        (
            {"properties": {"a": {"items": {"properties": {"b": {}}}}}}, {"a": [{"b": 1}, {"c.d": 1}, 3]}, {"a": [{"b": 1}, {}, 3]},
            ["properties.a.1.c\\.d"],
        ),
    ],
)  # fmt: skip
def test_unplanned_properties_are_omitted(section: dict[str, Any], properties: dict[str, Any], left: Any, omitted: list[str]) -> None:
    definitions = {"more": {"properties": {"b": {}}}}
    workspace = compiled(rule(section, definitions=definitions), track=TypeSettings(allow_unplanned_properties=False))
    found = judged(workspace, properties=properties)
    assert (code(found), found.event.payload["properties"], protocols(found).get("omitted", [])) == ("", left, omitted)


@pytest.mark.parametrize(
    ("section", "properties", "left", "omitted"),
    [
        (SEATS, {"seats": "1", "code": 2, "zz": 3}, {"zz": 3}, ["properties.seats", "properties.code"]),
        (SEATS, {"code": "x"}, {"code": "x"}, []),
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": [1, 2], "b": 1}, {"b": 1}, ["properties.a"]),
        (
            {"properties": {"a": {"items": {"properties": {"b": {"type": "string"}}}}}},
            {"a": [{"b": 1, "c": 1}]},
            {"a": [{"c": 1}]},
            ["properties.a.0.b"],
        ),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 2}, {"a": 1}, ["properties.b"]),
        ({"properties": {"a": {"allOf": [{"type": "string"}]}}}, {"a": 1}, {}, ["properties.a"]),
        ({"minProperties": 3}, {"a": 1}, {"a": 1}, []),
    ],
)
def test_offending_properties_are_omitted(section: dict[str, Any], properties: dict[str, Any], left: Any, omitted: list[str]) -> None:
    found = judged(compiled(rule(section), track=TypeSettings(allow_properties_on_violations=False)), properties=properties)
    assert (code(found), found.event.payload["properties"]) == ("", left)
    assert protocols(found)["omitted_on_violation"] == omitted
    assert protocols(found)["violations"]


def test_all_that_offend_go_also_when_there_are_more_than_are_told() -> None:
    section = {"additionalProperties": {"type": "string"}}
    found = judged(compiled(rule(section), track=TypeSettings(allow_properties_on_violations=False)), properties={f"p{n}": n for n in range(300)})
    assert found.event.payload["properties"] == {}
    assert (len(protocols(found)["violations"]), len(found.violations)) == (50, 300)


def test_the_rule_for_all_sees_what_the_first_one_left() -> None:
    common = PlanRule("COMMON", {"properties": {"properties": {"properties": {"zz": {"type": "string"}}}}})
    strict = TypeSettings(allow_unplanned_properties=False, common_on_violations="BLOCK")
    assert code(judged(compiled(rule(), common, track=strict), properties={"seats": 1, "zz": 1})) == ""
    assert code(judged(compiled(rule(), common, track=TypeSettings(common_on_violations="BLOCK")), properties={"seats": 1, "zz": 1})) != ""
    omitting = judged(compiled(rule(), common, track=TypeSettings(common_on_violations="OMIT")), properties={"seats": 1, "zz": 1})
    assert (omitting.event.payload["properties"], protocols(omitting)["omitted_on_violation"]) == ({"seats": 1}, ["properties.zz"])


def test_with_nothing_but_a_rule_for_all_everything_is_unplanned() -> None:
    common = PlanRule("COMMON", {})
    assert code(judged(compiled(common, track=TypeSettings(allow_unplanned_events=False)))) == "unplanned"
    assert judged(compiled(common, track=TypeSettings(allow_unplanned_properties=False))).event.payload["properties"] == {}
    identify = TypeSettings(allow_unplanned_properties=False)
    assert judged(compiled(common, identify=identify), type="identify", traits={"a": 1}).event.payload["traits"] == {}


@pytest.mark.parametrize("kind", ["identify", "group"])
def test_traits_have_their_own_settings(kind: str) -> None:
    made = rule({"properties": {"role": {"type": "string"}}}, kind=kind.upper())
    message = {"type": kind, "groupId": "g", "traits": {"role": 1, "zz": 1}}
    told = judged(compiled(made), **message)
    assert (code(told), told.event.payload["traits"], len(protocols(told)["violations"])) == ("", message["traits"], 1)
    both = TypeSettings(allow_unplanned_properties=False, allow_properties_on_violations=False)
    assert judged(compiled(made, **{kind: both}), **message).event.payload["traits"] == {}
    assert judged(compiled(made, track=both), **message).event.payload["traits"] == message["traits"]
    assert code(judged(compiled(made, COMMON, **{kind: TypeSettings(common_on_violations="BLOCK")}), **message)) == "common_schema_violation"


def test_traits_that_the_schema_blocks_go_without_a_plan() -> None:
    workspace = compiled(plan=False, traits={"email": False, "role": True}, group_traits={"phone": False})
    found = judged(workspace, type="identify", traits={"email": "a", "role": "b", "phone": 1})
    assert (found.event.payload["traits"], protocols(found)["omitted"]) == ({"role": "b", "phone": 1}, ["traits.email"])
    assert judged(workspace, type="group", traits={"email": "a", "phone": 1}).event.payload["traits"] == {"email": "a"}
    made = event(type="identify", traits={"role": "b"})
    assert source_side(1, made, workspace.sources["main"]).event is made


def test_events_that_the_schema_blocks_go_first() -> None:
    workspace = compiled(rule(), events={"Upgraded": EventSetting(False), "Other": EventSetting(True)})
    assert code(judged(workspace, properties={})) == "event_setting"
    assert code(judged(workspace, event="Other")) == ""
    assert code(judged(workspace, type="page", name="Upgraded")) == "", "a page of that name is no event of that name"


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_pages_and_screens_are_told_of_and_never_stopped(kind: str) -> None:
    strict = TypeSettings(False, False, False, False, "BLOCK")
    for made in (rule({"required": ["x"]}, kind=kind.upper()), rule({"required": ["x"]}, key=f"{kind.title()} Viewed")):
        found = judged(compiled(made, COMMON, track=strict, identify=strict, group=strict), type=kind, name="Home", properties={"zz": 1})
        assert (code(found), found.event.payload["properties"]) == ("", {"zz": 1})
        assert [one.field for one in found.violations] == ["properties.x", "context.site"]


def test_an_alias_meets_the_rule_for_all() -> None:
    assert len(judged(compiled(COMMON), type="alias", previousId="p").violations) == 1


@pytest.mark.parametrize(
    ("version", "missing"), [(None, "a"), (1, "a"), (2, "b"), (2.0, "b"), (3, "a"), ("2", "a"), (2.5, "c"), ({}, "a")], ids=str,
)  # fmt: skip
def test_the_event_chooses_its_version_and_the_oldest_is_taken_otherwise(version: Any, missing: str) -> None:
    rules = [rule({"required": [name]}, version=number) for name, number in (("b", 2), ("a", 1), ("c", 2.5))]
    context = {} if version is None else {"protocols": {"event_version": version}}
    found = judged(compiled(*rules), context=context)
    assert [one.field for one in found.violations] == [f"properties.{missing}"]
    assert protocols(found).get("event_version") == version, "what the app said stays"


def test_an_event_that_cannot_be_judged_is_blocked() -> None:
    made = Event("m", "main", "track", "Upgraded", "u", "", 0, {1: object()}, b"{}")  # type: ignore[dict-item]
    found = source_side(1, made, compiled(rule()).sources["main"])
    assert found.drop == Drop("schema", "INTERNAL", Door.BLOCKED)


def test_odd_messages_are_judged_like_others() -> None:
    strict = TypeSettings(False, False, False, False, "OMIT")
    workspace = compiled(rule(), COMMON, track=strict, identify=strict, group=strict)
    for message in ({"properties": None}, {"context": None}, {"context": {"protocols": 3}}, {"context": []}, {"type": "identify", "traits": None}):
        assert code(judged(workspace, **message)) in ("", "schema_violation")


# what other sources hear

QUALITY = Source("quality", "quality", "Quality", ("q",))


def test_each_violation_is_told_to_the_other_source() -> None:
    workspace = compiled(rule(), sources=(QUALITY,), violations_to="quality")
    message = {"properties": {"code": 1}, "context": {"app": {"version": "2.1", "name": "Shop"}}, "sentAt": "S", "timestamp": "T"}
    second, first = judged(workspace, **message).derived
    assert (first.source_id, first.type, first.name, first.user_id) == ("quality", "track", "Violation Generated", "schema-violations")
    assert first.message_id.startswith("sch-")
    assert first.message_id != second.message_id
    assert first.payload["forwardedFromProject"] == "main"
    assert first.payload["context"]["app"] == {"version": "2.1", "name": "Shop"}
    assert first.payload["properties"] == {
        "appVersion": "2.1", "eventMessageID": "m1", "eventName": "Upgraded", "eventSentAt": "S", "eventTimestamp": "T", "eventType": "track",
        "sourceID": "main", "sourceName": "Main", "sourceSlug": "main", "trackingPlanID": "shop", "trackingPlanName": "Shop",
        "violationDescription": "Invalid type. Expected: string, given: integer", "violationField": "properties.code", "violationType": "Invalid Type",
    }  # fmt: skip
    assert Event.from_body("quality", first.received_ms, first.body).payload == first.payload
    assert [one.message_id for one in judged(workspace, **message).derived] == [second.message_id, first.message_id], "again, the same ids"
    page = judged(compiled(rule({"required": ["x"]}, kind="PAGE"), sources=(QUALITY,), violations_to="quality"), type="page", name="Home")
    assert page.derived[0].payload["properties"]["eventName"] == "Page Viewed"


def test_an_event_that_is_wrong_all_over_is_told_of_within_bounds() -> None:
    workspace = compiled(rule({"additionalProperties": False}), sources=(QUALITY,), violations_to="quality")
    assert len(judged(workspace, properties={f"p{n}": n for n in range(300)}).derived) == 20


def test_a_blocked_event_goes_whole_to_the_other_source() -> None:
    strict = TypeSettings(allow_unplanned_events=False, allow_event_on_violations=False)
    workspace = compiled(rule(), sources=(QUALITY,), blocked_to="quality", track=strict, events={"Off": EventSetting(False)})
    for message, violations in (({"properties": {"seats": "1"}}, 1), ({"event": "Other"}, 0), ({"event": "Off"}, 0)):
        found = judged(workspace, **message)
        (forwarded,) = found.derived
        assert code(found)
        assert forwarded.source_id == "quality"
        assert forwarded.message_id.startswith("blk-")
        assert forwarded.payload["forwardedFromProject"] == "main"
        for key in ("type", "event", "userId", "properties"):
            assert forwarded.payload[key] == event(**message).payload[key]
        assert len(forwarded.payload["context"].get("protocols", {}).get("violations", [])) == violations
    assert judged(workspace, properties={"seats": 1, "zz": 1}).derived == (), "what is omitted is not forwarded"


def test_what_was_forwarded_is_not_judged_again() -> None:
    strict = SchemaSettings(track=TypeSettings(False, False, False, False, "BLOCK"), events={"Violation Generated": EventSetting(False)})
    target = Source("quality", "quality", "Quality", ("q",), plan="shop", schema=strict)
    workspace = compiled(rule(), COMMON, sources=(target,), violations_to="quality", blocked_to="quality", track=TypeSettings(False, False, False))
    derived = judged(workspace, properties={"seats": "1"}).derived
    assert [one.name for one in derived] == ["Violation Generated", "Upgraded"]
    for one in derived:
        again = source_side(1, one, workspace.sources["quality"])
        assert (again.event is one, again.drop, again.derived) == (True, None, ())
    forged = event("quality", forwardedFromProject="nobody")
    assert source_side(1, forged, workspace.sources["quality"]).drop is not None


def test_a_rule_that_cannot_be_compiled_is_refused_with_its_plan() -> None:
    with pytest.raises(ConfigError, match="shop"):
        compiled(PlanRule("TRACK", {"type": "strin"}, "A"))


# where the plan wants an event


def keeper(slug: str) -> Destination:
    return Destination(slug, slug, slug, "archive", ("main",), subscriptions=(Subscription("all", "All", "write", 'type = "track"', {}),))


@pytest.mark.parametrize(
    ("annotations", "event_name", "enforced", "reached"),
    [
        ({"x-destinations": ["one"]}, "Upgraded", True, ["one"]),
        ({"x-destinations": ["one"]}, "Upgraded", False, ["one", "two"]),
        ({"x-destinations": ["one"]}, "Other", True, ["one", "two"]),
        ({"x-destinations": []}, "Upgraded", True, ["one", "two"]),
        ({"x-destinations": ["elsewhere"]}, "Upgraded", True, []),
    ],
)
def test_an_event_reaches_the_destinations_of_its_rule_alone(annotations: Any, event_name: str, enforced: bool, reached: list[str]) -> None:
    workspace = compiled(rule(**annotations), destinations=(keeper("one"), keeper("two")), enforce_destinations=enforced)
    found = source_side(1, event(event=event_name), workspace.sources["main"])
    results = {slug: destination_side(found, one) for slug, one in workspace.destinations.items()}
    assert [slug for slug, result in results.items() if not isinstance(result, Drop)] == reached
    for slug, result in results.items():
        if isinstance(result, Drop):
            assert (result.stage, result.code) == ("plan", "FILTERED_BY_RULES")
            trace = explain_destination(found, workspace.destinations[slug]).traces[-1]
            assert trace.text == 'TRACK "Upgraded" of the plan "shop" names other destinations'


def test_the_rule_for_all_speaks_where_the_own_one_is_silent() -> None:
    common = PlanRule("COMMON", {"x-destinations": ["two"]})
    workspace = compiled(
        rule(), common, rule(key="Own", **{"x-destinations": ["one"]}), destinations=(keeper("one"), keeper("two")), enforce_destinations=True
    )
    for name, slug in (("Upgraded", "two"), ("Other", "two"), ("Own", "one")):
        found = source_side(1, event(event=name), workspace.sources["main"])
        assert [at for at, one in workspace.destinations.items() if not isinstance(destination_side(found, one), Drop)] == [slug]


# what the browser is told


def test_the_browser_hears_which_events_may_pass() -> None:
    on, off = {"enabled": True, "integrations": {}}, {"enabled": False, "integrations": {}}
    blocked = {"Off": EventSetting(False), "On": EventSetting(True)}
    everything = {"track": {"__default": on}, "identify": {"__default": on}, "group": {"__default": on}}
    assert browser_plan(SchemaSettings(), None) == everything
    assert browser_plan(SchemaSettings(), ["A"]) == everything
    assert browser_plan(SchemaSettings(events=blocked), None)["track"] == {"__default": on, "Off": off}
    strict = TypeSettings(allow_unplanned_events=False)
    assert browser_plan(SchemaSettings(track=strict, events=blocked), ["A", "Off"])["track"] == {"__default": off, "A": on, "Off": off}
    assert browser_plan(SchemaSettings(track=strict), None) == everything, "without a plan nothing is unplanned"
    assert compiled(rule(), track=strict).sources["main"].browser_plan["track"] == {"__default": off, "Upgraded": on}


def test_a_private_field_of_the_other_source_is_not_kept_there() -> None:
    private = Source("quality", "quality", "Quality", ("q",), privacy=PrivacyRules(block=(Matcher("properties.code", path="properties.code"),)))
    workspace = compiled(rule(), sources=(private,), blocked_to="quality", track=TypeSettings(allow_event_on_violations=False))
    (forwarded,) = judged(workspace, properties={"seats": "1", "code": "secret"}).derived
    assert forwarded.payload["properties"] == {"seats": "1"}
    assert b"secret" not in forwarded.body

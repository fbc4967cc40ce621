"""Plans of any shape over events of any shape: live and explain agree, the stored event stays as it is, and what is told is what the validator says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.base import jsonio
from relay.base.event import event_of
from relay.destinations import load_catalog
from relay.kit.json_schema import compile_schema, mistakes_of
from relay.pipeline.compiled import compile_workspace
from relay.pipeline.explain import explain_source
from relay.pipeline.source_side import source_side
from relay.workspace.model import Source, Workspace
from relay.workspace.rules import EventSetting, Plan, PlanRule, SchemaSettings, TypeSettings

CATALOG = load_catalog()
NAMES = st.sampled_from(["a", "b", "c.d", "$", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, 1e300]) | st.text("ab1", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, min_size=1, max_size=2, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=2, unique_by=repr),
            "minimum": st.integers(-2, 2),
            "maxLength": st.integers(0, 2),
            "pattern": st.sampled_from(["^a", "b$", "[0-9]+"]),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "uniqueItems": st.booleans(),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS,
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "additionalProperties": st.booleans() | inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "."]), inner, max_size=1),
            "items": inner,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "contains": inner,
            "propertyNames": st.fixed_dictionaries({"maxLength": st.integers(0, 2)}),
        },
    ),
    max_leaves=4,
)
SETTINGS = st.builds(TypeSettings, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["ALLOW", "BLOCK", "OMIT"]))
TYPES = st.sampled_from(["track", "identify", "group", "page", "screen", "alias"])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Workspace, list[PlanRule]]:
    rules = [
        PlanRule("TRACK", {"properties": {"properties": draw(SCHEMAS)}}, "Known"),
        PlanRule("IDENTIFY", {"properties": {"traits": draw(SCHEMAS)}}),
        PlanRule("PAGE", draw(SCHEMAS)),
        PlanRule("COMMON", {"properties": {"properties": draw(SCHEMAS), "context": draw(SCHEMAS)}}),
    ]
    schema = SchemaSettings(
        draw(SETTINGS), draw(SETTINGS), draw(SETTINGS), violations_to="other", blocked_to="other",
        events={"Off": EventSetting(False)}, traits={"a": draw(st.booleans())},
    )  # fmt: skip
    sources = (Source("main", "main", "Main", (), plan="p", schema=schema), Source("other", "other", "Other", ()))
    return Workspace(1, sources, (), plans=(Plan("p", "P", tuple(rules)),)), rules


@given(worlds(), TYPES, st.sampled_from(["Known", "Off", "Else"]), VALUES, VALUES, VALUES)
def test_live_and_explain_agree_and_the_stored_event_stays(
    world: tuple[Workspace, list[PlanRule]], kind: str, name: str, properties: Any, traits: Any, context: Any
) -> None:
    workspace, rules = world
    source = compile_workspace(workspace, CATALOG).sources["main"]
    payload = {"type": kind, "event": name, "messageId": "m", "userId": "u", "properties": properties, "traits": traits, "context": context}
    event = event_of(payload, "main", 1, jsonio.dumps(payload))
    before = jsonio.dumps(payload)
    found = source_side(1, event, source)
    told, traces = explain_source(1, event, source)
    assert (found.drop, found.event.body, found.violations, [one.body for one in found.derived]) == (
        told.drop, told.event.body, told.violations, [one.body for one in told.derived],
    )  # fmt: skip
    assert (traces[-1].outcome == "dropped") == (found.drop is not None)
    assert found.drop is None or found.drop.code != "INTERNAL"
    assert jsonio.dumps(event.payload) == before == event.body
    assert (found.event.message_id, found.event.type, found.event.source_id) == ("m", kind, "main")
    if found.drop is not None:
        assert found.event.payload["properties"] == properties
        assert found.derived
    elif kind == "page":
        valid = all(compile_schema(rule.schema).is_valid(payload) for rule in rules if rule.type in ("PAGE", "COMMON"))
        assert valid == (not found.violations) == (found.event is event)


@given(SCHEMAS, VALUES)
def test_a_schema_without_mistakes_is_taken_and_judges(schema: Any, value: Any) -> None:
    assert mistakes_of(schema) == []
    validator = compile_schema(schema)
    assert validator.is_valid(value) == (next(iter(validator.iter_errors(value)), None) is None)

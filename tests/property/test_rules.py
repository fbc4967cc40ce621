"""Whatever the rules and the event: the stored event stays as it is, and an explanation tells what really happens."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.base import jsonio
from relay.base.event import TYPES, Event, event_of
from relay.base.secret import Secret
from relay.destinations import load_catalog
from relay.kit.edits import read, with_value, without
from relay.kit.fql import compile_filter, compile_trigger, filter_names, filter_types, possible_types
from relay.kit.js import ABSENT
from relay.pipeline.compiled import compile_workspace
from relay.pipeline.decision import Drop
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import explain_destination, explain_source
from relay.pipeline.source_side import source_side
from relay.workspace.model import Destination, Source, Subscription, Workspace
from relay.workspace.rules import EventSetting, Filter, FilterAction, Hashing, SchemaSettings, Transformation

CATALOG = load_catalog()
KEYS = st.sampled_from(["a", "b", "c", "x.y", ""])
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from(["", "A", "größe"])
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
OBJECT = st.dictionaries(KEYS, JSON, max_size=4)
INTEGRATIONS = st.dictionaries(st.sampled_from(["All", "hook", "Hook", "Webhook"]), st.booleans() | st.none() | st.just({}), max_size=2)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "messageId": st.sampled_from(["m1", "m2", "m3"]), "event": st.sampled_from(["A", "B"])},
    optional={
        "userId": st.sampled_from(["u1", "u2"]), "name": st.just("A"), "properties": OBJECT, "traits": OBJECT, "integrations": INTEGRATIONS,
        "context": st.fixed_dictionaries({}, optional={"a": JSON, "ip": st.just("1"), "consent": st.just({"categoryPreferences": {"ads": False}})}),
    },
)  # fmt: skip
CONDITIONS = st.sampled_from(
    [
        "all", "type = 'track'", "event = 'A'", "properties.a = 1", "!(type in ['page', 'identify'])", "length(properties.b) > 1", "event = 'B' and userId != null",
        "type = 'track' and (event = 'A' or event in ['C', 'B'] and properties.a)", "event = 'A' or type = 'page'", "event in ['B']",
        "!(event = 'A')", "event = 'A' and event = 'B'", "traits.a or properties.c", "'A' in properties.a", "string(properties.a) = '1'", "!contains(properties.a, 'A')", "type = 'group' or type != 'page'",
    ]
)  # fmt: skip
PATHS = st.sampled_from(
    ["a", "b", "properties.a", "properties.b", "properties.a.b", "traits.a", "context.a", r"properties.x\.y", "properties.a.b.c", "context.ip"]
)
ACTIONS = st.one_of(
    st.builds(FilterAction, st.just("SAMPLE"), st.sampled_from([0, 0.3, 1]), st.sampled_from(["", "userId", "properties.a"])),
    st.just(FilterAction("DROP")),
    st.builds(
        lambda kind, fields: FilterAction(kind, fields=fields),
        st.sampled_from(["DROP_PROPERTIES", "ALLOW_PROPERTIES"]),
        st.dictionaries(
            st.sampled_from(["", "properties", "properties.a", "context", "traits.a.b"]), st.lists(KEYS | st.just("userId"), max_size=2).map(tuple)
        ),
    ),
)
FILTERS = st.builds(Filter, CONDITIONS, st.lists(ACTIONS, min_size=1, max_size=2).map(tuple), st.sampled_from(["", "T"]), st.booleans())
HASHINGS = st.builds(
    Hashing,
    st.sampled_from(["MD5", "SHA256"]),
    st.lists(PATHS, max_size=2).map(tuple),
    st.sampled_from(["HEX", "BASE64"]),
    st.sampled_from([Secret(""), Secret("k")]),
)
TRANSFORMATIONS = st.builds(
    Transformation, CONDITIONS, st.just("N"), st.booleans(), st.sampled_from([False, False, True]), st.sampled_from(["", "B"]),
    st.lists(st.tuples(PATHS, PATHS), max_size=2).map(tuple), st.lists(st.tuples(PATHS, JSON), max_size=2).map(tuple),
    st.lists(st.tuples(PATHS, st.sampled_from(["lowercase(properties.a)", "properties.b", "type", "properties.a = 1"])), max_size=1).map(tuple),
    st.none() | st.lists(PATHS, max_size=2).map(tuple), st.none() | HASHINGS,
)  # fmt: skip
WORKSPACES = st.builds(
    lambda filters, at_source, at_destination, consent, schema, trigger: Workspace(
        1,
        (Source("web", "web", "Web", ("k",), transformations=tuple(at_source), schema=SchemaSettings(events={"A": EventSetting(integrations=schema)})),),
        (
            Destination(
                "hook", "hook", "Hook", "webhook", ("web",), settings={"url": "https://hooks.example/"}, filters=tuple(filters),
                transformations=tuple(at_destination), consent_categories=consent, subscriptions=(Subscription("s", "S", "send", trigger, {}),),
            ),
        ),
    ),
    st.lists(FILTERS, max_size=3), st.lists(TRANSFORMATIONS, max_size=2), st.lists(TRANSFORMATIONS, max_size=2),
    st.sampled_from([(), (), ("ads",)]), st.dictionaries(st.sampled_from(["hook", "All"]), st.booleans(), max_size=1),
    st.sampled_from(["all", "all", 'type = "track"', 'event = "B"', "properties.a != null"]),
)  # fmt: skip

careful = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def stored(message: dict[str, Any]) -> Event:
    body = jsonio.dumps(message)
    return event_of(jsonio.loads(body), "web", 0, body)


@careful
@given(WORKSPACES, st.lists(MESSAGES, min_size=1, max_size=4))
def test_the_stored_event_stays_and_explanations_agree(workspace: Workspace, messages: list[dict[str, Any]]) -> None:
    compiled = compile_workspace(workspace, CATALOG)
    source, destination = compiled.sources["web"], compiled.destinations["hook"]
    for seq, message in enumerate(messages, 1):
        event = stored(message)
        before, body = copy.deepcopy(event.payload), event.body
        sourced = source_side(seq, event, source)
        after_source = copy.deepcopy(sourced.event.payload)
        result = destination_side(sourced, destination)
        again, source_traces = explain_source(seq, event, source)
        explained = explain_destination(sourced, destination)
        assert (event.payload, event.body, sourced.event.payload) == (before, body, after_source)
        assert jsonio.loads(sourced.event.body) == after_source
        assert (again.drop, again.event.payload) == (sourced.drop, after_source)
        if isinstance(result, Drop):
            last = explained.traces[-1]
            assert result.code != "INTERNAL"
            assert (explained.drop, last.outcome, last.code) == (result, "dropped", result.code)
            assert (result.code != "FILTERED_BY_RULES") or last.text or sourced.drop
        else:
            assert explained.drop is None
            assert [one.subscription_id for one in explained.planned] == [unit.subscription_id for unit in result]
            assert [one.fields for one in explained.planned if not one.problem] == [unit.fields for unit in result if not unit.problem]
        assert source_traces[-1].outcome == "dropped" if sourced.drop else source_traces[-1].outcome in ("passed", "changed")


@careful
@given(OBJECT, st.lists(KEYS, min_size=1, max_size=4).map(tuple), JSON)
def test_an_edit_does_what_it_says_and_nothing_else(payload: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    before = copy.deepcopy(payload)
    put, removed = with_value(payload, keys, value), without(payload, keys)
    assert payload == before
    assert read(removed, keys) is ABSENT
    if read(put, keys) is not ABSENT:
        assert read(put, keys) == value
    assert without(removed, keys) is removed
    assert with_value(put, keys, value) == put


@careful
@given(CONDITIONS, MESSAGES)
def test_a_type_or_name_that_is_ruled_out_never_matches(condition: str, message: dict[str, Any]) -> None:
    event, names = stored(message), filter_names(condition)
    if event.type not in filter_types(condition) or (event.type == "track" and names is not None and event.name not in names):
        assert not compile_filter(condition)(event)


@careful
@given(
    st.sampled_from(['type != "page"', 'type in ["track", "page"]', '!(type = "page")', 'event in ["A"] and type = "track"', "all", "properties.a"]),
    MESSAGES,
)
def test_a_trigger_never_matches_a_type_that_it_says_it_cannot(trigger: str, message: dict[str, Any]) -> None:
    event = stored(message)
    if event.type not in possible_types(trigger):
        assert not compile_trigger(trigger)(event)

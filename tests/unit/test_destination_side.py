"""What a destination makes of an event: the order of the stages, each code, units and batches."""

from collections.abc import Mapping
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.codes import CODES, Door
from relay.base.event import Event, event_of
from relay.kit.definition import Action, Definition, Delivery, Field
from relay.kit.request import Request
from relay.pipeline.compiled import CompiledDestination, compile_workspace
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side
from relay.pipeline.explain import diff, explain_destination
from relay.pipeline.source_side import source_side
from relay.workspace.model import Destination, Subscription, Workspace


def post(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    return Request("POST", "https://hooks.example.com")


FIELDS = (
    Field("data", "Data", "object", default={"@path": "$."}),
    Field("amount", "Amount", "number"),
    Field("list", "List"),
    Field("enable_batching", "Batch", "boolean"),
    Field("batch_size", "Size", "integer"),
    Field("batch_keys", "Keys", multiple=True),
)
ACTIONS = {
    "one": Action("one", "One", fields=FIELDS, perform=post),
    "many": Action("many", "Many", fields=FIELDS, perform=post, perform_batch=lambda s, d: post(s, d[0]), batch_size=50, batch_keys=("list",)),
    "always": Action("always", "Always", fields=FIELDS, perform=post, perform_batch=lambda s, d: post(s, d[0]), batch_size=50, batch_always=True),
}
HOOK = Definition("hook", "Hook Cloud", methods=frozenset(("track", "identify")), actions=ACTIONS)
STORE = Definition(
    "store", "Store", mode="storage", actions={"write": Action("write", "Write", batch_size=500)}, open_sink=lambda settings, context: None
)  # type: ignore[arg-type,return-value]

TRACK = Subscription("track", "Track", "one", 'type = "track"', {})


def destination(*subscriptions: Subscription, definition: Definition = HOOK, enabled: bool = True) -> CompiledDestination:
    made = Destination("d1", "my-hook", "My hook", definition.slug, ("web",), enabled=enabled, subscriptions=subscriptions or (TRACK,))
    return compile_workspace(Workspace(3, (), (made,)), {definition.slug: definition}).destinations["d1"]


def sourced(**changes: Any) -> Sourced:
    payload = {"type": "track", "messageId": "m1", "userId": "u1", "event": "Paid", "properties": {"amount": 5}} | changes
    body = jsonio.dumps(payload)
    return Sourced(7, event_of(payload, "web", 0, body), bytes=len(body))


def units(result: list[Unit] | Drop) -> list[Unit]:
    assert isinstance(result, list)
    return result


def test_an_event_becomes_a_unit_with_the_payload_itself() -> None:
    given = sourced()
    (unit,) = units(destination_side(given, destination()))
    assert unit.fields["data"] is given.event.payload
    assert (unit.seq, unit.subscription_id, unit.batch_key, unit.batch_size, unit.problem) == (7, "track", "", 1, "")
    assert unit.action is ACTIONS["one"]


def test_each_matching_subscription_makes_its_own_unit() -> None:
    second = Subscription("paid", "Paid", "one", 'event = "Paid"', {})
    third = Subscription("id", "Identify", "one", 'type = "identify"', {})
    assert [unit.subscription_id for unit in units(destination_side(sourced(), destination(TRACK, second, third)))] == ["track", "paid"]


ON, OFF, BROWSER = None, "FILTERED_BY_INTEGRATIONS_OBJECT", "MESSAGE_SENT_CLIENT_SIDE"


@pytest.mark.parametrize(
    ("integrations", "metadata", "code"),
    [
        ({}, None, ON),
        (None, None, ON),
        ({"All": True}, None, ON),
        ({"All": False}, None, OFF),
        ({"All": False, "Hook Cloud": True}, None, ON),
        ({"All": False, "Hook Cloud": {"option": 1}}, None, ON),
        ({"All": False, "Hook Cloud": {}}, None, ON),
        ({"Hook Cloud": False}, None, OFF),
        ({"hook cloud": False}, None, ON),
        ({"Hook Cloud": False, "My hook": True}, None, ON),
        ({"Hook Cloud": True, "My hook": True, "my-hook": False}, None, OFF),
        ({"Hook Cloud": None, "All": False}, None, OFF),
        ({"Segment.io": True, "All": False}, None, OFF),
        ({"Segment.io": False}, None, ON),
        ({}, {"bundled": ["Segment.io"], "unbundled": ["Hook Cloud"]}, ON),
        ({}, {"bundled": ["Segment.io", "Hook Cloud"]}, BROWSER),
        ({"Hook Cloud": True}, {"bundled": ["Hook Cloud"]}, BROWSER),
        ({"Hook Cloud": False}, {"bundled": ["Hook Cloud"]}, OFF),
        ({}, {"bundled": "Hook Cloud"}, ON),
        ({}, "strange", ON),
    ],
)
def test_the_event_says_where_it_goes(integrations: Any, metadata: Any, code: str | None) -> None:
    result = destination_side(sourced(integrations=integrations, _metadata=metadata), destination())
    assert (result.code if isinstance(result, Drop) else None) == code


def test_a_destination_named_like_the_tracking_api_is_not_switched_by_its_key() -> None:
    named = Definition("seg", "Segment.io", actions=ACTIONS)
    assert units(destination_side(sourced(integrations={"Segment.io": False}, _metadata={"bundled": ["Segment.io"]}), destination(definition=named)))


def test_the_stages_are_asked_in_their_order() -> None:
    off, page = {"All": False}, Subscription("p", "P", "one", 'type = "page"', {})
    everything_wrong = destination(page, enabled=False)
    assert destination_side(sourced(type="page", integrations=off), everything_wrong) == Drop("destination", "destination_disabled")
    assert destination_side(sourced(type="page", integrations=off), destination(page)) == Drop("supported", "UNSUPPORTED_EVENT_TYPE")
    assert destination_side(sourced(integrations=off), destination(page)) == Drop("integrations", OFF)
    assert destination_side(sourced(), destination(page)) == Drop("trigger", "NO_MATCHING_MAPPING")


def test_what_the_source_side_dropped_stays_dropped() -> None:
    tombstone = source_side(9, Event.from_body("web", 0, b""), None)
    assert tombstone.drop == Drop("source", "forgotten", Door.DISCARDED)
    assert destination_side(tombstone, destination(enabled=False)) is tombstone.drop


def test_the_source_side_passes_an_event_on() -> None:
    event = sourced().event
    made = source_side(4, event, None)
    assert (made.seq, made.event, made.drop, made.bytes) == (4, event, None, len(event.body))


def test_a_payload_that_does_not_fit_is_a_problem_of_its_own_unit() -> None:
    wrong = Subscription("amount", "Amount", "one", 'type = "track"', {"amount": {"@path": "$.event"}})
    bad, good = units(destination_side(sourced(), destination(wrong, TRACK)))
    assert (bad.problem_code, good.problem) == ("PAYLOAD_VALIDATION_FAILED", "")
    assert '"amount"' in bad.problem


def test_a_bug_in_a_mapper_costs_its_own_unit_only() -> None:
    compiled = destination(TRACK, Subscription("b", "B", "one", 'type = "track"', {}))
    broken = compiled.subscriptions[0]

    def mapper(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise KeyError("x")

    broken = type(broken)(broken.subscription, broken.action, broken.trigger, mapper)
    compiled = CompiledDestination(
        compiled.destination, compiled.definition, (broken, compiled.subscriptions[1]), compiled.source_ids, compiled.names, compiled.version
    )
    bad, good = units(destination_side(sourced(), compiled))
    assert (bad.problem_code, bad.problem, good.problem) == ("bug", "KeyError: 'x'", "")


@pytest.mark.parametrize(
    ("action", "mapping", "expected"),
    [
        ("one", {"enable_batching": True}, ("", 1)),
        ("many", {}, ("", 1)),
        ("many", {"enable_batching": False}, ("", 1)),
        ("many", {"enable_batching": "true"}, ("[null]", 50)),
        ("many", {"enable_batching": True, "list": {"@path": "$.userId"}}, ('["u1"]', 50)),
        ("many", {"enable_batching": True, "batch_size": 10}, ("[null]", 10)),
        ("many", {"enable_batching": True, "batch_size": 500}, ("[null]", 50)),
        ("many", {"enable_batching": True, "batch_size": 0}, ("[null]", 50)),
        ("many", {"enable_batching": True, "batch_keys": ["amount"], "amount": 5}, ("[5]", 50)),
        ("always", {"batch_size": "7"}, ("1", 7)),
    ],
)
def test_units_that_may_share_a_request_have_equal_batch_keys(action: str, mapping: dict[str, Any], expected: tuple[str, int]) -> None:
    (unit,) = units(destination_side(sourced(), destination(Subscription("s", "S", action, 'type = "track"', mapping))))
    assert (unit.batch_key, unit.batch_size, unit.problem) == (*expected, "")


def test_a_sink_takes_batches_of_everything() -> None:
    everything = Subscription("all", "All", "write", 'type = "track"', {})
    (unit,) = units(destination_side(sourced(), destination(everything, definition=STORE)))
    assert (unit.batch_key, unit.batch_size, unit.fields) == ("1", 500, {})


@pytest.mark.parametrize(
    ("given", "compiled", "last"),
    [
        (sourced(), destination(), ("mapping", "mapped", "")),
        (sourced(integrations={"All": False}), destination(), ("integrations", "dropped", OFF)),
        (sourced(type="alias"), destination(), ("supported", "dropped", "UNSUPPORTED_EVENT_TYPE")),
        (sourced(), destination(enabled=False), ("destination", "dropped", "destination_disabled")),
        (sourced(), destination(Subscription("p", "P", "one", 'type = "page"', {})), ("trigger", "dropped", "NO_MATCHING_MAPPING")),
        (source_side(1, Event.from_body("web", 0, b""), None), destination(), ("source", "dropped", "forgotten")),
        (
            sourced(),
            destination(Subscription("a", "A", "one", 'type = "track"', {"amount": {"@path": "$.event"}})),
            ("mapping", "refused", "PAYLOAD_VALIDATION_FAILED"),
        ),
    ],
)
def test_an_explanation_ends_as_the_event_did(given: Sourced, compiled: CompiledDestination, last: tuple[str, str, str]) -> None:
    traces = explain_destination(given, compiled).traces
    result = destination_side(given, compiled)
    assert (traces[-1].stage, traces[-1].outcome, traces[-1].code) == last
    if isinstance(result, Drop):
        assert (result.stage, result.code) == (traces[-1].stage, traces[-1].code)
    assert not last[2] or last[2] in CODES


def test_an_explanation_tells_of_every_subscription() -> None:
    page = Subscription("p", "P", "one", 'type = "page"', {})
    explained = explain_destination(sourced(), destination(TRACK, page))
    told = [(trace.stage, trace.outcome, trace.text.partition(":")[0]) for trace in explained.traces[6:]]
    assert told == [("trigger", "matched", "track"), ("trigger", "skipped", "p"), ("mapping", "mapped", "track")]
    assert explained.planned[0].fields["data"]["event"] == "Paid"


def test_a_diff_names_each_value_that_differs() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": True, "same": {"deep": [1]}}
    after = {"a": 2, "b": {"c": [1, 3], "d": "x"}, "new": None, "same": {"deep": [1]}, "list": [1]}
    assert [(one.path, one.before, one.after) for one in diff(before, after)] == [
        ("a", 1, 2), ("b.c.1", 2, 3), ("gone", True, None), ("list", None, [1])
    ]  # fmt: skip

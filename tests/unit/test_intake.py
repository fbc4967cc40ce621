"""Intake: what becomes of a message, field by field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.base import jsonio
from relay.base.codes import CODES
from relay.base.event import Event
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Refusal
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.workspace.model import Source

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
RECEIVED_MS = 1_795_600_500_000
RECEIVED = "2026-11-25T09:55:00.000Z"
SOURCE = CompiledSource(Source("web", "web", "Web", ("wk",)))
SERVER = Client("198.51.100.7", "made-up/1.0", False)
BROWSER = Client("198.51.100.7", "made-up/1.0", True)
TRACK = {"type": "track", "event": "Signed Up", "userId": "u1", "messageId": "m1"}


def take(
    messages: list[Any], envelope: dict[str, Any] | None = None, *, client: Client = SERVER, kind: str | None = None, max_bytes: int = 32_768
) -> tuple[list[Event], list[Refusal]]:
    return accept(
        copy.deepcopy(messages), envelope or {}, SOURCE, received_ms=RECEIVED_MS, received_text=time_text(RECEIVED_MS), client=client,
        limits=Limits(max_bytes), new_id=lambda: "made-id", kind=kind,
    )  # fmt: skip


def one(client: Client = SERVER, kind: str | None = None, envelope: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    events, refused = take([TRACK | changes], envelope, client=client, kind=kind)
    assert not refused
    assert json.loads(events[0].body) == events[0].payload
    return dict(events[0].payload)


def test_time_text_is_iso_utc_with_milliseconds() -> None:
    assert time_text(RECEIVED_MS) == RECEIVED
    assert time_text(1) == "1970-01-01T00:00:00.001Z"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "purchase"}, "unknown_type"),
        ({"type": None}, "unknown_type"),
        ({"type": ["track"]}, "unknown_type"),
        ({"userId": None}, "no_user_anon_id"),
        ({"userId": "", "anonymousId": ""}, "no_user_anon_id"),
        ({"userId": {"id": 1}}, "id_not_string"),
        ({"userId": True}, "id_not_string"),
        ({"anonymousId": ["a"]}, "id_not_string"),
        ({"messageId": {"id": 1}}, "id_not_string"),
        ({"messageId": "x" * 101}, "id_too_long"),
        ({"messageId": "x" * 100}, ""),
        ({"event": None}, "event_not_defined"),
        ({"event": ""}, "event_not_defined"),
        ({"event": 5}, "event_not_string"),
        ({"properties": []}, "properties_not_object"),
        ({"properties": None}, ""),
        ({"context": "x"}, "context_not_object"),
        ({"context": {"traits": "x"}}, "traits_not_object"),
        ({"integrations": []}, "integrations_not_object"),
        ({"type": "page", "name": 3}, "name_not_string"),
        ({"type": "screen", "category": 3}, "category_not_string"),
        ({"type": "page", "properties": "x"}, "properties_not_object"),
        ({"type": "page", "name": None}, ""),
        ({"type": "identify", "traits": "x"}, "traits_not_object"),
        ({"type": "group"}, "id_required"),
        ({"type": "group", "groupId": ""}, "id_required"),
        ({"type": "group", "groupId": {}}, "id_not_string"),
        ({"type": "group", "groupId": "g", "traits": 1}, "traits_not_object"),
        ({"type": "alias"}, "id_required"),
        ({"type": "alias", "previousId": []}, "id_not_string"),
        ({"type": "alias", "previousId": "old"}, ""),
    ],
)
def test_each_mistake_has_its_code_and_costs_nobody_else(change: dict[str, Any], code: str) -> None:
    events, refused = take([TRACK | {"messageId": "before"}, TRACK | change, TRACK | {"messageId": "after"}])
    assert [refusal.code for refusal in refused] == ([code] if code else [])
    assert {event.message_id for event in events} >= {"before", "after"}
    assert all(refusal.code in CODES and refusal.position == 1 for refusal in refused)


@pytest.mark.parametrize("message", [None, 1, "x", [], [TRACK]])
def test_a_message_that_is_no_object_is_refused_alone(message: Any) -> None:
    events, refused = take([message, TRACK])
    assert refused == [Refusal(0, "bad_request", "")]
    assert len(events) == 1


@pytest.mark.parametrize(("given_id", "kept"), [("u", "u"), (7, "7"), (0, "0"), (7.0, "7"), (7.5, "7.5"), (10**15, "1000000000000000")])
def test_numeric_ids_become_strings(given_id: Any, kept: str) -> None:
    event = one(userId=given_id, anonymousId=given_id, messageId=given_id)
    assert (event["userId"], event["anonymousId"], event["messageId"]) == (kept, kept, kept)


@pytest.mark.parametrize("absent", [None, ""])
def test_null_and_empty_ids_are_absent(absent: Any) -> None:
    events, _ = take([TRACK | {"anonymousId": absent, "messageId": absent, "groupId": absent}])
    assert "anonymousId" not in events[0].payload
    assert "groupId" not in events[0].payload
    assert (events[0].message_id, events[0].user_id, events[0].anonymous_id) == ("made-id", "u1", "")


def test_the_type_of_the_path_wins() -> None:
    event = one(kind="page", type="track", name="Home")
    assert event["type"] == "page"
    assert take([{"userId": "u"}], kind="identify")[0][0].type == "identify"


@pytest.mark.parametrize(
    ("sent", "original", "timestamp"),
    [
        ("2026-11-25T09:54:10.000Z", "2026-11-25T09:54:00.000Z", "2026-11-25T09:54:50.000Z"),
        ("2026-11-25T09:54:10.528523+00:00", "2026-11-25T09:54:00+00:00", "2026-11-25T09:54:49.471Z"),
        ("2026-11-25T11:54:10.123456789+02:00", "2026-11-25T09:54:00.123Z", "2026-11-25T09:54:49.999Z"),
        ("2026-11-25T09:54:10", "2026-11-25T09:54:00", "2026-11-25T09:54:50.000Z"),
        ("2026-11-25T09:54:10.000Z", "2020-01-02T03:04:05.678Z", "2020-01-02T03:04:55.678Z"),
        (None, "2020-01-02T03:04:05+01:00", "2020-01-02T02:04:05.000Z"),
        ("soon", "2020-01-02T03:04:05.678Z", "2020-01-02T03:04:05.678Z"),
        ("2026-11-25T09:54:10.000Z", None, RECEIVED),
        ("2026-11-25T09:54:10.000Z", "yesterday", RECEIVED),
        ("2026-11-25T09:54:10.000Z", 1_700_000_000_000, RECEIVED),
        ("9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00+23:59", "2020-01-02T03:04:05.678Z", "2020-01-02T03:04:05.678Z"),
    ],
)
def test_timestamp_is_corrected_for_the_clients_clock(sent: Any, original: Any, timestamp: str) -> None:
    for name in ("timestamp", "originalTimestamp"):
        assert one(sentAt=sent, **{name: original})["timestamp"] == timestamp
    assert one(envelope={"sentAt": sent}, timestamp=original)["timestamp"] == timestamp


def test_the_four_times_are_one_form() -> None:
    event = one(timestamp="2026-11-25T10:54:00.5+01:00", sentAt="2026-11-25T09:54:10Z", receivedAt="1999-01-01T00:00:00.000Z")
    assert event["originalTimestamp"] == "2026-11-25T09:54:00.500Z"
    assert event["sentAt"] == "2026-11-25T09:54:10.000Z"
    assert event["receivedAt"] == RECEIVED


def test_times_that_are_none_disappear() -> None:
    event = one(sentAt="x", originalTimestamp="y", timestamp="z")
    assert "sentAt" not in event
    assert "originalTimestamp" not in event
    assert event["timestamp"] == RECEIVED


def test_the_items_sent_at_goes_before_the_batchs() -> None:
    event = one(envelope={"sentAt": "2026-11-25T09:00:00.000Z"}, sentAt="2026-11-25T09:54:10.000Z", timestamp="2026-11-25T09:54:00.000Z")
    assert event["timestamp"] == "2026-11-25T09:54:50.000Z"


def test_batch_context_and_integrations_lie_under_the_items_own() -> None:
    envelope = {
        "context": {"app": {"name": "shop", "version": "1"}, "locale": "de"},
        "integrations": {"All": False, "Mixpanel": True},
        "timestamp": "1999-01-01T00:00:00.000Z",
    }
    events, _ = take(
        [TRACK | {"context": {"app": {"version": "2"}}, "integrations": {"Mixpanel": False}}, TRACK | {"integrations": None}],
        envelope,
        client=BROWSER,
    )
    assert events[0].payload["context"] == {"app": {"name": "shop", "version": "2"}, "locale": "de", "ip": SERVER.ip, "userAgent": SERVER.user_agent}
    assert events[0].payload["integrations"] == {"All": False, "Mixpanel": False}
    assert events[1].payload["integrations"] == {"All": False, "Mixpanel": True}
    assert events[1].payload["timestamp"] == RECEIVED
    assert envelope["context"] == {"app": {"name": "shop", "version": "1"}, "locale": "de"}


@pytest.mark.parametrize("defaults", [{"context": "x", "integrations": 3}, {"context": None, "integrations": []}])
def test_batch_defaults_that_are_no_objects_are_ignored(defaults: dict[str, Any]) -> None:
    assert one(envelope=defaults)["context"] == {}


@pytest.mark.parametrize(
    ("client", "context", "filled", "channel"),
    [
        (SERVER, {"library": {"name": "analytics-python"}}, False, "server"),
        (SERVER, {}, False, "server"),
        (SERVER, {"direct": True}, True, "server"),
        (SERVER, {"library": {"name": "analytics.js"}}, True, "browser"),
        (SERVER, {"library": {"name": "analytics-swift"}}, True, "mobile"),
        (SERVER, {"library": {"name": ["analytics.js"]}}, False, "server"),
        (SERVER, {"library": "analytics.js"}, False, "server"),
        (BROWSER, {}, True, "browser"),
    ],
)
def test_ip_and_user_agent_are_filled_for_client_side_calls_only(client: Client, context: dict[str, Any], filled: bool, channel: str) -> None:
    event = one(client, context=context)
    assert ("ip" in event["context"], "userAgent" in event["context"]) == (filled, filled)
    assert event["channel"] == channel


def test_what_the_client_says_about_itself_wins() -> None:
    event = one(BROWSER, context={"ip": "203.0.113.9", "userAgent": "own"}, channel="kiosk")
    assert event["context"] == {"ip": "203.0.113.9", "userAgent": "own"}
    assert event["channel"] == "kiosk"


def test_unknown_fields_are_kept_the_write_key_is_not() -> None:
    event = one(writeKey="wk", future={"a": [1]}, _metadata={"bundled": []}, version=9)
    assert "writeKey" not in event
    assert (event["future"], event["_metadata"], event["version"]) == ({"a": [1]}, {"bundled": []}, 2)


def test_the_size_limit_is_the_clients_own_count() -> None:
    message = TRACK | {"properties": {"text": "x" * 500}, "context": {}, "channel": "server", "timestamp": RECEIVED, "sentAt": RECEIVED}
    size = len(jsonio.dumps(message))
    assert len(take([message], max_bytes=size)[0]) == 1
    assert [refusal.code for refusal in take([message], max_bytes=size - 1)[1]] == ["event_too_large"]


@pytest.mark.parametrize(("depth", "is_taken"), [(64, True), (65, False), (250, False), (5000, False)])
def test_depth_is_bounded_in_the_item_and_in_the_batch(depth: int, is_taken: bool) -> None:
    nested: Any = {}
    for _ in range(depth - 3):
        nested = {"a": nested}
    for messages, envelope in (([TRACK | {"context": {"a": nested}}], {}), ([dict(TRACK)], {"context": {"a": nested}})):
        events, refused = accept(
            messages, envelope, SOURCE, received_ms=RECEIVED_MS, received_text=RECEIVED, client=SERVER, limits=Limits(), new_id=lambda: "n"
        )  # fmt: skip
        assert [refusal.code for refusal in refused] == ([] if is_taken else ["too_deep"])
        assert len(events) == is_taken


def test_a_disabled_source_takes_nothing() -> None:
    source = CompiledSource(Source("off", "off", "Off", ("wk",), enabled=False))
    events, refused = accept(
        [dict(TRACK), 3], {}, source, received_ms=0, received_text="", client=SERVER, limits=Limits(), new_id=lambda: "n"
    )  # fmt: skip
    assert not events
    assert refused == [Refusal(0, "source_disabled", "m1"), Refusal(1, "source_disabled", "")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("type", "userId", "anonymousId", "messageId", "event", "name", "context", "integrations", "properties", "traits", "sentAt",
          "timestamp", "originalTimestamp", "groupId", "previousId", "channel", "writeKey")  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON, max_size=4),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.sampled_from([None, "track", "page", "alias"]),
)
def test_every_message_becomes_an_event_or_a_refusal(messages: list[Any], envelope: dict[str, Any], kind: str | None) -> None:
    events, refused = take([TRACK | message if isinstance(message, dict) else message for message in messages], envelope, kind=kind)
    assert len(events) + len(refused) == len(messages)
    for event in events:
        assert Event.from_body("web", RECEIVED_MS, event.body).keys == event.keys
        assert event.message_id
        assert event.user_id or event.anonymous_id


def test_every_captured_event_is_taken() -> None:
    count = 0
    for name in ("python", "node", "browser"):
        for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
            request = json.loads(line)["request"]
            if request["method"] != "POST" or not request["path"].startswith("/v1/batch") or not request.get("body"):
                continue
            body = jsonio.loads_lenient(request["body"].encode("utf-8", "surrogatepass"))
            events, refused = take(body["batch"], body)
            assert not refused
            assert all(event.payload["receivedAt"] == RECEIVED for event in events)
            count += len(events)
    assert count > 200

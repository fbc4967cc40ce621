"""Redaction: what happens to sensitive fields, in a source before the commit, in a destination before the mapping, and when it fails."""

import copy
import hashlib
import json
from typing import Any

import pytest

from relay.base.event import Event, event_of
from relay.base.secret import MASK
from relay.kit.encryption import decrypt, new_pair
from relay.kit.matchers import Matcher
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Drop, Refusal
from relay.pipeline.explain import diff
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.pipeline.stages.protect import compile_protection
from relay.pipeline.stages.redact import compile_cover, compile_redaction
from relay.web.tracking.refused import records_of
from relay.workspace.model import Source
from relay.workspace.rules import PrivacyRules
from tests.support.privacy import privacy_rules

PRIVATE, PUBLIC = new_pair(2048)
MESSAGE: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "userId": "ada@example.com",
    "context": {
        "ip": "198.51.100.7",
        "library": {"name": "analytics.js", "version": "5.2.0.1"},
        "app": {"name": "Shop"},
        "traits": {"email": "ada@example.com", "plan": "pro"},
        "page": {"url": "https://shop.example/?q=1"},
    },
    "properties": {
        "total": 27.5,
        "password": "hunter2",
        "orderRef": "o-1",
        "address": {"street": "Main 1", "city": "Berlin", "ssn": "078-05-1120"},
        "products": [{"name": "Game", "token": "t1", "price": 19}, {"name": "Cards", "price": 3}],
        "notes": ["call +4915112345678", "+4915112345678", 4111111111111111],
        "empty": {"email": "", "phone": None, "address": {}},
    },
    "timestamp": "2026-11-26T04:00:00.000Z",
}


def redact(message: dict[str, Any], own: tuple[Matcher, ...] = (), **lists: Any) -> dict[str, Any]:
    """The redacted message; the given one must stay as it is."""
    step = compile_redaction(privacy_rules(own, **lists))
    assert step is not None
    before = copy.deepcopy(message)
    result = step(message)
    assert message == before
    return dict(result)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_block_removes_mask_hides_hash_compares() -> None:
    result = redact(MESSAGE, block=["red"], mask=["email", "properties.orderRef"], hash=["context.ip", "properties.total"])
    assert result["context"]["traits"] == {"email": MASK, "plan": "pro"}
    assert result["context"]["ip"] == sha256("198.51.100.7")
    properties = result["properties"]
    assert "password" not in properties
    assert properties["orderRef"] == MASK
    assert properties["total"] == sha256("27.5")
    assert properties["address"] == {"street": "Main 1", "city": "Berlin"}
    assert properties["products"] == [{"name": "Game", "price": 19}, {"name": "Cards", "price": 3}]
    assert properties["notes"] == ["call +4915112345678", "+4915112345678"]


def test_a_colour_leaves_names_of_things_and_a_named_matcher_does_not() -> None:
    yellow, named = redact(MESSAGE, mask=["yellow"]), redact(MESSAGE, mask=["name"])
    assert yellow["context"]["library"] == MESSAGE["context"]["library"]
    assert yellow["context"]["app"] == {"name": "Shop"}
    assert [product["name"] for product in yellow["properties"]["products"]] == ["Game", "Cards"]
    assert yellow["properties"]["address"] == MASK
    assert yellow["properties"]["notes"] == ["call +4915112345678", MASK, 4111111111111111]
    assert named["context"]["library"]["name"] == named["context"]["app"]["name"] == MASK
    assert [product["name"] for product in named["properties"]["products"]] == [MASK, MASK]


def test_the_top_level_is_never_touched_and_empty_values_stay() -> None:
    result = redact(MESSAGE, block=["userId", "event", "messageId"], mask=["yellow", "type"])
    assert {key: result[key] for key in ("type", "event", "messageId", "userId")} == {
        key: MESSAGE[key] for key in ("type", "event", "messageId", "userId")
    }
    assert result["properties"]["empty"] == MESSAGE["properties"]["empty"]
    assert redact(MESSAGE, block=["email"])["properties"]["empty"] == {"phone": None, "address": {}}


def test_a_plain_key_is_met_at_any_depth_however_it_is_spelled() -> None:
    message = {"context": {"order_ref": 1}, "traits": [{"OrderRef": 2}], "properties": {"a": [[{"b": {"order-ref": 3}}]]}}
    assert redact(message, block=["orderRef"]) == {"context": {}, "traits": [{}], "properties": {"a": [[{"b": {}}]]}}


def test_a_path_means_one_place_and_each_object_of_a_list() -> None:
    message = {
        "traits": {"a": {"b": 1}, "b": 2},
        "context": {"traits": {"a": {"b": 3}}},
        "properties": {"l": [{"x.y": 4}, [{"x.y": 5}], 6], "a": {"b": 7}},
    }
    result = redact(message, block=["traits.a.b", r"properties.l.x\.y"])
    assert result == {"traits": {"a": {}, "b": 2}, "context": {"traits": {"a": {}}}, "properties": {"l": [{}, [{}], 6], "a": {"b": 7}}}


@pytest.mark.parametrize(
    ("lists", "meant"),
    [
        ({"mask": ["x"], "hash": ["x"]}, "hash"),
        ({"hash": ["x"], "mask": ["properties.x"]}, "hash"),
        ({"mask": ["x"], "encrypt": ["properties.x"], "public_key": PUBLIC}, "encrypt"),
        ({"hash": ["properties.x"], "encrypt": ["x"], "public_key": PUBLIC}, "encrypt"),
        ({"block": ["properties.x"], "hash": ["x"], "mask": ["x"], "encrypt": ["x"], "public_key": PUBLIC}, "block"),
        ({"block": ["x"], "encrypt": ["properties.x"], "public_key": PUBLIC}, "block"),
    ],
)
def test_the_stronger_rule_wins(lists: dict[str, Any], meant: str) -> None:
    properties = redact({"properties": {"x": "v", "y": 1}}, **lists)["properties"]
    if meant == "block":
        assert properties == {"y": 1}
    elif meant == "hash":
        assert properties["x"] == sha256("v")
    else:
        assert decrypt(properties["x"], PRIVATE) == "v"


def test_what_is_blocked_within_a_hashed_or_encrypted_object_goes_first() -> None:
    address = MESSAGE["properties"]["address"]
    left = json.dumps({key: value for key, value in address.items() if key != "ssn"}, separators=(",", ":"))
    assert redact(MESSAGE, block=["red"], hash=["address"])["properties"]["address"] == sha256(left)
    by_path = redact(MESSAGE, block=["properties.address.ssn"], mask=["city"], encrypt=["address"], public_key=PUBLIC)
    assert decrypt(by_path["properties"]["address"], PRIVATE) == left


def test_a_value_that_is_blocked_is_not_hashed_for_its_key() -> None:
    message = {"properties": {"email": "4111111111111111", "emails": ["4111111111111111", "a"]}}
    assert redact(message, block=["red"], hash=["email"]) == {"properties": {"emails": sha256('["a"]')}}


def test_values_that_are_no_strings_are_encrypted_as_json() -> None:
    values = {"a": 1.5, "b": True, "c": ["x", {"é": None}], "d": "ä" * 300, "e": None, "f": ""}
    result = redact({"properties": values}, encrypt=[f"properties.{key}" for key in values], public_key=PUBLIC)["properties"]
    opened = {key: decrypt(value, PRIVATE) for key, value in result.items() if value}
    assert opened == {"a": "1.5", "b": "true", "c": '["x",{"é":null}]', "d": "ä" * 300}
    assert (result["e"], result["f"]) == (None, "")


def test_matchers_of_ones_own_by_value_and_by_likeness() -> None:
    own = (Matcher("badge", "red", pattern="B-[0-9]{4}"), Matcher("employee number", "red", ("employee number",), similar=True))
    message = {"properties": {"note": "his badge is B-1234", "employeNumber": 7, "badge": 1, "list": ["B-1", "B-12345"], "n": 5}}
    assert redact(message, own, block=["red"]) == {"properties": {"badge": 1, "list": ["B-1"], "n": 5}}
    assert redact(message, own, mask=["badge"])["properties"] == message["properties"] | {"note": MASK, "list": ["B-1", MASK]}


def test_without_rules_there_is_no_step_and_without_finds_no_copy() -> None:
    assert compile_redaction(PrivacyRules()) is None
    assert compile_cover(PrivacyRules()) is None
    assert compile_protection(PrivacyRules()) is None
    step = compile_redaction(privacy_rules(block=["red", "traits.iban"], mask=["badge"]))
    assert step is not None
    message = {"type": "track", "context": {"locale": "de"}, "properties": {"total": 1, "products": [{"sku": "s"}]}, "traits": "odd"}
    assert step(message) is message
    other = {**message, "traits": {"iban": "DE00"}}
    result = step(other)
    assert result["context"] is other["context"]
    assert result["properties"] is other["properties"]
    assert step(result) is result


# In the intake, before the commit

SOURCE = Source("web", "web", "Web", ("wk",))


def take(messages: list[Any], source: CompiledSource) -> tuple[list[Event], list[Refusal]]:
    client, received_ms = Client("198.51.100.7", "made-up", True), 1_795_600_500_000
    return accept(
        messages, {}, source, received_ms=received_ms, received_text=time_text(received_ms), client=client, limits=Limits(), new_id=lambda: "made"
    )


def compiled(**lists: Any) -> CompiledSource:
    rules = privacy_rules(**lists)
    return CompiledSource(SOURCE, redact=compile_redaction(rules), cover=compile_cover(rules))


def test_what_relay_adds_itself_is_redacted_too() -> None:
    events, _ = take([{"type": "track", "event": "E", "userId": "u"}], compiled(block=["ip", "context.userAgent"]))
    assert {"ip", "userAgent"} & events[0].payload["context"].keys() == set()


def test_a_rule_that_fails_refuses_the_message_and_keeps_nothing_of_it() -> None:
    def broken(message: dict[str, Any]) -> dict[str, Any]:
        if message["event"] == "Bad":
            raise ValueError("CANARY")
        return message

    good = {"type": "track", "event": "Good", "userId": "u", "messageId": "m1"}
    messages = [good, good | {"event": "Bad", "messageId": "m2", "properties": {"password": "CANARY"}}, good | {"messageId": "m3"}]
    source = CompiledSource(SOURCE, redact=broken, cover=lambda message: message)
    events, refusals = take(messages, source)
    assert [event.message_id for event in events] == ["m1", "m3"]
    assert refusals == [Refusal(1, "INTERNAL", "m2")]
    (record,) = records_of(refusals, messages, source, 0)
    assert (record.code, record.name, record.body) == ("INTERNAL", "Bad", b"")


def test_a_source_may_encrypt_what_it_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    message = {"type": "identify", "userId": "u", "messageId": "m", "traits": {"email": "ada@example.com", "plan": "pro"}}
    source = compiled(encrypt=["email"], public_key=PUBLIC)
    (event,), _ = take([copy.deepcopy(message)], source)
    assert b"ada@example" not in event.body
    assert decrypt(event.payload["traits"]["email"], PRIVATE) == "ada@example.com"

    def refuse(*_: object) -> bytes:
        raise ValueError("ada@example.com")

    monkeypatch.setattr("base64.b64encode", refuse)
    messages = [message]
    events, refusals = take(messages, source)
    assert (events, refusals) == ([], [Refusal(0, "FAILED_DATA_ENCRYPTION", "m")])
    assert records_of(refusals, messages, source, 0)[0].body == b""


def test_nesting_without_end_is_refused_as_such() -> None:
    deep: Any = {"password": "CANARY"}
    for _ in range(3_000):
        deep = {"a": deep}
    messages = [{"type": "track", "event": "E", "userId": "u", "properties": deep}]
    source = compiled(block=["red"])
    _, refusals = take(messages, source)
    assert [refusal.code for refusal in refusals] == ["too_deep"]
    assert b"CANARY" not in records_of(refusals, messages, source, 0)[0].body


ODD_SHAPES = [
    "CANARY", [{"traits": {"iban": "CANARY"}}], {"type": "nothing", "traits": {"iban": "CANARY"}}, {"iban": "CANARY"},
    {"properties": '{"iban":"CANARY"}'}, {"properties": "iban=CANARY"}, {"data": {"user": {"traits": {"iban": "CANARY"}}}},
    {"data": '[{"password":"CANARY"}]'}, {"body": "a=1&password=CANARY"}, {"userId": {"iban": "CANARY"}}, {"event": {"password": ["CANARY"]}},
    {"properties": [{"access_token": {"x": "CANARY"}}]}, {"context": "CANARY", "traits": "CANARY"}, {"event": '{"iban":"CANARY"}', "password": "CANARY"},
]  # fmt: skip
"""What stands in a list of bare texts has no key, so there no rule names it."""


@pytest.mark.parametrize("message", ODD_SHAPES, ids=json.dumps)
def test_what_is_kept_of_a_refused_message_holds_no_sensitive_field(message: Any) -> None:
    source = compiled(block=["red"], mask=["traits.iban"])
    messages = [message]
    _, refusals = take(messages, source)
    (record,) = records_of(refusals, messages, source, 0)
    assert "CANARY" not in repr(record)


def test_what_is_kept_of_a_refused_message_holds_the_rest() -> None:
    messages = [{"type": "nothing", "userId": "u1", "event": "E", "properties": {"a": 1, "password": "x"}, "data": [1, "two"]}]
    source = compiled(block=["red"])
    _, refusals = take(messages, source)
    (record,) = records_of(refusals, messages, source, 0)
    assert json.loads(record.body) == messages[0] | {"properties": {"a": 1, "password": MASK}}
    assert (record.user_id, record.name) == ("u1", "E")


# At a destination


def event() -> Event:
    return event_of(MESSAGE, "web", 5, json.dumps(MESSAGE).encode())


def test_protection_makes_a_new_event_only_where_something_changes() -> None:
    protect = compile_protection(privacy_rules(mask=["email"]))
    assert protect is not None
    before = event()
    after = protect(before)
    assert isinstance(after, Event)
    assert json.loads(after.body) == after.payload == redact(MESSAGE, mask=["email"])
    assert (after.message_id, after.user_id, after.received_ms) == (before.message_id, before.user_id, 5)
    assert before.payload == MESSAGE
    nothing = compile_protection(privacy_rules(mask=["badge"]))
    assert nothing is not None
    assert nothing(before) is before


def test_an_event_that_cannot_be_encrypted_or_searched_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("CANARY")

    protect = compile_protection(privacy_rules(encrypt=["email"], public_key=PUBLIC))
    assert protect is not None
    monkeypatch.setattr("base64.b64encode", refuse)
    assert protect(event()) == Drop("privacy", "FAILED_DATA_ENCRYPTION")
    deep: Any = []
    for _ in range(3_000):
        deep = [deep]
    odd = event_of({"type": "track", "event": "E", "messageId": "m", "properties": {"a": deep}}, "web", 0, b"{}")
    assert protect(odd) == Drop("privacy", "INTERNAL")


def test_an_explanation_shows_what_is_encrypted() -> None:
    protect = compile_protection(privacy_rules(encrypt=["email"], public_key=PUBLIC))
    assert protect is not None
    results = [protect(event()), protect(event())]
    assert all(isinstance(result, Event) for result in results)
    paths = [[change.path for change in diff(MESSAGE, result.payload)] for result in results if isinstance(result, Event)]
    assert paths == [["context.traits.email"]] * 2
    assert results[0].payload != results[1].payload  # type: ignore[union-attr]

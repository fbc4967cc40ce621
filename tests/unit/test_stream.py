"""Names with placeholders, ids in headers, servers, and what is in doubt after a start."""

import json
from typing import Any

import pytest

from relay.base.event import Event
from relay.destinations import kafka, nats, redis
from relay.kit.definition import Definition
from relay.kit.doubt import REPEATED_EVENTS, Doubt
from relay.kit.stream import cleaner, header_id, host_and_port, name_of, user_key


def event(**fields: Any) -> Event:
    return Event.from_body("s1", 0, json.dumps({"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1"} | fields).encode())


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("events", "events"),
        ("events.{source}.{type}", "events.web.track"),
        ("{event}-{event}", "Order_Completed-Order_Completed"),
        ("{type}:{nothing", "track:{nothing"),
    ],
)
def test_a_name_takes_what_the_event_is(template: str, name: str) -> None:
    assert name_of(template, event(), "web", cleaner("A-Za-z0-9_-")) == name


def test_what_stands_for_a_placeholder_is_never_empty_nor_long() -> None:
    clean = cleaner("a-z")
    assert clean("") == "_"
    assert clean("a.ü>*\r\n") == "a______"
    assert len(clean("a" * 500)) == 100
    assert name_of("{event}", event(type="identify", event=None), "web", clean) == "identify"


@pytest.mark.parametrize("message_id", ["ü", "a\r\nb", " a", "a ", "a\0"])
def test_an_id_that_no_header_can_hold_becomes_the_key_of_the_delivery(message_id: str) -> None:
    assert header_id(event(messageId=message_id)).startswith("msg_")


def test_other_ids_stay_as_they_are() -> None:
    assert header_id(event(messageId="relay-1:2 x")) == "relay-1:2 x"


def test_the_key_is_the_user_else_the_anonymous_one() -> None:
    assert [user_key(event(userId=user, anonymousId=other)) for user, other in (("u", "a"), (None, "a"), (None, None))] == ["u", "a", ""]


def test_servers() -> None:
    assert host_and_port("a.example", 1) == ("a.example", 1)
    assert host_and_port("10.0.0.1:2", 1) == ("10.0.0.1", 2)
    assert host_and_port("[::1]:2", 1) == ("::1", 2)
    for wrong in ("", "a:0", "a:70000", "a b", "nats://a:1", "u:p@a:1", "::1", "a:1/x"):
        with pytest.raises(ValueError):
            host_and_port(wrong, 1)


GOOD: dict[str, dict[str, Any]] = {
    "nats": {"servers": ["a:4222"], "security": "tls", "subject": "events.{source}.{type}"},
    "redis": {"server": "a:6379", "key": "events:{source}", "database": 0, "maxLength": 10},
    "kafka": {"brokers": ["a:9092"], "topic": "events", "saslMechanism": "none", "security": "plain", "maxMessageBytes": 10},
}
WRONG: list[tuple[Definition, dict[str, Any], str]] = [
    (nats.DEFINITION, {"servers": ["nats://a:4222"]}, "no host with a port"),
    (nats.DEFINITION, {"subject": "events.{user}"}, "no placeholder {user}"),
    (nats.DEFINITION, {"subject": "events.>"}, "cannot be a name"),
    (nats.DEFINITION, {"subject": "events..{type}"}, "cannot be a name"),
    (nats.DEFINITION, {"username": "u"}, "belong together"),
    (nats.DEFINITION, {"username": "u", "password": "p", "token": "t"}, "only one of"),
    (redis.DEFINITION, {"key": ""}, "cannot be a name"),
    (redis.DEFINITION, {"maxLength": -1}, "must not be negative"),
    (redis.DEFINITION, {"fields": ["nothing"]}, "there is no 'nothing'"),
    (redis.DEFINITION, {"username": "u"}, "needs a password"),
    (kafka.DEFINITION, {"topic": "a b"}, "cannot be a name"),
    (kafka.DEFINITION, {"saslMechanism": "PLAIN"}, "belong together"),
    (kafka.DEFINITION, {"username": "u", "password": "p"}, "belong together"),
    (kafka.DEFINITION, {"certificateFile": "c", "security": "tls"}, "belong together"),
    (kafka.DEFINITION, {"caFile": "c"}, "need security = 'tls'"),
    (kafka.DEFINITION, {"maxMessageBytes": 0}, "at least 1"),
]


@pytest.mark.parametrize("definition", [nats.DEFINITION, redis.DEFINITION, kafka.DEFINITION], ids=lambda definition: definition.slug)
def test_good_settings_have_no_problem(definition: Definition) -> None:
    assert definition.check is not None
    assert not definition.check(GOOD[definition.slug])


@pytest.mark.parametrize(("definition", "change", "message"), WRONG)
def test_wrong_settings_are_told(definition: Definition, change: dict[str, Any], message: str) -> None:
    assert definition.check is not None
    (problem,) = definition.check(GOOD[definition.slug] | change)
    assert message in problem.message


def test_the_first_events_of_a_start_are_in_doubt_and_replays_are_not() -> None:
    doubt = Doubt()
    assert doubt.of(["a", "b"]) == {"a", "b"}
    doubt.written(["a"])
    assert doubt.of(["a", "b"]) == {"b"}
    doubt.written(str(number) for number in range(REPEATED_EVENTS))
    assert doubt.of(["a", "b"]) == set()


def test_what_was_lost_is_in_doubt_until_it_is_written() -> None:
    doubt = Doubt()
    doubt.written(str(number) for number in range(REPEATED_EVENTS))
    doubt.lost(["1", "x"])
    assert doubt.of(["1", "2", "x"]) == {"1", "x"}
    doubt.written(["1"])
    assert doubt.of(["1", "2", "x"]) == {"x"}

"""Whose order an event belongs to."""

import pytest

from relay.base.event import DELETED, Event, event_of
from relay.base.jsonio import dumps


@pytest.mark.parametrize(
    ("kind", "ids", "keys"),
    [
        ("track", {"userId": "u"}, ("u",)),
        ("track", {"anonymousId": "a"}, ("a",)),
        ("track", {"userId": "u", "anonymousId": "a"}, ("u",)),
        ("page", {"userId": "", "anonymousId": "a"}, ("a",)),
        ("group", {"userId": None, "anonymousId": "a", "groupId": "g"}, ("a",)),
        ("screen", {}, ()),
        ("identify", {"userId": "u"}, ("u",)),
        ("identify", {"userId": "u", "anonymousId": "a"}, ("u", "a")),
        ("identify", {"userId": "u", "anonymousId": "u"}, ("u",)),
        ("identify", {"anonymousId": "a"}, ("a",)),
        ("alias", {"userId": "u", "previousId": "p"}, ("u", "p")),
        ("alias", {"userId": "u", "previousId": "u"}, ("u",)),
        ("alias", {"userId": "u"}, ("u",)),
        ("alias", {"anonymousId": "a", "previousId": "p"}, ("a", "p")),
        ("alias", {"previousId": "p"}, ("p",)),
        ("alias", {"userId": "u", "previousId": 7}, ("u", "7")),
        ("track", {"userId": "u", "previousId": "p"}, ("u",)),
    ],
)
def test_the_keys_of_an_event(kind: str, ids: dict, keys: tuple[str, ...]) -> None:
    payload = {"messageId": "m", "type": kind} | ids
    event = event_of(payload, "s1", 5, dumps(payload))
    assert event.keys == keys
    assert Event.from_body("s1", 5, event.body).keys == keys


def test_a_stored_event_comes_back_as_it_was() -> None:
    payload = {"messageId": "m", "type": "track", "event": "Clicked", "userId": "u", "properties": {"n": 1}}
    event = Event.from_body("s1", 5, dumps(payload))
    assert (event.message_id, event.source_id, event.type, event.name, event.user_id, event.anonymous_id, event.received_ms, event.payload) == (
        "m", "s1", "track", "Clicked", "u", "", 5, payload,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), [("track", "E"), ("page", "N"), ("screen", "N"), ("identify", ""), ("group", ""), ("alias", "")])
def test_an_event_is_named_by_its_kind(kind: str, name: str) -> None:
    payload = {"messageId": "m", "type": kind, "event": "E", "name": "N"}
    assert event_of(payload, "s", 0, b"").name == name


def test_an_empty_body_is_a_tombstone_that_belongs_to_nobody() -> None:
    event = Event.from_body("s1", 5, b"")
    assert (event.type, event.message_id, event.source_id, event.received_ms, event.payload, event.keys) == (DELETED, "", "s1", 5, {}, ())

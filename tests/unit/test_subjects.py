"""What is a user's: by the keys of an event, and by what a text names; never by a part of another id."""

from typing import Any

import pytest

from relay.base.jsonio import dumps
from relay.control.byte_search import ByteSearch
from relay.database.scan import Window, windows_of
from relay.kit.subjects import Subjects

USER = "user-1"


def line(**message: Any) -> bytes:
    return dumps({"type": "track", "messageId": "m", "event": "E", **message})


@pytest.mark.parametrize(
    ("message", "is_theirs"),
    [
        ({"userId": USER}, True),
        ({"userId": "user-10"}, False),
        ({"userId": "other", "anonymousId": USER}, False),
        ({"anonymousId": USER}, True),
        ({"type": "identify", "userId": "other", "anonymousId": USER}, True),
        ({"type": "alias", "userId": "other", "previousId": USER}, True),
        ({"type": "track", "userId": "other", "previousId": USER}, False),
        ({"userId": "other", "properties": {"referrer": USER}}, False),
        ({"type": "group", "userId": "other", "groupId": USER}, False),
    ],
)
def test_an_event_is_a_users_by_its_keys(message: dict[str, Any], is_theirs: bool) -> None:
    assert Subjects([USER]).owns(line(**message)) is is_theirs


def test_ids_that_json_escapes_are_known() -> None:
    for user_id in ('say "x"', "back\\slash", "ünïcode", "line\nbreak", "a/b", "7"):
        assert Subjects([user_id]).owns(line(userId=user_id))
    assert Subjects(["7"]).owns_message({"type": "track", "event": "E", "userId": 7.0})
    assert not Subjects(["7"]).owns(b"{broken 7")
    assert not Subjects(["7"]).owns(b'["7"]')


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        (b'{"userId":"user-1"}', True),
        (b'{"body":"{\\"userId\\":\\"user-1\\"}"}', True),
        (b"https://api.example/users/user-1?x=1", True),
        (b"uid=user-1&x=1", True),
        (b"there is no user user-1.", True),
        (b"user-1", True),
        (b'{"userId":"user-10"}', False),
        (b'{"userId":"a-user-1"}', False),
        (b"nothing", False),
    ],
)
def test_a_text_names_a_user_as_a_whole_word(text: bytes, is_named: bool) -> None:
    assert Subjects([USER]).mentions(text) is is_named


def test_a_short_id_or_a_number_is_named_in_quotes_and_urls_only() -> None:
    assert Subjects(["42"]).mentions('{"id":"42"}')
    assert Subjects(["42"]).mentions("/users/42")
    assert not Subjects(["42"]).mentions('{"count":42}')
    assert not Subjects(["4711424"]).mentions("took 4711424 ms")


@pytest.mark.parametrize(
    ("data", "longer", "count"),
    [
        (b"webuser-1track", [], 1),
        (b"webuser-10track", [b"user-10"], 0),
        (b"webuser-10track", [], 1),
        (b'{"userId":"user-10"}', [], 0),
        (b'{"userId":"user-1"}', [], 1),
        (b'"a user-1 b" and "x-user-1"', [], 1),
    ],
)
def test_bytes_of_a_longer_id_are_no_trace(data: bytes, longer: list[bytes], count: int) -> None:
    assert sum(map(ByteSearch(Subjects([USER]), longer).count, windows_of(data))) == count


def test_a_trace_counts_in_the_window_in_which_it_begins() -> None:
    search, data = ByteSearch(Subjects([USER]), []), b"user-1 user-1 user-1"
    assert [search.count(Window(data, start, end)) for start, end in ((0, 7), (7, 14), (14, 20))] == [1, 1, 1]

"""Suppressed users: refused before anything of them is stored, known by a salted hash, and free of cost while nobody is."""

from pathlib import Path
from typing import Any

from relay.base.clock import SystemClock
from relay.database.database import Database
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.intake import Client, Limits, accept
from relay.web.tracking.refused import records_of
from relay.workspace.model import Source
from relay.workspace.suppressions import NOBODY, Suppressions, SuppressionStore

SOURCE = CompiledSource(Source("s1", "s1", "s1", ("wk",)))
SALT = b"salt"
ONE = Suppressions(SALT, frozenset((Suppressions(SALT).hash_of("gone"),)))


def taken(*messages: dict[str, Any], suppressions: Suppressions = ONE) -> Any:
    return accept(
        list(messages), {}, SOURCE, received_ms=1_700_000_000_000, received_text="2023-11-14T22:13:20.000Z", client=Client(),
        limits=Limits(), new_id=lambda: "new", suppressions=suppressions,
    )  # fmt: skip


def test_what_a_suppressed_user_sends_is_refused_whatever_the_call() -> None:
    messages = [
        {"type": "track", "event": "E", "userId": "gone", "messageId": "m0"},
        {"type": "identify", "userId": "gone", "anonymousId": "a", "messageId": "m1"},
        {"type": "group", "userId": "gone", "groupId": "g", "messageId": "m2"},
        {"type": "alias", "userId": "stays", "previousId": "gone", "messageId": "m3"},
        {"type": "page", "userId": "gone"},
        {"type": "track", "event": "E", "userId": "stays", "previousId": "gone", "messageId": "m5"},
        {"type": "track", "event": "E", "anonymousId": "gone", "messageId": "m6"},
    ]
    events, refusals = taken(*messages)
    assert [event.message_id for event in events] == ["m5", "m6"]
    assert [(one.position, one.code) for one in refusals] == [(number, "suppressed") for number in range(5)]


def test_a_number_is_the_same_user_as_its_text() -> None:
    seven = Suppressions(SALT, frozenset((Suppressions(SALT).hash_of("7"),)))
    assert taken({"type": "track", "event": "E", "userId": 7}, suppressions=seven)[0] == []


def test_what_is_kept_of_a_refused_message_names_neither_user_nor_content() -> None:
    messages = [
        {"type": "track", "event": "Seen gone", "userId": "gone", "anonymousId": "a", "messageId": "gone-1", "properties": {"secret": 1}},
        {"type": "track", "event": "E", "userId": "gone", "messageId": "m1"},
    ]
    _, refusals = taken(*messages)
    first, second = records_of(refusals, messages, SOURCE, 5)
    assert (first.code, first.message_id, first.type, first.received_ms) == ("suppressed", "", "track", 5)
    assert second.message_id == "m1"
    for one in (first, second):
        assert (one.user_id, one.anonymous_id, one.name, one.body) == ("", "", "", b"")


def test_while_nobody_is_suppressed_nothing_is_hashed() -> None:
    assert not NOBODY
    events, _ = taken({"type": "track", "event": "E", "userId": "gone"}, suppressions=NOBODY)
    assert len(events) == 1
    assert not NOBODY._known


def test_each_id_is_hashed_once() -> None:
    class Counting(Suppressions):
        hashed = 0

        def hash_of(self, user_id: str) -> bytes:
            Counting.hashed += 1
            return super().hash_of(user_id)

    counting = Counting(SALT, ONE.hashes)
    assert [counting.holds(user_id) for user_id in ("gone", "a", "gone", "a")] == [True, False, True, False]
    assert Counting.hashed == 2


async def test_the_table_keeps_hashes_that_outlive_a_restart(tmp_path: Path) -> None:
    path, used = tmp_path / "relay.db", []

    async def opened() -> tuple[Database, SuppressionStore]:
        database = await Database.open(path, clock=SystemClock(), on_fatal=lambda error: None)
        return database, SuppressionStore(database, SystemClock(), used.append)

    database, store = await opened()
    assert not await store.load()
    await store.add(["u-4711", "u-4712", "u-4711"])
    assert (len(used[-1]), used[-1].holds("u-4711"), used[-1].holds("u")) == (2, True, False)
    await database.close()
    assert b"u-4711" not in path.read_bytes()
    database, store = await opened()
    again = await store.load()
    assert again.holds("u-4712")
    assert again.hash_of("u-4711") == used[-2].hash_of("u-4711"), "the salt is made once"
    await store.remove(["u-4711", "never"])
    assert [used[-1].holds(user_id) for user_id in ("u-4711", "u-4712")] == [False, True]
    await database.close()

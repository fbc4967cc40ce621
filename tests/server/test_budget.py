"""The database has reached its budget: the oldest entries of the destination that is furthest behind expire, nobody else loses anything."""

from pathlib import Path

from relay.access.operator import SIGNAL
from relay.control.replay import ReplaySpec
from tests.support.app import running, source, webhook
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

BUDGET_BYTES = 20_000_000


async def test_one_that_is_behind_expires_and_a_finished_replay_is_in_nobodys_way(tmp_path: Path) -> None:
    settings = [f"store.max_db_bytes={BUDGET_BYTES}"]
    async with (
        Receiver() as receiver,
        running(source() + webhook("live", receiver) + webhook("shut", receiver), tmp_path, settings=settings) as relay,
    ):
        first = await relay.track_many(20)
        await relay.settled("live", "shut")
        job = await relay.app.replays.start(ReplaySpec("live", 1.0), SIGNAL)
        await relay.settled(job)
        await relay.app.operations.hold("shut", SIGNAL)
        sent = []
        for number in range(90):
            events = [relay.event(f"u{number}-{i}", pad="x" * 8_000) for i in range(50)]
            assert await relay.send(events) == 200
            sent += [str(event["messageId"]) for event in events]

        async def has_room() -> bool:
            room = await relay.app.database.room()
            assert (await relay.doors("shut")).get("expired", 0), room
            assert room.db_bytes - room.freelist_bytes <= BUDGET_BYTES, room
            return True

        await eventually(has_room, 40)
        await relay.settled("live")
        got = [body["messageId"] for body in receiver.bodies if "replay" not in body["context"]]
        assert {message_id: got.count(message_id) for message_id in sent} == dict.fromkeys(sent, 1)
        assert {got.count(message_id) for message_id in first} == {2}  # once for each of the two

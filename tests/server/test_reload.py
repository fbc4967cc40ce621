"""The configuration changes under load: nothing is lost, nothing is doubled, and a wrong file changes nothing."""

import asyncio
from collections import Counter
from pathlib import Path

from relay.base.tasks import spawn
from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Receiver, stall
from tests.support.waiting import eventually

RELOADS = 200


def _configuration(number: int, receiver: Receiver) -> str:
    """Version `number`: one destination stays, one changes each time, one comes and goes, as does a source."""
    text = source() + (source("extra") if number % 3 else "")
    text += webhook("steady", receiver, sources=["web"])
    mapping = {"action": "send", "trigger": 'type = "track"', "fields": {"headers": {"x-version": str(number)}}}
    text += webhook("changing", receiver, mapping, sources=["web"], concurrency=4 + number % 5, settings={"shared_secret": f"s{number}"})
    return text + (webhook("passing", receiver, sources=["web"]) if number % 2 else "")


class Load:
    """Clients that send all the time; `sent` holds what was accepted."""

    def __init__(self, relay: Running) -> None:
        self.relay = relay
        self.sent: list[str] = []
        self.over = asyncio.Event()

    async def run(self) -> None:
        while not self.over.is_set():
            events = [self.relay.event(f"u{len(self.sent) % 40 + number}") for number in range(4)]
            assert await self.relay.send(events) == 200
            self.sent += [str(event["messageId"]) for event in events]
            await self.relay.send([self.relay.event("x")], "extra")  # its key comes and goes
            await asyncio.sleep(0.02)


def _received(receiver: Receiver, slug: str) -> Counter[str]:
    return Counter(request.json["messageId"] for request in receiver.requests if request.path == f"/{slug}")


async def test_two_hundred_reloads_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(0.005)
        async with running(_configuration(1, receiver), tmp_path, settings=("store.durability=process",)) as relay:
            load = Load(relay)
            client = spawn(load.run(), name="client")
            for number in range(2, RELOADS + 2):
                await relay.reload(_configuration(number, receiver))
            load.over.set()
            await client
            assert relay.app.current.compiled.workspace.version >= RELOADS
            await relay.settled("steady", "changing", "passing", timeout_s=30)
            for slug in ("steady", "changing", "passing"):
                received = _received(receiver, slug)
                assert set(received) == set(load.sent), (slug, "lost")
                assert not [message_id for message_id, count in received.items() if count > 1], (slug, "doubled")


async def test_a_wrong_file_keeps_the_version_in_use(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        good = source() + webhook("hook", receiver)
        async with running(good, tmp_path) as relay:
            version = relay.app.current.compiled.version
            for wrong in (
                "[[source",
                good + '\n[[destination]]\nslug = "x"\ntype = "nonsense"\n',
                good.replace('"webhook"', '"webhok"'),
                source() * 2,
            ):
                await relay.reload(wrong)
                assert relay.app.current.compiled.version == version
            await relay.track("u1")
            await relay.settled("hook")
            assert receiver.count == 1


async def test_a_mended_mapping_reaches_what_waits_for_a_retry(tmp_path: Path) -> None:
    def config(receiver: Receiver, word: str) -> str:
        mapping = {"action": "send", "trigger": 'type = "track"', "fields": {"data": {"word": word}}}
        return source() + webhook("hook", receiver, mapping, first_delay_s=1)

    async with Receiver() as receiver:
        receiver.script(stall(2))
        old, new = config(receiver, "old").replace("first_delay_s = 1", "first_delay_s = 1\ntimeout_s = 0.1"), config(receiver, "new")
        async with running(old.replace("max_delay_s = 0.5", "max_delay_s = 5"), tmp_path) as relay:
            await relay.track("u1")
            await eventually(lambda: relay.rows("hook"))
            await relay.reload(new.replace("max_delay_s = 0.5", "max_delay_s = 5"))
            await relay.settled("hook")
            assert [body["word"] for body in receiver.bodies] == ["old", "new"]


async def test_attempts_in_flight_finish_before_the_changed_destination_goes_on(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(stall(0.5))
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            first = await relay.track("u1")
            second = await relay.track("u1")
            await eventually(lambda: receiver.count == 1)
            await relay.reload(source() + webhook("hook", receiver, concurrency=2))
            await relay.settled("hook")
            assert [body["messageId"] for body in receiver.bodies] == [first, second]
            assert receiver.requests[1].at - receiver.requests[0].at >= 0.45


async def test_a_new_destination_starts_with_what_comes_from_then_on(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("old", receiver), tmp_path) as relay:
        await relay.track_many(5)
        await relay.settled("old")
        await relay.reload(source() + webhook("old", receiver) + webhook("new", receiver))
        later = await relay.track("u1")
        await relay.settled("old", "new")
        assert list(_received(receiver, "new")) == [later]


async def test_a_destination_that_is_switched_on_again_keeps_its_open_rows(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        on = source() + webhook("hook", receiver, first_delay_s=1, max_delay_s=2)
        receiver.script(stall(0))
        async with running(on, tmp_path) as relay:
            await receiver.refuse()
            waits = await relay.track("u1")
            await eventually(lambda: relay.rows("hook"))
            await relay.reload(on + "\n" + "")  # the same
            await relay.reload(source() + webhook("hook", receiver, first_delay_s=1, max_delay_s=2, enabled=False))
            await relay.track("u2")

            async def passed() -> bool:
                return await relay.doors("hook") == {"filtered": 1}

            await eventually(passed)
            await receiver.reopen()
            await asyncio.sleep(1.5)
            assert receiver.count == 0
            await relay.reload(on)
            await relay.settled("hook")
            assert [body["messageId"] for body in receiver.bodies] == [waits]

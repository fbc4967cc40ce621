"""Replay from an archive: marked, with the same ids, once each, on from where it was after a kill; the log and its books stay as they are."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.cli import main
from relay.control.replay import ReplaySpec
from relay.errors import RequestError
from tests.server.test_replay import _finished, _job
from tests.support.app import Running, running, source, table, webhook
from tests.support.moto import Moto, moto
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually


def archive(slug: str = "cold", **settings: Any) -> str:
    return table("destination", {"slug": slug, "type": "archive", "settings": {"path": slug, **settings}})


async def _filled(relay: Running, count: int, *names: str) -> list[str]:
    sent = await relay.track_many(count, users=7)
    for name in names:
        await relay.settled(name)
    return sent


async def test_archived_events_go_again_marked_and_with_the_same_ids(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + archive() + webhook("hook", receiver), tmp_path) as relay:
        sent = await _filled(relay, 1_200, "hook", "cold")
        before, head = receiver.count, relay.app.outbox.head
        first = {body["messageId"]: body["timestamp"] for body in receiver.bodies}
        spec = ReplaySpec("hook", 0, archive="cold")
        assert await relay.app.replays.count(spec) == 1_200
        job = await _finished(relay, await relay.app.replays.start(spec, SIGNAL))
        replayed = receiver.bodies[before:]
        assert Counter(body["messageId"] for body in replayed) == Counter(sent)
        assert all(body["context"]["replay"] is True for body in replayed)
        assert all(body["timestamp"] == first[body["messageId"]] for body in replayed)
        assert (job["done"], job["total"], job["doors"], job["spec"]["archive"]) == (1_200, 1_200, {"delivered": 1_200}, "cold")
        assert relay.app.outbox.head == head, "nothing was appended to the log"


async def test_span_source_and_filter_choose(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + source("ios") + archive() + webhook("hook", receiver), tmp_path) as relay:
        await relay.send([relay.event("u", n=n) for n in range(5)], source="ios")
        await relay.settled("hook")
        await asyncio.sleep(0.02)
        since_s = time.time()
        await asyncio.sleep(0.02)  # what comes in the same millisecond counts as before
        await _filled(relay, 10, "hook", "cold")
        before = receiver.count
        spec = ReplaySpec("hook", since_s, source="web", filter="properties.n > 6", archive="cold")
        told = await relay.app.replays.estimate(spec)
        assert (told.events >= 10, told.exact) == (True, False)
        await _finished(relay, await relay.app.replays.start(spec, SIGNAL))
        assert sorted(body["properties"]["n"] for body in receiver.bodies[before:]) == [7, 8, 9]


async def test_what_fails_is_tried_again_and_what_is_refused_is_named(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + archive() + webhook("hook", receiver), tmp_path) as relay:
        await _filled(relay, 20, "hook", "cold")
        receiver.script(answer(503), answer(400), answer(503))
        before = receiver.count
        name = await relay.app.replays.start(ReplaySpec("hook", 0, archive="cold"), SIGNAL)
        job = await _finished(relay, name)
        assert job["doors"] == {"delivered": 19, "dead": 1}
        assert receiver.count - before == 22
        cursor = await relay.app.outbox.cursor(name)
        assert cursor is not None
        ((message_id, code),) = cursor.state["replay"]["dead"]
        assert code == "400"
        assert message_id in {body["messageId"] for body in receiver.bodies}


async def test_a_job_that_is_stopped_sends_nothing_more(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + archive() + webhook("hook", receiver), tmp_path) as relay:
        await _filled(relay, 300, "hook", "cold")
        before = receiver.count
        name = await relay.app.replays.start(ReplaySpec("hook", 0, rate=50, archive="cold"), SIGNAL)
        await eventually(lambda: receiver.count > before + 3, 20)
        assert await relay.app.replays.cancel(name, SIGNAL) > 0
        await asyncio.sleep(0.3)
        seen = receiver.count
        await asyncio.sleep(0.3)
        assert receiver.count == seen < before + 300
        assert (await _job(relay, name))["finished"]
        await relay.track("u")
        await eventually(lambda: receiver.count == seen + 1, 20)


async def test_what_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + archive() + webhook("hook", receiver), tmp_path) as relay:
        for name, status in (("hook", 409), ("nobody", 404)):
            with pytest.raises(RequestError) as told:
                await relay.app.replays.start(ReplaySpec("hook", 0, archive=name), SIGNAL)
            assert told.value.status == status
        with pytest.raises(RequestError) as told:
            await relay.app.replays.start(ReplaySpec("hook", 0, archive="cold"), SIGNAL)
        assert told.value.status == 404


async def test_from_s3_into_an_archive_nothing_is_taken_for_a_repeated_event(tmp_path: Path) -> None:
    async def into(server: Moto) -> None:
        bucket = table(
            "destination",
            {"slug": "cold", "type": "s3", "allow_private": [f"127.0.0.1:{server.port}"], "settings": server.settings | {"flush_seconds": 1}},
        )
        async with running(source() + bucket + archive("warm"), tmp_path) as relay:
            sent = await _filled(relay, 600, "cold", "warm")
            await _finished(relay, await relay.app.replays.start(ReplaySpec("warm", 0, archive="cold"), SIGNAL))
            found = [
                event.message_id
                async for page in relay.app._archive(relay.app.current.compiled.destinations["warm"]).read(_all())
                for _, event in page.events
            ]
            assert Counter(found) == Counter(sent * 2)

    async with moto() as server:
        await into(server)


def _all() -> Any:
    from relay.kit.sink import Span

    return Span(("web",))


@pytest.mark.slow
async def test_a_kill_in_the_middle_goes_on_from_there(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        for part in ("fill", "life"):
            (tmp_path / part).mkdir()
        text = '[log]\nlevel = "warning"\n' + source() + archive() + webhook("hook", receiver)
        async with running(source() + archive() + webhook("hook", receiver), tmp_path / "fill") as relay:
            sent = await _filled(relay, 4_000, "hook", "cold")

        (tmp_path / "fill" / "data").rename(tmp_path / "life" / "data")
        receiver.requests.clear()
        async with RelayProcess(tmp_path / "life", text) as process:
            command = ["replay", "--to", "hook", "--from", "cold", "--yes", "--url", process.ui_url, "--data", str(process.data)]
            assert await asyncio.to_thread(main, command) == 0
            await eventually(lambda: receiver.count > 3_000, 60)
            process.kill()
            await asyncio.sleep(0.3)
            killed = receiver.count
            await process.start()
            await eventually(lambda: len({body["messageId"] for body in receiver.bodies}) == len(sent), 60)
            assert await process.terminate() == 0
        again = json.dumps([receiver.count - killed, killed])
        assert receiver.count - killed < 4_000 - killed + 2_600, again
        assert {body["messageId"] for body in receiver.bodies} == set(sent)

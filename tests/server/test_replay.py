"""Replay: stored events again, marked, at their own pace, with books of their own, through restarts."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.control.replay import ReplaySpec
from relay.errors import RequestError
from relay.outbox.interface import Selection
from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Receiver, answer, stall
from tests.support.waiting import eventually


async def _job(relay: Running, name: str) -> dict[str, Any]:
    return next(job for job in await relay.app.replays.jobs() if job["name"] == name)


async def _finished(relay: Running, name: str, timeout_s: float = 20) -> dict[str, Any]:
    async def finished() -> Any:
        return (await _job(relay, name))["finished"]

    await eventually(finished, timeout_s)
    return await _job(relay, name)


async def test_a_replay_sends_the_range_again_marked_and_with_the_same_ids(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(3)
        await relay.settled("hook")
        await asyncio.sleep(0.02)
        since_s = time.time() - 0.001  # an event's time is in whole milliseconds
        sent = await relay.track_many(20, users=3)
        await relay.settled("hook")
        await asyncio.sleep(0.02)
        until_s = time.time()
        await asyncio.sleep(0.02)
        await relay.track_many(3)
        await relay.settled("hook")
        before = receiver.count
        assert before == 26
        spec = ReplaySpec("hook", since_s, until_s)
        assert await relay.app.replays.count(spec) == 20
        job = await _finished(relay, await relay.app.replays.start(spec, SIGNAL))
        replayed = receiver.bodies[before:]
        assert sorted(body["messageId"] for body in replayed) == sorted(sent)
        assert all(body["context"]["replay"] is True for body in replayed)
        assert not any("replay" in body["context"] for body in receiver.bodies[:before])
        assert (job["done"], job["total"], job["doors"]) == (20, 20, {"delivered": 20})
        first = {body["messageId"]: body["timestamp"] for body in receiver.bodies[:before]}
        assert all(body["timestamp"] == first[body["messageId"]] for body in replayed)


async def test_a_replay_that_is_stopped_lets_what_is_in_flight_end_and_sends_nothing_more(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, concurrency=4), tmp_path) as relay:
        await relay.track_many(20)
        await relay.settled("hook")
        receiver.default = stall(0.5)
        job = await relay.app.replays.start(ReplaySpec("hook", 0), SIGNAL)
        await eventually(lambda: receiver.in_flight == 2)
        assert await relay.app.replays.cancel(job, SIGNAL) == 20
        assert (await _job(relay, job))["finished"]
        await eventually(lambda: receiver.in_flight == 0)
        receiver.default = answer()
        await relay.track_many(3)
        await relay.settled("hook")
        await asyncio.sleep(0.1)
        assert receiver.count == 20 + 2 + 3


async def test_a_replay_keeps_its_own_books(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(10)
        await relay.settled("hook")
        name = await relay.app.replays.start(ReplaySpec("hook", 0), SIGNAL)
        await _finished(relay, name)
        replay, live = await relay.balance(name), await relay.balance("hook")
        assert (replay.holds, replay.accepted, dict(replay.doors)) == (True, 10, {"delivered": 10})
        assert (live.holds, live.accepted, dict(live.doors)) == (True, 10, {"delivered": 10})


async def test_the_pace_of_a_replay_is_kept_and_live_events_do_not_wait_for_it(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(30)
        await relay.settled("hook")
        start = receiver.count
        name = await relay.app.replays.start(ReplaySpec("hook", 0, rate=10), SIGNAL)
        await eventually(lambda: receiver.count > start + 2)
        live = await relay.track("live")
        await _finished(relay, name)
        assert live in {body["messageId"] for body in receiver.bodies[start:-5]}, "long before the end of the replay"
        replayed = [request for request in receiver.requests[start:] if request.json["messageId"] != live]
        assert len(replayed) == 30
        assert 2.4 <= replayed[-1].at - replayed[0].at <= 8


async def test_a_replay_takes_half_the_concurrency_at_most(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, concurrency=6), tmp_path) as relay:
        await relay.track_many(30)
        await relay.settled("hook")
        receiver.default, receiver.most_in_flight = stall(0.02), 0
        await _finished(relay, await relay.app.replays.start(ReplaySpec("hook", 0), SIGNAL))
        assert receiver.most_in_flight == 3


async def test_a_replay_goes_on_after_a_restart_and_sends_nothing_twice(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver)
        async with running(config, tmp_path) as relay:
            sent = await relay.track_many(40)
            await relay.settled("hook")
            name = await relay.app.replays.start(ReplaySpec("hook", 0, rate=15), SIGNAL)
            await eventually(lambda: receiver.count >= 45)
        assert receiver.count < 80
        async with running(config, tmp_path) as relay:
            job = await _finished(relay, name)
            assert job["doors"] == {"delivered": 40}
            assert sorted(body["messageId"] for body in receiver.bodies[40:]) == sorted(sent)


async def test_a_replay_of_one_source_leaves_the_others_out(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + source("ios") + webhook("hook", receiver), tmp_path) as relay:
        await relay.send([relay.event("u1"), relay.event("u2")], "web")
        await relay.send([relay.event("u3")], "ios")
        await relay.settled("hook")
        spec = ReplaySpec("hook", 0, source="ios")
        assert await relay.app.replays.count(spec) == 1
        await _finished(relay, await relay.app.replays.start(spec, SIGNAL))
        assert [body["userId"] for body in receiver.bodies[3:]] == ["u3"]


async def test_a_replay_with_a_filter_sends_what_it_takes_also_after_a_restart(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver)
        async with running(config, tmp_path) as relay:
            for number in range(30):
                await relay.track(f"u{number}", number=number)
            await relay.settled("hook")
            spec = ReplaySpec("hook", 0, rate=20, filter="properties.number >= 5 and properties.number < 25")
            assert await relay.app.replays.count(spec) == 20
            name = await relay.app.replays.start(spec, SIGNAL)
            await eventually(lambda: receiver.count >= 33)
        async with running(config, tmp_path) as relay:
            job = await _finished(relay, name)
            assert (job["total"], job["doors"], job["spec"]["filter"]) == (20, {"delivered": 20}, spec.filter)
            assert sorted(body["properties"]["number"] for body in receiver.bodies[30:]) == list(range(5, 25))
            assert (await relay.balance(name)).holds


async def test_a_stopped_replay_gives_up_only_what_its_filter_takes(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        for number in range(30):
            await relay.track(f"u{number}", number=number % 3)
        await relay.settled("hook")
        await relay.app.operations.hold("hook", SIGNAL)
        name = await relay.app.replays.start(ReplaySpec("hook", 0, filter="properties.number = 1"), SIGNAL)
        assert await relay.app.replays.cancel(name, SIGNAL) == 10
        assert (await _job(relay, name))["doors"] == {"discarded": 10}
        assert (await relay.balance(name)).holds


async def test_a_replay_through_an_outage_retries_and_its_dead_can_be_sent_again(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(5)
        await relay.settled("hook")
        receiver.script(answer(500), answer(400), answer(503))
        name = await relay.app.replays.start(ReplaySpec("hook", 0), SIGNAL)
        job = await _finished(relay, name)
        assert job["doors"] == {"delivered": 4, "dead": 1}
        assert await relay.app.operations.resend("hook", Selection(), SIGNAL) == 1
        await _finished(relay, name)
        balance = await relay.balance(name)
        assert (balance.holds, dict(balance.doors)) == (True, {"delivered": 5, "dead": 1})


async def test_an_empty_range_and_a_disabled_destination_are_refused(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver) + webhook("off", receiver, enabled=False)
        async with running(config, tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("hook", "off")
            for spec, status in ((ReplaySpec("hook", time.time() + 60), 404), (ReplaySpec("off", 0), 409), (ReplaySpec("nobody", 0), 404)):
                with pytest.raises(RequestError) as refused:
                    await relay.app.replays.start(spec, SIGNAL)
                assert refused.value.status == status

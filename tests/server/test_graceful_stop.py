"""A clean stop: what is in flight ends, nothing is sent twice afterwards, nothing leaks."""

import asyncio
import gc
import os
from collections import Counter
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from relay.app import ServeOptions, build
from relay.base.tasks import spawn
from tests.support.app import running, source, webhook
from tests.support.receiver import Receiver, stall
from tests.support.waiting import eventually


def _has_more(receiver: Receiver, count: int) -> bool:
    return receiver.count > count


@pytest.mark.parametrize("order", ["user", "none", "strict"])
async def test_nothing_is_sent_twice_and_nothing_is_lost_over_clean_stops(order: str, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(0.01)
        config = source() + webhook("hook", receiver, order=order)
        sent: list[str] = []
        for _ in range(4):
            async with running(config, tmp_path) as relay:
                before = receiver.count
                sent += await relay.track_many(60, users=9)
                await eventually(partial(_has_more, receiver, before + 5))
        async with running(config, tmp_path) as relay:
            await relay.settled("hook")
            assert await relay.doors("hook") == {"delivered": 240}
        received = Counter(body["messageId"] for body in receiver.bodies)
        assert (set(received), max(received.values())) == (set(sent), 1)


async def test_batches_in_the_making_are_not_lost_by_a_stop(tmp_path: Path) -> None:
    mapping = {"action": "send", "trigger": 'type = "track"', "fields": {"enable_batching": True}}
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver, mapping)
        async with running(config, tmp_path) as relay:
            sent = await relay.track_many(30)
        async with running(config, tmp_path) as relay:
            await relay.settled("hook")
        assert sorted(event["messageId"] for body in receiver.bodies for event in body) == sorted(sent)


async def test_a_stop_waits_for_attempts_in_flight_and_gives_up_the_rest_in_time(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path = {"/quick": stall(0.3), "/slow": stall(20)}
        config = source() + webhook("quick", receiver) + webhook("slow", receiver)
        loop = asyncio.get_running_loop()
        async with running(config, tmp_path, drain_s=1) as relay:
            await relay.track("u1")
            await eventually(lambda: receiver.count == 2)
            started = loop.time()
        assert 0.2 < loop.time() - started < 4
        receiver.by_path = {}
        async with running(config, tmp_path) as relay:
            await relay.settled("quick", "slow")
        assert Counter(request.path for request in receiver.requests) == {"/quick": 1, "/slow": 2}


async def test_what_a_client_was_told_is_on_disk_is_there_after_a_stop_under_load(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver)
        accepted: list[str] = []
        async with running(config, tmp_path) as relay:

            async def client() -> None:
                while True:
                    event = relay.event("u1")
                    try:
                        if await relay.send([event]) != 200:
                            return
                    except aiohttp.ClientError:
                        return
                    accepted.append(str(event["messageId"]))

            clients = [spawn(client(), name="client") for _ in range(5)]
            await eventually(lambda: len(accepted) > 100)
            await relay.stop()
            await asyncio.wait(clients, timeout=5)
            for each in clients:
                each.cancel()
        async with running(config, tmp_path) as relay:
            await relay.settled("hook")
        received = Counter(body["messageId"] for body in receiver.bodies)
        assert set(accepted) <= set(received)
        assert max(received.values()) == 1


def _handles() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def test_ten_starts_and_stops_leave_no_task_and_no_open_file(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver) + '\n[[destination]]\nslug = "archive"\ntype = "archive"\n'
        counts = []
        for _ in range(10):
            async with running(config, tmp_path) as relay:
                await relay.track_many(5)
                await relay.settled("hook", "archive")
            await receiver.refuse()
            await receiver.reopen()
            await asyncio.sleep(0.05)
            counts.append((len(asyncio.all_tasks()), _handles()))
        assert counts[-1] <= counts[1], counts


async def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver)
        async with running(config, tmp_path):
            pass
        before = (len(asyncio.all_tasks()), _handles())
        taken = f'[server]\nlisten = "127.0.0.1:0"\n[ui]\nlisten = "127.0.0.1:{receiver.port}"\n'
        with pytest.raises(OSError):
            await _start_on(taken + config, tmp_path)
        await asyncio.sleep(0.05)
        assert (len(asyncio.all_tasks()), _handles()) <= before


async def _start_on(config: str, folder: Path) -> None:
    (folder / "taken.toml").write_text(config)
    app = build(ServeOptions(folder / "taken.toml", folder / "data"), environment={})
    await app.start()
    await app.stop()

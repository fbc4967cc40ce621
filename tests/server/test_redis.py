"""Events in streams of a real redis-server: written once each, also when relay is killed; refusals and outages."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import redis.exceptions
from redis.asyncio import Redis

from relay.base.clock import SystemClock
from relay.base.event import Event
from relay.destinations.redis import DEFINITION
from relay.kit.sink import SinkContext
from relay.net.dial import dial
from relay.net.guard import parse_allow
from tests.support.app import running, source, table
from tests.support.certificate import certificate
from tests.support.killed import sent_through_a_kill
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

KEY = "events:web"


def to(server: RedisServer, allow: list[str] | None = None, **settings: Any) -> str:
    values = {"slug": "stream", "type": "redis", "allow_private": server.allow if allow is None else allow, "first_delay_s": 0.05, "max_delay_s": 0.5}
    return table("destination", values | {"settings": {"server": server.address} | settings})


async def test_each_event_is_one_entry_in_order(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server:
        async with running(source() + to(server, fields=["userId", "event"]), tmp_path) as relay:
            ids = await relay.track_many(1_000, users=10)
            await relay.settled("stream")
            assert await relay.doors("stream") == {"delivered": 1_000}
        entries = await server.entries(KEY)
        assert [entry[b"message_id"].decode() for entry in entries] == ids
        assert list(entries[7]) == [b"message_id", b"source", b"type", b"userId", b"event", b"json"]
        assert json.loads(entries[7][b"json"])["messageId"] == ids[7]
        assert (entries[7][b"source"], entries[7][b"userId"]) == (b"web", b"u7")


async def test_the_stream_is_cut_to_about_its_length_and_its_key_tells_the_type(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "--stream-node-max-entries", "10") as server:
        async with running(source() + to(server, maxLength=100, key="{type}:{event}"), tmp_path) as relay:
            await relay.track_many(1_000)
            await relay.settled("stream")
        assert 100 <= await server.client.xlen("track:Tested") < 120


async def test_a_killed_relay_writes_each_event_once(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server:

        async def arrived() -> int:
            return int(await server.client.xlen(KEY))

        ids = await sent_through_a_kill(tmp_path, to(server), 60, arrived)
        found = [entry[b"message_id"].decode() for entry in await server.entries(KEY)]
        assert len(found) == len(ids)
        assert set(found) == ids


async def test_what_is_repeated_after_a_start_or_a_lost_answer_is_not_written_again(tmp_path: Path) -> None:
    def events(first: int, last: int) -> list[tuple[int, Event]]:
        bodies = [{"type": "track", "event": "E", "userId": "u", "messageId": f"m{number}"} for number in range(first, last)]
        return [(number, Event.from_body("web", 0, json.dumps(body).encode())) for number, body in enumerate(bodies, first)]

    async with RedisServer(tmp_path / "redis") as server:
        assert DEFINITION.open_sink

        async def guarded(host: str, port: int) -> Any:
            return await dial(host, port, parse_allow(server.allow))

        settings = {setting.name: setting.default for setting in DEFINITION.settings} | {"server": server.address}
        context = SinkContext(SystemClock(), tmp_path, lambda source_id: source_id, guarded)
        sink = DEFINITION.open_sink(settings, context)
        assert await sink.write(events(0, 300)) == [None] * 300
        assert await sink.write(events(0, 10)) == [None] * 10  # a replay
        await sink.close()
        sink = DEFINITION.open_sink(settings, context)
        assert await sink.write(events(200, 400)) == [None] * 200  # after a crash
        await server.client.client_pause(2_000, all=False)  # the server takes the writes, and answers when nobody waits any more
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await sink.write(events(400, 450))
        await server.client.client_unpause()
        assert await sink.write(events(400, 460)) == [None] * 60
        await sink.close()
        found = [entry[b"message_id"].decode() for entry in await server.entries("events:web")]
        assert found[:310] == [f"m{number}" for number in (*range(300), *range(10))]
        assert found[310:] == [f"m{number}" for number in range(300, 460)]


async def test_a_server_that_goes_and_comes_back_gets_everything_once(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server:
        async with running(source() + to(server), tmp_path) as relay:
            await relay.track_many(200)
            await relay.settled("stream")
            server.stop()
            await relay.track_many(200)
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate.slots(SystemClock.now(), 1) == 0, 10)
            await server.start()
            await relay.settled("stream")
        assert len(await server.entries(KEY)) == 400


async def test_a_server_without_memory_gets_it_later(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction") as server:
        async with running(source() + to(server), tmp_path) as relay:
            await server.client.config_set("maxmemory", "1")
            await relay.track("u1")
            await asyncio.sleep(0.5)
            assert (await relay.balance("stream")).pending == 1
            assert not await relay.hold("stream")
            await server.client.config_set("maxmemory", "0")
            await relay.settled("stream")
        assert len(await server.entries(KEY)) == 1


async def test_a_busy_server_gets_it_later(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "--busy-reply-threshold", "50") as server:
        async with running(source() + to(server), tmp_path) as relay:
            script = asyncio.ensure_future(server.client.eval("while true do end", 0))
            async with Redis(host="127.0.0.1", port=server.port) as other:

                async def is_busy() -> bool:
                    with contextlib.suppress(redis.exceptions.ResponseError):
                        await other.ping()
                        return False
                    return True

                await eventually(is_busy)
                await relay.track("u1")
                await asyncio.sleep(0.5)
                assert (await relay.balance("stream")).pending == 1
                await other.script_kill()
            with contextlib.suppress(redis.exceptions.ResponseError):
                await script
            await relay.settled("stream")
        assert len(await server.entries(KEY)) == 1


async def test_a_key_that_is_no_stream_holds_the_destination(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server, running(source() + to(server), tmp_path) as relay:
        await server.client.set(KEY, "text")
        await relay.track("u1")
        await relay.held("stream", "INVALID_SETTINGS")
        await server.client.delete(KEY)
        await relay.settled("stream")


async def test_a_database_that_is_not_there_holds_the_destination(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server, running(source() + to(server, database=99), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("stream", "INVALID_SETTINGS")


async def test_a_login(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "--requirepass", "pw", password="pw") as server:
        async with running(source() + to(server, password="pw"), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
        assert len(await server.entries(KEY)) == 1


async def test_a_wrong_password_holds_and_never_shows(tmp_path: Path) -> None:
    for settings in ({"password": "wrong-canary"}, {}):
        server = RedisServer(tmp_path / f"redis{len(settings)}", "--requirepass", "pw", password="pw")
        folder = tmp_path / str(len(settings))
        folder.mkdir()
        async with server, running(source() + to(server, **settings), folder) as relay:
            await relay.track("u1")
            await relay.held("stream", "credentials")
            assert "canary" not in str(await relay.hold("stream"))


async def test_a_user_that_may_only_append_does(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server:
        await server.client.acl_setuser("relay", enabled=True, passwords=["+pw"], commands=["+xadd", "+client", "+select"], keys=["events:*"])
        async with running(source() + to(server, username="relay", password="pw"), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
        assert len(await server.entries(KEY)) == 1


async def test_a_private_address_must_be_listed(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis") as server, running(source() + to(server, allow=[]), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("stream", "blocked_address")
        assert await server.entries(KEY) == []


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    async with RedisServer(tmp_path / "redis", tls=(cert, key)) as server:
        async with running(source() + to(server, security="tls", caFile=str(cert)), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
            await relay.reload(source() + to(server, security="tls"))
            await relay.track("u2")
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak, 10)
            assert (await relay.balance("stream")).pending == 1
        assert len(await server.entries(KEY)) == 1

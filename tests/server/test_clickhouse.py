"""Events into a real ClickHouse: each once, columns that appear and widen, refusals, and a server that goes away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.destinations import clickhouse as definition
from relay.destinations.clickhouse.server import meaning_of
from relay.errors import Misconfigured, Permanent, Retryable
from relay.kit.request import Response
from tests.support.app import Running, running, source, table
from tests.support.clickhouse import PASSWORD, ClickHouseServer
from tests.support.process import RelayProcess
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def running_server() -> Iterator[ClickHouseServer]:
    with ClickHouseServer() as server:
        yield server


@pytest.fixture
async def server(running_server: ClickHouseServer) -> ClickHouseServer:
    """The server without tables."""
    await running_server.execute("DROP DATABASE IF EXISTS web")
    return running_server


def clickhouse(server: ClickHouseServer, allow: list[str] | None = None, **settings: Any) -> str:
    given = {"slug": "ch", "type": "clickhouse", "allow_private": server.allow if allow is None else allow, "first_delay_s": 0.05, "max_delay_s": 0.2}
    return table("destination", given | {"settings": server.settings | settings})


async def test_every_call_arrives_in_its_tables(server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server), tmp_path) as relay:
        await relay.track_many(250)
        calls = [
            {"type": "identify", "userId": "u1", "traits": {"plan": "free", "address": {"city": "Berlin"}}},
            {"type": "page", "userId": "u1", "name": "Home", "properties": {"url": "/"}},
            {"type": "screen", "userId": "u1", "name": "Start"},
            {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"seats": 5}},
            {"type": "alias", "userId": "u1", "previousId": "a1"},
        ]
        assert await relay.send([call | {"messageId": f"call{number}"} for number, call in enumerate(calls)]) == 200
        await relay.settled("ch")
        counts = {name: await server.count(f"web.{name}") for name in ("tracks", "tested", "identifies", "users", "screens", "groups")}
        assert counts == {"tracks": 250, "tested": 250, "identifies": 1, "users": 1, "screens": 1, "groups": 1}
        assert await server.fetch("SELECT sum(n) FROM web.tested") == [(str(sum(range(250))),)]
        assert await server.fetch("SELECT id, plan, address_city FROM web.users FINAL") == [("u1", "free", "Berlin")]
        assert await server.fetch("SELECT id, seats FROM web.accounts FINAL") == [("g1", "5")]
        assert await server.fetch("SELECT name, url FROM web.pages") == [("Home", "/")]
        assert await server.fetch("SELECT count() FROM web.tracks WHERE received_at > now() - 3600 AND uuid_ts >= received_at") == [("250",)]


async def test_what_is_excluded_is_not_written(server: ClickHouseServer, tmp_path: Path) -> None:
    sync = '\n[destination.sync]\nexclude = ["tracks", "users.plan"]\n'
    async with running(source() + clickhouse(server) + sync, tmp_path) as relay:
        await relay.track("u1")
        call = {"type": "identify", "userId": "u1", "messageId": "excluded", "traits": {"plan": "free", "city": "Berlin"}}
        assert await relay.send([call]) == 200
        await relay.settled("ch")
        assert sorted(await server.fetch("SHOW TABLES FROM web")) == [("identifies",), ("tested",), ("users",)]
        assert await server.fetch("SELECT name FROM system.columns WHERE database = 'web' AND table = 'users' AND name IN ('plan', 'city')") == [
            ("city",)
        ]


async def test_columns_appear_and_widen_and_keep_what_they_had(server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server), tmp_path) as relay:
        for properties in (
            {"n": 1, "at": "2026-01-01T00:00:00Z", "ok": True},
            {"n": 2.5, "at": "2026-01-02T00:00:00Z", "ok": False},
            {"n": "three", "at": "soon", "new": [1, 2], "odd` name": 1, "text": "ä" * 600, "id": "mine"},
        ):
            await relay.track("u1", "E", **properties)
            await relay.settled("ch")
        assert await server.fetch("SELECT n, at, ok FROM web.e ORDER BY n") == [
            ("1", "2026-01-01 00:00:00", "1"), ("2.5", "2026-01-02 00:00:00", "0"), ("three", "soon", "\\N"),
        ]  # fmt: skip
        assert await server.fetch("SELECT new, odd_name, lengthUTF8(text) FROM web.e WHERE n = 'three'") == [("[1,2]", "1", "512")]
        assert await relay.doors("ch") == {"delivered": 3}


async def test_names_that_senders_choose_stop_nothing(server: ClickHouseServer, tmp_path: Path) -> None:
    names = ["Users", "select", "!?", "a`b", "x" * 200, "商品" * 30, "1", "E\\", "E"]
    keys = ["select", "", "$", "a`b", "y" * 300, "y" * 300 + "z", "名" * 90, "1", "id", "ID", "user", "a.b", "a_b", "zero\0", "x\\"]
    values = [1, "0001-01-01T00:00:00+14:00", 2**63, 1e308, "a\0b", [], {}, {"": {"": 1}}, True, -(2**63), "1850-01-01T00:00:00Z", None, "x\ty"]
    async with running(source() + clickhouse(server), tmp_path) as relay:
        events = []
        for shift, name in enumerate(names):
            properties = {key: values[(shift + number) % len(values)] for number, key in enumerate(keys)}
            events += [relay.event("u", name) | {"properties": properties}, relay.event("u", name)]
        assert await relay.send(events) == 200
        await relay.settled("ch")
        assert await relay.doors("ch") == {"delivered": len(events)}
        assert await server.count("web.tracks") == len(events)
        assert await server.count("web._users") == 2


async def test_what_others_change_meanwhile_is_seen(server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server), tmp_path) as relay:
        await relay.track("u1", "E", n=1)
        await relay.settled("ch")
        await server.execute("ALTER TABLE web.e ADD COLUMN m Nullable(Int64)")
        await relay.track("u1", "E", n=2, m=2)
        await relay.settled("ch")
        await server.execute("DROP TABLE web.e")
        await relay.track("u1", "E", n=3)
        await relay.settled("ch")
        assert await server.fetch("SELECT n FROM web.e") == [("3",)]
        assert await server.count("web.tracks") == 3


async def test_what_is_sent_again_is_there_once(server: ClickHouseServer, tmp_path: Path) -> None:
    events = [{"type": "track", "event": "E", "userId": "u", "messageId": f"m{number}"} for number in range(60)]
    for folder, count in (("one", 50), ("two", 60)):
        (tmp_path / folder).mkdir()
        async with running(source() + clickhouse(server), tmp_path / folder) as relay:
            assert await relay.send([event | {"timestamp": "2026-01-01T00:00:00Z"} for event in events[:count]]) == 200
            await relay.settled("ch")
    assert await server.count("web.tracks") == await server.count("web.e") == 60


@pytest.mark.parametrize("settings", [{"password": "wrong-canary"}, {"user": "nobody"}, {"user": "reader"}])
async def test_wrong_settings_hold_and_no_password_shows(settings: dict[str, Any], server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server, **settings), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("ch", "INVALID_SETTINGS" if settings.get("user") == "reader" else "credentials")
        assert "canary" not in str(await relay.hold("ch"))


async def test_a_private_address_must_be_listed(server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server, allow=[]), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("ch", "blocked_address")


async def test_a_server_that_comes_back_gets_everything_once(server: ClickHouseServer, tmp_path: Path) -> None:
    async with running(source() + clickhouse(server), tmp_path) as relay:
        await relay.track_many(50)
        await relay.settled("ch")
        server.stop()
        await relay.track_many(50)
        await waits(relay, 50)
        await asyncio.to_thread(server.start)
        await relay.settled("ch", timeout_s=40)
        assert await server.count("web.tracks") == 100


async def waits(relay: Running, count: int) -> None:
    async def pending() -> bool:
        return (await relay.balance("ch")).pending == count

    await eventually(pending, 10)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "code"),
    [
        (500, {"x-clickhouse-exception-code": "241"}, b"Code: 241. DB::Exception: memory", Retryable, "RETRY"),
        (403, {"x-clickhouse-exception-code": "516"}, b"Code: 516. DB::Exception: login", Misconfigured, "credentials"),
        (400, {"x-clickhouse-exception-code": "27"}, b"Code: 27. DB::Exception: parse", Permanent, "BAD_REQUEST"),
        (200, {"x-clickhouse-exception-code": "252"}, b"Code: 252. DB::Exception: too many parts", Retryable, "RETRY"),
        (404, {}, b"Code: 60, e.displayText() = DB::Exception", Misconfigured, "INVALID_SETTINGS"),
        (502, {}, b"<html>", Retryable, "RETRY"),
        (404, {}, b"<html>", Misconfigured, "INVALID_SETTINGS"),
        (302, {}, b"", Misconfigured, "INVALID_SETTINGS"),
        (401, {}, b"", Misconfigured, "credentials"),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], body: bytes, kind: type, code: str) -> None:
    error = meaning_of(Response(status, headers, body))
    assert error is not None and (type(error), error.code) == (kind, code)


def test_settings_that_cannot_be_right_are_refused() -> None:
    check = definition.DEFINITION.check
    assert check is not None
    assert not check({"url": "https://ch.example.com:8443/", "user": "default"})
    for url in ("ch:8123", "ftp://ch", "http://ch/?x=1", "http://u:p@ch:8123", "http://[::1"):
        assert check({"url": url, "user": "default"}), url
    assert check({"url": "http://ch:8123", "user": "a\nb"})


@pytest.mark.crash
@pytest.mark.slow
async def test_after_sigkill_in_the_middle_each_event_is_there_once(server: ClickHouseServer, tmp_path: Path) -> None:
    config = source() + clickhouse(server, password="${CH_PASSWORD}")
    sent = 0
    async with RelayProcess(tmp_path, config, environment={"CH_PASSWORD": PASSWORD}) as relay, aiohttp.ClientSession() as session:
        for _ in range(3):
            before = await server.count("web.tracks")
            for _ in range(10):
                batch = [{"type": "track", "event": f"Event {sent % 3}", "userId": f"u{n}", "messageId": f"m{sent + n}"} for n in range(100)]
                async with session.post(f"{relay.tracking_url}/v1/batch", json={"batch": batch, "writeKey": "wk_web"}) as answer:
                    assert answer.status == 200
                sent += len(batch)
            await eventually(more(server, before), 20)
            relay.kill()
            await relay.start()
        await eventually(more(server, sent - 1), 40)
        await asyncio.sleep(2)  # what would come twice has time to
        assert await server.count("web.tracks") == sent == 3_000
        assert sum([await server.count(f"web.event_{number}") for number in range(3)]) == sent


def more(server: ClickHouseServer, than: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await server.count("web.tracks") > than

    return check

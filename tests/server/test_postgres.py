"""Events into a real PostgreSQL: each once, columns that appear and widen, refusals, and a server that goes away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.app import Running, running, source, table
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.process import RelayProcess
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def running_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def server(running_server: PostgresServer) -> PostgresServer:
    """The server without tables."""
    await running_server.execute("DROP SCHEMA IF EXISTS web CASCADE; DROP VIEW IF EXISTS seen")
    return running_server


def postgres(server: PostgresServer, allow: list[str] | None = None, **settings: Any) -> str:
    given = {"slug": "pg", "type": "postgres", "allow_private": server.allow if allow is None else allow, "first_delay_s": 0.05, "max_delay_s": 0.2}
    return table("destination", given | {"settings": server.settings | settings})


async def test_every_call_arrives_in_its_tables(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        await relay.track_many(250)
        calls = [
            {"type": "identify", "userId": "u1", "traits": {"plan": "free", "address": {"city": "Berlin"}}},
            {"type": "page", "userId": "u1", "name": "Home", "properties": {"url": "/"}},
            {"type": "screen", "userId": "u1", "name": "Start"},
            {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"seats": 5}},
            {"type": "alias", "userId": "u1", "previousId": "a1"},
        ]
        assert await relay.send([call | {"messageId": f"call{number}"} for number, call in enumerate(calls)]) == 200
        await relay.settled("pg")
        counts = {name: await server.fetchval(f"SELECT count(*) FROM web.{name}") for name in ("tracks", "tested", "identifies", "users")}
        assert counts == {"tracks": 250, "tested": 250, "identifies": 1, "users": 1}
        assert await server.fetchval("SELECT sum(n) FROM web.tested") == sum(range(250))
        assert await server.fetch("SELECT id, plan, address_city FROM web.users") == [("u1", "free", "Berlin")]
        assert await server.fetch("SELECT id, seats FROM web.accounts") == [("g1", 5)]
        assert await server.fetch("SELECT name, url FROM web.pages") == [("Home", "/")]
        assert await server.fetchval("SELECT previous_id FROM web.aliases") == "a1"
        assert (
            await server.fetchval("SELECT count(*) FROM web.tracks WHERE received_at > now() - interval '1 hour' AND uuid_ts >= received_at") == 250
        )


async def test_what_is_excluded_is_neither_written_nor_made(server: PostgresServer, tmp_path: Path) -> None:
    sync = '\n[destination.sync]\nexclude = ["tracks", "tested", "users.phone"]\n'
    async with running(source() + postgres(server) + sync, tmp_path) as relay:
        await relay.track("u1")
        await relay.track("u1", "Other", n=1)
        call = {"type": "identify", "userId": "u1", "messageId": "excluded", "traits": {"plan": "free", "phone": "5"}}
        assert await relay.send([call]) == 200
        await relay.settled("pg")
        found = await server.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'web' ORDER BY 1")
        assert found == [("identifies",), ("other",), ("users",)]
        assert await server.fetch("SELECT phone FROM web.identifies") == [("5",)]
        assert await server.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'phone'") == []
        assert await relay.doors("pg") == {"delivered": 2, "filtered": 1}
        assert await relay.counted("pg", "filtered") == {"FILTERED_BY_RULES": 1}


async def test_columns_appear_and_widen_and_keep_what_they_had(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        for properties in (
            {"n": 1, "at": "2026-01-01T00:00:00Z", "ok": True},
            {"n": 2.5, "at": "2026-01-02T00:00:00Z"},
            {"n": "three", "at": "soon", "ok": "no", "new": [1, 2], 'odd" name': 1, "text": "ä" * 600, "id": "mine"},
        ):
            await relay.track("u1", "E", **properties)
            await relay.settled("pg")
        assert await server.fetch("SELECT n, at, ok FROM web.e ORDER BY received_at, n") == [
            ("1", "2026-01-01T00:00:00.000Z", "true"), ("2.5", "2026-01-02T00:00:00.000Z", None), ("three", "soon", "no"),
        ]  # fmt: skip
        assert await server.fetch("SELECT new, odd_name, length(text) FROM web.e WHERE n = 'three'") == [("[1,2]", 1, 512)]
        assert await relay.doors("pg") == {"delivered": 3}


async def test_names_that_senders_choose_stop_nothing(server: PostgresServer, tmp_path: Path) -> None:
    names = ["Tracks Pkey", "tracks_received_at_idx", "Users", "select", "!?", 'a"b', "x" * 200, "商品", "pg_class", "id", "1", "E Pkey", "E"]
    keys = [
        *["$", "名", "1", "id", "ID", "xmin", "ctid", "oid", "tableoid", "select", "user", "a.b", "a_b"],
        "",
        'a"b',
        "y" * 300,
        "y" * 300 + "z",
        "zero\0",
    ]
    moments = ["0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00.123456789Z"]
    values = [1, *moments, 2**63, 1e308, "a\0b", [], {}, {"": {"": 1}}, True, -(2**63), None, "x"]
    async with running(source() + postgres(server), tmp_path) as relay:
        events = []
        for shift, name in enumerate(names):
            properties = {key: values[(shift + number) % len(values)] for number, key in enumerate(keys)}
            events += [relay.event("u", name) | {"properties": properties}, relay.event("u", name)]
        assert await relay.send(events) == 200
        await relay.settled("pg")
        assert await relay.doors("pg") == {"delivered": len(events)}
        assert await server.fetchval("SELECT count(*) FROM web.tracks") == len(events)
        assert await server.fetchval("SELECT count(*) FROM web.tracks_pkey_") == 2
        assert await server.fetchval("SELECT count(*) FROM web._users") == 2


async def test_what_a_table_has_no_room_for_is_left_out_and_a_row_that_is_too_long_is_dead(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        await relay.track("u", "Wide", **{f"p{number}": True for number in range(2_000)})
        await relay.settled("pg")
        await relay.track("u", "Wide", late=1)
        await relay.track("u", "Long", **{f"p{number}": number for number in range(1_400)})
        await relay.settled("pg")
        assert await relay.doors("pg") == {"delivered": 2, "dead": 1}
        columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'web' AND table_name = 'wide'"
        assert await server.fetchval(columns) == 1_500
        assert await server.fetchval("SELECT count(*) FROM web.wide") == 2


async def test_a_view_keeps_its_column_and_the_event_still_arrives(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        await relay.track("u1", "E", n=1)
        await relay.settled("pg")
        await server.execute("CREATE VIEW seen AS SELECT n FROM web.e")
        await relay.track("u1", "E", n="text")
        await relay.settled("pg")
        assert sorted(await server.fetch("SELECT n FROM seen"), key=str) == [(1,), (None,)]


async def test_one_event_that_is_refused_takes_none_of_its_batch_along(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        await relay.track("u0", "Limited", n=1)
        await relay.settled("pg")
        await server.execute("ALTER TABLE web.limited ADD CHECK (n < 40)")
        assert await relay.send([relay.event(f"u{number}", "Limited", n=number) for number in range(1, 42)]) == 200
        await relay.settled("pg")
        assert await relay.doors("pg") == {"delivered": 40, "dead": 2}
        assert {row.code for row in await relay.dead("pg")} == {"BAD_REQUEST"}
        assert await server.fetchval("SELECT count(*) FROM web.tracks") == 40


async def test_the_newest_traits_stay_whichever_order_they_come_in(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        for number, traits in enumerate(({"a": 1, "b": 1}, {"a": 2}, {"c": 3})):
            assert await relay.send([{"type": "identify", "userId": "u", "traits": traits, "messageId": f"i{number}"}]) == 200
        await relay.settled("pg")
        assert await server.fetch("SELECT a, b, c FROM web.users") == [(2, 1, 3)]


async def test_what_is_replayed_is_there_once(server: PostgresServer, tmp_path: Path) -> None:
    config = source() + postgres(server)
    (tmp_path / "one").mkdir()
    async with running(config, tmp_path / "one") as relay:
        assert await relay.send([{"type": "track", "event": "E", "userId": "u", "messageId": f"m{number}"} for number in range(50)]) == 200
        await relay.settled("pg")
    (tmp_path / "two").mkdir()
    async with running(config, tmp_path / "two") as relay:
        assert await relay.send([{"type": "track", "event": "E", "userId": "u", "messageId": f"m{number}"} for number in range(60)]) == 200
        await relay.settled("pg")
        assert await relay.doors("pg") == {"delivered": 60}
    assert await server.fetch("SELECT (SELECT count(*) FROM web.tracks), (SELECT count(*) FROM web.e)") == [(60, 60)]


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"password": "wrong-canary"}, "credentials"), ({"database": "nowhere"}, "INVALID_SETTINGS"), ({"tls": "verify"}, "INVALID_SETTINGS")],
)
async def test_wrong_settings_hold_and_no_password_shows(settings: dict[str, Any], code: str, server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server, **settings), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("pg", code)
        assert "canary" not in str(await relay.hold("pg"))


async def test_tls_that_somebody_vouches_for(tmp_path: Path) -> None:
    with PostgresServer() as server:
        trusted = server.trust(tmp_path)
        async with running(source() + postgres(server, tls="verify", caFile=trusted), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("pg")
            assert await server.fetchval("SELECT count(*) FROM web.tracks") == 1
            await relay.reload(source() + postgres(server, tls="require"))
            await relay.track("u1")
            await relay.settled("pg")
            await relay.reload(source() + postgres(server, tls="verify"))
            await relay.track("u1")
            await waits(relay, 1)


async def test_a_private_address_must_be_listed(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server, allow=[]), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("pg", "blocked_address")


async def test_a_server_that_comes_back_gets_everything_once(server: PostgresServer, tmp_path: Path) -> None:
    async with running(source() + postgres(server), tmp_path) as relay:
        await relay.track_many(50)
        await relay.settled("pg")
        server.stop()
        await relay.track_many(50)
        await waits(relay, 50)
        await asyncio.to_thread(server.start)
        await relay.settled("pg", timeout_s=40)
        assert await server.fetchval("SELECT count(*) FROM web.tracks") == 100


async def waits(relay: Running, count: int) -> None:
    async def pending() -> bool:
        return (await relay.balance("pg")).pending == count

    await eventually(pending, 10)


@pytest.mark.crash
@pytest.mark.slow
async def test_after_sigkill_in_the_middle_each_event_is_there_once(server: PostgresServer, tmp_path: Path) -> None:
    config = source() + postgres(server, password="${PG_PASSWORD}")
    sent: list[str] = []
    async with RelayProcess(tmp_path, config, environment={"PG_PASSWORD": PASSWORD}) as relay, aiohttp.ClientSession() as session:

        async def send(count: int) -> None:
            for _ in range(count):
                batch = [
                    {"type": "track", "event": f"Event {len(sent) % 3}", "userId": f"u{n}", "messageId": f"m{len(sent) + n}"} for n in range(100)
                ]
                async with session.post(f"{relay.tracking_url}/v1/batch", json={"batch": batch, "writeKey": "wk_web"}) as answer:
                    assert answer.status == 200
                sent.extend(event["messageId"] for event in batch)

        async def count() -> int:
            try:
                return int(await server.fetchval("SELECT count(*) FROM web.tracks"))
            except Exception:
                return 0  # no table yet

        for _ in range(4):
            before = await count()
            await send(20)
            await eventually(lambda: some(count, before), 20)
            relay.kill()
            await relay.start()
        await eventually(lambda: some(count, len(sent) - 1), 40)
        await asyncio.sleep(1)  # what would come twice has time to
        assert await count() == len(sent) == 8_000
        own = [await server.fetchval(f"SELECT count(*) FROM web.event_{number}") for number in range(3)]
        assert sum(own) == 8_000


async def some(count: Any, more_than: int) -> bool:
    return bool(await count() > more_than)

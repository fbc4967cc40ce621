"""Events in a JetStream stream of a real nats-server: stored once each, also when relay is killed; refusals and outages."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import Running, running, source, table
from tests.support.certificate import certificate, trusting
from tests.support.killed import sent_through_a_kill
from tests.support.nats_server import NatsServer
from tests.support.waiting import eventually


def nats(server: NatsServer, allow: list[str] | None = None, **settings: Any) -> str:
    values = {"slug": "stream", "type": "nats", "allow_private": server.allow if allow is None else allow, "first_delay_s": 0.05, "max_delay_s": 0.5}
    return table("destination", values | {"settings": {"servers": [server.address]} | settings})


async def waits(relay: Running) -> None:
    """An attempt was made and the event waits."""

    async def does() -> bool:
        return (await relay.balance("stream")).pending == 1

    await eventually(does, 10)


async def test_each_event_is_stored_once_with_its_id_and_in_order(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server), tmp_path) as relay:
            ids = await relay.track_many(1_000, users=10)
            await relay.settled("stream")
            assert await relay.doors("stream") == {"delivered": 1_000}
        messages = await server.messages("events")
        assert [message.headers["Nats-Msg-Id"] for message in messages if message.headers] == ids
        assert {message.subject for message in messages} == {"events.web.track"}
        assert json.loads(messages[7].data)["messageId"] == ids[7]


async def test_the_subject_takes_what_the_event_is(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "shop.>")
        async with running(source() + nats(server, subject="shop.{source}.{type}.{event}", stream="events"), tmp_path) as relay:
            await relay.track("u1", "Order > Completed.*\n")
            await relay.send([{"type": "identify", "userId": "u1", "messageId": "i ü\n1"}])
            await relay.settled("stream")
        messages = await server.messages("events")
        assert [message.subject for message in messages] == ["shop.web.track.Order___Completed___", "shop.web.identify.identify"]
        assert (messages[1].headers or {})["Nats-Msg-Id"].startswith("msg_")


async def test_a_killed_relay_stores_each_event_once(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")

        async def arrived() -> int:
            return await server.count("events")

        ids = await sent_through_a_kill(tmp_path, nats(server), 60, arrived)
        found = [json.loads(message.data)["messageId"] for message in await server.messages("events")]
        assert len(found) == len(ids)
        assert set(found) == ids


async def test_a_server_that_goes_and_comes_back_gets_everything(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server), tmp_path) as relay:
            await relay.track_many(200)
            await relay.settled("stream")
            server.stop()
            await relay.track_many(200)
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak or relay.app.supervisor.actors["stream"].gate.is_shut, 10)
            await server.start()
            await relay.settled("stream")
        assert await server.count("events") == 400


async def test_a_subject_that_no_stream_has_holds_the_destination_until_there_is_one(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server, running(source() + nats(server), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("stream", "INVALID_SETTINGS")
        assert "no stream has the subject events.web.track" in (await relay.hold("stream"))["sample"]
        await server.add_stream("events", "events.>")
        await relay.settled("stream")
        assert await server.count("events") == 1


async def test_another_stream_than_expected_holds_the_destination(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, stream="orders"), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "INVALID_SETTINGS")
        assert await server.count("events") == 0


async def test_a_message_too_large_for_the_stream_is_a_dead_letter_of_its_own(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", extra="max_payload: 20000") as server:
        await server.add_stream("events", "events.>", max_msg_size=4_000)
        async with running(source() + nats(server), tmp_path) as relay:
            events = [relay.event("u1"), relay.event("u1", text="x" * 5_000), relay.event("u1", text="x" * 25_000), relay.event("u1")]
            assert await relay.send(events) == 200
            await relay.settled("stream")
            assert await relay.doors("stream") == {"delivered": 2, "dead": 2}
            assert {row.code for row in await relay.dead("stream")} == {"BAD_REQUEST"}
        assert await server.count("events") == 2


async def test_a_full_stream_is_tried_again(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>", max_msgs=1, discard="new")
        async with running(source() + nats(server), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
            await relay.track("u1")
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak, 10)
            await waits(relay)
            assert await relay.doors("stream") == {"delivered": 1}


@pytest.mark.parametrize(
    ("authorization", "user", "settings"),
    [
        ("user: relay, password: pw", {"user": "relay", "password": "pw"}, {"username": "relay", "password": "pw"}),
        ("token: t0ken", {"token": "t0ken"}, {"token": "t0ken"}),
    ],
)
async def test_a_login(authorization: str, user: dict[str, str], settings: dict[str, str], tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", authorization=authorization, user=user) as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, **settings), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
        assert await server.count("events") == 1


async def test_a_wrong_password_holds_and_never_shows(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", authorization="user: relay, password: pw")
    async with server, running(source() + nats(server, username="relay", password="wrong-canary"), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("stream", "credentials")
        assert "canary" not in str(await relay.hold("stream"))


async def test_a_subject_that_may_not_be_published_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.destinations.nats.sink.STEP_S", 1.0)
    users = 'users: [{user: admin, password: pw}, {user: relay, password: pw, permissions: {publish: ["$JS.>", "_INBOX.>"]}}]'
    async with NatsServer(tmp_path / "nats", authorization=users, user={"user": "admin", "password": "pw"}) as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, username="relay", password="pw"), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "credentials")


async def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, security="tls", username="relay", password="pw"), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "INVALID_SETTINGS")
        assert await server.count("events") == 0


async def test_a_private_address_must_be_listed(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, allow=[]), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "blocked_address")
        assert await server.count("events") == 0


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    async with NatsServer(tmp_path / "nats", extra=f'tls {{ cert_file: "{cert}", key_file: "{key}" }}', user={"tls": trusting(cert)}) as server:
        await server.add_stream("events", "events.>")
        async with running(source() + nats(server, security="tls", caFile=str(cert)), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
            await relay.reload(source() + nats(server, security="tls"))
            await relay.track("u2")
            await waits(relay)
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak, 10)
        assert await server.count("events") == 1

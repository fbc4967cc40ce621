"""Events in topics of a real Kafka broker: all of them, keyed by user, also when relay is killed; refusals and outages."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import running, source, table
from tests.support.certificate import certificate
from tests.support.kafka_broker import KafkaBroker
from tests.support.killed import sent_through_a_kill
from tests.support.process import free_ports
from tests.support.waiting import eventually


def to(broker: KafkaBroker, allow: list[str] | None = None, **settings: Any) -> str:
    values = {"slug": "stream", "type": "kafka", "allow_private": broker.allow if allow is None else allow, "first_delay_s": 0.05, "max_delay_s": 0.5}
    return table("destination", values | {"settings": {"brokers": [broker.seen], "topic": "events"} | settings})


def id_of(message: Any) -> str:
    return str(dict(message.headers)["messageId"].decode())


async def test_each_event_is_one_message_keyed_by_its_user_and_in_order(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("events", 3)
        async with running(source() + to(broker, compression="gzip"), tmp_path) as relay:
            ids = await relay.track_many(1_000, users=10)
            assert await relay.send([{"type": "page", "anonymousId": "a1", "messageId": "p1"}]) == 200
            await relay.settled("stream")
            assert await relay.doors("stream") == {"delivered": 1_001}
        messages = await broker.messages("events")
        assert len(messages) == 1_001
        for user in range(10):
            mine = [message for message in messages if message.key == f"u{user}".encode()]
            assert [id_of(message) for message in mine] == ids[user::10]
            assert len({message.partition for message in mine}) == 1
        (page,) = [message for message in messages if id_of(message) == "p1"]
        assert page.key == b"a1"
        assert dict(page.headers) == {"messageId": b"p1", "source": b"web", "type": b"page"}
        assert json.loads(page.value)["anonymousId"] == "a1"


async def test_the_topic_takes_what_the_event_is(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("shop.web.Order_Completed_", 1)
        async with running(source() + to(broker, topic="shop.{source}.{event}"), tmp_path) as relay:
            await relay.track("u1", "Order Completed!")
            await relay.settled("stream")
        assert len(await broker.messages("shop.web.Order_Completed_")) == 1


async def test_a_killed_relay_sends_each_event_once(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("events", 3)

        async def arrived() -> int:
            return len(await broker.messages("events"))

        ids = await sent_through_a_kill(tmp_path, to(broker), 60, arrived)
        found = [id_of(message) for message in await broker.messages("events")]
        assert set(found) == ids
        assert len(found) == len(ids)


async def test_a_broker_that_goes_and_comes_back_gets_everything(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("events", 3)
        async with running(source() + to(broker), tmp_path) as relay:
            await relay.track_many(200)
            await relay.settled("stream")
            broker.stop()
            await relay.track_many(200)
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak, 30)
            await broker.start()
            await broker.add_topic("events", 3)
            await relay.settled("stream", timeout_s=40)
            assert await relay.doors("stream") == {"delivered": 400}
        assert len(await broker.messages("events")) == 200


async def test_a_message_too_large_is_a_dead_letter_of_its_own(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("events", 1)
        async with running(source() + to(broker, maxMessageBytes=4_000), tmp_path) as relay:
            assert await relay.send([relay.event("u1"), relay.event("u1", text="x" * 5_000), relay.event("u1")]) == 200
            await relay.settled("stream")
            assert await relay.doors("stream") == {"delivered": 2, "dead": 1}
            (row,) = await relay.dead("stream")
            assert row.code == "BAD_REQUEST"
        assert len(await broker.messages("events")) == 2


async def test_a_login_that_the_broker_does_not_take_holds_and_never_shows(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        login = {"saslMechanism": "PLAIN", "username": "relay", "password": "wrong-canary"}
        async with running(source() + to(broker, **login), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "credentials")
            assert "canary" not in str(await relay.hold("stream"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_broker_that_does_not_know_the_user_holds_and_nothing_is_lost(tmp_path: Path, mechanism: str) -> None:
    async with KafkaBroker(tmp_path / "kafka", asks_for_login=True) as broker:
        login = {"saslMechanism": mechanism, "username": "relay", "password": "wrong-canary"}
        async with running(source() + to(broker, **login), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "credentials")
            assert "canary" not in str(await relay.hold("stream"))
            assert ((await relay.balance("stream")).pending, await relay.doors("stream")) == (1, {})


async def test_a_private_address_must_be_listed(tmp_path: Path) -> None:
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await broker.add_topic("events", 1)
        async with running(source() + to(broker, allow=[]), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("stream", "blocked_address")
        assert len(await broker.messages("events")) == 0


async def test_an_address_that_a_broker_tells_of_must_be_listed_too(tmp_path: Path) -> None:
    other = free_ports(1)[0]
    async with KafkaBroker(tmp_path / "kafka", advertised=f"127.0.0.1:{other}") as broker, running(source() + to(broker), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("stream", "blocked_address")
        assert str(other) in (await relay.hold("stream"))["sample"]


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    async with KafkaBroker(tmp_path / "kafka", tls=(cert, key)) as broker:
        await broker.add_topic("events", 1)
        async with running(source() + to(broker, security="tls", caFile=str(cert)), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("stream")
            await relay.reload(source() + to(broker, security="tls"))
            await relay.track("u2")
            await eventually(lambda: relay.app.supervisor.actors["stream"].gate._streak, 10)
            assert (await relay.balance("stream")).pending == 1
        assert len(await broker.messages("events")) == 1

"""The whole relay: what goes in at the tracking API comes out at the receivers, as the configuration says."""

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.base.ids import delivery_key
from relay.control.replay import ReplaySpec
from tests.support.app import Running, running, source, table, webhook
from tests.support.receiver import Receiver, stall
from tests.support.waiting import eventually

MINIMAL = """
[[source]]
slug = "web"
write_key = "wk_web"

[[destination]]
slug = "orders"
type = "webhook"
sources = ["web"]
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/hook", shared_secret = "s" }}

[[destination.mapping]]
action = "send"
trigger = 'type = "track"'
"""


async def test_the_minimal_file_delivers_each_track_event_as_signed_json(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(MINIMAL.format(port=receiver.port), tmp_path) as relay:
        message_id = await relay.track("u1", "Bought", price=3.5)
        assert await relay.send([{"type": "identify", "userId": "u1"}]) == 200
        await relay.settled("orders")
        (request,) = receiver.requests
        assert (request.method, request.path, request.headers["content-type"]) == ("POST", "/hook", "application/json")
        assert request.headers["x-signature"] == hmac.new(b"s", request.body, hashlib.sha1).hexdigest()
        body = request.json
        assert (body["messageId"], body["userId"], body["event"], body["properties"]) == (message_id, "u1", "Bought", {"price": 3.5})
        assert await relay.doors("orders") == {"delivered": 1, "filtered": 1}


async def test_the_time_from_received_to_delivered_is_measured_and_a_replay_is_left_out(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(3)
        await relay.settled("hook")
        await relay.app.replays.start(ReplaySpec("hook", 0), SIGNAL)
        await eventually(lambda: receiver.count == 6)
        assert 'relay_delivery_latency_seconds_count{destination="hook"} 3.0' in await relay.metrics()


async def test_standard_webhooks_carry_an_id_that_follows_from_the_event(tmp_path: Path) -> None:
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, settings={"signing_secret": [secret]}), tmp_path) as relay:
        message_id = await relay.track("u1")
        await relay.settled("hook")
        assert receiver.requests[0].headers["webhook-id"] == delivery_key("web", message_id)


async def test_a_mapping_decides_what_is_sent(tmp_path: Path) -> None:
    mapping = {"action": "send", "trigger": 'event = "Bought"', "fields": {"data": {"who": {"@path": "$.userId"}}, "method": "PUT"}}
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, mapping), tmp_path) as relay:
        await relay.track("u1", "Bought")
        await relay.track("u1", "Looked")
        await relay.settled("hook")
        assert [(request.method, request.json) for request in receiver.requests] == [("PUT", {"who": "u1"})]


async def test_each_subscription_that_matches_is_delivered_by_itself(tmp_path: Path) -> None:
    def mapping(name: str, trigger: str) -> dict[str, Any]:
        return {"name": name, "trigger": trigger, "fields": {"data": {"by": name}}}

    mappings = [mapping("all", 'type = "track"'), mapping("bought", 'event = "Bought"'), mapping("never", 'event = "Never"')]
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, *mappings), tmp_path) as relay:
        await relay.track("u1", "Bought")
        await relay.track("u2", "Looked")
        await relay.settled("hook")
        assert sorted(body["by"] for body in receiver.bodies) == ["all", "all", "bought"]
        assert await relay.doors("hook") == {"delivered": 3}


async def test_integrations_of_an_event_switch_destinations_off(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("one", receiver) + webhook("two", receiver)
        async with running(config, tmp_path) as relay:
            await relay.send([relay.event("u1") | {"integrations": {"All": False, "two": True}}])
            await relay.send([relay.event("u2") | {"integrations": {"one": False}}])
            await relay.settled("one", "two")
            assert [request.path for request in receiver.requests] == ["/two", "/two"]
            assert await relay.doors("one") == {"filtered": 2}


async def test_a_destination_gets_events_of_its_own_sources_only(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source("web") + source("ios") + webhook("hook", receiver, sources=["ios"])
        async with running(config, tmp_path) as relay:
            await relay.send([relay.event("u1")], "web")
            await relay.send([relay.event("u2")], "ios")
            await relay.settled("hook")
            assert [body["userId"] for body in receiver.bodies] == ["u2"]
            balance = await relay.balance("hook")
            assert (balance.skipped, balance.accepted) == (1, 1)


async def test_a_disabled_destination_lets_events_pass_and_counts_them(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, enabled=False), tmp_path) as relay:
        await relay.track_many(3)
        await relay.settled("hook")
        assert not receiver.requests
        assert await relay.doors("hook") == {"filtered": 3}
        assert await relay.counted("hook", "filtered") == {"destination_disabled": 3}


@pytest.mark.parametrize(("order", "most"), [("strict", 1), ("user", 4), ("none", 8)])
async def test_the_order_decides_how_many_attempts_run_at_once(order: str, most: int, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(0.02)
        async with running(source() + webhook("hook", receiver, order=order, concurrency=8), tmp_path) as relay:
            await relay.track_many(40, users=4)
            await relay.settled("hook")
        assert receiver.most_in_flight == most
        numbers: dict[str, list[int]] = {}
        for body in receiver.bodies:
            numbers.setdefault("all" if order == "strict" else body["userId"], []).append(body["properties"]["n"])
        assert len(receiver.bodies) == 40
        if order != "none":
            assert all(seen == sorted(seen) for seen in numbers.values())


async def test_concurrency_is_the_limit_of_attempts_at_once(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(0.02)
        async with running(source() + webhook("hook", receiver, concurrency=3), tmp_path) as relay:
            await relay.track_many(40)
            await relay.settled("hook")
        assert receiver.most_in_flight == 3


async def test_a_rate_limit_is_kept(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, rate_per_s=20), tmp_path) as relay:
        await relay.track_many(31)
        await relay.settled("hook")
        took_s = receiver.requests[-1].at - receiver.requests[0].at
        assert 1.3 <= took_s <= 6.0, took_s


async def test_batching_sends_arrays_and_settles_each_event(tmp_path: Path) -> None:
    mapping = {"action": "send", "trigger": 'type = "track"', "fields": {"enable_batching": True, "batch_size": 10}}
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, mapping), tmp_path) as relay:
        sent = await relay.track_many(95)
        await relay.settled("hook")
        assert all(isinstance(body, list) and len(body) <= 10 for body in receiver.bodies)
        assert sorted(event["messageId"] for body in receiver.bodies for event in body) == sorted(sent)
        assert len(receiver.bodies) <= 20
        assert await relay.doors("hook") == {"delivered": 95}


async def test_a_second_relay_takes_what_the_first_forwards_and_a_circle_ends(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        (tmp_path / "second").mkdir()
        (tmp_path / "first").mkdir()
        async with running(source() + webhook("hook", receiver), tmp_path / "second") as second:
            onward = _forwarder("onward", second)
            async with running(source() + onward, tmp_path / "first") as first:
                await second.reload(source() + webhook("hook", receiver) + _forwarder("back", first))
                sent = await first.track_many(30)
                await first.settled("onward")
                await eventually(lambda: receiver.count >= 30)
                await second.settled("hook", "back")
                await asyncio.sleep(0.3)
                await first.settled("onward")
                assert sorted(body["messageId"] for body in receiver.bodies) == sorted(sent)
                assert (await second.doors("back")).get("delivered", 0) + (await second.doors("back")).get("dead", 0) == 30


def _forwarder(slug: str, to: Running) -> str:
    address = to.app.tracking_url
    settings = {"write_key": "wk_web", "endpoint": address}
    return table("destination", {"slug": slug, "type": "segment", "allow_private": [address.removeprefix("http://")], "settings": settings})

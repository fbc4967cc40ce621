"""The live rows over the real websocket: what a viewer is told of each ending, and that no peer harms another."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.access.operator import SIGNAL
from relay.outbox.interface import Selection
from tests.support.app import Running, running, source, webhook
from tests.support.live import PROTOCOL, Viewer, viewer
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer, stall
from tests.support.waiting import eventually


def states(live: Viewer, message_id: str) -> dict[str, str]:
    found: dict[str, str] = next((row["to"] for row in live.rows.values() if row["message_id"] == message_id), {})
    return found


def watch(relay: Running, **options: Any) -> Any:
    return viewer(relay.app.ui_url, relay.app.cli_token, **options)


async def test_rows_come_with_their_state_and_change_with_it(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path = {"/bad": answer(400), "/slow": stall(0.5)}
        config = source() + "".join(webhook(slug, receiver) for slug in ("good", "bad", "slow"))
        config += webhook("pages", receiver, {"action": "send", "trigger": 'type = "page"'})
        async with running(config, tmp_path) as relay:
            before = await relay.track("u1", "Before")
            await relay.settled("good", "bad", "slow")
            async with watch(relay) as live:
                await live.subscribe()
                assert states(live, before) == {"good": "delivered", "bad": "dead", "slow": "delivered", "pages": "filtered"}
                after = await relay.track("u2", "After", coupon="X")
                await live.until(lambda: states(live, after).get("slow") in ("pending", "sending"))
                await live.until(lambda: states(live, after) == {"good": "delivered", "bad": "dead", "slow": "delivered", "pages": "filtered"})
                row = next(row for row in live.rows.values() if row["message_id"] == after)
                assert (row["type"], row["name"], row["user_id"], row["verdict"], row["plan"]) == ("track", "After", "u2", "accepted", 0)
                assert live.order == sorted(live.order)


async def test_refused_messages_and_duplicates_are_rows_too(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        wrong = {"type": "track", "event": "Nobody", "messageId": "wrong"}
        event = relay.event("u1")
        await relay.send([wrong, event])
        async with watch(relay) as live:
            await live.subscribe()
            assert {(row["verdict"], row["code"]) for row in live.rows.values()} == {("rejected", "no_user_anon_id"), ("accepted", None)}
            await relay.send([event])
            await live.until(lambda: len(live.rows) == 3)
            *_, last = live.rows.values()
            assert (last["verdict"], last["message_id"], last["event_id"][0]) == ("duplicate", event["messageId"], "r")


async def test_what_waits_at_a_held_destination_is_held(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay, watch(relay) as live:
        await live.subscribe()
        headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
        async with aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http:
            assert (await http.post("/ui/api/destinations/hook/hold", json={})).status == 200
            held = await relay.track("u1")
            await live.until(lambda: states(live, held) == {"hook": "held"})
            assert (await http.post("/ui/api/destinations/hook/resume", json={})).status == 200
            await live.until(lambda: states(live, held) == {"hook": "delivered"})


async def test_filters_run_on_the_server_and_state_is_followed(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(400)
        async with running(source() + webhook("hook", receiver), tmp_path) as relay, watch(relay) as live:
            await relay.track("u1", "Refund", reason="late")
            await relay.settled("hook")
            await live.subscribe("event:ref* properties.reason:late")
            assert len(live.rows) == 1
            live.rows.clear()
            await live.send(t="filter", id=1, filter={"f": "state", "op": "eq", "v": "dead"})
            await live.until(lambda: len(live.rows) == 1)
            dead = await relay.track("u2", "Other")
            await live.until(lambda: states(live, dead) == {"hook": "dead"})
            await live.send(t="filter", id=1, filter={"f": "evnt", "op": "eq", "v": "x"})
            await live.until(lambda: live.errors)
            assert live.errors[0] == {"t": "error", "id": 1, "code": "bad_filter", "text": "unknown field 'evnt', did you mean 'event'?", "at": None}


async def test_a_pause_counts_and_a_resume_brings_what_waited(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as live:
        await live.subscribe()
        await live.send(t="pause", id=1)
        await live.until(lambda: live.stats)
        await relay.track_many(30)
        await live.until(lambda: live.paused == 30)
        assert not live.rows
        await live.send(t="resume", id=1)
        await live.until(lambda: len(live.rows) == 30)
        assert live.drops["total"] == 0


async def test_pinned_fields_come_masked(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as live:
        await live.subscribe(fields=["to", "properties.price", "properties.accessToken", "properties.cart"])
        await relay.track("u1", price=39.95, accessToken="geheim", cart={"password": "p", "n": 1})
        await live.until(lambda: live.rows)
        (row,) = live.rows.values()
        assert row["fields"] == {"properties.price": 39.95, "properties.accessToken": "•••", "properties.cart": '{"password":"•••","n":1}'}


async def test_a_viewer_cannot_search_what_is_masked(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        await relay.track("u1", password="geheim")
        headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
        async with aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http:
            made = await (await http.post("/ui/api/tokens", json={"name": "v", "role": "viewer"})).json()
        async with viewer(relay.app.ui_url, made["token"]) as live, watch(relay) as owner:
            for text in ("geheim", "properties.password:geheim"):
                await live.subscribe(text)
                await owner.subscribe(text)
                assert (len(live.rows), len(owner.rows)) == (0, 1)
                owner.rows.clear()
            await live.subscribe("password")
            assert len(live.rows) == 1


async def test_figures_come_once_a_second(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay, watch(relay) as live:
        await live.until(lambda: live.stats)
        await relay.track_many(50)
        await live.until(lambda: live.stats[-1]["in_rate"] > 0 and live.stats[-1]["dest"]["hook"]["success"] == 1)
        stats = live.stats[-1]
        assert stats["sources"]["web"] == stats["in_rate"]
        assert stats["alerts"] == 0
        assert stats["dest"]["hook"] | {"rate": 0} == {
            "rate": 0, "backlog": 0, "oldest_s": None, "retry": 0, "dead": 0, "state": "running", "success": 1.0
        }  # fmt: skip


async def test_who_comes_back_gets_what_was_missed_and_a_restart_is_a_gap(tmp_path: Path) -> None:
    async with RelayProcess(tmp_path, source()) as relay, aiohttp.ClientSession() as http:

        async def send(number: int) -> None:
            url = f"{relay.tracking_url}/v1/track"
            event = {"userId": "u1", "event": f"E{number}", "writeKey": "wk_web"}
            async with http.post(url, json=event) as response:
                assert response.status == 200

        await send(1)
        async with viewer(relay.ui_url, relay.cli_token) as live:
            await live.subscribe()
            resume = {"epoch": live.hello["epoch"], "seq": live.order[-1]}
            assert live.snapshot is not None
            assert live.snapshot["gap"] is False
        await send(2)
        async with viewer(relay.ui_url, relay.cli_token) as live:
            await live.subscribe(resume=resume)
            assert live.snapshot is not None
            assert ([row["name"] for row in live.rows.values()], live.snapshot["gap"]) == (["E2"], False)
        await relay.restart()
        async with viewer(relay.ui_url, relay.cli_token) as live:
            await live.subscribe(resume=resume)
            assert live.snapshot is not None
            assert ([row["name"] for row in live.rows.values()], live.snapshot["gap"]) == (["E1", "E2"], True)
            await relay.terminate()
            await live.until(lambda: live.socket.closed)
            assert (live.bye or {}).get("code") == "shutdown"
            assert live.socket.close_code == 1001


async def test_no_gap_and_no_double_at_300_events_a_second_beside_a_stalled_viewer(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track_many(200)
        async with watch(relay) as first, watch(relay) as second, watch(relay, stalled=True) as stalled:
            await stalled.subscribe("type:track")
            sent = 200
            loop = asyncio.get_running_loop()
            end = loop.time() + 8
            while loop.time() < end:
                assert await relay.send([relay.event(f"u{number}") for number in range(60)]) == 200
                sent += 60
                if sent == 500:
                    await first.subscribe()
                    await second.subscribe("type:track")
                await asyncio.sleep(0.2)
            await relay.settled("hook", timeout_s=30)
            for live in (first, second):
                await live.until(lambda live=live: len(live.rows) == sent)
                await live.until(lambda live=live: all(row["to"] == {"hook": "delivered"} for row in live.rows.values()))
                assert live.order == sorted(live.order)
                assert live.drops["total"] == 0
            await stalled.until(lambda: len(stalled.rows) + stalled.drops["total"] >= 200)
            assert stalled.seen.count("rows") == 4
            assert not stalled.socket.closed


@pytest.mark.parametrize(
    "frame",
    [
        "no json", "[]", "{}", '{"t":1}', '{"t":["ack"]}', '{"t":"ack"}', '{"t":"ack","seq":"x"}', '{"t":"ack","seq":-1}', '{"t":"subscribe"}',
        '{"t":"subscribe","id":1,"limit":true}', '{"t":"subscribe","id":1,"fields":[1]}', '{"t":"subscribe","id":1,"resume":{"seq":1}}',
        '{"t":"subscribe","id":1e99}', "x" * 70_000, b"binary",
    ],
)  # fmt: skip
async def test_who_sends_garbage_is_closed_and_nobody_else(tmp_path: Path, frame: str | bytes) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as good, watch(relay) as bad:
        await good.subscribe()
        await (bad.socket.send_bytes(frame) if isinstance(frame, bytes) else bad.socket.send_str(frame))
        await bad.until(lambda: bad.socket.closed)
        assert bad.socket.close_code == (1009 if len(frame) > 65_536 else 4400)
        await relay.track("u1")
        await good.until(lambda: good.rows)


async def test_who_floods_is_closed(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as good, watch(relay) as bad:
        await good.subscribe()
        for _ in range(500):
            if bad.socket.closed:
                break
            await bad.socket.send_str('{"t":"subscribe","id":1,"filter":{"all":[]}}')
        await bad.until(lambda: bad.socket.closed)
        assert bad.socket.close_code == 4400
        await relay.track("u1")
        await good.until(lambda: good.rows)
        assert not good.socket.closed


async def test_who_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as good:
        await good.subscribe()
        port = int(relay.app.ui_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(
            f"GET /ui/api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {relay.app.cli_token}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        text = json.dumps({"t": "subscribe", "id": 1, "filter": {"all": []}}).encode()
        writer.write(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
        await writer.drain()
        await relay.track_many(1500)
        await good.until(lambda: len(good.rows) + good.drops["total"] == 1500)
        writer.transport.abort()
        await eventually(lambda: relay.app.metrics._gauges["relay_live_viewers"][()] == 1)


async def test_there_are_only_so_many_viewers_and_only_of_our_protocol(tmp_path: Path) -> None:
    async with running(source(), tmp_path, settings=("ui.max_viewers=1",)) as relay:
        async with watch(relay) as first:
            async with watch(relay) as second:
                await second.until(lambda: second.socket.closed)
                assert second.socket.close_code == 4429
            assert not first.socket.closed
        headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
        async with aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http:
            async with http.ws_connect("/ui/api/live") as plain:
                assert (await plain.receive()).data == 4400
            assert (await http.get("/ui/api/live")).status == 400
        async with aiohttp.ClientSession(relay.app.ui_url) as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect("/ui/api/live", protocols=[PROTOCOL])
            assert refused.value.status == 403


async def test_nothing_is_made_while_nobody_watches(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        await relay.track("u1")
        live_rows, heard = relay.app.live._live, relay.app.router.on_routed
        assert live_rows.routed not in heard
        async with watch(relay) as live:
            await live.subscribe()
            assert live_rows.routed in heard
        await eventually(lambda: live_rows._cooling is not None)
        assert live_rows.routed in heard
        live_rows.close()
        assert (live_rows.routed in heard, len(live_rows.tap)) == (False, 0)
        async with watch(relay) as live:
            await live.subscribe()
            assert len(live.rows) == 1


async def test_a_revoked_token_closes_its_viewer(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
        async with aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http:
            made = await (await http.post("/ui/api/tokens", json={"name": "v", "role": "viewer"})).json()
            async with viewer(relay.app.ui_url, made["token"]) as live, watch(relay) as owner:
                await http.delete(f"/ui/api/tokens/{made['id']}")
                await live.until(lambda: live.socket.closed, 6)
                assert live.socket.close_code == 4401
                assert not owner.socket.closed


async def test_frames_are_compressed_for_who_is_not_on_this_machine(tmp_path: Path) -> None:
    async with running(source(), tmp_path, settings=('server.trusted_proxies=["127.0.0.1/32"]',)) as relay:
        for address, compressed in (("203.0.113.7", True), ("", False)):
            headers = {"Authorization": f"Bearer {relay.app.cli_token}"} | ({"X-Forwarded-For": address} if address else {})
            async with (
                aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http,
                http.ws_connect("/ui/api/live", protocols=[PROTOCOL], compress=15) as socket,
            ):
                assert bool(socket.compress) is compressed
                assert (await socket.receive_json())["t"] == "hello"


async def test_what_a_person_does_to_entries_shows_in_their_rows(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(503)
        config = source() + webhook("hook", receiver, first_delay_s=60, max_delay_s=60)
        async with running(config, tmp_path) as relay, watch(relay) as live:
            await live.subscribe()
            message_id = await relay.track("u1")
            await live.until(lambda: states(live, message_id) == {"hook": "retry"})
            (event_id,) = live.rows
            headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
            async with aiohttp.ClientSession(relay.app.ui_url, headers=headers) as http:
                assert (await http.post(f"/ui/api/events/{event_id}/discard", json={"destination": "hook"})).status == 200
            await live.until(lambda: states(live, message_id) == {"hook": "discarded"})


async def test_dead_letters_that_are_sent_again_change_their_rows(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(400)
        async with running(source() + webhook("hook", receiver), tmp_path) as relay, watch(relay) as live:
            await live.subscribe()
            message_id = await relay.track("u1")
            await live.until(lambda: states(live, message_id) == {"hook": "dead"})
            receiver.default = stall(0.5)
            await relay.app.outbox.resend("hook", Selection())
            await live.until(lambda: states(live, message_id)["hook"] in ("retry", "sending"))
            await live.until(lambda: states(live, message_id) == {"hook": "delivered"})


async def test_dead_letters_that_are_thrown_away_change_their_rows(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(400)
        async with running(source() + webhook("hook", receiver), tmp_path) as relay, watch(relay) as live:
            await live.subscribe()
            message_id = await relay.track("u1")
            await live.until(lambda: states(live, message_id) == {"hook": "dead"})
            assert await relay.app.outbox.discard("hook", Selection()) == 1
            await live.until(lambda: states(live, message_id) == {"hook": "discarded"})


async def test_an_attempt_that_takes_its_time_is_shown_as_sending(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(30)
        async with running(source() + webhook("hook", receiver, timeout_s=2), tmp_path) as relay, watch(relay) as live:
            await live.subscribe()
            first, second = await relay.track("u1"), await relay.track("u1")
            await live.until(lambda: states(live, first) == {"hook": "sending"})
            assert states(live, second) == {"hook": "pending"}
            async with watch(relay) as late:
                await late.subscribe("state:sending")
                assert [row["message_id"] for row in late.rows.values()] == [first]
            receiver.default = answer()
            await live.until(lambda: states(live, first) == states(live, second) == {"hook": "delivered"})


async def test_an_attempt_that_is_given_up_is_not_shown_as_sending_any_more(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(30)
        config = source() + webhook("hook", receiver)
        async with running(config, tmp_path, drain_s=0.1) as relay, watch(relay) as live:
            await live.subscribe()
            message_id = await relay.track("u1")
            await live.until(lambda: states(live, message_id) == {"hook": "sending"})
            await relay.app.operations.hold("hook", SIGNAL)
            await relay.reload(source() + webhook("hook", receiver, concurrency=2))
            await live.until(lambda: states(live, message_id) == {"hook": "held"})


async def test_an_alert_is_told_to_every_viewer(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay, watch(relay) as first, watch(relay) as second:
        relay.app.live.announce({"id": 1, "state": "firing", "text": "hook fails"})
        for live in (first, second):
            await live.until(lambda live=live: "alert" in live.seen)

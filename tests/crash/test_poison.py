"""An event that ends the process must not end it for ever: after three ends with it in hand it is dead, and all others are delivered."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from textwrap import dedent

import aiohttp
import pytest
from aiohttp import web

from relay.delivery.crashes import ENDS
from tests.crash.books import assert_books, doors
from tests.crash.test_sigkill import is_settled
from tests.crash.traffic import track
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.crash]

KEY = "wk_poison"
POISON = "u3-3"
EVENTS = 12
DESTINATION = """
[[destination]]
slug = "{slug}"
type = "webhook"
sources = ["app"]
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/{slug}" }}
[[destination.mapping]]
fields = {{ enable_batching = {batching} }}
"""
IN_THE_MAPPING = """
    import os
    from relay.pipeline import destination_side as stage
    from relay.delivery import decisions
    def deadly(entry, destination, decide=stage.destination_side):
        if entry.event.message_id == {poison!r} and destination.destination.slug == "poisoned":
            os._exit(9)
        return decide(entry, destination)
    decisions.destination_side = deadly
"""


def config(receiver: Receiver, *, batching: bool) -> str:
    parts = [DESTINATION.format(slug=slug, port=receiver.port, batching=str(batching).lower()) for slug in ("poisoned", "healthy")]
    return f'[log]\nlevel = "warning"\n[[source]]\nslug = "app"\nwrite_key = "{KEY}"\n' + "".join(parts)


async def send(relay: RelayProcess) -> None:
    batch = [track(f"u{number}", number, 10) for number in range(EVENTS)]
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{relay.tracking_url}/v1/batch", json={"writeKey": KEY, "batch": batch}) as response:
                assert response.status == 200
        except aiohttp.ClientError:
            pass  # the answer was lost: the event was faster


async def until_dead(relay: RelayProcess) -> int:
    """Start again whenever relay has ended, until there is a dead letter; returns how often it ended."""
    ends = 0
    async with asyncio.timeout(120):
        while not dead_letters(relay.data / "relay.db"):
            if not relay.running:
                ends += 1
                relay.spawn()
            await asyncio.sleep(0.05)
    await eventually(relay.is_ready, 30)
    return ends


def dead_letters(path: Path) -> list[tuple[str, str, str]]:
    """Consumer, code, messageId."""
    with closing(connect(path)) as connection:
        found = connection.execute("SELECT consumer, code, body FROM row JOIN log USING (seq) WHERE state = 'dead'").fetchall()
    return [(consumer, code, json.loads(body)["messageId"]) for consumer, code, body in found]


def started(path: Path) -> list[str]:
    with closing(connect(path)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM cursor") if "started" in state]


async def assert_only_the_poison_is_dead(relay: RelayProcess, receiver: Receiver) -> None:
    everything = {f"u{number}-{number}" for number in range(EVENTS)}
    await eventually(lambda: delivered(receiver, "/healthy") == everything, 20)
    await eventually(lambda: delivered(receiver, "/poisoned") >= everything - {POISON}, 20)
    await eventually(lambda: is_settled(relay), 40)
    assert await relay.terminate() == 0
    path = relay.data / "relay.db"
    assert_books(path)
    assert dead_letters(path) == [("poisoned", "crash", POISON)]
    assert doors(path) == {"poisoned": {"delivered": EVENTS - 1, "dead": 1}, "healthy": {"delivered": EVENTS}}
    assert started(path) == []


def delivered(receiver: Receiver, path: str) -> set[str]:
    bodies = [request.json for request in receiver.requests if request.path == path]
    return {event["messageId"] for body in bodies for event in (body if isinstance(body, list) else [body])}


async def test_an_event_whose_mapping_ends_the_process_is_dead_after_three_unclean_starts(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(dedent(IN_THE_MAPPING.format(poison=POISON)))
    async with Receiver() as receiver:
        relay = RelayProcess(tmp_path, config(receiver, batching=False))
        relay.environment["PYTHONPATH"] = f"{tmp_path}:{relay.environment.get('PYTHONPATH', '')}"
        async with relay:
            await send(relay)
            assert await until_dead(relay) == 1 + ENDS
            await assert_only_the_poison_is_dead(relay, receiver)


@pytest.mark.parametrize("batching", [False, True], ids=["single", "batch"])
async def test_an_event_that_is_always_on_its_way_when_the_process_is_killed_is_dead_after_three_unclean_starts(
    tmp_path: Path, batching: bool
) -> None:
    async with Receiver() as receiver, RelayProcess(tmp_path, config(receiver, batching=batching)) as relay:
        kills = 0

        async def deadly(request: web.BaseRequest) -> web.StreamResponse:
            nonlocal kills
            if POISON.encode() in await request.read():
                kills += 1
                relay.kill()
            return web.Response()

        receiver.by_path = {"/poisoned": deadly}
        await send(relay)
        await until_dead(relay)
        assert 1 + ENDS <= kills <= (2 + ENDS if batching else 1 + ENDS)
        await assert_only_the_poison_is_dead(relay, receiver)

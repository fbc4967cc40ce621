"""Power loss, as far as one machine can play it: the WAL ends at a random place, or the tail that was never synced is garbage.

A commit is synced before its answer, so a WAL that is at least as long as at the moment of an answer holds that answer's events.
"""

import asyncio
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from relay.base.clock import SystemClock
from relay.database.database import Database
from relay.outbox.sqlite import open_outbox
from tests.crash.books import assert_books, copy_store, message_ids
from tests.crash.traffic import track
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.crash]

KEY = "wk_power"
EVENTS, CLIENTS = 60, 4
CUTS = 40
CONFIG = """
[log]
level = "warning"
[[source]]
slug = "app"
write_key = "{key}"
[[destination]]
slug = "orders"
type = "webhook"
sources = ["app"]
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/hook" }}
"""


@dataclass(frozen=True)
class Acknowledged:
    """An event and how long the WAL was when its answer had come."""

    message_id: str
    wal_bytes: int


async def send_events(relay: RelayProcess, wal: Path) -> list[Acknowledged]:
    """A few clients at once, so that commits hold several requests; every answer must be 200."""
    found: list[Acknowledged] = []

    async def client(user: str) -> None:
        async with aiohttp.ClientSession() as session:
            for number in range(EVENTS):
                body = {"writeKey": KEY, **track(user, number, 300)}
                async with session.post(f"{relay.tracking_url}/v1/track", json=body) as response:
                    assert response.status == 200
                found.append(Acknowledged(body["messageId"], wal.stat().st_size))

    async with asyncio.TaskGroup() as group:
        for index in range(CLIENTS):
            group.create_task(client(f"u{index}"))
    return found


@dataclass
class Lost:
    """A data folder as the power cut left it, with what was acknowledged before."""

    relay: RelayProcess
    events: list[Acknowledged]
    wal_bytes: int

    def cut(self, target: Path, at: int, tail: bytes) -> tuple[Path, set[str]]:
        """A copy whose WAL ends at `at`, then `tail`; and the events that must be in it."""
        path = copy_store(self.relay.data, target)
        wal = path.with_name("relay.db-wal")
        os.truncate(wal, at)
        with wal.open("ab") as file:
            file.write(tail)
        return path, {event.message_id for event in self.events if event.wal_bytes <= at}


@pytest.fixture
async def lost(tmp_path: Path):
    async with Receiver() as receiver, RelayProcess(tmp_path, CONFIG.format(key=KEY, port=receiver.port)) as relay:
        wal = relay.data / "relay.db-wal"
        events = await send_events(relay, wal)
        relay.kill()
        size = wal.stat().st_size
        assert max(event.wal_bytes for event in events) <= size, "the WAL was started anew; the test needs one that only grows"
        yield Lost(relay, events, size)


def cuts(lost: Lost, seed: int) -> list[tuple[int, bytes]]:
    """Where the WAL ends and what stands behind that: nothing, zeros, or noise as long as what is lost."""
    rng = random.Random(seed)
    first = min(event.wal_bytes for event in lost.events)
    found = []
    for index in range(CUTS):
        at = rng.choice(lost.events).wal_bytes if index % 4 == 0 else rng.randint(first, lost.wal_bytes)
        missing = lost.wal_bytes - at
        found.append((at, (b"", bytes(missing), rng.randbytes(missing))[index % 3]))
    return found


async def test_a_wal_cut_anywhere_keeps_what_was_acknowledged_before_the_cut(lost: Lost, tmp_path: Path) -> None:
    for at, tail in cuts(lost, 1):
        path, expected = lost.cut(tmp_path / "cut", at, tail)
        fatal: list[Exception] = []
        database = await Database.open(path, clock=SystemClock(), on_fatal=fatal.append)
        outbox = await open_outbox(database, SystemClock())
        found = [claim.event.message_id async for page in outbox.history.scan() for claim in page]
        await database.close()
        assert expected <= set(found), f"cut at {at} of {lost.wal_bytes}, tail {tail[:4]!r}: {len(expected - set(found))} lost"
        assert len(found) == len(set(found))
        assert not fatal
        assert_books(path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
async def test_a_relay_that_starts_after_a_power_cut_delivers_what_it_had_acknowledged(lost: Lost, tmp_path: Path, seed: int) -> None:
    at, tail = random.Random(seed).choice(cuts(lost, seed))
    relay = lost.relay
    path, expected = lost.cut(tmp_path / "cut", at, tail)
    shutil.copyfile(path, relay.data / "relay.db")
    shutil.copyfile(path.with_name("relay.db-wal"), relay.data / "relay.db-wal")
    (relay.data / "relay.db-shm").unlink(missing_ok=True)
    async with Receiver() as receiver:  # a new receiver: it gets what the cut database holds for undelivered
        relay.configure(CONFIG.format(key=KEY, port=receiver.port))
        await relay.start()
        more = await send_events_again(relay)
        await eventually(lambda: more <= {body["messageId"] for body in receiver.bodies}, 20)
        assert await relay.terminate() == 0
    assert expected | more <= set(message_ids(relay.data / "relay.db"))
    assert set(message_ids(relay.data / "relay.db").values()) == {1}
    assert_books(relay.data / "relay.db")


async def send_events_again(relay: RelayProcess) -> set[str]:
    """Life goes on after the cut: a few more events, and some that were sent before (they may have been lost, or are duplicates)."""
    async with aiohttp.ClientSession() as session:
        for body in [track("later", number, 10) for number in range(20)] + [track("u0", number, 300) for number in range(EVENTS)]:
            async with session.post(f"{relay.tracking_url}/v1/track", json={"writeKey": KEY, **body}) as response:
                assert response.status == 200
    return {f"later-{number}" for number in range(20)}

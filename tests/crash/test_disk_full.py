"""A small disk that fills up, by relay itself and by a neighbour: ingest says 503, deliveries drain, ingest opens again, nothing is lost or sent over and over."""

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.crash.books import assert_books, open_rows
from tests.crash.traffic import track
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer, stall
from tests.support.waiting import eventually

pytestmark = [pytest.mark.crash, pytest.mark.slow]

KEY = "wk_disk"
DISK_BYTES = 24 * 1024 * 1024
PADDING = 20_000
WATCHED_S = 3.0
CONFIG = """
[log]
level = "warning"
[store]
min_free_bytes = 6291456
[[source]]
slug = "app"
write_key = "{key}"
[[destination]]
slug = "orders"
type = "webhook"
sources = ["app"]
first_delay_s = 0.2
max_delay_s = 1
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/hook" }}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of DISK_BYTES: its pages run out as a disk's blocks do."""
    point = tmp_path / "disk"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(point)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {mounted.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


class Client:
    """Sends events one by one and knows which were acknowledged."""

    def __init__(self, relay: RelayProcess) -> None:
        self._url = f"{relay.tracking_url}/v1/track"
        self._session = aiohttp.ClientSession()
        self._number = 0
        self.acknowledged: set[str] = set()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, padding: int = PADDING) -> tuple[int, str]:
        """Send the next event; returns status and Retry-After."""
        self._number += 1
        event = track(f"u{self._number % 40}", self._number, padding)
        async with self._session.post(self._url, json={"writeKey": KEY, **event}) as response:
            await response.read()
        if response.status == 200:
            self.acknowledged.add(event["messageId"])
        return response.status, response.headers.get("Retry-After", "")

    async def send_until_refused(self, most: int) -> str:
        """Returns the Retry-After of the first 503."""
        for _ in range(most):
            status, retry_after = await self.send()
            if status != 200:
                assert status == 503
                return retry_after
        raise AssertionError(f"{most} events of {PADDING} bytes were taken by a disk of {DISK_BYTES}")

    async def is_taken(self) -> bool:
        return (await self.send(10))[0] == 200


def delivered(receiver: Receiver) -> Counter[str]:
    """How often each event was received; in these tests the receiver answers every request with 200 unless a test says else."""
    return Counter(body["messageId"] for body in receiver.bodies)


async def test_a_disk_that_relay_fills_closes_ingest_drains_and_opens_it_again(tmp_path: Path, disk: Path) -> None:
    async with Receiver() as receiver, on_disk(tmp_path, disk, receiver) as relay, Client(relay) as client:
        for turn in range(3):  # a drained file does not shrink: the second turn lives on free pages alone
            receiver.default = stall(2)  # slow, not failing: what comes in stays in the log
            assert int(await client.send_until_refused(2_000)) >= 1
            assert await status_of(relay, "/readyz") == 503
            receiver.default = answer()
            await eventually(lambda: delivered(receiver).keys() >= client.acknowledged, 60, every_s=0.2)
            await eventually(client.is_taken, 60, every_s=0.5)
            await eventually(lambda: is_ready(relay), 10)
            assert relay.running, f"turn {turn}: {relay.errors}"
        await eventually(lambda: delivered(receiver).keys() >= client.acknowledged, 60, every_s=0.2)
        assert await relay.terminate() == 0
        assert_books(relay.data / "relay.db")
        assert open_rows(relay.data / "relay.db") == 0
        assert max(delivered(receiver).values()) == 1, "an event was sent twice though every answer was 200"
        assert "Traceback" not in relay.errors


async def test_a_neighbour_that_fills_the_disk_makes_no_duplicates_and_loses_nothing(tmp_path: Path, disk: Path) -> None:
    async with Receiver() as receiver, on_disk(tmp_path, disk, receiver) as relay, Client(relay) as client:
        receiver.default = stall(0.05)
        while len(client.acknowledged) < 300:
            assert (await client.send(1_000))[0] == 200
        fill(disk / "neighbour")
        await eventually(lambda: refuses(client), 20)
        await eventually(lambda: len(receiver.requests) >= len(client.acknowledged), 60, every_s=0.2)
        assert relay.running, relay.errors
        assert await status_of(relay, "/healthz") == 200
        before = receiver.count
        await asyncio.sleep(WATCHED_S)  # a storm would show here
        assert receiver.count == before
        (disk / "neighbour").unlink()
        await eventually(client.is_taken, 30, every_s=0.2)
        await eventually(lambda: delivered(receiver).keys() >= client.acknowledged, 60, every_s=0.2)
        assert await relay.terminate() == 0
        assert max(delivered(receiver).values()) == 1, "an event was sent twice though every answer was 200"
        assert_books(relay.data / "relay.db")
        assert open_rows(relay.data / "relay.db") == 0
        assert "Traceback" not in relay.errors


def on_disk(folder: Path, disk: Path, receiver: Receiver) -> RelayProcess:
    """A relay whose data folder lies on the small disk."""
    relay = RelayProcess(folder, CONFIG.format(key=KEY, port=receiver.port))
    relay.data = disk / "data"
    return relay


def fill(path: Path) -> None:
    """Take every block that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue


async def refuses(client: Client) -> bool:
    return (await client.send(1_000))[0] == 503


async def status_of(relay: RelayProcess, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(relay.ui_url + path) as response:
        return response.status


async def is_ready(relay: RelayProcess) -> bool:
    return await status_of(relay, "/readyz") == 200

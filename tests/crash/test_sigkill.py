"""SIGKILL at random moments under load: nothing acknowledged is lost, duplicates are bounded, the books balance, order holds.

The seed is in the name of the test; the same seed makes the same load and the same moments (not the same schedule of the process).
"""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.crash.books import assert_books, copy_store, doors, message_ids, open_rows
from tests.crash.traffic import Traffic
from tests.support.process import RelayProcess
from tests.support.receiver import Behaviour, Receiver
from tests.support.waiting import eventually

pytestmark = [pytest.mark.crash, pytest.mark.slow]

KEY = "wk_crash"
CONCURRENCY = 8
UNSAVED = 1_000
"""Most outcomes that an actor may hold unsaved (outbox page 3.3)."""
BEFORE_READY = 0.2
"""Share of the kills that hit relay while it starts."""
DESTINATION = """
[[destination]]
slug = "{slug}"
type = "webhook"
sources = ["app"]
order = "{order}"
concurrency = 8
first_delay_s = 0.2
max_delay_s = 0.5
allow_private = ["127.0.0.1:{port}"]
settings = {{ url = "http://127.0.0.1:{port}/{slug}" }}
"""


@dataclass(frozen=True)
class Receipt:
    """One request that a destination got."""

    message_id: str
    life: int
    """Which process sent it."""
    is_ok: bool


class Destinations:
    """Answers and remembers. A connection belongs to the process that made it, also when its last bytes are read after the kill."""

    def __init__(self, receiver: Receiver, seed: int) -> None:
        self.life = 0
        self.receipts: dict[str, list[Receipt]] = {"steady": [], "flaky": []}
        self._lives: dict[object, int] = {}
        self._rng = random.Random(seed)
        receiver.by_path = {"/steady": self._answers("steady", 0.01), "/flaky": self._answers("flaky", 0.08)}

    def _answers(self, slug: str, failing: float) -> Behaviour:
        async def behave(request: web.BaseRequest) -> web.StreamResponse:
            is_ok = self._rng.random() >= failing
            life = self._lives.setdefault(request.transport, self.life)
            self.receipts[slug].append(Receipt(json.loads(await request.read())["messageId"], life, is_ok))
            return web.Response(status=200 if is_ok else 500)

        return behave

    def delivered(self, slug: str) -> set[str]:
        return {receipt.message_id for receipt in self.receipts[slug] if receipt.is_ok}


def config(port: int) -> str:
    parts = [DESTINATION.format(slug=slug, order=order, port=port) for slug, order in (("steady", "user"), ("flaky", "user"))]
    return f'[log]\nlevel = "warning"\n[[source]]\nslug = "app"\nwrite_key = "{KEY}"\n' + "".join(parts)


@pytest.mark.parametrize("seed", [1])
async def test_no_acknowledged_event_is_lost_by_kills_at_random_moments(tmp_path: Path, crashes: int, seed: int) -> None:
    rng = random.Random(seed)
    async with Receiver() as receiver, RelayProcess(tmp_path, config(receiver.port)) as relay:
        destinations = Destinations(receiver, seed)
        traffic = Traffic(relay.tracking_url, KEY, seed)
        async with asyncio.TaskGroup() as group:
            load = group.create_task(traffic.run())
            for crash in range(crashes):
                await kill_somewhen(relay, rng)
                await quiet(receiver)
                assert_books(copy_store(relay.data, tmp_path / "copy"))
                destinations.life = crash + 1
                if rng.random() < BEFORE_READY:
                    relay.spawn()
                else:
                    await relay.start()
                    await assert_balanced(relay)
            if not relay.is_ready():
                await eventually(relay.is_ready, 20)
            traffic.stop()
            await load
        expected = traffic.acknowledged
        assert len(expected) > 10 * crashes
        for slug in destinations.receipts:
            await eventually(lambda slug=slug: destinations.delivered(slug) >= expected, 60)
        await eventually(lambda: is_settled(relay), 60)
        assert await relay.terminate() == 0
    database = relay.data / "relay.db"
    assert_books(database)
    assert open_rows(database) == 0
    stored = message_ids(database)
    assert expected <= set(stored) <= traffic.sent
    assert set(stored.values()) == {1}, "an event that was sent again is in the log twice"
    assert list(doors(database).values()) == [{"delivered": len(stored)}] * 2
    for slug, receipts in destinations.receipts.items():
        assert_bounded(slug, receipts, crashes)
        assert_in_order(slug, receipts)


async def kill_somewhen(relay: RelayProcess, rng: random.Random) -> None:
    """0.05 to 0.8 s after ready; a relay that still starts is killed anywhere within its start."""
    await asyncio.sleep(rng.uniform(0.05, 0.8))
    relay.kill()


async def quiet(receiver: Receiver) -> None:
    """Until everything that the killed process had written is read: nothing new comes, so a few rounds of the loop are enough."""
    seen, rounds = receiver.count, 0
    while rounds < 10 or receiver.in_flight:
        await asyncio.sleep(0.01)
        rounds = rounds + 1 if receiver.count == seen else 0
        seen = receiver.count


async def asked(relay: RelayProcess) -> list[dict]:
    headers = {"Authorization": f"Bearer {relay.cli_token}"}
    async with aiohttp.ClientSession() as session, session.get(f"{relay.ui_url}/ui/api/status", headers=headers) as response:
        assert response.status == 200
        return (await response.json())["destinations"]


async def assert_balanced(relay: RelayProcess) -> None:
    for destination in await asked(relay):
        assert destination["balance_ok"], destination
        assert destination["dead"] == 0, destination


async def is_settled(relay: RelayProcess) -> bool:
    return all(destination["pending"] == 0 for destination in await asked(relay))


def assert_bounded(slug: str, receipts: list[Receipt], crashes: int) -> None:
    """Outbox page 7: no answer was lost but by a crash, so a process delivers an event once, and a crash repeats what it had in hand."""
    per_life = Counter((receipt.message_id, receipt.life) for receipt in receipts if receipt.is_ok)
    assert max(per_life.values()) == 1, f"{slug}: one process delivered {per_life.most_common(3)}"
    sends = Counter(receipt.message_id for receipt in receipts if receipt.is_ok)
    assert max(sends.values()) <= 1 + crashes
    again: Counter[int] = Counter()
    seen: set[str] = set()
    for receipt in receipts:
        if receipt.is_ok:
            again[receipt.life] += receipt.message_id in seen
            seen.add(receipt.message_id)
    assert max(again.values()) <= CONCURRENCY + UNSAVED, f"{slug}: duplicates after a crash {again.most_common(3)}"


def assert_in_order(slug: str, receipts: list[Receipt]) -> None:
    """Per user, first receipts rise, and no event goes out before the one before it was delivered."""
    newest: dict[str, int] = defaultdict(int)
    last: dict[str, int] = {}
    delivered: set[str] = set()
    earlier: Callable[[str, int], str] = "{}-{}".format
    attempted: dict[str, set[int]] = defaultdict(set)
    for receipt in receipts:
        user, _, text = receipt.message_id.rpartition("-")
        number = int(text)
        if number not in attempted[user]:
            assert number > newest[user], f"{slug}: {receipt.message_id} came after {newest[user]}"
            if newest[user]:
                assert earlier(user, newest[user]) in delivered, f"{slug}: {receipt.message_id} overtook {newest[user]}"
            attempted[user].add(number)
            newest[user] = number
        if receipt.is_ok:
            delivered.add(receipt.message_id)
            last[user] = number
    assert last == dict(newest), f"{slug}: an older event was the last one received"

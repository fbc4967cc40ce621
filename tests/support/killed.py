"""`relay serve` under load, killed in the middle of what it sends, and started again."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from tests.support.app import source
from tests.support.process import RelayProcess
from tests.support.waiting import eventually

BATCH = 100
LIMIT_S = 60.0


async def sent_through_a_kill(folder: Path, destination: str, batches: int, arrived: Callable[[], Awaitable[int]], *, kills: int = 2) -> set[str]:
    """Sends so many batches of 100, kills relay whenever a further share of them has arrived; returns the messageIds, all acknowledged.

    At the end everything has arrived, by the count of `arrived`.
    """
    ids: set[str] = set()
    async with RelayProcess(folder, source() + destination) as relay:
        await _send(relay, ids, 0, batches // 2)
        for kill in range(1, kills + 1):
            share = kill * len(ids) // (kills + 2)
            await eventually(lambda share=share: _at_least(arrived, share), LIMIT_S, every_s=0.05)
            relay.kill()
            await relay.start()
        await _send(relay, ids, batches // 2, batches)
        await eventually(lambda: _at_least(arrived, len(ids)), LIMIT_S, every_s=0.05)
        await asyncio.sleep(0.5)  # what would come too much
        assert await relay.terminate() == 0
    return ids


async def _at_least(arrived: Callable[[], Awaitable[int]], count: int) -> bool:
    found = await arrived()
    assert found >= count, (found, count)
    return True


async def _send(relay: RelayProcess, ids: set[str], first: int, last: int) -> None:
    headers = {"authorization": f"Basic {base64.b64encode(b'wk_web:').decode()}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(first, last):
            made = [
                {"type": "track", "userId": f"u{each % 7}", "event": "Counted", "messageId": f"k{number}-{each}", "properties": {"n": each}}
                for each in range(BATCH)
            ]
            async with session.post(f"{relay.tracking_url}/v1/batch", json={"batch": made}) as answer:
                assert answer.status == 200
            ids.update(str(event["messageId"]) for event in made)

"""A viewer of the live rows that checks what every viewer is promised: no row twice, no patch for a row that it does not have.

async with viewer(relay.app.ui_url, token) as live:
    await live.subscribe("type:track")
    await live.until(lambda: len(live.rows) == 10)
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from relay.base.tasks import spawn
from relay.observe.filter_bar import parse
from tests.support.waiting import eventually

PROTOCOL = "relay.live.v1"


class Viewer:
    """What one viewer has seen. `stalled`: it reads, but acknowledges nothing."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, stalled: bool = False, delay_s: float = 0.0) -> None:
        self.socket = socket
        self.stalled = stalled
        self.delay_s = delay_s
        self.hello: dict[str, Any] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.order: list[int] = []
        self.snapshot: dict[str, Any] | None = None
        self.drops: dict[str, int] = {"total": 0}
        self.stats: list[dict[str, Any]] = []
        self.seen: list[str] = []
        self.errors: list[dict[str, Any]] = []
        self.paused = 0
        self.late_s = 0.0
        self.bye: dict[str, Any] | None = None

    async def subscribe(self, text: str = "", **more: Any) -> None:
        self.snapshot = None
        await self.send(t="subscribe", id=1, filter=parse(text), **more)
        await self.until(lambda: self.snapshot is not None)

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def until(self, check: Callable[[], Any], timeout_s: float = 10.0) -> None:
        await eventually(check, timeout_s)

    async def read(self) -> None:
        async for frame in self.socket:
            await self.receive(json.loads(frame.data))

    async def receive(self, message: dict[str, Any]) -> None:
        kind = message["t"]
        self.seen.append(kind)
        if kind == "hello":
            self.hello = message
        elif kind == "snapshot":
            self.snapshot = message
            for row in message["rows"]:
                self.take(row)
        elif kind == "rows":
            for row in message["rows"]:
                self.take(row)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not self.stalled:
                await self.send(t="ack", seq=message["seq"])
        elif kind == "patch":
            for row in message["rows"]:
                self.rows[row["event_id"]]["to"] |= row["to"]
        elif kind == "drops":
            self.drops = message
        elif kind == "stats":
            self.stats.append(message)
        elif kind == "error":
            self.errors.append(message)
        elif kind == "paused":
            self.paused = message["waiting"]
        elif kind == "bye":
            self.bye = message

    def take(self, row: dict[str, Any]) -> None:
        assert row["event_id"] not in self.rows, f"{row['event_id']} came twice"
        self.rows[row["event_id"]] = row
        self.order.append(row["seq"])


@asynccontextmanager
async def viewer(ui_url: str, token: str, **options: Any) -> AsyncIterator[Viewer]:
    """A connected viewer whose frames are read in the background; a failed check of its fails the test."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.ws_connect(
        f"{ui_url}/ui/api/live", protocols=[PROTOCOL], headers=headers, compress=15, max_msg_size=0
    ) as socket:  # fmt: skip
        one = Viewer(socket, **options)
        reading = spawn(one.read(), name="viewer")
        try:
            await one.until(lambda: one.hello or reading.done())
            yield one
        finally:
            if reading.done():
                reading.result()
            reading.cancel()
            await asyncio.wait([reading])

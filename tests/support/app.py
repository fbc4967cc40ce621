"""A whole relay in this process, on ports of its own: sends events as an SDK does, reads what an operator reads.

async with running(source() + webhook("orders", receiver), tmp_path) as relay:
    await relay.track("u1", "Bought", price=3)
    await relay.settled("orders")

At the end of the block every consumer's books must balance and no actor may have crashed.
"""

import base64
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from relay.app import App, Seams, ServeOptions, build
from relay.base.clock import SystemClock
from relay.outbox.interface import ROUTER, Balance, Cursor, Row, Selection
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

SETTLE_LIMIT_S = 20.0
_NUMBERS, _RUN = itertools.count(1), uuid.uuid4().hex[:8]
"""No messageId is used twice in a run of the tests, whatever is started over the same folder."""


class FastClock(SystemClock):
    """The machine's clocks plus what a test has added, so that no test waits for an hour; `advance` moves both."""

    def __init__(self) -> None:
        self.added_s = 0.0

    def now(self) -> float:
        return SystemClock.now() + self.added_s

    def monotonic(self) -> float:
        return SystemClock.monotonic() + self.added_s

    def advance(self, seconds: float) -> None:
        self.added_s += seconds


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def table(head: str, values: dict[str, Any]) -> str:
    """One entry of an array of tables."""
    return f"\n[[{head}]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())


def source(slug: str = "web", **options: Any) -> str:
    """A source; its write key is `wk_<slug>`."""
    return table("source", {"slug": slug, "write_key": f"wk_{slug}"} | options)


def webhook(slug: str, receiver: Receiver, *mappings: dict[str, Any], settings: dict[str, Any] | None = None, **options: Any) -> str:
    """A webhook that sends to `/<slug>` of a receiver, soon again after a failure."""
    values = {"slug": slug, "type": "webhook", "allow_private": receiver.allow, "first_delay_s": 0.05, "max_delay_s": 0.5} | options
    text = table("destination", values | {"settings": {"url": f"{receiver.url}/{slug}"} | (settings or {})})
    return text + "".join(table("destination.mapping", mapping) for mapping in mappings)


class Running:
    """What a test holds in its hands."""

    def __init__(self, app: App, config: Path, session: aiohttp.ClientSession) -> None:
        self.app = app
        self._config = config
        self._session = session
        self.stopped = False

    async def stop(self) -> None:
        """Stop before the end of the block, after a look at the books."""
        await self.check()
        self.stopped = True
        await self.app.stop()

    # events

    async def send(self, events: Sequence[dict[str, Any]], source: str = "web") -> int:
        """One batch; the answer's status. With 200 the events are on disk."""
        key = base64.b64encode(f"wk_{source}:".encode()).decode()
        url = f"{self.app.tracking_url}/v1/batch"
        async with self._session.post(url, json={"batch": list(events)}, headers={"authorization": f"Basic {key}"}) as answer:
            await answer.read()
            return answer.status

    async def track(self, user: str, event: str = "Tested", **properties: Any) -> str:
        """One event, accepted; its messageId."""
        made = self.event(user, event, **properties)
        assert await self.send([made]) == 200
        return str(made["messageId"])

    async def track_many(self, count: int, users: int = 0) -> list[str]:
        """So many events in batches of 100, of so many users (0: each of its own); their messageIds."""
        events = [self.event(f"u{number % users if users else number}", n=number) for number in range(count)]
        for first in range(0, count, 100):
            assert await self.send(events[first : first + 100]) == 200
        return [str(event["messageId"]) for event in events]

    def event(self, user: str, name: str = "Tested", **properties: Any) -> dict[str, Any]:
        message_id = f"m{next(_NUMBERS)}-{_RUN}"
        return {"type": "track", "userId": user, "event": name, "properties": properties, "messageId": message_id}

    # books

    async def balance(self, name: str) -> Balance:
        return await self.app.outbox.balance(name)

    async def doors(self, name: str) -> dict[str, int]:
        """How many entries left by each door."""
        return {door: count for door, count in (await self.balance(name)).doors.items() if count}

    async def counted(self, name: str, door: str) -> dict[str, int]:
        """The same for one door, by code, as the tallies have it."""
        found: dict[str, int] = {}
        for key, count in (await self.app.outbox.history.tallies(0, 1 << 31)).items():
            if key.destination_id == name and key.stage == door:
                found[key.code] = found.get(key.code, 0) + count
        return found

    async def settled(self, *names: str, timeout_s: float = SETTLE_LIMIT_S) -> None:
        """Until nothing waits at these destinations."""
        for name in names:

            async def nothing_waits(name: str = name) -> bool:
                balance = await self.balance(name)
                assert balance.pending == 0, balance
                return True

            await eventually(nothing_waits, timeout_s)

    async def cursor(self, name: str) -> Cursor:
        found = await self.app.outbox.cursor(name)
        assert found is not None, name
        return found

    async def hold(self, name: str) -> dict[str, Any]:
        """The hold in force as it is stored; empty: there is none."""
        return (await self.cursor(name)).state.get("hold") or {}

    async def held(self, name: str, code: str, timeout_s: float = 10.0) -> None:
        """Until the destination is held for this reason."""

        async def is_held() -> bool:
            hold = await self.hold(name)
            assert hold.get("code") == code, hold
            return True

        await eventually(is_held, timeout_s)

    async def dead(self, name: str) -> list[Row]:
        return [row for row, _ in await self.app.outbox.history.dead(name, Selection())]

    async def rows(self, name: str, upto: int = 1_000) -> list[Row]:
        """All exception rows of a destination, by seq."""
        head = min(upto, self.app.outbox.head)
        return [row for seq in range(1, head + 1) for consumer, row in await self.app.outbox.history.rows(seq) if consumer == name]

    async def metrics(self) -> str:
        """The page `/metrics`."""
        async with self._session.get(f"{self.app.ui_url}/metrics") as answer:
            assert answer.status == 200
            return await answer.text()

    # configuration

    def configure(self, text: str) -> None:
        """Write the file; `app.reload()` reads it."""
        beside = self._config.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._config)

    async def reload(self, text: str) -> None:
        self.configure(text)
        await self.app.reload()

    async def check(self) -> None:
        """The promises that hold at any time."""
        for name in await self.app.outbox.names():
            if name != ROUTER:
                balance = await self.balance(name)
                assert balance.holds, (name, balance)
        assert not any(self.app.supervisor.restarts.values()), self.app.supervisor.restarts


@asynccontextmanager
async def running(
    config: str, folder: Path, *, seams: Seams | None = None, drain_s: float = 20, settings: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """A started relay over `folder`, stopped at the end of the block; the next one over the same folder goes on with its data."""
    path = folder / "relay.toml"
    path.write_text(config)
    overrides = ("log.level=warning", f"server.drain_s={drain_s}", *settings)
    options = ServeOptions(path, folder / "data", "127.0.0.1:0", "127.0.0.1:0", overrides)
    app = build(options, environment={}, seams=seams)
    await app.start()
    try:
        async with aiohttp.ClientSession() as session:
            relay = Running(app, path, session)
            yield relay
            if not relay.stopped:
                await relay.check()
    finally:
        await app.stop()

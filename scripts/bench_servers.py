"""What is measured, each in a process of its own: the throw-away servers that show what is possible, and relay with a few orders by pipe.

`hello` reads the body; `parse` adds orjson and a small normalisation; `durable_full` and `durable_normal` add a group commit to SQLite.
`relay` is the product under `relay.app`, told over stdin to append, hold and count, so that nothing is done by HTTP that is not measured.
`outbox` is the outbox on its database and nothing else. Every answer is one JSON line.
"""

import asyncio
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import aiosqlite
import orjson
import uvloop
from aiohttp import web
from bench_load import event_json

BY_HAND = 250
"""Events in one append of those that do not come by HTTP."""
ANSWER = b'{"success": true}'


class Durable:
    """The smallest thing that keeps relay's promise: everything that waits goes into one multi-row INSERT."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[str, str, bytes]] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()

    @classmethod
    async def open(cls, path: Path, synchronous: str) -> "Durable":
        connection = aiosqlite.connect(path, isolation_level=None)
        await connection
        for statement in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={synchronous}",
            "PRAGMA wal_autocheckpoint=4000",
            "CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, key TEXT, body BLOB)",
        ):
            await connection.execute(statement)
        return cls(connection)

    async def append(self, rows: list[tuple[str, str, bytes]]) -> None:
        self._rows += rows
        self._wake.set()
        await self._done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            rows, done = self._rows, self._done
            self._rows, self._done = [], asyncio.get_running_loop().create_future()
            connection: Any = self._connection  # as relay does: aiosqlite has no public call for one hop
            await connection._execute(_insert, connection._conn, rows)
            done.set_result(None)


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, str, bytes]]) -> None:
    """One hop to the connection's thread for the whole group, as in relay."""
    connection.execute("BEGIN IMMEDIATE")
    for first in range(0, len(rows), 256):
        chunk = rows[first : first + 256]
        statement = "INSERT INTO log (source, key, body) VALUES " + ",".join(["(?,?,?)"] * len(chunk))
        connection.execute(statement, [value for row in chunk for value in row])
    connection.execute("COMMIT")


def parse(body: bytes) -> list[tuple[str, str, bytes]]:
    """orjson there and back with a few fields set between."""
    message = orjson.loads(body)
    rows = []
    for event in message.get("batch") or [message]:
        event["receivedAt"] = event["originalTimestamp"] = "2026-01-05T10:11:12.345Z"
        event.setdefault("context", {}).setdefault("ip", "127.0.0.1")
        event["channel"], event["version"] = "server", 2
        rows.append(("app", event["userId"], orjson.dumps(event)))
    return rows


async def serve_ceiling(kind: str, spec: dict[str, Any]) -> None:
    durable = None
    if kind.startswith("durable"):
        durable = await Durable.open(Path(spec["folder"]) / f"{kind}.db", kind.partition("_")[2].upper())
        task = asyncio.get_running_loop().create_task(durable.run())

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        if kind != "hello":
            rows = parse(body)
            if durable is not None:
                await durable.append(rows)
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/v1/track", handle)
    app.router.add_post("/v1/batch", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await runner.cleanup()
    if durable is not None:
        task.cancel()
        await durable._connection.close()


class Product:
    """relay, and the orders that a benchmark gives it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from relay.app import ServeOptions, build, calm_collector

        calm_collector()
        self.app = build(ServeOptions(config=Path(spec["config"]), data=Path(spec["data"])), environment={})

    async def run(self) -> None:
        await self.app.start()
        print(json.dumps({"port": self.app.tracking.port}), flush=True)
        loop = asyncio.get_running_loop()
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            order = json.loads(line)
            print(json.dumps(await getattr(self, order.pop("do"))(**order)), flush=True)
        await self.app.stop()

    async def hold(self, slugs: list[str]) -> bool:
        from relay.access.operator import SIGNAL

        for slug in slugs:
            await self.app.operations.hold(slug, SIGNAL)
        return True

    async def resume(self, slugs: list[str]) -> bool:
        from relay.access.operator import SIGNAL

        for slug in slugs:
            await self.app.operations.resume(slug, SIGNAL)
        return True

    async def append(self, source: str, count: int) -> bool:
        """Events straight into the outbox, several requests at a time."""
        from relay.pipeline.stages.normalize import time_text

        first = time.time_ns() % 2**44 << 12
        received_ms = time.time_ns() // 1_000_000
        text = time_text(received_ms)
        for start in range(0, count, BY_HAND * 4):
            async with asyncio.TaskGroup() as group:
                for low in range(start, min(count, start + BY_HAND * 4), BY_HAND):
                    events = [_event(source, first + n, received_ms, text) for n in range(low, min(low + BY_HAND, count))]
                    group.create_task(_append(self.app.outbox, events))
        return True

    async def where(self) -> dict[str, str]:
        """The UI's address, and a token for it."""
        return {"ui": self.app.ui_url, "token": self.app.cli_token}

    async def replay(self, slug: str, archive: str, rate: float) -> dict[str, str]:
        """Begin to send what an archive holds; `value` is the job's name."""
        from relay.access.operator import SIGNAL
        from relay.control.replay import ReplaySpec

        return {"value": await self.app.replays.start(ReplaySpec(slug, 0, rate=rate, archive=archive), SIGNAL)}

    async def finished(self, job: str) -> bool:
        """Whether all of a replay has left."""
        return bool(next(one for one in await self.app.replays.jobs() if one["name"] == job)["finished"])

    async def pending(self, slug: str) -> int:
        """What waits at one destination."""
        return (await self.app.outbox.depth(slug)).pending


def _event(source: str, number: int, received_ms: int, text: str) -> Any:
    from relay.base.event import Event

    payload = orjson.loads(event_json(number, time.monotonic_ns()))
    payload["receivedAt"] = text
    body = orjson.dumps(payload)
    return Event(payload["messageId"], source, "track", payload["event"], payload["userId"], payload["anonymousId"], received_ms, payload, body)


async def _append(outbox: Any, events: list[Any]) -> None:
    await outbox.append(events)


async def measure_outbox(spec: dict[str, Any]) -> None:
    """Append and settle with more and more waiting: CPU per event of the whole process, groups of 64."""
    from relay.base.clock import SystemClock
    from relay.base.codes import Door
    from relay.database.database import Database
    from relay.outbox.interface import Settlement
    from relay.outbox.ledger import whole
    from relay.outbox.sqlite import open_outbox

    clock = SystemClock()
    database = await Database.open(Path(spec["folder"]) / "relay.db", clock=clock, on_fatal=lambda error: None)
    outbox = await open_outbox(database, clock)
    await outbox.create("slow")
    filled = number = 0
    for pending in spec["pending"]:
        while filled < pending:
            size = min(1_000, pending - filled)
            await outbox.append([_event("app", number + n, 0, "2026-01-05T10:11:12.345Z") for n in range(size)])
            filled, number = filled + size, number + size
        groups = [[_event("app", number + 64 * g + n, 0, "2026-01-05T10:11:12.345Z") for n in range(64)] for g in range(spec["groups"])]
        number += 64 * len(groups)
        name = f"live{pending}"
        await outbox.create(name)
        live = await outbox.open(name)
        cpu, began = time.process_time(), time.monotonic()
        for group in groups:
            await outbox.append(group)
        _tell_outbox("append", pending, 64 * len(groups), cpu, began)
        filled += 64 * len(groups)
        cpu, began, after = time.process_time(), time.monotonic(), live.cursor.pos
        while True:
            claims, upto = await live.read(after, 64)
            if not claims:
                break
            door = Door.DELIVERED.value
            await live.settle([Settlement(claim.seq, "app", (whole(door, door),)) for claim in claims])
            after = upto
        _tell_outbox("settle", pending, 64 * len(groups), cpu, began)
        await outbox.remove(name)
    await database.close()
    print(json.dumps({"end": True}), flush=True)


def _tell_outbox(what: str, pending: int, events: int, cpu: float, began: float) -> None:
    told = {"case": f"{what}/{pending}", "events": events, "cpu_s": time.process_time() - cpu, "seconds": time.monotonic() - began}
    print(json.dumps(told), flush=True)


async def main() -> None:
    """Run one server until a line (or the end) comes on stdin."""
    kind, spec = sys.argv[1], json.loads(sys.argv[2])
    if kind == "relay":
        await Product(spec).run()
    elif kind == "outbox":
        await measure_outbox(spec)
    else:
        await serve_ceiling(kind, spec)


if __name__ == "__main__":
    uvloop.run(main())

"""What the suite `dry-run` needs beside relay: stored events, and a recomputation of the counts the slow way. Each role is a process of its own.

`fill` writes `count` events into a data folder, as relay would have; `naive` runs all of them under both configurations and tells the counts.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay.base.event import Event

SENT_S = 1_768_478_400.0
NAMES = ("Order Completed", "Order Completed", "Product Viewed", "Checkout Started")
COUNTRIES = ("DE", "FR", "AT", "US")


def plan(lowest: int) -> str:
    """A tracking plan with one rule: an order has a total, and it is not below `lowest`."""
    total = {"type": "object", "properties": {"total": {"type": "number", "minimum": lowest}}, "required": ["total"]}
    return json.dumps({"rules": [{"type": "TRACK", "key": "Order Completed", "version": 1, "jsonSchema": {"properties": {"properties": total}}}]})


def config(country: str, field: str, plan_file: str) -> str:
    """A source with a plan, and three destinations: one filters and maps, one takes everything, one stores."""
    schema = "schema = { track = { allowEventOnViolations = false } }"
    hook = 'type = "webhook"\nsources = ["app"]\nsettings = {{ url = "https://hooks.example.com/{0}", shared_secret = "bench" }}\n'
    return (
        f'[log]\nlevel = "error"\n[[plan]]\nslug = "shop"\nfile = "{plan_file}"\n'
        f'[[source]]\nslug = "app"\nwrite_key = "wk_bench"\nplan = "shop"\n{schema}\n'
        f'[[destination]]\nslug = "orders"\n{hook.format("orders")}'
        f'[[destination.filter]]\nif = \'context.country = "{country}"\'\nactions = [{{ type = "DROP" }}]\n'
        f'[[destination.mapping]]\nname = "orders"\naction = "send"\ntrigger = \'type = "track" and event = "Order Completed"\'\n'
        f'fields = {{ data = {{ {field} = {{ "@path" = "$.properties.total" }}, who = {{ "@path" = "$.userId" }} }} }}\n'
        f'[[destination]]\nslug = "all"\n{hook.format("all")}'
        '[[destination]]\nslug = "cold"\ntype = "archive"\nsources = ["app"]\n'
    )


def events(count: int) -> "Iterator[Event]":
    """Track calls of about 700 bytes."""
    from relay.base import jsonio
    from relay.base.event import event_of

    draw, received_ms = Random(7), time.time_ns() // 1_000_000
    for number in range(count):
        total = draw.choice((3, 20.5, 99, "much"))
        payload: dict[str, Any] = {
            "type": "track",
            "event": draw.choice(NAMES),
            "messageId": f"bench-{number}",
            "userId": f"user-{draw.randrange(5_000)}",
            "context": {"country": draw.choice(COUNTRIES), "library": {"name": "bench", "version": "1"}, "userAgent": "x" * 100},
            "properties": {"total": total, "products": [{"id": f"p{item}", "price": item, "name": "A product of the shop"} for item in range(6)]},
            "timestamp": "2026-01-15T12:00:00.000Z",
        }
        yield event_of(payload, "app", received_ms, jsonio.dumps(payload))


async def fill(folder: Path, count: int) -> None:
    from relay.app import ServeOptions, build

    app = build(ServeOptions(config=folder / "now.toml", data=folder / "data", listen="127.0.0.1:0", ui_listen="127.0.0.1:0"), environment={})
    await app.start()  # once, so that the version in use is stored
    await app.stop()

    from relay.base.clock import SystemClock
    from relay.database.database import Database
    from relay.outbox.sqlite import open_outbox

    clock = SystemClock()
    database = await Database.open(folder / "data" / "relay.db", clock=clock, on_fatal=lambda error: None)
    outbox = await open_outbox(database, clock)
    waiting: list[Any] = []
    for event in events(count):
        waiting.append(event)
        if len(waiting) == 1_000:
            await outbox.append(waiting)
            waiting = []
    await outbox.append(waiting)
    await database.close()


def stored(folder: Path) -> "Iterator[Event]":
    from relay.base.event import Event

    connection = sqlite3.connect(folder / "data" / "relay.db")
    for source, received_ms, body in connection.execute("SELECT source, received_ms, body FROM log ORDER BY seq"):
        yield Event.from_body(source, received_ms, body)
    connection.close()


def compute(folder: Path) -> dict[str, Any]:
    """`counts` of a recomputation, and what the command `told` in the same form."""
    from relay.destinations import load_catalog
    from relay.pipeline.compiled import compile_workspace
    from relay.workspace.assemble import load
    from tests.support.naive import counted, naive

    catalog = load_catalog()
    before, after = (compile_workspace(load(folder / name, catalog, environment={}).workspace, catalog) for name in ("now.toml", "new.toml"))
    told = counted(json.loads((folder / "told.json").read_bytes()))
    recomputed = naive(stored(folder), before, after, SENT_S)
    return {name: {slug: dict(+one) for slug, one in counts.items()} for name, counts in (("counts", recomputed), ("told", told))}


def main() -> None:
    role, spec = sys.argv[1], json.loads(sys.argv[2])
    folder = Path(spec["folder"])
    began, cpu = time.monotonic(), time.process_time()
    told: dict[str, Any] = {}
    if role == "fill":
        asyncio.run(fill(folder, spec["count"]))
    else:
        told = compute(folder)
    print(json.dumps(told | {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - cpu}), flush=True)


if __name__ == "__main__":
    main()

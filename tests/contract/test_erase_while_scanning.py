"""A user is erased while an actor reads a chunk of the log: what was read before the erasure is void, and is never sent."""

import asyncio
from pathlib import Path

from relay.base.chance import SystemChance
from relay.base.clock import SystemClock
from relay.base.jsonio import loads
from relay.base.tasks import spawn
from relay.delivery.actor import Actor
from relay.delivery.desk import Means
from relay.destinations import load_catalog
from relay.kit.request import Request, Response
from relay.observe.metrics import Metrics
from relay.observe.observer import Observer
from relay.observe.tallies import Totals
from relay.outbox.interface import Claim, Consumer
from relay.pipeline.compiled import Compiled, compile_workspace
from relay.pipeline.decision import Sourced
from relay.router.router import source
from relay.workspace.model import Destination, Source, Subscription, Workspace
from tests.contract.engines import MemoryEngine, event
from tests.support.waiting import eventually


class SlowFeed:
    """Reads the log like the router's feed, and hands out what it has read only when it is let go."""

    def __init__(self, compiled: Compiled, upto: int) -> None:
        self.upto = upto
        self.has_read, self.go_on = asyncio.Event(), asyncio.Event()
        self._compiled = compiled

    def watch(self, wake: asyncio.Event) -> None: ...

    def unwatch(self, wake: asyncio.Event) -> None: ...

    async def entries(self, consumer: Consumer, after: int, limit: int) -> tuple[list[Sourced], int]:
        claims, upto = await consumer.read(after, limit)
        self.has_read.set()
        await self.go_on.wait()
        return [self.sourced(claim) for claim in claims], upto

    def sourced(self, claim: Claim) -> Sourced:
        return source(claim, self._compiled)


class Wire:
    """Takes every request."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, request: Request) -> Response:
        self.sent.append(loads(request.body)["messageId"])
        return Response(200)

    async def close(self) -> None: ...


async def test_a_chunk_that_was_read_before_a_user_was_erased_is_not_delivered(tmp_path: Path) -> None:
    engine = MemoryEngine(tmp_path)
    await engine.start()
    outbox = engine.outbox
    await outbox.create("d")
    await outbox.append([event(f"{user}-{number}", user=user) for number in range(3) for user in ("erased", "kept")])
    subscription = Subscription("send", "send", "send", 'type = "track"', {})
    model = Destination("d", "d", "d", "webhook", ("s1",), settings={"url": "https://receiver.example/"}, subscriptions=(subscription,))
    compiled = compile_workspace(Workspace(1, (Source("s1", "s1", "s1", ("wk",)),), (model,)), load_catalog())
    feed, wire = SlowFeed(compiled, outbox.head), Wire()
    means = Means(feed, wire, None, SystemClock(), SystemChance(), Observer(Metrics(Totals(), version="1")))
    actor = Actor(compiled.destinations["d"], means, await outbox.open("d"))
    running = spawn(actor.run(), name="actor")
    await feed.has_read.wait()
    assert await outbox.erase(["erased"]) == (3, 6)
    feed.go_on.set()

    async def at_rest() -> bool:
        return (await outbox.balance("d")).pending == 0

    await eventually(at_rest)
    await actor.stop(1)
    await running
    assert sorted(wire.sent) == ["kept-0", "kept-1", "kept-2"]
    balance = await outbox.balance("d")
    assert balance.holds
    assert balance.doors["delivered"] == 3
    assert sum(balance.doors.values()) == 6
    await engine.stop()

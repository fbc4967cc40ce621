"""One simulation: the plan's events, orders and faults against the real parts, through crashes to a quiet end."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.base.event import Event
from relay.delivery import flights as flights_module
from relay.delivery import scan as scan_module
from relay.delivery import stream as stream_module
from relay.delivery.supervisor import Supervisor, Supplies
from relay.errors import StoreError
from relay.observe.facts import ActorCrashed, DeliveryAttempted, Fact
from relay.outbox import engine as engine_module
from relay.outbox import operations
from relay.outbox.engine import LedgerOutbox
from relay.outbox.interface import ROUTER, WHOLE, Claim, Selection
from relay.outbox.transaction import Transaction
from relay.pipeline.compiled import Compiled, CompiledDestination, Current, compile_workspace
from relay.pipeline.decision import Drop
from relay.pipeline.destination_side import destination_side
from relay.router import router as router_module
from relay.router import tail as tail_module
from relay.router.feed import TailFeed
from relay.router.router import Router, source
from relay.router.tail import Tail
from relay.workspace.digest import setting_digest
from tests.simulation.engines import Engine, Faults, MemoryEngine, SqliteEngine
from tests.simulation.invariants import Told, after_commit, at_rest, waiting
from tests.simulation.loop import LIFE, SimChance, SimClock, SimTask, StuckError, VirtualLoop
from tests.simulation.plan import CATALOG, FAULTS_S, Order, Plan, make_event, make_plan
from tests.simulation.receiver import Receivers, SimTransport

DRAIN_S = 3.0
REST_S = 6_000.0
"""Virtual time in which the quiet end must come to rest."""
MOST_STEPS = 400_000


class BrokenError(AssertionError):
    """A promise was broken."""


@dataclass
class Result:
    """How a seed ended."""

    seed: int
    broken: list[str]
    trace: list[str]
    steps: int
    commits: int
    crashes: int

    def report(self) -> str:
        """What a person needs to find the cause."""
        return "\n".join([f"seed {self.seed}: {len(self.broken)} broken promises", *self.broken[:10], "", "trace:", *self.trace[-400:]])


class Life:
    """One process of relay: everything that a crash ends."""

    def __init__(self, number: int, world: "World") -> None:
        self.number = number
        self._world = world
        self._context = copy_context()
        self._context.run(LIFE.set, number)
        self.dead = False
        self.ready = asyncio.Event()
        self.outbox: LedgerOutbox
        self.current: Current
        self.supervisor: Supervisor

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """A task that dies with the process."""
        return self._world.loop.create_task(work, name=name, context=self._context)

    async def start(self) -> None:
        """As the composition root does it."""
        world = self._world
        self.outbox = await world.engine.open(world.clock)
        self.current = Current(world.compiled)
        tail = Tail()
        router = Router(self.outbox, self.current, tail, world.clock)

        def open_feed(destination: CompiledDestination) -> TailFeed:
            return TailFeed(tail, self.current, destination.source_ids)

        supplies = Supplies(
            self.outbox, world.clock, world.chance, self, open_feed,  # type: ignore[arg-type]
            lambda model: SimTransport(world.receivers, model.destination_id), lambda destination, transport: None, setting_digest,
            asyncio.Lock() if self.number > 1 else None,
        )  # fmt: skip
        self.supervisor = Supervisor(supplies, drain_s=DRAIN_S)
        await self.outbox.create(ROUTER)
        await self.supervisor.use(self.current.compiled)
        self.spawn(router.run(), "router").add_done_callback(self._router_ended)
        self.ready.set()

    def _router_ended(self, task: "asyncio.Task[None]") -> None:
        if not self.dead and not task.cancelled():
            self._world.fail(f"the router fell: {task.exception()!r}")

    def emit(self, fact: Fact) -> None:
        """The Observer of this life."""
        if isinstance(fact, DeliveryAttempted):
            self._world.trace(f"attempt {fact.destination} {fact.message_id} {fact.outcome} {fact.code}")
            if fact.outcome == "dead":
                self._world.exempt[fact.destination].add(int(fact.message_id[1:]))
        else:
            self._world.trace(f"fact {fact}")
        if isinstance(fact, ActorCrashed) and not self.dead:
            self._world.fail(f"an actor fell: {fact}")


@dataclass
class World:
    """Everything outside of the process."""

    plan: Plan
    loop: VirtualLoop
    folder: Path | None
    """Where the SQLite file lies; None: in memory."""
    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        seed = self.plan.seed
        self.clock = SimClock(self.loop)
        self.chance = SimChance(f"chance {seed}")
        self.random = random.Random(f"world {seed}")
        self.faults = Faults(seed)
        self.engine: Engine = (
            MemoryEngine(self.faults, self._committed)
            if self.folder is None
            else SqliteEngine(self.faults, self._committed, self.folder / "relay.db")
        )
        self.receivers = Receivers(seed, self.plan.answers, self.trace)
        self.version = 0
        self.used: list[tuple[float, Compiled]] = []
        """Since when each version is in use."""
        self.acked: dict[int, int] = {}
        self.seen: dict[int, tuple[float, Event, int]] = {}
        """Number of an event: when it was stored, the event, its seq."""
        self.exempt: dict[str, set[int]] = {one.destination_id: set() for one in self.plan.workspaces[0].destinations}
        self.resent: dict[str, int] = {}
        self.replays: dict[str, int] = {}
        self.life: Life | None = None
        self.lives = self.commits = self.crashes = 0
        self._head = 0
        self._held: dict[str, set[int]] = {}
        self._crashed = asyncio.Event()
        self._reloading = asyncio.Lock()
        self.quiet = False
        self._left = list(self.plan.crashes)
        self.faults.crash_in_commit = self._maybe_crash
        self._use(0)

    @property
    def compiled(self) -> Compiled:
        return self.used[-1][1]

    def _use(self, version: int) -> None:
        self.version = version
        self.used.append((self.loop.time(), compile_workspace(self.plan.workspaces[version], CATALOG)))

    def trace(self, line: str) -> None:
        self.lines.append(f"{self.loop.time() - 1000:10.3f} {self.loop.steps:6d} {line}")

    def fail(self, problem: str) -> None:
        self.trace(f"BROKEN {problem}")
        self.broken.append(problem)

    # the committed state

    def _committed(self) -> None:
        try:
            self._check()
        except Exception as error:  # fence: a mistake in the checks must not look like one of the writer's
            self.fail(f"the checks fell: {error!r}")

    def _check(self) -> None:
        tx = self.engine.transaction()
        self.commits += 1
        if tx.head() > self._head:
            for seq, event in tx.events(self._head, 1_000, None)[0]:
                if not event.body:
                    continue  # erased in the commit that stored it; its number comes with the answer
                number = event.payload["n"]
                if number in self.seen:
                    self.fail(f"event {number} is stored twice, as {self.seen[number][2]} and {seq}")
                self.seen[number] = (self.loop.time(), event, seq)
            self._head = tx.head()
        marks = " ".join(f"{one.name}={one.pos}+{one.ahead:b}:{_short(tx, one.name)}" for one in tx.cursors())
        self.trace(f"commit head={self._head} {marks}")
        for problem in after_commit(tx, self._held):
            self.fail(problem)

    # crashes

    def _maybe_crash(self) -> bool:
        if self._left and not self.quiet and self.random.random() < 0.004:
            self.crash()
            return True
        return False

    def crash(self) -> None:
        """The process is gone, in the middle of whatever it was doing."""
        life = self.life
        if life is None or life.dead or self.quiet:
            return
        life.dead = True
        self.crashes += 1
        self.trace(f"CRASH of life {life.number}")
        self.engine.kill()
        for task in list(self.loop.tasks):
            if isinstance(task, SimTask) and task.life == life.number and not task.done():
                task.cancel()
        self._crashed.set()

    async def _keep_alive(self) -> None:
        while True:
            self.lives += 1
            life = self.life = Life(self.lives, self)
            self.trace(f"life {life.number} under version {self.version + 1}")
            self._crashed.clear()
            if self._left and not self.quiet:
                self.loop.crash_at = self.loop.steps + self._left.pop()
            starting = life.spawn(life.start(), "start")
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is not None and not life.dead:
                self.fail(f"the start failed: {starting.exception()!r}")
                return
            await self._crashed.wait()
            if rest := [task for task in self.loop.tasks if task.life == life.number and not task.done()]:
                await asyncio.wait(rest)
            self._grant_unsaved()
            await self.engine.end()
            await asyncio.sleep(self.random.choice((0.0, 0.5, 3.0)))

    def _grant_unsaved(self) -> None:
        """What was taken and is not on disk may come once more."""
        self.receivers.book.replay_allowance += 2
        try:
            tx = self.engine.transaction()
        except IndexError:
            return
        for destination, number, subscription_id in list(self.receivers.book.taken):
            cursor = tx.cursor(destination)
            seq = self.seen[number][2] if number in self.seen else 0
            rows = {row.subscription_id for row in tx.rows_at(destination, [seq]) if row.state != "dead"}
            if cursor is None or not cursor.is_done(seq) or subscription_id in rows or WHOLE in rows:
                self.receivers.book.grant((destination, number, subscription_id))

    async def _alive(self) -> Life:
        while True:
            life = self.life
            if life is not None and not life.dead:
                while not life.ready.is_set() and not life.dead:
                    await asyncio.sleep(0.05)
                if not life.dead:
                    return life
            await asyncio.sleep(0.1)

    # what happens

    async def run(self) -> None:
        """From the first event to the rest."""
        started = self.loop.time()
        keeper = self.loop.create_task(self._keep_alive(), name="keeper")
        self.loop.on_crash = self.crash
        self.faults.slow = self.plan.slow_disk
        running = []
        for order in self.plan.orders:
            await asyncio.sleep(max(0.0, started + order.at_s - self.loop.time()))
            running.append(self.loop.create_task(self._do(order), name=order.kind))
        await asyncio.sleep(max(0.0, started + FAULTS_S - self.loop.time()))
        await self._rest(running)
        keeper.cancel()
        await asyncio.wait([keeper])

    async def _rest(self, running: list["asyncio.Task[None]"]) -> None:
        life = await self._alive()
        self.quiet = self.receivers.quiet = True
        self.faults.full = self.faults.slow = False
        self.trace("QUIET")
        async with asyncio.timeout(REST_S):
            if running:
                await asyncio.wait(running)
            life = await self._alive()
            await self._reload(life, len(self.plan.workspaces) - 1)
            for name in self.exempt:
                await self._resume(life, name)
        for task in running:
            if task.exception() is not None:
                self.fail(f"{task.get_name()}: {task.exception()!r}")
        until = self.loop.time() + REST_S
        while waiting(self.engine.transaction()) and not self.broken:
            if self.loop.time() > until:
                self.fail("stuck: " + "; ".join(waiting(self.engine.transaction())))
                return
            await asyncio.sleep(3)
        await asyncio.sleep(3)
        self.broken += at_rest(self.engine.transaction(), self.receivers.book, self._told())
        self._close(life)

    def _close(self, life: Life) -> None:
        life.dead = True
        self.engine.kill()
        for task in self.loop.tasks:
            if task.life == life.number and not task.done():
                task.cancel()

    async def _in_life(self, life: Life, work: Coroutine[Any, Any, Any], name: str) -> Any:
        """The result, or None when the process died or refused meanwhile."""
        if life.dead:
            work.close()
            return None
        task = life.spawn(work, name)
        await asyncio.wait([task])
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result()
        if not life.dead and not isinstance(error, StoreError | KeyError):
            self.fail(f"{name}: {error!r}")
        return None

    async def _do(self, order: Order) -> None:
        if order.kind == "append":
            await self._append(*order.what)
            return
        self.trace(f"order {order.kind} {order.what if order.kind != 'reload' else ''}")
        if order.kind == "full":
            self.faults.full = True
            await asyncio.sleep(2 + 8 * order.what[1])
            self.faults.full = False
        elif order.kind == "slow":
            self.faults.slow = not self.plan.slow_disk
            await asyncio.sleep(8)
            self.faults.slow = self.plan.slow_disk
        elif order.kind == "jump":
            self.clock.offset_s += order.what
        elif order.kind == "refuse":
            self.receivers.refusing[order.what[0]] = self.loop.time() + 15 * order.what[1]
        elif order.kind == "outage":
            self.receivers.down[order.what[0]] = self.loop.time() + 25 * order.what[1]
        else:
            await self._order(await self._alive(), order.kind, order.what)

    async def _order(self, life: Life, kind: str, what: Any) -> None:
        outbox = life.outbox
        if kind == "reload":
            if self.version + 2 < len(self.plan.workspaces):
                await self._reload(life, self.version + 1)
        elif kind == "trim":
            await self._in_life(life, outbox.trim(), kind)
        elif kind == "erase":
            self._exempt_user(what)
            await self._in_life(life, outbox.erase([what]), kind)
            self._exempt_user(what)  # and what came in before its commit
        elif kind == "expire":
            upto = self.engine.transaction().head()
            self.exempt[what[0]] |= {number for number, (_, _, seq) in self.seen.items() if seq <= upto}
            compiled = life.current.compiled.destinations.get(what[0])
            await self._in_life(life, outbox.expire(what[0], upto, compiled.source_ids if compiled else frozenset()), kind)
        elif kind == "resend":
            await self._resend(life, what[0])
        elif kind == "replay":
            await self._replay(life, *what)
        elif kind == "hold":
            hold = {"by": "user", "code": "user", "since_s": self.clock.now(), "status": None, "sample": ""}
            await self._in_life(life, outbox.set_state(what[0], lambda state: state | {"hold": hold}), kind)
        elif kind == "resume":
            await self._resume(life, what[0])

    def _exempt_user(self, key: str) -> None:
        for number, (_, event, _) in self.seen.items():
            if key in event.keys:
                self._exempt(number)

    def _exempt(self, number: int) -> None:
        for numbers in self.exempt.values():
            numbers.add(number)

    async def _append(self, source_id: str, payloads: list[dict[str, Any]]) -> None:
        """A client that sends until it is answered."""
        while True:
            life = await self._alive()
            events = [make_event(payload, source_id, int(self.clock.now() * 1000)) for payload in payloads]
            answers = await self._in_life(life, life.outbox.append(events), "append")
            if answers is not None:
                for event, answer in zip(events, answers, strict=True):
                    number = event.payload["n"]
                    self.acked[number] = answer.seq
                    if number not in self.seen:
                        self.seen[number] = (self.loop.time(), event, answer.seq)
                        self._exempt(number)
                self.trace(f"acknowledged {[(payload['n'], answer.seq) for payload, answer in zip(payloads, answers, strict=True)]}")
                return
            await asyncio.sleep(self.random.uniform(0.3, 2))

    async def _reload(self, life: Life, version: int) -> None:
        async with self._reloading:
            if life.dead:
                return
            self.trace(f"version {version + 1}: {self.plan.workspaces[version].destinations}")
            self._use(version)
            life.current.compiled = self.compiled
            await self._in_life(life, life.supervisor.use(self.compiled), "reload")

    async def _resume(self, life: Life, name: str) -> None:
        closed = {"state": "closed", "since_s": self.clock.now(), "failures": 0, "probes": 0, "next_s": 0.0}

        def change(state: dict[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in state.items() if key != "hold"} | {"breaker": closed}

        await self._in_life(life, life.outbox.set_state(name, change), "resume")

    async def _resend(self, life: Life, name: str) -> None:
        book = self.receivers.book
        book.replay_allowance += 1
        numbers = self.exempt[name]
        for unit in list(book.taken):
            if unit[0] == name and unit[1] in numbers:
                book.allowed[unit] = max(book.allowed.get(unit, 1), book.taken[unit]) + 1
        self.resent[name] = self.resent.get(name, 0) + 50
        for consumer in await self._in_life(life, life.outbox.names(), "names") or ():
            if consumer.partition("#")[0] == name:
                await self._in_life(life, life.outbox.resend(consumer, Selection()), "resend")
        if not life.dead:
            await self._in_life(life, life.supervisor.refresh(), "refresh")

    async def _replay(self, life: Life, name: str, share: float) -> None:
        cursor = await self._in_life(life, life.outbox.cursor(name), "cursor")
        if cursor is None or not cursor.pos or life.dead:
            return
        self.replays[name] = number = self.replays.get(name, 0) + 1
        state = {"replay": {"to": name, "since_s": 0, "until_s": 0, "source": "", "rate": 0}}
        at = int(cursor.pos * share)
        oldest = min((seq for seq, _ in self.engine.transaction().sources_between(1, cursor.pos)), default=cursor.pos + 1)
        at = max(at, oldest - 1)
        await self._in_life(life, life.outbox.create(f"{name}#{number}", at=at, end=cursor.pos, state=state), "replay")
        if not life.dead:
            await self._in_life(life, life.supervisor.refresh(), "refresh")

    # what is to be expected

    def _told(self) -> Told:
        stored = {number: seq for number, (_, _, seq) in self.seen.items()}
        keys = {number: event.keys for number, (_, event, _) in self.seen.items()}
        orders = {one.destination_id: one.order for one in self.plan.workspaces[-1].destinations}
        expected = {name: self._wanted(name) for name in self.exempt}
        return Told(self.acked, stored, keys, expected, self.exempt, orders, self.resent, self.replays)

    def _wanted(self, name: str) -> dict[int, frozenset[str]]:
        """Events about which every version that was in use since they were stored says the same."""
        wanted = {}
        for number, (at_s, event, seq) in self.seen.items():
            decisions = set()
            for place, (_, compiled) in enumerate(self.used):
                until_s = self.used[place + 1][0] if place + 1 < len(self.used) else float("inf")
                if until_s + DRAIN_S >= at_s:
                    decisions.add(_units(compiled, name, event, seq))
            if len(decisions) == 1 and (only := decisions.pop()):
                wanted[number] = only
        return wanted


def _short(tx: Transaction, name: str) -> str:
    """Open rows in few letters, for the trace."""
    return ",".join(f"{row.seq}{row.subscription_id}{row.state[0]}" for row in tx.open_rows(name))


def _units(compiled: Compiled, name: str, event: Event, seq: int) -> frozenset[str]:
    destination = compiled.destinations.get(name)
    if destination is None or event.source_id not in destination.source_ids:
        return frozenset()
    decision = destination_side(source(Claim(seq, event), compiled), destination)
    return frozenset() if isinstance(decision, Drop) else frozenset(unit.subscription_id for unit in decision)


@contextmanager
def small(limits: dict[str, int]) -> Iterator[None]:
    """Constants of the code under test at small values, so that their edges are met."""
    places = [
        (stream_module, "WINDOW", "window"),
        (scan_module, "CHUNK", "chunk"),
        (router_module, "STEP_EVENTS", "step"),
        (tail_module, "MAX_EVENTS", "tail"),
        (engine_module, "FRESH_EVENTS", "fresh"),
        (stream_module, "UNSAVED_MAX", "unsaved"),
        (flights_module, "UNSAVED_MAX", "unsaved"),
        (operations, "EXPIRE_STEP", "expire"),
    ]
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, key in places:
        setattr(module, name, limits[key])
    try:
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)


def simulate(seed: int, folder: Path | None = None) -> Result:
    """Run one seed to its end; `folder`: on SQLite in that folder, else in memory."""
    plan = make_plan(seed)
    loop = VirtualLoop()
    world = World(plan, loop, folder)
    with small(plan.limits):
        try:
            loop.run_until_complete(_bounded(world))
        except (StuckError, TimeoutError) as error:
            world.fail(f"{type(error).__name__}: {error}")
        finally:
            _finish(loop)
    return Result(seed, world.broken, world.lines, loop.steps, world.commits, world.crashes)


async def _bounded(world: World) -> None:
    main = world.loop.create_task(world.run(), name="world")
    while not main.done() and world.loop.steps < MOST_STEPS:
        await asyncio.wait([main], timeout=60)
    if not main.done():
        world.fail("it does not end: too many steps")
        main.cancel()
        await asyncio.wait([main])
        return
    main.result()


def _finish(loop: VirtualLoop) -> None:
    for task in loop.tasks:
        if not task.done():
            task.cancel()
    for _ in range(200):
        if all(task.done() for task in loop.tasks):
            break
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.call_later(1, loop.stop)
        loop.run_forever()
    loop.close()

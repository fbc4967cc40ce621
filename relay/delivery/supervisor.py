"""One actor per destination: starts, swaps, drains and stops them; a crash restarts one actor and touches no other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from relay.base.chance import Chance
from relay.base.clock import Clock
from relay.base.tasks import spawn, supervise
from relay.delivery.actor import Actor
from relay.delivery.archive_replay import ArchiveReplay
from relay.delivery.brake import Brake
from relay.delivery.desk import Means
from relay.delivery.feed import Feed
from relay.kit.request import Transport
from relay.kit.sink import Sink
from relay.observe.facts import ActorCrashed
from relay.observe.observer import Observer
from relay.outbox.interface import Outbox
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Compiled, CompiledDestination
from relay.pipeline.stages.integrations import wants
from relay.workspace.model import Destination
from relay.workspace.rules import Plan


@dataclass(frozen=True, slots=True)
class Supplies:
    """What actors are made of."""

    outbox: Outbox
    clock: Clock
    chance: Chance
    observer: Observer
    open_feed: Callable[[CompiledDestination], Feed]
    open_transport: Callable[[Destination], Transport]
    open_sink: Callable[[CompiledDestination, Transport], Sink | None]
    settings_digest: Callable[[Destination], str]
    """Changes when the settings of a destination do; then a hold of relay's own ends."""
    alone: asyncio.Lock | None = None
    """As of `Means`."""
    open_archive_replays: Callable[[str, set[str]], Awaitable[Sequence[ArchiveReplay]]] | None = None
    """Of a destination (id), but those that run."""
    brake: Brake | None = None
    """As of `Means`."""


@dataclass(slots=True)
class _Post:
    """One destination's place: what it runs, and the task that keeps it running."""

    destination: CompiledDestination
    actor: Actor | None = None
    task: "asyncio.Task[None] | None" = None
    restarts: int = 0
    running: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Owns the actors. `use` is called with each new workspace version; destinations that did not change are not touched."""

    def __init__(self, supplies: Supplies, *, drain_s: float) -> None:
        self._supplies = supplies
        self._drain_s = drain_s
        self._posts: dict[str, _Post] = {}
        self._changing = asyncio.Lock()

    @property
    def actors(self) -> dict[str, Actor]:
        """Running actors by destination id."""
        return {name: post.actor for name, post in self._posts.items() if post.actor is not None}

    @property
    def restarts(self) -> dict[str, int]:
        return {post.destination.destination.slug: post.restarts for post in self._posts.values()}

    def aloft(self) -> dict[str, set[int]]:
        """Which events are on their way at this moment: seqs by destination slug."""
        return {actor.destination.destination.slug: actor.aloft for actor in self.actors.values()}

    async def use(self, compiled: Compiled) -> None:
        """Stop what is gone, swap what changed (its attempts in flight finish first), start what is new."""
        async with self._changing:
            wanted = compiled.destinations
            gone = [name for name in self._posts if name not in wanted]
            changed = [name for name, post in self._posts.items() if name in wanted and not _same(post.destination, wanted[name])]
            async with asyncio.TaskGroup() as group:
                for name in gone:
                    group.create_task(self._leave(name))
                for name in changed:
                    group.create_task(self._swap(name, wanted[name]))
                for name in wanted:
                    if name not in self._posts:
                        group.create_task(self._begin(name, wanted[name]))

    async def finish_files(self, destination_id: str) -> None:
        """Let a destination's sink finish the files that it holds open."""
        post = self._posts.get(destination_id)
        if post is not None and post.actor is not None:
            await post.actor.finish_files()

    async def refresh(self) -> None:
        """Look for replays that are not running yet."""
        async with self._changing:
            for post in self._posts.values():
                if post.actor is not None:
                    await self._add_replays(post.actor)

    async def stop(self, drain_s: float) -> None:
        """Drain all actors side by side; returns when all are closed."""
        async with self._changing, asyncio.TaskGroup() as group:
            for name in list(self._posts):
                group.create_task(self._end(name, drain_s))

    async def _begin(self, name: str, destination: CompiledDestination) -> None:
        await self._supplies.outbox.create(name)
        digest = self._supplies.settings_digest(destination.destination)
        cursor = await self._supplies.outbox.cursor(name)
        state = cursor.state if cursor else {}
        fresh = state.get("settings") not in (None, digest)
        if state.get("settings") != digest or "removed_s" in state:
            await self._supplies.outbox.set_state(name, lambda old: _without_removed(old) | {"settings": digest})
        post = self._posts[name] = _Post(destination)
        post.task = spawn(
            supervise(
                lambda: self._live(name, post, fresh),
                name=destination.destination.slug,
                on_crash=lambda error, delay_s: self._crashed(post, delay_s),
            ),
            name=f"actor:{destination.destination.slug}",
        )
        ready = spawn(post.running.wait(), name=f"starting:{name}")
        await asyncio.wait([ready, post.task], return_when=asyncio.FIRST_COMPLETED, timeout=self._drain_s)
        ready.cancel()

    async def _live(self, name: str, post: _Post, fresh: bool) -> None:
        """One life of an actor, from its open to its stop or crash."""
        supplies, destination = self._supplies, post.destination
        consumer = await supplies.outbox.open(name)
        transport = supplies.open_transport(destination.destination)
        means = Means(
            supplies.open_feed(destination),
            transport,
            supplies.open_sink(destination, transport),
            supplies.clock,
            supplies.chance,
            supplies.observer,
            supplies.alone,
            supplies.brake,
        )
        actor = Actor(destination, means, consumer, settings_changed=fresh)
        try:
            await self._add_replays(actor)
            post.actor = actor
            post.running.set()
            await actor.run()
        except BaseException:
            post.actor = None
            await actor.close()
            raise

    async def _add_replays(self, actor: Actor) -> None:
        outbox, name = self._supplies.outbox, actor.destination.destination.destination_id
        for replay in await outbox.names():
            if "#" in replay and destination_of(replay) == name and replay not in actor.replays and (await outbox.balance(replay)).pending:
                actor.add_stream(await outbox.open(replay))
        if self._supplies.open_archive_replays is not None:
            for archived in await self._supplies.open_archive_replays(name, actor.replays):
                actor.add_stream(archived, archived)

    def _crashed(self, post: _Post, delay_s: float) -> None:
        post.restarts += 1
        self._supplies.observer.emit(ActorCrashed(destination=post.destination.destination.slug, delay_s=delay_s))

    async def _swap(self, name: str, destination: CompiledDestination) -> None:
        await self._end(name, self._drain_s)
        await self._begin(name, destination)

    async def _leave(self, name: str) -> None:
        """A removed destination keeps its cursor and rows for seven days; the upkeep throws them away then."""
        await self._end(name, self._drain_s)
        now_s = self._supplies.clock.now()
        await self._supplies.outbox.set_state(name, lambda old: old | {"removed_s": now_s})

    async def _end(self, name: str, drain_s: float) -> None:
        post = self._posts.pop(name)
        if post.actor is not None:
            await post.actor.stop(drain_s)
        if post.task is not None:
            post.task.cancel()
            await asyncio.wait([post.task])


def _same(old: CompiledDestination, new: CompiledDestination) -> bool:
    is_same = old.destination == new.destination and old.definition is new.definition
    return is_same and _kept_from(old) == _kept_from(new) and _plans(old) == _plans(new)


def _plans(destination: CompiledDestination) -> dict[str, Plan]:
    """By source id: what routes its events."""
    return {source_id: book.plan for source_id, book in destination.books.items()}


def _kept_from(destination: CompiledDestination) -> set[tuple[str, str]]:
    """Events that the sources' schemas keep from it, by source and name; what they block for all ends before it."""
    return {
        (source_id, name)
        for source_id, schema in destination.schemas.items()
        for name, setting in schema.events.items()
        if not wants(setting.integrations, destination.names)
    }


def _without_removed(state: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in state.items() if key != "removed_s"}

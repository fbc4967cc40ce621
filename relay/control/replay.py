"""Replay: stored events again to one destination, as a consumer of its own (`<destination>#<n>`) over a fixed range of the log."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base.clock import Clock
from relay.base.codes import Door
from relay.control.archives import Archives
from relay.control.condition import compile_condition
from relay.control.operate import Audit, find_destination, plain_doors
from relay.errors import RequestError
from relay.kit.fql import Test
from relay.kit.sink import Estimate
from relay.kit.sink import Span as StoredSpan
from relay.outbox.interface import ROUTER, Cursor, Outbox
from relay.outbox.ledger import destination_of
from relay.pipeline.compiled import Current


class Streams(Protocol):
    """Who runs the streams."""

    async def refresh(self) -> None:
        """Look at the outbox's names again and start what is new."""
        ...


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """What to send again: received from `since_s` on, before `until_s` (0: until now). `rate`: events per second, 0: no limit of its own."""

    to: str
    since_s: float
    until_s: float = 0.0
    source: str = ""
    """A source's slug; empty: all that the destination is connected to."""
    rate: float = 0.0
    filter: str = ""
    """FQL over the stored event; empty: all."""
    archive: str = ""
    """The destination (slug) whose stored events are meant; empty: those of the log."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the log, both ends included, and how many of its events are meant."""

    first: int
    last: int
    total: int


class Replays:
    """Counts, starts and reports. What a replay is lies in its consumer's state, so it goes on after a restart."""

    def __init__(self, *, outbox: Outbox, current: Current, supervisor: Streams, access: Audit, clock: Clock, archives: Archives) -> None:
        self._outbox = outbox
        self._current = current
        self._supervisor = supervisor
        self._access = access
        self._clock = clock
        self._archives = archives
        self._starting = asyncio.Lock()

    async def count(self, spec: ReplaySpec) -> int:
        """How many events `start` would send. Raises RequestError 400 for a filter that cannot be read."""
        return (await self.estimate(spec)).events

    async def estimate(self, spec: ReplaySpec) -> Estimate:
        """The same, and whether it is exact: an archive is not read for it. Errors as `count`, and those of the archive (404, 409, 502)."""
        if not spec.archive:
            return Estimate((await self._span(spec)).total, 0, 0, True)
        found = await self._archives.count(spec.archive, self._stored(spec))
        return replace(found, exact=found.exact and compile_condition(spec.filter) is None)

    def _stored(self, spec: ReplaySpec) -> StoredSpan:
        sources = self._sources(spec, find_destination(self._current, spec.to).source_ids)
        return StoredSpan(tuple(sorted(sources)), spec.since_s, spec.until_s or self._clock.now())

    async def start(self, spec: ReplaySpec, by: Operator) -> str:
        """Begin; returns the job's name. Raises RequestError 404 when nothing matches, 409 when the destination is switched off, 400 as `count`."""
        destination = find_destination(self._current, spec.to)
        if not destination.enabled:
            raise RequestError(409, "destination_disabled", f'Destination "{spec.to}" is switched off.')
        if spec.archive:
            return await self._begin_archived(destination.destination_id, spec, by)
        span = await self._span(spec)
        if not span.total:
            raise RequestError(404, "nothing_matched", "No stored event matches.")
        return await self._begin(destination.destination_id, spec, span, by)

    async def one(self, slug: str, seq: int, by: Operator) -> str:
        """Send one stored event to a destination; returns the job's name. Errors as `start`."""
        destination = find_destination(self._current, slug)
        if not destination.enabled:
            raise RequestError(409, "destination_disabled", f'Destination "{slug}" is switched off.')
        if await self._outbox.history.at(seq) is None:
            raise RequestError(404, "not_found", "No stored event has this id.")
        return await self._begin(destination.destination_id, ReplaySpec(slug, 0), Span(seq, seq, 1), by)

    async def _begin_archived(self, destination_id: str, spec: ReplaySpec, by: Operator) -> str:
        """Nothing of the log is meant: the consumer has an empty range, and its state says how far the job is in the archive."""
        stored, head = self._stored(spec), self._outbox.head
        total = (await self._archives.count(spec.archive, stored)).events
        if not total:
            raise RequestError(404, "nothing_matched", "No stored event matches.")
        more = {"sources": stored.sources, "until_s": stored.until_s}
        return await self._begin(destination_id, spec, Span(head + 1, head, total), by, more)

    async def _begin(self, destination_id: str, spec: ReplaySpec, span: "Span", by: Operator, more: Mapping[str, Any] | None = None) -> str:
        replay = {**asdict(spec), "total": span.total, "by": by.name, "started_s": self._clock.now(), **(more or {})}
        async with self._starting:  # two at once would take the same number
            name = f"{destination_id}#{await self._next_number(destination_id)}"
            await self._outbox.create(name, at=span.first - 1, end=span.last, state={"replay": replay})
        await self._access.audit(AuditRecord(self._clock.now(), by.name, "replay.start", spec.to, f"{name}: {span.total} events"))
        await self._supervisor.refresh()
        return name

    async def cancel(self, name: str, by: Operator) -> int:
        """Stop a replay: what it has not sent leaves as discarded; what is in flight ends. Returns how many entries left. Raises RequestError 404."""
        cursor = await self._outbox.cursor(name) if "#" in name and destination_of(name) != ROUTER else None
        if cursor is None or cursor.end is None:
            raise RequestError(404, "not_found", f'There is no replay "{name}".')
        compiled = self._current.compiled
        destination = compiled.destinations.get(destination_of(name))
        named = cursor.state.get("replay", {}).get("source")
        sources = frozenset([named]) if named else destination.source_ids if destination else frozenset(compiled.sources)
        stopped_s, count = self._clock.now(), 0
        await self._outbox.set_state(name, lambda state: state | {"replay": {**state.get("replay", {}), "cancelled_s": stopped_s}})
        if cursor.state.get("replay", {}).get("archive"):
            await self._archives.cancel(name)
            told = cursor.state["replay"]
            count = 0 if told.get("finished_s") else max(0, int(told.get("total", 0)) - int(told.get("done", 0)))
            await self._access.audit(AuditRecord(self._clock.now(), by.name, "replay.cancel", self._slug(name), f"{name}: {count} entries"))
            return count
        takes = compile_condition(cursor.state.get("replay", {}).get("filter") or "")
        while (await self._outbox.balance(name)).pending:
            upto, only = cursor.end, None
            if takes is not None:
                upto, only = await self._meant(name, upto, takes)
            count += await self._outbox.expire(name, upto, sources, door=Door.DISCARDED, code="by_hand", only=only)
        await self._access.audit(AuditRecord(self._clock.now(), by.name, "replay.cancel", self._slug(name), f"{name}: {count} entries"))
        return count

    async def _meant(self, name: str, end: int, takes: Test) -> tuple[int, frozenset[int]]:
        """How far the next step of giving up may go, and which events up to there are meant."""
        cursor = await self._outbox.cursor(name)
        first = cursor.pos if cursor else end
        async for page in self._outbox.history.scan(after=first, until=end):
            return page[-1].seq, frozenset(seq for seq, event in page if takes(event))
        return end, frozenset()

    async def jobs(self) -> list[dict[str, Any]]:
        """Every replay that is known, with its progress."""
        names = [name for name in await self._outbox.names() if "#" in name and destination_of(name) != ROUTER]
        cursors = [cursor for name in names if (cursor := await self._outbox.cursor(name))]
        return [await self._job(cursor) for cursor in cursors]

    async def _job(self, cursor: Cursor) -> dict[str, Any]:
        replay, doors, pending = cursor.state.get("replay", {}), plain_doors(cursor.doors), 0
        try:
            balance = await self._outbox.balance(cursor.name)
            doors, pending = plain_doors(balance.doors), balance.pending
        except KeyError:  # it was removed between the two reads
            pass
        total = int(replay.get("total", 0))
        if replay.get("archive") and (running := self._archives.running.get(cursor.name)):
            doors, pending = plain_doors(running.doors), max(1, total - running.done)
        elif replay.get("archive"):
            over = replay.get("finished_s") or replay.get("cancelled_s")
            doors, pending = plain_doors(replay.get("doors", {})), 0 if over else max(1, total - int(replay.get("done", 0)))
        return {
            "name": cursor.name,
            "destination": self._slug(cursor.name),
            "finished": not pending,
            "held": bool(cursor.state.get("hold")),
            "cancelled_s": replay.get("cancelled_s"),
            "done": min(total, sum(doors.values())) if pending else total,
            "total": total,
            "pending": pending,
            "doors": doors,
            "by": replay.get("by", ""),
            "started_s": replay.get("started_s", 0.0),
            "spec": {key: replay.get(key) for key in ("since_s", "until_s", "source", "rate", "filter", "archive")},
        }

    def _slug(self, name: str) -> str:
        known = self._current.compiled.destinations.get(destination_of(name))
        return known.destination.slug if known else destination_of(name)

    async def _span(self, spec: ReplaySpec) -> Span:
        """The range ends at the live cursor: what is behind it will come anyway."""
        destination = find_destination(self._current, spec.to)
        sources, takes = self._sources(spec, destination.source_ids), compile_condition(spec.filter)
        cursor = await self._outbox.cursor(destination.destination_id)
        first = last = total = 0
        if cursor is None or not cursor.pos:
            return Span(0, 0, 0)
        async for page in self._outbox.history.scan(until=cursor.pos, since_s=spec.since_s, until_s=spec.until_s):
            meant = [(seq, event) for seq, event in page if event.source_id in sources and event.body and event.received_ms >= spec.since_s * 1000]
            wanted = [seq for seq, event in meant if takes is None or takes(event)]
            if wanted:
                first, last, total = first or wanted[0], wanted[-1], total + len(wanted)
        return Span(first, last, total)

    def _sources(self, spec: ReplaySpec, connected: tuple[str, ...]) -> frozenset[str]:
        if not spec.source:
            return frozenset(connected)
        named = [one.source_id for one in (each.source for each in self._current.compiled.sources.values()) if one.slug == spec.source]
        if not named:
            raise RequestError(404, "not_found", f'There is no source "{spec.source}".')
        if named[0] not in connected:
            raise RequestError(409, "not_connected", f'Source "{spec.source}" is not connected to destination "{spec.to}".')
        return frozenset(named)

    async def _next_number(self, destination_id: str) -> int:
        used = [int(name.partition("#")[2]) for name in await self._outbox.names() if name.startswith(f"{destination_id}#")]
        return max(used, default=0) + 1

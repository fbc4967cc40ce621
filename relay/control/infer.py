"""From stored events to a plan: reads the log in pieces, and hands what it saw to the pure part. Nothing is held but counts.

Of a long time only so many events are read, in pieces spread evenly over it; then the answer says `sampled`.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from relay.base.clock import Clock
from relay.base.event import DELETED, Event
from relay.errors import RequestError
from relay.kit.matchers import Matcher, with_standard
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import CompiledSource, Current
from relay.pipeline.decision import Drop
from relay.pipeline.inference import extended, facts
from relay.pipeline.lint import is_dynamic
from relay.pipeline.shapes import Traffic
from relay.workspace.plan_files import canonical, content_of, diff_plans
from relay.workspace.rules import Plan

EVENTS_MAX: Final = 200_000
"""Rows of the log that one reading looks at, of all sources."""
PIECE: Final = 499
"""Events of a piece; one less than a page of the log, so that a piece is one read."""
SLICE: Final = 50
"""Events after which the loop is given to others."""
LEFT_OUT_SHOWN: Final = 50

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What events of some sources look like."""

    traffic: Traffic
    sampled: bool
    """Whether only a part of the events was read."""


class TrafficReader:
    """Reads the log for its shapes, a page at a time."""

    def __init__(self, outbox: Outbox, current: Current, clock: Clock) -> None:
        self._outbox = outbox
        self._current = current
        self._clock = clock

    async def read(
        self, source_ids: frozenset[str], since_s: float, *, only: tuple[str, str] | None = None, most: int = EVENTS_MAX, rest_share: float = 0.0
    ) -> Reading:
        """The shapes of what these sources sent since then, after their transformations, as their plan sees it.

        `rest_share`: how long it rests after each page, as a multiple of the time that the page took; 0: a person waits.
        """
        traffic = Traffic(only)
        first, head = await self._first(since_s), self._outbox.head
        span = head - first + 1 if first else 0
        count = most // PIECE
        pieces = [(first - 1, head)] if span <= most else [(first - 1 + n * span // count - PIECE, 0) for n in range(1, count + 1)]
        for after, until in pieces if first else ():
            async with aclosing(self._outbox.history.scan(after=after, until=until or after + PIECE)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    began_s = self._clock.monotonic()
                    await self._add(traffic, (claim.event for claim in page if claim.event.source_id in source_ids))
                    await asyncio.sleep(rest_share * (self._clock.monotonic() - began_s))
        return Reading(traffic, span > most)

    async def _first(self, since_s: float) -> int:
        """The first seq of that time; 0: there is none."""
        async with aclosing(self._outbox.history.scan(since_s=max(since_s, 1.0))) as pages:  # type: ignore[type-var]
            async for page in pages:
                return page[0].seq
        return 0

    async def _add(self, traffic: Traffic, events: Iterable[Event]) -> None:
        sources = self._current.compiled.sources
        for number, event in enumerate(events, 1):
            if (seen := as_planned(event, sources.get(event.source_id))) is not None:
                traffic.add(seen)
            if not number % SLICE:
                await asyncio.sleep(0)


def as_planned(event: Event, source: CompiledSource | None) -> Event | None:
    """The event as its source's plan sees it; None: it does not come so far."""
    if event.type == DELETED:
        return None
    if source is None or source.transform is None:
        return event
    result = source.transform(event)
    return None if isinstance(result, Drop) else result


class Infer:
    """Answers `POST plans/infer`. `mask_names`: `[ui] mask`."""

    def __init__(self, reader: TrafficReader, current: Current, mask_names: tuple[str, ...]) -> None:
        self._reader = reader
        self._current = current
        self._mask_names = mask_names
        self._lock = asyncio.Lock()

    async def infer(self, slug: str, since_s: float, plan_slug: str = "") -> Told:
        """`{content, diff, events_read, sampled, truncated, seen, plan}`: the source's plan (or the one named) with what it sent since then added.

        Raises RequestError 404.
        """
        workspace = self._current.compiled.workspace
        source = next((one for one in workspace.sources if one.slug == slug), None)
        if source is None:
            raise RequestError(404, "not_found", f'There is no source "{slug}".')
        plan = plan_named(workspace.plans, plan_slug or source.plan) if plan_slug or source.plan else None
        async with self._lock:  # one at a time: it reads much
            reading = await self._reader.read(frozenset((source.source_id,)), since_s)
        before = content_of(plan) if plan else {"rules": []}
        return answer(reading.traffic, before, self._mask_names, workspace.matchers) | {
            "sampled": reading.sampled,
            "plan": plan.slug if plan else "",
        }


def answer(traffic: Traffic, before: Mapping[str, Any], mask_names: tuple[str, ...], matchers: Sequence[Matcher] = ()) -> Told:
    """What was seen, as a plan that grows out of `before`; `matchers`: the workspace's own. Events whose names hold ids or dates are left out, and named."""
    dynamic = [event.name for event in traffic.events.values() if event.type == "track" and is_dynamic(event.name)]
    content = extended(before, (event for event in traffic.events.values() if event.name not in dynamic))
    return {
        "content": canonical(content),
        "diff": diff_plans(before, content),
        "events_read": traffic.read,
        "truncated": traffic.truncated,
        "seen": facts(traffic, mask_names, with_standard(matchers)),
        "left_out": sorted(dynamic)[:LEFT_OUT_SHOWN],
    }


def plan_named(plans: Iterable[Plan], slug: str) -> Plan:
    """The plan of this slug. Raises RequestError 404."""
    found = next((one for one in plans if one.slug == slug), None)
    if found is None:
        raise RequestError(404, "not_found", f'There is no plan "{slug}".')
    return found

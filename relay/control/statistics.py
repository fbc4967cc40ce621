"""How sources and destinations are doing, for people: what the pages overview, sources and destinations show, as JSON has it.

Counts come from the tallies, read in the reader's thread and kept for a moment per period, so that a page that polls costs the loop a few
milliseconds. Rates are of the last 60 s and come from memory.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from relay.base.clock import Clock
from relay.base.codes import Door
from relay.control.attention import Concern, concerns
from relay.control.measure import Flow, Measure
from relay.control.operate import Operations, detail_of, find_destination
from relay.control.periods import (
    DUPLICATE,
    PASSED,
    PERIODS,
    REFUSED,
    SUPPRESSED,
    Counts,
    Figures,
    arrange,
    attempts,
    coded,
    funnel,
    source_counts,
    success,
)
from relay.control.plan_trouble import PlanTrouble
from relay.control.replay import ReplaySpec
from relay.control.rules_view import place_row, source_rules
from relay.control.spans import Spans
from relay.control.trouble import Trouble, troubles
from relay.errors import RequestError
from relay.observe.latency import LatencyKey
from relay.observe.tallies import TallyKey
from relay.outbox.interface import RETRY, History, Outbox, SampleGroup, Seen
from relay.outbox.operations import SAMPLES_KEPT
from relay.pipeline.compiled import CompiledDestination, Current
from relay.workspace.model import BUILT_IN_SOURCE, Source

DEFAULT_PERIOD: Final = "24h"
SEEN_NEWEST: Final = 20_000
SEEN_FRESH_S: Final = 30.0
SEEN_MAX: Final = 200
"""Event names and library versions that are listed at most, the most frequent first."""
STORED: Final = frozenset((PASSED, *(door.value for door in Door)))
"""Stages of events that became part of the log."""
ATTEMPT_MS: Final = 100.0
"""How long an attempt takes while nothing is known about the destination."""


class Statistics:
    """Reads only. `healthy`: whether relay takes and delivers events; the URLs are asked when they are known."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        operations: Operations,
        measure: Measure,
        current: Current,
        clock: Clock,
        healthy: Callable[[], bool],
        tracking_url: Callable[[], str],
        plan_trouble: PlanTrouble | None = None,
    ) -> None:
        self._outbox = outbox
        self._operations = operations
        self._measure = measure
        self._current = current
        self._clock = clock
        self._healthy = healthy
        self._tracking_url = tracking_url
        self._plan_trouble = plan_trouble
        self._kept: dict[str, tuple[float, Figures]] = {}
        self._seen: dict[tuple[str, str], tuple[float, list[Seen]]] = {}
        self._reading = asyncio.Lock()
        self._spans = _spans(outbox.history)

    async def figures(self, name: str) -> Figures:
        """The counts of a period, at most a moment old. Raises RequestError 400 for a period that is none."""
        period = PERIODS.get(name)
        if period is None:
            raise RequestError(400, "bad_request", f"period must be one of {', '.join(PERIODS)}.")
        async with self._reading:
            kept = self._kept.get(name)
            if kept and self._clock.monotonic() - kept[0] < period.fresh_s:
                return kept[1]
            now_minute = int(self._clock.now() // 60)
            tallies, latencies = self._spans[name]
            since = period.since(now_minute)
            tally, latency = await tallies.load(since, now_minute), await latencies.load(since, now_minute)
            figures = arrange(period, now_minute, tally, (latency, self._measure.unsaved()))
            self._kept[name] = (self._clock.monotonic(), figures)
            return figures

    async def overview(self, period: str) -> dict[str, Any]:
        """Everything at a glance."""
        figures, day = await self.figures(period), await self.figures("24h")
        rates = self._measure.rates.now()
        sources = [await self._source(one, figures, rates) for one in self._workspace_sources()]
        destinations = await self.destinations(period)
        plans = await self._plan_trouble.worst() if self._plan_trouble else []
        oldest = [one["oldest_s"] for one in destinations if one["oldest_s"]]
        return {
            "healthy": self._healthy(),
            "in_rate": _sum(rates, "in"),
            "out_rate": _sum(rates, "out"),
            "blocked_rate": _sum(rates, "blocked"),
            "oldest_s": min(oldest, default=0.0),
            "dead_24h": sum(counts.total(Door.DEAD) for counts in day.destinations.values()),
            "period": figures.period.name,
            "sources": sources,
            "destinations": [_without(one, "doors", "definition", "sample") for one in destinations],
            "edges": [{"source": slug, "destination": one["slug"]} for one in destinations for slug in one["sources"] if slug != BUILT_IN_SOURCE],
            "attention": [
                {"level": found.level, "text": found.text, "href": found.href}
                for found in concerns(self._clock.now(), [Concern.of(one) for one in destinations], sources, plans)
            ],
        }

    async def sources(self, *, keys_shown: bool) -> list[dict[str, Any]]:
        """Every source, with the counts of the last 24 h. Write keys let one send as the source, hence `keys_shown`."""
        figures, rates = await self.figures(DEFAULT_PERIOD), self._measure.rates.now()
        return [_setup(one, keys_shown) | await self._source(one, figures, rates) for one in self._workspace_sources()]

    async def source(self, slug: str, period: str, *, keys_shown: bool) -> dict[str, Any]:
        """One source in full. Raises RequestError 404."""
        found = [one for one in self._workspace_sources() if one.slug == slug]
        if not found:
            raise RequestError(404, "not_found", f'There is no source "{slug}".')
        one, figures = found[0], await self.figures(period)
        counts, seen = figures.source(one.source_id), await self._seen_of(one.source_id, figures)
        url = self._tracking_url()
        key = one.write_keys[0] if one.write_keys and keys_shown else "WRITE_KEY"
        return (
            _setup(one, keys_shown)
            | await self._source(one, figures, self._measure.rates.now())
            | source_rules(one)
            | {
                "period": figures.period.name,
                "destinations": [to.destination.slug for to in self._current.compiled.destinations.values() if one.source_id in to.source_ids],
                "series": figures.points(counts.line(PASSED), counts.line(REFUSED)),
                "codes": coded(counts.by_code(REFUSED, *Door)),
                "events": _events(seen),
                "libraries": _libraries(seen),
                "tracking_url": url,
                "settings_url": f"{url}/v1/projects/{key}/settings",
            }
        )

    async def destinations(self, period: str = DEFAULT_PERIOD) -> list[dict[str, Any]]:
        """Every destination: its state, its books, and how it does."""
        figures, rates = await self.figures(period), self._measure.rates.now()
        compiled = {one.destination.slug: one for one in self._current.compiled.destinations.values()}
        rows = await self._operations.destinations_overview()
        return [self._destination(row, compiled[row["slug"]], figures, rates) for row in rows if row["slug"] in compiled]

    async def destination(self, slug: str, period: str) -> dict[str, Any]:
        """What a destination's page shows of its deliveries. Raises RequestError 404."""
        model = find_destination(self._current, slug)
        figures, destination_id = await self.figures(period), model.destination_id
        compiled = self._current.compiled.destinations[destination_id]
        row = self._destination(await self._operations.destination_overview(model), compiled, figures, self._measure.rates.now())
        counts = figures.destination(destination_id)
        refused: dict[str, int] = {}
        for source_id in model.source_ids:
            for code, count in figures.source(source_id).by_code(REFUSED).items():
                if code not in (DUPLICATE, SUPPRESSED):
                    refused[code] = refused.get(code, 0) + count
        found = await self._troubles(destination_id, counts, figures, row)
        return row | {
            "period": figures.period.name,
            "funnel": funnel(counts, refused, row["pending"], row["retry"]),
            "series": figures.points(counts.line(Door.DELIVERED), counts.line(Door.DEAD, Door.EXPIRED), counts.line(RETRY)),
            "latency": figures.latency_points(destination_id),
            "p50_ms": figures.latency_ms(destination_id, 0.5),
            "p99_ms": figures.latency_ms(destination_id, 0.99),
            "errors": [one.told() for one in found],
            "eta_s": self._eta_s(row, model.destination_id, model.source_ids),
        }

    async def samples(self, slug: str, code: str) -> list[dict[str, Any]]:
        """The newest ten attempts (or stopped events) with this code; request and response with secrets masked, or null."""
        destination_id = find_destination(self._current, slug).destination_id
        waiting = self._measure.samples(destination_id, code)
        kept = [*waiting, *await self._outbox.history.samples(destination_id, code)][:SAMPLES_KEPT]
        told = []
        for one in kept:
            claim = await self._outbox.history.at(one.seq) if not one.message_id else None
            detail = detail_of(one) or {}
            told.append(
                {
                    "event_id": f"e{one.seq}",
                    "message_id": one.message_id or (claim.event.message_id if claim else ""),
                    "at_s": one.at_s,
                    "attempt": one.attempt,
                    "result": one.result,
                    "status": one.status,
                    "code": one.code,
                    "duration_ms": one.duration_ms,
                    "request": detail.get("request"),
                    "response": detail.get("response"),
                }
            )
        return told

    def estimate_s(self, spec: ReplaySpec, count: int) -> float:
        """How long a replay of so many events takes: by its rate, the destination's, and what its attempts took so far."""
        model = find_destination(self._current, spec.to)
        mean_ms = self._measure.attempt_ms(model.slug) or ATTEMPT_MS
        at_once = 1 if model.order == "strict" else model.concurrency
        caps = [rate for rate in (spec.rate, model.rate_per_s) if rate]
        return round(count / min([at_once * 1000 / max(1.0, mean_ms), *caps]), 2)

    # parts

    def _workspace_sources(self) -> tuple[Source, ...]:
        return self._current.compiled.workspace.sources

    async def _source(self, source: Source, figures: Figures, rates: dict[Flow, float]) -> dict[str, Any]:
        counts = figures.source(source.source_id)
        return {
            "slug": source.slug,
            "name": source.name,
            "rate": round(rates.get(("in", source.source_id), 0.0), 2),
            **source_counts(counts),
            "last_event_s": await self._last_event_s(source.source_id),
            "spark": figures.spark(counts.line(PASSED)),
        }

    async def _last_event_s(self, source_id: str) -> float | None:
        """Exact to seconds while relay runs; of the time before to the finest step that is left."""
        if last_s := self._measure.rates.last_s.get(source_id):
            return last_s
        for name in ("1h", "24h", "30d"):
            seen = (await self.figures(name)).source(source_id).seen
            minutes = [last for (stage, _), (_, last) in seen.items() if stage in STORED]
            if minutes:
                return max(minutes) * 60.0
        return None

    def _destination(self, row: dict[str, Any], compiled: CompiledDestination, figures: Figures, rates: dict[Flow, float]) -> dict[str, Any]:
        model, known = compiled.destination, self._current.compiled.sources
        counts = figures.destination(model.destination_id)
        return row | {
            "rate": round(rates.get(("out", model.destination_id), 0.0), 2),
            "success": success(counts),
            "attempts": attempts(counts),
            "p95_ms": figures.latency_ms(model.destination_id, 0.95),
            "spark": figures.spark(counts.line(Door.DELIVERED)),
            "sources": [known[source_id].source.slug for source_id in model.source_ids if source_id in known],
            "definition": {"slug": compiled.definition.slug, "name": compiled.definition.name},
            "can_read_back": compiled.definition.open_archive is not None,
        }

    async def _troubles(self, destination_id: str, counts: Counts, figures: Figures, row: dict[str, Any]) -> list[Trouble]:
        groups = {group.code: group for group in await self._outbox.history.sample_groups(destination_id)}
        waiting = await self._outbox.history.waiting_codes(destination_id)
        codes = set(counts.by_code(RETRY, Door.DEAD, Door.EXPIRED)) | ({row["hold_code"]} if row["hold_code"] else set())
        for code in codes | set(groups):
            for sample in self._measure.samples(destination_id, code)[:1]:
                n = min(SAMPLES_KEPT, (groups[code].n if code in groups else 0) + len(self._measure.samples(destination_id, code)))
                groups[code] = SampleGroup(code, n, sample.result, sample.status, sample.at_s)
        return troubles(
            counts, groups, waiting, row, since_s=figures.period.first(int(self._clock.now() // 60)) * 60.0, step_s=figures.period.step * 60
        )

    def _eta_s(self, row: dict[str, Any], destination_id: str, source_ids: tuple[str, ...]) -> float | None:
        """When nothing will wait any more, at the pace of the last minute; None: nothing waits, or it does not get less."""
        rates = self._measure.rates.now()
        comes = sum(rates.get(("in", source_id), 0.0) for source_id in source_ids)
        pace = rates.get(("left", destination_id), 0.0) - comes
        if not row["pending"] or row["state"] != "running" or pace <= 0:
            return None
        pending: int = row["pending"]
        return round(self._clock.now() + pending / pace, 1)

    async def _seen_of(self, source_id: str, figures: Figures) -> list[Seen]:
        key, now_s = (source_id, figures.period.name), self._clock.monotonic()
        kept = self._seen.get(key)
        if kept and now_s - kept[0] < SEEN_FRESH_S:
            return kept[1]
        since_s = figures.period.first(int(self._clock.now() // 60)) * 60.0
        seen = await self._outbox.history.seen(source_id, since_s=since_s, newest=SEEN_NEWEST)
        self._seen = {old: value for old, value in self._seen.items() if now_s - value[0] < SEEN_FRESH_S} | {key: (now_s, seen)}
        return seen


def _spans(history: History) -> dict[str, tuple[Spans[TallyKey], Spans[LatencyKey]]]:
    """By period. Days lean on the hours that the week has read."""
    found: dict[str, tuple[Spans[TallyKey], Spans[LatencyKey]]] = {}
    for name, finer in (("1h", ""), ("24h", ""), ("7d", ""), ("30d", "7d")):
        period = PERIODS[name]
        tallies, latencies = found.get(finer, (None, None))
        keep = period.slots * period.step
        found[name] = (Spans(period.step, keep, history.tally_spans, tallies), Spans(period.step, keep, history.latency_spans, latencies))
    return found


def _setup(source: Source, keys_shown: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"enabled": source.enabled, "origin": place_row(source.place)}
    return told | ({"write_keys": list(source.write_keys)} if keys_shown else {})


def _events(seen: list[Seen]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], Seen] = {}
    for one in seen:
        found[one.type, one.name] = _both(found.get((one.type, one.name)), one)
    return [
        {"type": one.type, "name": one.name, "count": one.n, "first_s": one.first_ms / 1000, "last_s": one.last_ms / 1000}
        for one in sorted(found.values(), key=lambda one: -one.n)[:SEEN_MAX]
    ]


def _libraries(seen: list[Seen]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], Seen] = {}
    for one in seen:
        if one.library:
            found[one.library, one.version] = _both(found.get((one.library, one.version)), one)
    return [
        {"name": str(one.library), "version": str(one.version), "count": one.n, "last_s": one.last_ms / 1000}
        for one in sorted(found.values(), key=lambda one: -one.n)[:SEEN_MAX]
    ]


def _both(known: Seen | None, more: Seen) -> Seen:
    if known is None:
        return more
    return known._replace(n=known.n + more.n, first_ms=min(known.first_ms, more.first_ms), last_ms=max(known.last_ms, more.last_ms))


def _sum(rates: dict[Flow, float], flow: str) -> float:
    return round(sum(rate for (what, _), rate in rates.items() if what == flow), 2)


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}

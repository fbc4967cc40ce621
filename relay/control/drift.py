"""Plan and traffic drift apart: computed once a day for each plan, at low priority, and kept, so that the page opens at once."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

import structlog

from relay.base import jsonio
from relay.base.clock import Clock
from relay.control.infer import TrafficReader
from relay.errors import StoreError
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import Current
from relay.pipeline.derived import DRIFTED, VIEWED, alert_event
from relay.pipeline.inference import CALLS
from relay.pipeline.shapes import EventShape, Shape, Traffic
from relay.workspace.model import Workspace
from relay.workspace.plan_files import content_of, fields_of, identity, path_text, schema_at, types_of
from relay.workspace.rules import Plan

log = structlog.get_logger("relay.control")

T = TypeVar("T")
EVERY_S: Final = 86_400.0
LOOK_S: Final = 300.0
"""How often it is asked which plan's day is over; the first time after the start as well."""
WINDOW_S: Final = 86_400.0
EVENTS_MOST: Final = 50_000
REST_SHARE: Final = 4.0
"""Rests four times as long as it works: a fifth of one core at most, while it lasts."""
SHOWN: Final = 200
"""Entries of each kind."""
UNUSED_MIN: Final = 50
"""Of an event that came so often and never with a property, the property counts as unused."""

TOLD: Final = 20
"""Entries of each kind that the event of a report holds."""
NAMED: Final = 3
"""Of them in its sentence."""
_URGENT: Final[Mapping[str, tuple[str, str]]] = {
    "new_events": ("event without a rule", "events without a rule"),
    "new_properties": ("property that is not planned", "properties that are not planned"),
    "type_changes": ("property of another type", "properties of another type"),
}

_GET = "SELECT at_s, report FROM plan_drift WHERE plan = ?"
_PUT = "REPLACE INTO plan_drift (plan, at_s, report) VALUES (?, ?, ?)"
_TIMES = "SELECT plan, at_s FROM plan_drift"

Told = dict[str, Any]


class WriteQueue(Protocol):
    """What the store needs of the database."""

    async def write(self, run: Callable[[sqlite3.Connection], T], *, sheds: bool = False) -> T: ...

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class DriftStore:
    """The last report of each plan."""

    def __init__(self, database: WriteQueue) -> None:
        self._database = database

    async def get(self, slug: str) -> Told | None:
        """A plan's report with its time; None: there is none yet."""
        row = await self._database.read(lambda connection: connection.execute(_GET, (slug,)).fetchone())
        return {"at_s": row[0], **jsonio.loads(row[1])} if row else None

    async def times(self) -> dict[str, float]:
        """When each plan's report was made."""
        return dict(await self._database.read(lambda connection: connection.execute(_TIMES).fetchall()))

    async def put(self, slug: str, at_s: float, report: Told) -> None:
        row = (slug, at_s, jsonio.dumps(report).decode())
        await self._database.write(lambda connection: connection.execute(_PUT, row).rowcount, sheds=True)


class DriftWatch:
    """Runs until cancelled. What is new in a day's report goes out as an event of the source `relay`; `link`: the page of a plan, by its slug."""

    def __init__(
        self, reader: TrafficReader, store: DriftStore, *, outbox: Outbox, current: Current, clock: Clock, link: Callable[[str], str]
    ) -> None:
        self._reader = reader
        self._store = store
        self._outbox = outbox
        self._current = current
        self._clock = clock
        self._link = link
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.step()

    async def step(self) -> None:
        """One report, of the plan that has waited longest, if its day is over. A store that is full or failing is no reason to end."""
        try:
            times, now_s = await self._store.times(), self._clock.now()
            workspace = self._current.compiled.workspace
            attached = [plan for plan in workspace.plans if sources_of(workspace, plan.slug)]
            waiting = [plan for plan in attached if not 0 <= now_s - times.get(plan.slug, -EVERY_S) < EVERY_S]
            if waiting:
                plan = min(waiting, key=lambda plan: times.get(plan.slug, 0.0))
                before = await self._store.get(plan.slug) or {}
                await self._tell(plan, before, await self.report(plan, rest_share=REST_SHARE))
        except StoreError as error:
            log.warning("drift.waiting", error=error.message)

    async def _tell(self, plan: Plan, before: Told, report: Told) -> None:
        """Once for what somebody should look at; a plan that drifts on in the same way is not told again."""
        found = _findings(report)
        if not found or found <= _findings(before):
            return
        properties = {
            "rule": "plan drift",
            "subject": {"kind": "plan", "slug": plan.slug},
            "text": _sentence(report),
            "cure": f"Add what is wanted to the plan, or correct the code that sends it; `relay plan drift {plan.slug}` lists everything.",
            "url": self._link(plan.slug),
            "report": {name: report[name][:TOLD] for name in (*_URGENT, "missing_events", "unused_properties")},
        }
        at_ms = int(report["at_s"] * 1000)
        event = alert_event(DRIFTED, properties, message_id=f"drift-{plan.slug}-{at_ms}", at_ms=at_ms)
        await self._outbox.append([event], internal=True)

    async def last(self, plan: Plan) -> Told:
        """The last report; made now when there is none yet, or the plan has changed since."""
        async with self._lock:  # who asks at the same time gets the same report
            stored = await self._store.get(plan.slug) or {}
            return stored if stored.pop("mark", "") == _mark(plan) else await self.report(plan)

    async def report(self, plan: Plan, *, rest_share: float = 0.0) -> Told:
        """Compute a plan's report now, and keep it."""
        now_s = self._clock.now()
        sources = sources_of(self._current.compiled.workspace, plan.slug)
        reading = await self._reader.read(sources, now_s - WINDOW_S, most=EVENTS_MOST, rest_share=rest_share)
        report = drift(content_of(plan), reading.traffic)
        report |= {"events_read": reading.traffic.read, "sampled": reading.sampled}
        await self._store.put(plan.slug, now_s, report | {"mark": _mark(plan)})
        return {"at_s": now_s, **report}


def _findings(report: Told) -> frozenset[tuple[str, ...]]:
    """What of a report somebody should look at: what is not planned. That something planned did not come in a day says little."""
    return frozenset((name, one["type"], one["event"], one.get("property", "")) for name in _URGENT for one in report.get(name, ()))


def _sentence(report: Told) -> str:
    """`2 events without a rule (Sold, Moved), 1 property that is not planned (Bought: properties.coupon)`."""
    parts = []
    for name, (one, many) in _URGENT.items():
        entries = report[name]
        if entries:
            named = [": ".join(filter(None, (entry["event"] or entry["type"], entry.get("property")))) for entry in entries[:NAMED]]
            more = f" and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
            parts.append(f"{len(entries)} {one if len(entries) == 1 else many} ({', '.join(named)}{more})")
    return ", ".join(parts)


def sources_of(workspace: Workspace, slug: str) -> frozenset[str]:
    """Ids of the sources that a plan is attached to."""
    return frozenset(source.source_id for source in workspace.sources if source.plan == slug)


def _mark(plan: Plan) -> str:
    """Equal for plans of equal rules."""
    return hashlib.sha256(jsonio.dumps(content_of(plan), option=jsonio.SORTED)).hexdigest()[:16]


def drift(content: Mapping[str, Any], traffic: Traffic) -> Told:
    """Where traffic and plan differ. Versions of a rule count as one: what any of them plans is planned."""
    rules: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for rule in content["rules"]:
        kind, key, _ = identity(rule)
        if kind in CALLS:
            rules.setdefault((CALLS[kind], key), []).append(rule["jsonSchema"])
    met = {key: _rule_of(key, rules) for key in traffic.events}
    both = [(traffic.events[key], rules[one]) for key, one in met.items() if one is not None]
    found: dict[str, list[Told]] = {
        "new_events": [_event(event) for key, event in traffic.events.items() if met[key] is None and event.type == "track"],
        "missing_events": [{"type": call.upper(), "key": name} for call, name in rules if (call, name) not in met.values()],
        "new_properties": [one for event, schemas in both for one in _new(event, schemas)],
        "unused_properties": [one for event, schemas in both for one in _unused(event, schemas)],
        "type_changes": [one for event, schemas in both for one in _changed(event, schemas)],
    }
    found["new_events"].sort(key=lambda one: -one["count"])
    return {name: entries[:SHOWN] for name, entries in found.items()}


def _rule_of(key: tuple[str, str], rules: Mapping[tuple[str, str], Any]) -> tuple[str, str] | None:
    """The rule that events of a type and name have; a TRACK rule of the name that pages are shown by holds for them as well."""
    shown = ("track", VIEWED.get(key[0], ""))
    return key if key in rules else shown if shown in rules else None


def _event(event: EventShape) -> Told:
    return {"type": event.type.upper(), "event": event.name, "count": event.n, "first_s": event.first_ms / 1000, "last_s": event.last_ms / 1000}


def _new(event: EventShape, schemas: list[Mapping[str, Any]]) -> Iterator[Told]:
    """Fields that no version plans; what lies within one of them is not told again."""
    for path, shape, parent in event.each_field():
        if path[-1] == "$" or any(schema_at(schema, path) is not None for schema in schemas):
            continue
        if len(path) > 2 and not any((schema_at(schema, path[:-1]) or {}).get("properties") for schema in schemas):
            continue  # its parent is new, or planned as an object of anything
        objects = parent.types.get("object", 0)
        yield _field(event, path) | {"share": round(shape.n / objects, 4) if objects else 0.0, "types": dict(sorted(shape.types.items()))}


def _unused(event: EventShape, schemas: list[Mapping[str, Any]]) -> Iterator[Told]:
    if event.n < UNUSED_MIN:
        return
    told: set[tuple[str, ...]] = set()
    for schema in schemas:
        for path, _, _ in fields_of(schema):
            if len(path) < 2 or path[0] != event.inner or path in told or path[:-1] in told or event.at(path) is not None:
                continue
            told.add(path)
            if event.at(path[:-1]) is not None or len(path) == 2:
                yield _field(event, path)


def _changed(event: EventShape, schemas: list[Mapping[str, Any]]) -> Iterator[Told]:
    for path, shape, _ in event.each_field():
        planned = [types for schema in schemas if (found := schema_at(schema, path)) is not None and (types := types_of(found))]
        if not planned:
            continue
        allowed = set().union(*planned)
        strange = _strange(shape, allowed)
        if strange:
            yield _field(event, path) | {"planned": sorted(allowed), "types": dict(sorted(shape.types.items())), "share": round(strange / shape.n, 4)}


def _strange(shape: Shape, allowed: set[str]) -> int:
    """How many values had a type that is not planned."""
    return sum(n for name, n in shape.types.items() if name not in allowed and not (name == "integer" and "number" in allowed))


def _field(event: EventShape, path: tuple[str, ...]) -> Told:
    return {"type": event.type.upper(), "event": event.name, "property": path_text(path)}

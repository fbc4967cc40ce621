"""Which events break their plan, how often, since when: counted as they are routed, written every ten seconds, told to the plans page and to alerts.

A crash loses at most ten seconds of these groups; how many events violated is counted exactly, in the router's commit (stage `violation`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from relay.base.clock import Clock
from relay.base.masking import mask
from relay.control.violation_store import KEEP_H, Count, Key, ViolationStore
from relay.errors import StoreError
from relay.kit.edits import split_path
from relay.kit.subjects import Subjects
from relay.kit.violations import field_group
from relay.outbox.interface import Outbox
from relay.pipeline.compiled import Current
from relay.pipeline.decision import Sourced
from relay.pipeline.derived import VIEWED
from relay.pipeline.rulebook import RuleBook
from relay.workspace.rules import PlanRule

log = structlog.get_logger("relay.control")

FLUSH_S: Final = 10.0
WAITING_MAX: Final = 5_000
"""Groups that are counted between two writes; what is new beyond them is left out."""
ITEMS_SHOWN: Final = 5
TEXT_MAX: Final = 500
"""Characters of a name or a field that are kept."""
HOUR_S: Final = 3_600

Group = dict[str, Any]


class Violations:
    """`record` is the router's listener; `run` until cancelled, then `flush` once more."""

    def __init__(self, *, store: ViolationStore, outbox: Outbox, current: Current, clock: Clock, mask_names: tuple[str, ...]) -> None:
        self._store = store
        self._outbox = outbox
        self._current = current
        self._clock = clock
        self._mask_names = mask_names
        self._counts: dict[Key, Count] = {}

    # what comes in

    def record(self, results: Sequence[Sourced]) -> None:
        """The router's next chunk."""
        for result in results:
            if result.is_unplanned or result.violations:
                self._note(result)

    def _note(self, result: Sourced) -> None:
        event = result.event
        hour, name = event.received_ms // (HOUR_S * 1000), event.name[:TEXT_MAX]
        if result.is_unplanned:
            self._count(Key(hour, event.source_id, event.type, name, "", ""), "", result)
        told: dict[tuple[str, str], str] = {}
        for one in result.violations:
            told.setdefault((one.type, field_group(one.keys)), one.description)
        for (kind, field), description in told.items():
            self._count(Key(hour, event.source_id, event.type, name, kind, field[:TEXT_MAX]), description[:TEXT_MAX], result)

    def _count(self, key: Key, description: str, result: Sourced) -> None:
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= WAITING_MAX:
                return
            count = self._counts[key] = Count(description)
        count.add(result.seq, result.event.received_ms)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what a full disk refuses waits for the next time."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._store.add(counts, oldest_hour=self._hour(self._clock.now()) - KEEP_H)
        except StoreError as error:
            log.warning("violations.waiting", error=error.message)
            for key, newer in self._counts.items():
                if key in counts:
                    counts[key].absorb(newer)
                elif len(counts) < WAITING_MAX:
                    counts[key] = newer
            self._counts = counts

    # what is asked

    async def groups(self, source_ids: Sequence[str], since_s: float) -> list[Group]:
        """Violations by event, type, kind and field, the most frequent first, each with some events and the value that was wrong, masked.

        `{event, type, field, kind, description, count, first_s, last_s, sources: [slug], series, samples: [{event_id, received_ms, value}]}`
        """
        groups = await self._groups(source_ids, since_s, unplanned=False)
        stored = await self._outbox.history.events(sorted({seq for group in groups for seq, _ in group["samples"]}))
        values = {seq: mask(event.payload, self._mask_names) for seq, event in stored.items()}
        for group in groups:
            group["samples"] = [
                {"event_id": f"e{seq}", "received_ms": at_ms, "value": _value(values.get(seq), split_path(group["field"]))}
                for seq, at_ms in group["samples"]
            ]
        return groups

    async def unplanned(self, source_ids: Sequence[str], since_s: float) -> list[Group]:
        """Events without a rule, the most frequent first: `{event, type, count, first_s, last_s, sources, series, samples}`."""
        groups = await self._groups(source_ids, since_s, unplanned=True)
        for group in groups:
            group["samples"] = [{"event_id": f"e{seq}", "received_ms": at_ms} for seq, at_ms in group["samples"]]
            for key in ("field", "kind", "description"):
                del group[key]
        return groups

    async def totals(self, since_s: float) -> dict[tuple[str, str, str, str], int]:
        """How many violations there were since then, by source id, type, name and field."""
        await self.flush()
        return {(source_id, kind, event, field): n for source_id, kind, event, field, n in await self._store.totals(self._hour(since_s))}

    async def offences(self, source_slug: str, since_s: float) -> list[Group]:
        """What an alert about a source tells: the rules that were broken most, `{rule, event, type, fields, count, owners}`, at most five."""
        compiled = self._current.compiled
        source = next((one for one in compiled.sources.values() if one.source.slug == source_slug), None)
        if source is None:
            return []
        book = compiled.books.get(source.source.plan)
        found: dict[tuple[str, str], Group] = {}
        for group in await self._groups([source.source.source_id], since_s, unplanned=False):
            rule = _rule_of(book, group["type"], group["event"])
            if rule is not None and rule.ignores(group["field"]):
                continue
            named = {"rule": rule.label if rule else "", "event": group["event"], "type": group["type"], "fields": [], "count": 0}
            told = found.setdefault((group["type"], group["event"]), named | {"owners": list(rule.owners) if rule else []})
            told["fields"].append(group["field"])
            told["count"] = max(told["count"], group["count"])  # one event may break several of its fields
        return sorted(found.values(), key=lambda one: -one["count"])[:5]

    # deletion requests: an app may make a user's id the name of an event or of a property

    kinds: Final[Mapping[str, str]] = {"violations": "database"}

    async def find(self, users: Subjects) -> dict[str, int]:
        """How many counts name one of the users."""
        await self.flush()
        return {"violations": len(await self._store.naming(users.mentions))}

    async def erase(self, users: Subjects) -> None:
        """Delete those counts."""
        await self.flush()
        if keys := await self._store.naming(users.mentions):
            await self._store.remove(keys)

    async def _groups(self, source_ids: Sequence[str], since_s: float, *, unplanned: bool) -> list[Group]:
        await self.flush()
        now_hour = self._hour(self._clock.now())
        since_hour = self._hour(since_s)
        step = _step(now_hour - since_hour)
        slots = (now_hour - since_hour) // step + 1
        groups: dict[tuple[str, ...], Group] = {}
        for key, count in await self._store.rows(source_ids, since_hour, unplanned=unplanned):
            group = groups.setdefault(key[2:], _group(key, count, slots))
            group["description"] = count.description
            group["count"] += count.n
            group["first_s"] = min(group["first_s"], count.first_ms / 1000)
            group["last_s"] = max(group["last_s"], count.last_ms / 1000)
            group["series"][max(0, slots - 1 - (now_hour - key.hour) // step)] += count.n
            group["samples"] = sorted([*group["samples"], *count.samples], reverse=True)[:10]
            slug = self._slug(key.source_id)
            if slug not in group["sources"]:
                group["sources"].append(slug)
        return sorted(groups.values(), key=lambda group: (-group["count"], group["event"]))

    def _slug(self, source_id: str) -> str:
        source = self._current.compiled.sources.get(source_id)
        return source.source.slug if source is not None else source_id

    @staticmethod
    def _hour(at_s: float) -> int:
        return int(at_s // HOUR_S)


def _group(key: Key, count: Count, slots: int) -> Group:
    return {
        "event": key.event, "type": key.type, "field": key.field, "kind": key.kind, "description": "", "count": 0,
        "first_s": count.first_ms / 1000, "last_s": 0.0, "sources": [], "series": [0] * slots, "samples": [],
    }  # fmt: skip


def _step(hours: int) -> int:
    """How many hours a value of a series holds: about thirty values, or one for each hour of a day."""
    return 1 if hours <= 48 else 6 if hours <= 7 * 24 else 24


def _rule_of(book: RuleBook | None, kind: str, event: str) -> PlanRule | None:
    """The rule that speaks about events of this type and name, else the one for all."""
    rules: Iterable[PlanRule] = book.plan.rules if book is not None else ()
    own = next((rule for rule in rules if rule.type == kind.upper() and rule.key in ("", event)), None)
    shown = next((rule for rule in rules if rule.type == "TRACK" and rule.key == VIEWED.get(kind)), None)
    return own or shown or next((rule for rule in rules if rule.type == "COMMON"), None)


def _value(payload: Any, keys: Sequence[str]) -> Any:
    """The value at a path of a stored event, of `$` those of the first items; None: it is not there."""
    if not keys:
        return payload
    if keys[0] == "$" and isinstance(payload, list):
        return [_value(item, keys[1:]) for item in payload[:ITEMS_SHOWN]]
    return _value(payload.get(keys[0]), keys[1:]) if isinstance(payload, Mapping) else None

"""What a changed workspace would make of events that are stored, beside the one in use: destination by destination, counts and samples. Pure.

An entry is an event at a destination that listens to its source under either version. It is *unchanged* when the same goes out, or nothing
under both; *dropped* or *added* when something goes out under one of them only; *changed* when what goes out differs. Requests are counted
for what is added or changed, each event on its own (batches are made later); a destination that stores makes none.

What is the same under both versions is counted without being run; a request is made only where the event, its fields or the settings differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.event import DELETED, Event
from relay.base.masking import mask_at, mask_text
from relay.control.difference import CHANGED, DROPPED, Difference, changes_of, compare, is_alike, reason_of, sourced_by
from relay.control.versions import Pair, destination_pair, names_of, slug_of, source_pair
from relay.pipeline.compiled import Compiled
from relay.pipeline.explain import Change

SAMPLES: Final = 5
"""Kept of each kind and code at a destination."""

Told = dict[str, Any]


@dataclass(slots=True)
class Counts:
    """What was found at one destination."""

    unchanged: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    requests: int = 0
    samples: dict[tuple[str, str], list[Told]] = field(default_factory=dict)

    def add(self, difference: Difference) -> None:
        if difference.kind == CHANGED:
            self.changed += 1
        else:
            codes = self.dropped if difference.kind == DROPPED else self.added
            codes[difference.code] = codes.get(difference.code, 0) + 1
        if difference.kind != DROPPED:
            self.requests += difference.after.requests

    def room(self, difference: Difference) -> list[Told] | None:
        """Where a sample of it goes; None: there are enough."""
        kept = self.samples.setdefault((difference.kind, difference.code), [])
        return kept if len(kept) < SAMPLES else None


class Comparison:
    """Takes events one by one and counts. `destinations`, `sources`: slugs of those that are meant; empty: all."""

    def __init__(
        self,
        before: Compiled,
        after: Compiled,
        *,
        sent_s: float,
        destinations: Sequence[str] = (),
        sources: Sequence[str] = (),
        mask_names: tuple[str, ...] = (),
    ) -> None:
        self.read = 0
        self._sent_s = sent_s
        self._mask_names = mask_names
        self._sources = {
            name: source_pair(name, before, after)
            for name in names_of(before.sources, after.sources)
            if not sources or slug_of(name, before, after) in sources
        }
        pairs = {
            name: destination_pair(before.destinations.get(name), after.destinations.get(name))
            for name in names_of(before.destinations, after.destinations)
        }
        self._pairs = {name: pair for name, pair in pairs.items() if not destinations or pair.slug in destinations}
        self._counts = {name: Counts() for name in self._pairs}
        self._seen = dict.fromkeys(self._sources, 0)
        """Events by source."""
        self._to_run = {source_id: self._pairs_to_run(source_id) for source_id in self._sources}

    def _pairs_to_run(self, source_id: str) -> list[str]:
        """The destinations at which events of a source may come out differently."""
        same = self._sources[source_id].is_same
        return [name for name, pair in self._pairs.items() if pair.hears(source_id) and not (same and pair.is_same)]

    @property
    def slugs(self) -> list[str]:
        """Of the destinations that are compared."""
        return [pair.slug for pair in self._pairs.values()]

    def take(self, seq: int, event: Event, *, archived: bool = False) -> None:
        """Compare one event at every destination; `archived`: it is not in the log."""
        self.read += 1
        source = self._sources.get(event.source_id)
        if source is None or event.type == DELETED:
            return
        self._seen[event.source_id] += 1
        to_run = self._to_run[event.source_id]
        if not to_run:
            return
        before = sourced_by(seq, event, source.before, None)
        after = before if source.is_same else sourced_by(seq, event, source.after, source.redact)
        alike = before is after or (source.is_routed_alike and is_alike(before, after))
        for name in to_run:
            pair, counts = self._pairs[name], self._counts[name]
            found = None if alike and pair.is_same else compare(before, after, pair, sent_s=self._sent_s)
            if found is None:
                counts.unchanged += 1
                continue
            counts.add(found)
            if (samples := counts.room(found)) is not None:
                stopping = (after, source.after, pair.after) if found.kind == DROPPED else (before, source.before, pair.before)
                why = reason_of(found, event, *stopping, sent_s=self._sent_s)
                samples.append(self._sample(event, found, pair, why) | {"event_id": "" if archived else f"e{seq}"})

    def _sample(self, event: Event, found: Difference, pair: Pair, why: str) -> Told:
        return {
            "kind": found.kind,
            "code": found.code,
            "message_id": event.message_id,
            "type": event.type,
            "name": event.name,
            "was": found.was,
            "now": found.now,
            "why": why,
            "changes": [
                {"path": one.path, "before": self._masked(one, one.before), "after": self._masked(one, one.after)} for one in changes_of(found, pair)
            ],
        }

    def _masked(self, change: Change, value: Any) -> Any:
        """An address or a body that is no JSON is masked as text."""
        masked = mask_at(change.path, value, self._mask_names)
        return mask_text(masked, self._mask_names) if isinstance(masked, str) and change.path.endswith((".url", ".body")) else masked

    def told(self) -> Told:
        """Everything that was counted so far, as JSON has it."""
        destinations = [self._told(name) for name in self._pairs]
        return {
            "read": self.read,
            "unchanged": sum(one["unchanged"] for one in destinations),
            "dropped": _added_up(one["dropped"] for one in destinations),
            "added": _added_up(one["added"] for one in destinations),
            "changed": sum(one["changed"] for one in destinations),
            "requests": sum(one["requests"] for one in destinations),
            "destinations": destinations,
        }

    def _told(self, name: str) -> Told:
        pair, counts = self._pairs[name], self._counts[name]
        passed_by = sum(seen for source_id, seen in self._seen.items() if pair.hears(source_id) and name not in self._to_run[source_id])
        return {
            "slug": pair.slug,
            "name": pair.name,
            "state": pair.state,
            "unchanged": counts.unchanged + passed_by,
            "dropped": dict(counts.dropped),
            "added": dict(counts.added),
            "changed": counts.changed,
            "requests": counts.requests,
            "samples": [sample for samples in counts.samples.values() for sample in samples],
        }


def differs(told: Told) -> bool:
    """Whether a comparison found anything."""
    return bool(told["dropped"] or told["added"] or told["changed"])


def _added_up(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for code, count in one.items():
            total[code] = total.get(code, 0) + count
    return dict(sorted(total.items(), key=lambda item: -item[1]))

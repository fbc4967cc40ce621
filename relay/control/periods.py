"""Counts of a period, arranged for people: totals and evenly spaced series per source and destination. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relay.base.codes import Door, meaning_of
from relay.observe.latency import Latency, percentile_ms
from relay.observe.rollup import DAY, HOUR
from relay.observe.tallies import Tally
from relay.outbox.interface import RETRY

SPARK: Final = 24
"""Points of a sparkline."""
REFUSED: Final = "ingest"
DUPLICATE: Final = "duplicate"
SUPPRESSED: Final = "suppressed"
PASSED: Final = "source"

Coded = tuple[str, str]
"""(stage, code)."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span that ends now: `points` of `step` minutes for charts; a point of a sparkline is `spark` of them."""

    name: str
    points: int
    step: int
    spark: int
    fresh_s: float
    """How long what was read of it may be shown: the longer the period, the less it changes and the more it costs."""

    @property
    def slots(self) -> int:
        """Steps that are read: the charts' and the sparklines'."""
        return max(self.points, SPARK * self.spark)

    def since(self, now_minute: int) -> int:
        """The first minute of the first slot."""
        return (now_minute // self.step - self.slots + 1) * self.step

    def first(self, now_minute: int) -> int:
        """The first minute of the period itself."""
        return (now_minute // self.step - self.points + 1) * self.step


PERIODS: Final = {
    period.name: period
    for period in (Period("1h", 60, 1, 3, 1.0), Period("24h", 96, 15, 4, 10.0), Period("7d", 168, HOUR, 7, 60.0), Period("30d", 30, DAY, 1, 60.0))
}
"""Steps are never finer than the roll-up leaves them."""


@dataclass(slots=True)
class Counts:
    """One source's or one destination's counts. Totals are of the period, series of all slots."""

    slots: int
    totals: dict[Coded, int] = field(default_factory=dict)
    series: dict[str, list[int]] = field(default_factory=dict)
    """By stage."""
    seen: dict[Coded, tuple[int, int]] = field(default_factory=dict)
    """First and last minute (of the step) of the period at which there was any."""

    def total(self, stage: str) -> int:
        return sum(count for (at, _), count in self.totals.items() if at == stage)

    def by_code(self, *stages: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for (stage, code), count in self.totals.items():
            if stage in stages:
                found[code] = found.get(code, 0) + count
        return found

    def line(self, *stages: str) -> list[int]:
        """The series of some stages together."""
        return [sum(values) for values in zip(*(self.series.get(stage, [0] * self.slots) for stage in stages), strict=True)]


@dataclass(slots=True)
class Figures:
    """Everything counted in a period, by id; times of delivery by destination id and slot."""

    period: Period
    since: int
    sources: dict[str, Counts] = field(default_factory=dict)
    destinations: dict[str, Counts] = field(default_factory=dict)
    latency: dict[str, dict[int, dict[int, int]]] = field(default_factory=dict)

    def source(self, source_id: str) -> Counts:
        return self.sources.get(source_id) or Counts(self.period.slots)

    def destination(self, destination_id: str) -> Counts:
        return self.destinations.get(destination_id) or Counts(self.period.slots)

    def points(self, *lines: list[int]) -> list[list[int]]:
        """`[unix_s, ...]` per point of the period."""
        skipped, step = self.period.slots - self.period.points, self.period.step
        return [[(self.since + slot * step) * 60, *(line[slot] for line in lines)] for slot in range(skipped, self.period.slots)]

    def spark(self, line: list[int]) -> list[int]:
        width = self.period.spark
        last = line[len(line) - SPARK * width :]
        return [sum(last[at : at + width]) for at in range(0, len(last), width)]

    def latency_points(self, destination_id: str) -> list[list[float | None]]:
        """`[unix_s, p50_ms, p95_ms, p99_ms]` per point; null where nothing was delivered."""
        slots, found = self.latency.get(destination_id, {}), []
        for slot in range(self.period.slots - self.period.points, self.period.slots):
            counts = slots.get(slot, {})
            found.append([(self.since + slot * self.period.step) * 60, *(percentile_ms(counts, share) for share in (0.5, 0.95, 0.99))])
        return found

    def latency_ms(self, destination_id: str, share: float) -> float | None:
        """A percentile over the whole period."""
        skipped, counts = self.period.slots - self.period.points, dict[int, int]()
        for slot, buckets in self.latency.get(destination_id, {}).items():
            if slot >= skipped:
                for bucket, count in buckets.items():
                    counts[bucket] = counts.get(bucket, 0) + count
        return percentile_ms(counts, share)


def arrange(period: Period, now_minute: int, tally: Tally, latencies: Iterable[Latency]) -> Figures:
    """`tally` and `latencies` in any granularity that is at least as fine as the period's step; what lies outside is left out."""
    figures = Figures(period, period.since(now_minute))
    since, step, slots, first = figures.since, period.step, period.slots, period.first(now_minute)
    lines: dict[tuple[str, str, str, str], tuple[Counts, list[int]]] = {}
    for (minute, source_id, destination_id, stage, code, _), count in tally.items():
        slot = (minute - since) // step
        if not 0 <= slot < slots:
            continue
        known = lines.get((source_id, destination_id, stage, code))
        if known is None:
            known = lines[source_id, destination_id, stage, code] = _line(figures, source_id, destination_id, stage, code)
        counts, series = known
        series[slot] += count
        if minute >= first:
            key = (stage, code)
            counts.totals[key] = counts.totals.get(key, 0) + count
            low, high = counts.seen.get(key, (minute, minute))
            if not low <= minute <= high or low == high:
                counts.seen[key] = (min(low, minute), max(high, minute))
    for latency in latencies:
        for (minute, destination_id, bucket), count in latency.items():
            slot = (minute - since) // step
            if 0 <= slot < slots:
                buckets = figures.latency.setdefault(destination_id, {}).setdefault(slot, {})
                buckets[bucket] = buckets.get(bucket, 0) + count
    return figures


def _line(figures: Figures, source_id: str, destination_id: str, stage: str, code: str) -> tuple[Counts, list[int]]:
    """Where counts of this kind go."""
    side, owner = (figures.destinations, destination_id) if destination_id else (figures.sources, source_id)
    counts = side.setdefault(owner, Counts(figures.period.slots))
    return counts, counts.series.setdefault(_series(stage, code), [0] * figures.period.slots)


def _series(stage: str, code: str) -> str:
    """Duplicates and suppressed messages are no refusals, though ingest counts them."""
    return code if stage == REFUSED and code in (DUPLICATE, SUPPRESSED) else stage


def coded(counts: Mapping[str, int]) -> list[dict[str, object]]:
    """`{code, count, meaning}`, the most frequent first."""
    return [{"code": code, "count": count, "meaning": meaning_of(code)} for code, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def success(counts: Counts) -> float | None:
    """Share of attempts that delivered: 0 to 1; None: there were no attempts."""
    tried = attempts(counts)
    return round(counts.total(Door.DELIVERED) / tried, 4) if tried else None


def attempts(counts: Counts) -> int:
    """Attempts that ended, however."""
    return counts.total(Door.DELIVERED) + counts.total(Door.DEAD) + counts.total(RETRY)


def source_counts(counts: Counts) -> dict[str, int]:
    """`accepted rejected blocked duplicates`: what came in and passed, what ingest refused, what the source side stopped, what came twice."""
    refused = counts.by_code(REFUSED)
    blocked = sum(counts.total(door) for door in Door)
    return {
        "accepted": counts.total(PASSED),
        "rejected": sum(count for code, count in refused.items() if code not in (DUPLICATE, SUPPRESSED)),
        "blocked": blocked,
        "duplicates": refused.get(DUPLICATE, 0),
    }


def funnel(counts: Counts, refused: Mapping[str, int], pending: int, retry: int) -> dict[str, object]:
    """Segment's six stages, in entries: `received` is what left in the period and what waits now, so the rest adds up to it.

    `failed_on_ingest` never became an entry, and `retry` is a part of `pending`. What a person threw away counts as filtered: it was on purpose.
    """
    stages = {
        "filtered_at_source": counts.by_code(Door.BLOCKED),
        "filtered_at_destination": counts.by_code(Door.FILTERED, Door.DISCARDED),
        "failed": counts.by_code(Door.DEAD, Door.EXPIRED),
        "delivered": counts.by_code(Door.DELIVERED),
    }
    sums = {stage: sum(codes.values()) for stage, codes in stages.items()}
    codes = {"failed_on_ingest": refused, "retry": counts.by_code(RETRY), **stages}
    return {
        "received": sum(sums.values()) + pending,
        "failed_on_ingest": sum(refused.values()),
        "filtered_at_source": sums["filtered_at_source"],
        "filtered_at_destination": sums["filtered_at_destination"],
        "pending": pending,
        "retry": retry,
        "failed": sums["failed"],
        "delivered": sums["delivered"],
        "by_code": {stage: coded(found) for stage, found in codes.items()},
    }

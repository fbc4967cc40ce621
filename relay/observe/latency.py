"""From received to delivered, as a histogram per destination and minute with fixed bounds, so that minutes can be added up.

Gathered in memory from the facts (under a microsecond per delivery) and written every few seconds: a crash loses what was not written yet.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from relay.base.clock import Clock
from relay.observe.facts import DELIVERED, DeliveryAttempted, Fact

BOUNDS_S: Final = (
    0.005, 0.009, 0.016, 0.028, 0.05, 0.09, 0.16, 0.28, 0.5, 0.9, 1.6, 2.8, 5.0, 9.0, 16.0, 28.0, 50.0, 90.0, 160.0, 280.0, 500.0, 900.0,
    1_600.0, 2_800.0, 5_000.0, 9_000.0, 16_000.0, 28_000.0, 50_000.0, 86_400.0,
)  # fmt: skip
"""Upper ends of the buckets; one more bucket holds what took longer than a day."""
BUCKETS: Final = len(BOUNDS_S) + 1


class LatencyKey(NamedTuple):
    """What is counted: deliveries of a destination in a minute (since 1970) that fell into a bucket (0 to 30)."""

    minute: int
    destination_id: str
    bucket: int


Latency = dict[LatencyKey, int]


class Latencies:
    """Listens to facts. `take` gives what came since the last `take`, by destination id; slugs that are gone are left out."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._minute = 0
        self._minute_s = (0.0, 0.0)
        """When it began and when it ends."""
        self._by_slug: dict[str, list[float]] = {}
        """Counts by bucket, then attempts, then their milliseconds: one look-up per fact."""
        self._full: dict[tuple[str, int], list[int]] = {}
        """Of minutes that are over."""
        self._attempts: dict[str, tuple[float, float]] = {}

    def hear(self, fact: Fact) -> None:
        """One fact; all but attempts are passed over."""
        if type(fact) is not DeliveryAttempted:
            return
        now_s = self._now()
        if not self._minute_s[0] <= now_s < self._minute_s[1]:
            self._turn(int(now_s // 60))
        counts = self._by_slug.get(fact.destination)
        if counts is None:
            counts = self._by_slug[fact.destination] = [0] * (BUCKETS + 2)
        counts[-2] += 1
        counts[-1] += fact.duration_ms
        latency_s = fact.latency_s
        if latency_s is not None and fact.outcome == DELIVERED:
            counts[bisect_left(BOUNDS_S, latency_s)] += fact.entries

    def _turn(self, minute: int) -> None:
        """A minute is over, or its counts are wanted."""
        for slug, counts in self._by_slug.items():
            *buckets, attempts, total_ms = counts
            before = self._attempts.get(slug, (0.0, 0.0))
            self._attempts[slug] = (before[0] + attempts, before[1] + total_ms)
            full = self._full.setdefault((slug, self._minute), [0] * BUCKETS)
            for bucket, count in enumerate(buckets):
                full[bucket] += int(count)
        self._by_slug = {}
        self._minute, self._minute_s = minute, (minute * 60.0, minute * 60.0 + 60.0)

    def take(self, id_of: Callable[[str], str | None]) -> Latency:
        """What was gathered; it is forgotten here."""
        self._turn(self._minute)
        taken, self._full = self._full, {}
        found: Latency = {}
        for (slug, minute), counts in taken.items():
            destination_id = id_of(slug)
            if destination_id is not None:
                found |= {LatencyKey(minute, destination_id, bucket): count for bucket, count in enumerate(counts) if count}
        return found

    def attempt_ms(self, slug: str) -> float | None:
        """Mean duration of an attempt since the process started; None: there was none."""
        self._turn(self._minute)
        attempts, total_ms = self._attempts.get(slug, (0.0, 0.0))
        return total_ms / attempts if attempts else None


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The time in ms within which `share` (0 to 1) of the deliveries came, estimated within its bucket; None: there were none."""
    total = sum(counts.values())
    if not total:
        return None
    wanted, so_far = share * total, 0
    for bucket, count in sorted(counts.items()):
        if so_far + count >= wanted:
            if bucket >= len(BOUNDS_S):
                break
            low_s = BOUNDS_S[bucket - 1] if bucket else 0.0
            return round((low_s + (BOUNDS_S[bucket] - low_s) * max(0.0, wanted - so_far) / count) * 1000, 1)
        so_far += count
    return BOUNDS_S[-1] * 1000

"""Delivery times: buckets, percentiles, and what the listener gathers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.observe.facts import DeliveryAttempted, StoreOpen
from relay.observe.latency import BOUNDS_S, BUCKETS, Latencies, LatencyKey, percentile_ms


class Clock:
    def __init__(self) -> None:
        self.at_s = 6_000.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


def attempted(latency_s: float | None, *, slug: str = "hook", outcome: str = "delivered") -> DeliveryAttempted:
    return DeliveryAttempted(slug, "web", "m", "webhook", "send", 1, outcome, 200, outcome, 30.0, latency_s)


def test_the_bounds_rise_evenly_from_5_ms_to_a_day() -> None:
    assert (BOUNDS_S[0], BOUNDS_S[-1], BUCKETS) == (0.005, 86_400.0, 31)
    assert all(1.6 < later / earlier < 2.0 for earlier, later in itertools.pairwise(BOUNDS_S))


@pytest.mark.parametrize(
    ("latency_s", "bucket"), [(-3.0, 0), (0.0, 0), (0.005, 0), (0.0051, 1), (1.0, 10), (86_400.0, 29), (86_401.0, 30), (1e9, 30)]
)
def test_a_delivery_falls_into_its_bucket(latency_s: float, bucket: int) -> None:
    latencies = Latencies(Clock())
    latencies.hear(attempted(latency_s))
    assert latencies.take(lambda slug: slug) == {LatencyKey(100, "hook", bucket): 1}


def test_minutes_and_destinations_are_told_apart_and_taken_once() -> None:
    clock = Clock()
    latencies = Latencies(clock)
    for fact in (attempted(0.01), attempted(0.01), attempted(0.01, slug="other"), attempted(0.01, slug="gone")):
        latencies.hear(fact)
    clock.at_s += 60
    latencies.hear(attempted(0.01))
    found = latencies.take(lambda slug: None if slug == "gone" else f"id-{slug}")
    assert found == {LatencyKey(100, "id-hook", 2): 2, LatencyKey(100, "id-other", 2): 1, LatencyKey(101, "id-hook", 2): 1}
    assert latencies.take(lambda slug: slug) == {}


def test_only_deliveries_with_an_age_count_but_every_attempt_has_a_duration() -> None:
    latencies = Latencies(Clock())
    assert latencies.attempt_ms("hook") is None
    for fact in (attempted(None), attempted(0.5, outcome="retry"), StoreOpen()):
        latencies.hear(fact)
    assert latencies.take(lambda slug: slug) == {}
    assert latencies.attempt_ms("hook") == 30.0


def test_no_deliveries_have_no_percentile_and_slow_ones_the_last_bound() -> None:
    assert percentile_ms({}, 0.5) is None
    assert percentile_ms({30: 4}, 0.5) == 86_400_000


@given(st.lists(st.floats(0.0, 86_000.0), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(times_s: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for time_s in times_s:
        bucket = sum(time_s > bound for bound in BOUNDS_S)
        counts[bucket] = counts.get(bucket, 0) + 1
    told_ms = percentile_ms(counts, share)
    assert told_ms is not None
    position = max(0, -int(-share * len(times_s) // 1) - 1)
    true_s = sorted(times_s)[position]
    bucket = sum(true_s > bound for bound in BOUNDS_S)
    low_s, high_s = (BOUNDS_S[bucket - 1] if bucket else 0.0), BOUNDS_S[bucket]
    assert low_s * 1000 - 0.1 <= told_ms <= high_s * 1000 + 0.1

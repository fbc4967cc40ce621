"""Counts of a period, arranged: series evenly spaced and zero-filled, sums that agree, and the funnel."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.control.periods import PERIODS, SPARK, Counts, arrange, funnel, source_counts, success
from relay.observe.latency import LatencyKey
from relay.observe.rollup import finest
from relay.observe.tallies import Tally, TallyKey

NOW = 28_000_003


def key(minute: int, stage: str, code: str = "x", *, source: str = "", to: str = "d") -> TallyKey:
    return TallyKey(minute, source, to, stage, code, False)


@pytest.mark.parametrize("name", PERIODS)
def test_no_period_asks_for_finer_steps_than_the_roll_up_leaves(name: str) -> None:
    period = PERIODS[name]
    assert all(finest(period.since(NOW) + slot * period.step, NOW) <= period.step for slot in range(period.slots))
    assert period.slots >= SPARK * period.spark
    assert period.first(NOW) <= NOW < period.first(NOW) + period.points * period.step


@pytest.mark.parametrize("name", PERIODS)
def test_a_series_is_even_zero_filled_and_ends_now(name: str) -> None:
    period = PERIODS[name]
    tally = {key(NOW, "delivered"): 2, key(period.first(NOW), "delivered"): 3, key(period.since(NOW) - 1, "delivered"): 100, key(NOW, "retry"): 1}
    figures = arrange(period, NOW, tally, ())
    points = figures.points(figures.destination("d").line("delivered"), figures.destination("d").line("dead", "retry"))
    assert len(points) == period.points
    assert {later[0] - earlier[0] for earlier, later in itertools.pairwise(points)} == {period.step * 60}
    assert (points[0][1], points[-1][1:]) == (3, [2, 1])
    assert figures.destination("d").total("delivered") == sum(point[1] for point in points) == 5
    assert len(figures.spark(figures.destination("d").line("delivered"))) == SPARK
    assert figures.points(figures.source("nobody").line("source"))[0] == [points[0][0], 0]


@given(st.dictionaries(st.integers(NOW - 100, NOW), st.integers(1, 50), max_size=50))
def test_totals_are_the_sum_of_the_series(counts: dict[int, int]) -> None:
    figures = arrange(PERIODS["1h"], NOW, {key(minute, "dead", "400"): count for minute, count in counts.items()}, ())
    found = figures.destination("d")
    assert found.total("dead") == sum(point[1] for point in figures.points(found.line("dead")))
    assert found.by_code("dead") == ({"400": found.total("dead")} if found.total("dead") else {})
    inside = [minute for minute in counts if minute > NOW - 60]
    assert found.seen.get(("dead", "400")) == ((min(inside), max(inside)) if inside else None)


def test_delivery_times_have_a_point_each_and_one_for_the_whole() -> None:
    figures = arrange(PERIODS["1h"], NOW, {}, ({LatencyKey(NOW, "d", 3): 5}, {LatencyKey(NOW, "d", 3): 5, LatencyKey(NOW - 1, "d", 9): 10}))
    points = figures.latency_points("d")
    assert len(points) == 60
    assert points[0][1:] == [None, None, None]
    assert 16 < (points[-1][1] or 0) <= 28
    assert 500 < (figures.latency_ms("d", 0.95) or 0) <= 900
    assert figures.latency_ms("e", 0.95) is None


def test_what_a_source_sent_is_told_apart() -> None:
    tally: Tally = {
        key(NOW, "source", "track", source="s", to=""): 10, key(NOW, "source", "page", source="s", to=""): 5,
        key(NOW, "ingest", "duplicate", source="s", to=""): 3, key(NOW, "ingest", "suppressed", source="s", to=""): 2,
        key(NOW, "ingest", "too_deep", source="s", to=""): 4, key(NOW, "blocked", "unplanned", source="s", to=""): 1,
    }  # fmt: skip
    figures = arrange(PERIODS["1h"], NOW, tally, ())
    assert source_counts(figures.source("s")) == {"accepted": 15, "rejected": 4, "blocked": 1, "duplicates": 3}
    assert figures.points(figures.source("s").line("ingest"))[-1][1] == 4


def test_the_funnel_adds_up_and_names_its_codes() -> None:
    totals = {
        ("delivered", "delivered"): 50, ("filtered", "NO_MATCHING_MAPPING"): 7, ("discarded", "by_hand"): 1, ("blocked", "unplanned"): 2,
        ("dead", "400"): 3, ("dead", "404"): 5, ("expired", "expired"): 1, ("retry", "500"): 20,
    }  # fmt: skip
    told = funnel(Counts(1, totals), {"too_deep": 4}, 11, 6)
    by_code = told.pop("by_code")
    assert told == {
        "received": 80, "failed_on_ingest": 4, "filtered_at_source": 2, "filtered_at_destination": 8, "pending": 11, "retry": 6, "failed": 9, "delivered": 50,
    }  # fmt: skip
    assert isinstance(by_code, dict)
    assert [(one["code"], one["count"]) for one in by_code["failed"]] == [("404", 5), ("400", 3), ("expired", 1)]
    assert by_code["failed"][0]["meaning"] == "the receiver answered 404"
    assert by_code["retry"] == [{"code": "500", "count": 20, "meaning": "the receiver answered 500"}]


@pytest.mark.parametrize(
    ("totals", "share"),
    [({}, None), ({("filtered", "x"): 9}, None), ({("delivered", "delivered"): 3}, 1.0), ({("retry", "500"): 3}, 0.0),
     ({("delivered", "delivered"): 2, ("dead", "400"): 1, ("retry", "500"): 1}, 0.5)],
)  # fmt: skip
def test_success_counts_attempts_only(totals: dict[tuple[str, str], int], share: float | None) -> None:
    assert success(Counts(1, totals)) == share

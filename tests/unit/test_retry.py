"""The retry schedule, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.retry import decide, next_delay_s
from relay.delivery.verdict import Kind, Verdict
from relay.workspace.model import RetryLimits

PLAIN = RetryLimits()


def middle() -> float:
    return 0.5


def verdict(retry_after_s: float | None = None) -> Verdict:
    return Verdict(Kind.RETRY, "503", 503, retry_after_s, 1.0, b"")


DELAYS = [
    (1, PLAIN, 1.0),
    (2, PLAIN, 2.0),
    (3, PLAIN, 4.0),
    (12, PLAIN, 2048.0),
    (13, PLAIN, 3600.0),
    (100_000, PLAIN, 3600.0),
    (1, RetryLimits(first_delay_s=0.001), 0.2),
    (3, RetryLimits(first_delay_s=10, max_delay_s=15), 15.0),
    (1, RetryLimits(schedule_s=(5, 300, 1800)), 5.0),
    (2, RetryLimits(schedule_s=(5, 300, 1800)), 300.0),
    (9, RetryLimits(schedule_s=(5, 300, 1800)), 1800.0),
]


@pytest.mark.parametrize(("attempt", "limits", "expected"), DELAYS)
def test_delays_double_to_a_cap_or_follow_the_schedule(attempt: int, limits: RetryLimits, expected: float) -> None:
    assert next_delay_s(attempt, limits, middle) == pytest.approx(expected)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_bounds(attempt: int, chance: float) -> None:
    assert 0.2 <= next_delay_s(attempt, PLAIN, lambda: chance) <= 3600 * 1.2


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 80.0), (0.5, 100.0), (1.0, 120.0)])
def test_jitter_spreads_by_a_fifth(chance: float, expected: float) -> None:
    assert next_delay_s(1, RetryLimits(first_delay_s=100), lambda: chance) == pytest.approx(expected)


WAITS = [(1, None, 1.0), (1, 30.0, 30.0), (6, 30.0, 32.0), (1, 90_000.0, 3600.0)]


@pytest.mark.parametrize(("attempts", "asked_s", "expected"), WAITS)
def test_the_longer_of_own_delay_and_retry_after_counts(attempts: int, asked_s: float | None, expected: float) -> None:
    due_s = decide(verdict(asked_s), attempts=attempts, first_s=1000, limits=PLAIN, now_s=1000, draw=middle)
    assert due_s == pytest.approx(1000 + expected)


ENDS = [
    (259_201, 5, True),
    (259_201, 4, False),  # waited behind an outage: age alone does not end it
    (259_200, 5, False),
    (10, 500, False),  # attempts alone do not end it
]


@pytest.mark.parametrize(("age_s", "attempts", "gives_up"), ENDS)
def test_it_gives_up_only_after_both_age_and_attempts(age_s: float, attempts: int, gives_up: bool) -> None:
    due_s = decide(verdict(), attempts=attempts, first_s=0, limits=PLAIN, now_s=age_s, draw=middle)
    assert (due_s is None) is gives_up


def test_the_plain_schedule_makes_about_84_tries_in_72_hours() -> None:
    now_s, attempts = 0.0, 0
    while (due_s := decide(verdict(), attempts=attempts + 1, first_s=0, limits=PLAIN, now_s=now_s, draw=middle)) is not None:
        now_s, attempts = due_s, attempts + 1
    assert 80 <= attempts <= 88

"""The throttle, on a clock of its own."""

import pytest

from relay.delivery.throttle import Throttle


def calls_within(throttle: Throttle, seconds: float, start: float = 100.0) -> int:
    """How many calls go when each goes as soon as it may."""
    now, calls = start, 0
    while True:
        delay_s = throttle.delay_s(now)
        if now + delay_s >= start + seconds:
            return calls
        now += delay_s
        throttle.take(now)
        calls += 1
        assert calls < 100_000


@pytest.mark.parametrize(("rate", "seconds", "expected"), [(1, 10, 10), (50, 10, 504), (0.5, 10, 5), (200, 1, 219)])
def test_the_rate_is_kept_after_a_small_burst(rate: float, seconds: float, expected: int) -> None:
    assert calls_within(Throttle(rate), seconds) == pytest.approx(expected, abs=1)


def test_no_rate_is_no_limit() -> None:
    throttle = Throttle(0)
    for _ in range(1000):
        throttle.take(5.0)
    assert throttle.delay_s(5.0) == 0


def test_idle_time_does_not_save_up_more_than_the_burst() -> None:
    throttle = Throttle(10)
    throttle.take(0.0)
    assert throttle.delay_s(1000.0) == 0
    throttle.take(1000.0)
    assert throttle.delay_s(1000.0) == pytest.approx(0.1)


@pytest.mark.parametrize("rate", [0, 5])
def test_a_pause_stops_calls_until_its_end_and_is_never_shortened(rate: float) -> None:
    throttle = Throttle(rate)
    throttle.pause(30.0)
    throttle.pause(20.0)
    assert throttle.delay_s(10.0) == 20.0
    assert throttle.delay_s(30.0) == 0


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    throttle = Throttle(1)
    throttle.take(100.0)
    assert throttle.delay_s(50.0) == pytest.approx(1.0)
    assert throttle.delay_s(101.0) == 0

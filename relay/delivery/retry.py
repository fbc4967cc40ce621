"""When a failed unit is tried again, and when it is given up. Pure (reliability page 4)."""

from collections.abc import Callable
from typing import Final

from relay.delivery.verdict import RETRY_AFTER_MAX_S, Verdict
from relay.workspace.model import RetryLimits

MIN_DELAY_S: Final = 0.2
"""Never less between two tries of one event, whatever is said."""
_JITTER_LOW: Final = 0.8
_JITTER_SPAN: Final = 0.4
_MOST_DOUBLINGS: Final = 60


def next_delay_s(attempt: int, limits: RetryLimits, draw: Callable[[], float]) -> float:
    """The wait after failed attempt `attempt` (from 1): doubling to a cap, or the schedule; jitter 0.8 to 1.2."""
    if limits.schedule_s:
        delay_s = limits.schedule_s[min(attempt, len(limits.schedule_s)) - 1]
    else:
        delay_s = min(limits.max_delay_s, limits.first_delay_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
    return max(MIN_DELAY_S, delay_s * (_JITTER_LOW + _JITTER_SPAN * draw()))


def decide(verdict: Verdict, *, attempts: int, first_s: float, limits: RetryLimits, now_s: float, draw: Callable[[], float]) -> float | None:
    """When the unit is due again (unix time), or None: give up, dead with the code of this last failure.

    Given up only when both bounds are passed: age alone would kill what waited behind an outage. `attempts` counts the failed
    ones, this one included; `first_s` is the unix time at which its life began.
    """
    if now_s - first_s > limits.give_up_after_s and attempts >= limits.min_attempts:
        return None
    asked_s = min(verdict.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
    return now_s + max(next_delay_s(attempts, limits, draw), asked_s)

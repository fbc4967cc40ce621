"""What keeps replays below live traffic: all of them together go only as fast as leaves the process room to breathe. Pure.

relay is one process: a replay at full speed would leave its live events a queue before everything, ingestion included.
"""

from collections.abc import Callable
from typing import Final

from relay.delivery.throttle import Throttle

BUSY: Final = 0.6
"""Share of one core that relay as a whole may use while something is replayed."""
LOOK_S: Final = 0.2
FIRST_RATE: Final = 200.0
MIN_RATE: Final = 20.0
"""Events per second that a replay always gets, however busy relay is."""
MAX_RATE: Final = 1e6
FASTER: Final = 1.2
SLOWER: Final = 0.5


class Brake:
    """A token bucket whose rate follows the load. `used_s`: CPU seconds of the process up to now."""

    def __init__(self, used_s: Callable[[], float] = lambda: 0.0) -> None:
        self._used_s = used_s
        self._rate = FIRST_RATE
        self._throttle = Throttle(self._rate)
        self._looked: tuple[float, float] | None = None
        """When, and what was used then."""

    def delay_s(self, now: float) -> float:
        """Seconds until the next replayed event may go; 0: now."""
        self._look(now)
        return self._throttle.delay_s(now)

    def take(self, now: float) -> None:
        """Count one event that goes at `now`."""
        self._throttle.take(now)

    def _look(self, now: float) -> None:
        """Follow the load, a few times a second."""
        before = self._looked
        if before is not None and now - before[0] < LOOK_S:
            return
        self._looked = (now, self._used_s())
        if before is None or now - before[0] > 2 * LOOK_S:
            return  # nothing was replayed meanwhile, so what was used says nothing
        share = (self._looked[1] - before[1]) / (now - before[0])
        factor = max(SLOWER, min(FASTER, BUSY / share)) if share > 0 else FASTER
        self._rate = max(MIN_RATE, min(MAX_RATE, self._rate * factor))
        self._throttle.retune(self._rate)


class Pace:
    """Of one replay: its own rate, and the brake that it shares with the others."""

    def __init__(self, rate_per_s: float, brake: Brake) -> None:
        self._own = Throttle(rate_per_s)
        self._brake = brake

    def delay_s(self, now: float) -> float:
        """Seconds until its next event may go; 0: now."""
        return max(self._own.delay_s(now), self._brake.delay_s(now))

    def take(self, now: float) -> None:
        """Count one event that goes at `now`."""
        self._own.take(now)
        self._brake.take(now)

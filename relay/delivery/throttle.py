"""How fast one destination may be called: a token bucket, and the pauses that receivers ask for. Pure."""

from typing import Final

_BURST_S: Final = 0.1
"""The bucket holds what a tenth of a second brings, and at least one call."""
_ROUNDING: Final = 1e-9


class Throttle:
    """Says how long to wait before the next call. All times are monotonic seconds; a rate of 0 is no limit."""

    def __init__(self, rate_per_s: float) -> None:
        self._rate = rate_per_s
        self._burst = max(1.0, rate_per_s * _BURST_S)
        self._tokens = self._burst
        self._filled_at: float | None = None
        self._paused_until = float("-inf")

    def retune(self, rate_per_s: float) -> None:
        """Another rate from now on."""
        self._rate, self._burst = rate_per_s, max(1.0, rate_per_s * _BURST_S)

    def delay_s(self, now: float) -> float:
        """Seconds until the next call may go; 0: now."""
        wait_s = self._paused_until - now if self._paused_until > now else 0.0
        if self._rate <= 0:
            return wait_s
        self._fill(now)
        missing = 1.0 - self._tokens
        return wait_s if missing <= _ROUNDING else max(wait_s, missing / self._rate)

    def take(self, now: float) -> None:
        """Count one call that goes at `now`."""
        if self._rate > 0:
            self._fill(now)
            self._tokens -= 1.0

    def pause(self, until_s: float) -> None:
        """No call before `until_s`; a pause in force is never shortened."""
        self._paused_until = max(self._paused_until, until_s)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None and now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        if self._filled_at is None or now > self._filled_at:
            self._filled_at = now

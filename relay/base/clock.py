"""Time, handed in: nothing else in relay asks the system for it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is stored and shown, monotonic time for durations."""

    def now(self) -> float:
        """Unix time in seconds; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; the running loop's own time base."""
        ...


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time)  # noqa: TID251 - the one place
    monotonic = staticmethod(time.monotonic)


def iso(unix_s: float) -> str:
    """`2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

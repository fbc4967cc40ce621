"""The gate of a destination: circuit breaker and hold, and how many attempts they let through. Pure; persisted as JSON.

closed -> open: 10 retryable failures in a row over at least 5 s, or 70 % of at least 20 attempts within a minute. Open or held by
relay: one probe after 5, 10, 20 ... 300 s; its success closes the gate, with one attempt at a time that doubles on each success.
Held by a person: nothing goes. (Reliability page 3 and 5.)
"""

from collections.abc import Callable, Mapping
from typing import Any

STREAK = 10
STREAK_S = 5.0
SHARE = 0.7
SHARE_MIN = 20
SHARE_WINDOW_S = 60.0
PROBE_FIRST_S = 5.0
PROBE_MAX_S = 300.0
WAIT_MAX_S = 1.2 * PROBE_MAX_S
CAUTIOUS = 3
"""Failures in a row after which only one attempt at a time goes, at a growing distance: an outage must not fill the rows."""
REFUSALS = 20
"""Permanent failures of one status in a row that hold the destination."""
SUSPECTS = 50


class Gate:
    """Breaker, hold and ramp of one destination. Times are unix seconds."""

    def __init__(self, limit: int, state: Mapping[str, Any], *, now_s: float, draw: Callable[[], float]) -> None:
        self._limit = limit
        self._draw = draw
        breaker = state.get("breaker") or {}
        self.breaker = str(breaker.get("state", "closed"))
        self.since_s = float(breaker.get("since_s", 0.0))
        self._probes = int(breaker.get("probes", 0))
        self._next_s = min(float(breaker.get("next_s", 0.0)), now_s + PROBE_MAX_S)
        self.hold: dict[str, Any] | None = state.get("hold")
        self._suspects: dict[str, int] = dict(state.get("suspects") or {})
        self._refused: set[str] = set()
        self._ramp = limit
        self._streak = 0
        self._streak_since_s = 0.0
        self._last_failure_s = 0.0
        self._window_s = now_s
        self._seen = [0, 0]
        self._failed = [0, 0]
        self._permanent = ("", 0)
        self._probing = False
        """A probe may go or is on its way; its answer is not known."""
        self.dirty = False
        """The state changed and is not written yet."""
        self._told = self.position

    # what may go

    @property
    def is_shut(self) -> bool:
        """Open or held: only probes go."""
        return self.hold is not None or self.breaker != "closed"

    @property
    def is_calm(self) -> bool:
        """Closed, and suspects none of its units: what succeeds needs no look at each unit."""
        return not (self.is_shut or self._suspects or self._refused)

    @property
    def position(self) -> str:
        """For people: `closed`, `open`, `half_open` (the probe is due or on its way), or `held`."""
        if self.is_shut and self._probing and not (self.hold and self.hold.get("by") == "user"):
            return "half_open"
        return "held" if self.hold else self.breaker

    def moved(self) -> str | None:
        """The position, when it changed since the last call."""
        told, self._told = self._told, self.position
        return self._told if self._told != told else None

    def shut_s(self, now_s: float) -> float:
        """How long it has been shut; 0: it is not."""
        since_s = [self.since_s] if self.breaker != "closed" else []
        since_s += [float(self.hold.get("since_s", now_s))] if self.hold else []
        return max(0.0, now_s - min(since_s)) if since_s else 0.0

    def slots(self, now_s: float, flying: int) -> int:
        """How many more attempts may start now."""
        if self.is_shut or self._streak >= CAUTIOUS:
            if flying or not self._is_due(now_s):
                return 0
            self._probing = True
            return 1
        return max(0, min(self._limit, self._ramp) - flying)

    def next_s(self) -> float:
        """When the next attempt may go; 0: at once; infinity: not before a person resumes."""
        if self.hold and self.hold.get("by") == "user":
            return float("inf")
        if self.is_shut:
            return self._next_s
        if self._streak >= CAUTIOUS:
            return self._last_failure_s + min(1.0, 0.1 * float(1 << min(self._streak - CAUTIOUS, 10)))
        return 0.0

    def _is_due(self, now_s: float) -> bool:
        """Whether `next_s` has come; one that is too far away says that the clock was set back."""
        wait_s = self.next_s() - now_s
        return wait_s <= 0 or WAIT_MAX_S < wait_s < float("inf")

    # what came back

    def success(self, unit: str, now_s: float) -> bool:
        """An attempt was delivered. Returns whether the gate opened up by it."""
        self._streak, self._permanent = 0, ("", 0)
        self._note(now_s, failed=False)
        self._ramp = min(self._limit, self._ramp * 2)
        for refused in self._refused - {unit}:
            self._suspects[refused] = self._suspects.get(refused, 0) + 1
        while len(self._suspects) > SUSPECTS:
            self._suspects.pop(next(iter(self._suspects)))
        self._suspects.pop(unit, None)
        self._refused.clear()
        if not self.is_shut or (self.hold and self.hold.get("by") == "user"):
            return False
        self._close()
        return True

    def failure(self, now_s: float) -> bool:
        """A retryable failure. Returns True when it was about the destination: a probe, or the gate is shut (now)."""
        if self.is_shut:
            self._probe_failed(now_s)
            return True
        if not self._streak:
            self._streak_since_s = now_s
        self._streak += 1
        self._last_failure_s = now_s
        self._note(now_s, failed=True)
        seen, failed = sum(self._seen), sum(self._failed)
        in_a_row = self._streak >= STREAK and now_s - self._streak_since_s >= STREAK_S
        if in_a_row or (seen >= SHARE_MIN and failed >= SHARE * seen):
            self.breaker, self.since_s = "open", now_s
            self._probes = 0
            self._probe_failed(now_s)
            return True
        return False

    def refuse(self, unit: str, code: str, status: int | None, sample: str, now_s: float, *, min_attempts: int) -> bool:
        """The destination as a whole was refused (401, 403, 410, refused address). Returns False when it is this event's own fault:
        others succeeded after each of its refusals, `min_attempts` times."""
        if self._suspects.get(unit, 0) + 1 >= min_attempts:
            self._suspects.pop(unit, None)
            self.dirty = True
            return False
        if len(self._refused) < SUSPECTS:
            self._refused.add(unit)
        self._shut(code, status, sample, now_s)
        return True

    def permanent(self, status: int | None, sample: str, now_s: float) -> bool:
        """A permanent failure. Returns whether it held the destination (20 of one status in a row)."""
        code = str(status)
        if self.is_shut and status is not None:  # a probe: one event for each, else a receiver that refuses all would take them all
            self._probe_failed(now_s)
        if status in (None, 400, 413, 422):
            return False
        self._permanent = (code, self._permanent[1] + 1 if self._permanent[0] == code else 1)
        if self._permanent[1] < REFUSALS:
            return False
        self._permanent = ("", 0)
        self._shut("refused", status, sample, now_s)
        return True

    # orders

    def obey(self, state: Mapping[str, Any]) -> None:
        """A person held or resumed: `state` is what the store holds now."""
        was_shut = self.is_shut
        self.hold = state.get("hold")
        if was_shut and not self.hold and (state.get("breaker") or {}).get("state", "closed") == "closed":
            self._close()  # written again: a settle that was on its way may have carried the old hold

    def settings_changed(self) -> None:
        """The user changed the destination: a hold of relay's own, and the breaker, start anew."""
        if self.is_shut and not (self.hold and self.hold.get("by") == "user"):
            self._close()

    def patch(self) -> dict[str, Any] | None:
        """What to write of the state, or None when nothing changed since the last call."""
        if not self.dirty:
            return None
        self.dirty = False
        shut = self.breaker != "closed" or self.hold
        breaker = {"state": self.breaker, "since_s": self.since_s, "probes": self._probes, "next_s": self._next_s} if shut else None
        return {"breaker": breaker, "hold": self.hold, "suspects": self._suspects or None}

    def _shut(self, code: str, status: int | None, sample: str, now_s: float) -> None:
        if not self.hold:
            self.hold = {"by": "relay", "code": code, "since_s": now_s, "status": status, "sample": sample[:500]}
            self.dirty = True
            if self.breaker == "closed":
                self._probes = 0
        self._probe_failed(now_s)

    def _probe_failed(self, now_s: float) -> None:
        if self.is_shut and not self._is_due(now_s):
            return  # it was in flight when the gate shut: no probe, so the distance does not grow
        wait_s = min(PROBE_MAX_S, PROBE_FIRST_S * (1 << min(self._probes, 10))) * (0.8 + 0.4 * self._draw())
        self._next_s = now_s + wait_s
        self._probes += 1
        self._probing = False
        self.dirty = True

    def _close(self) -> None:
        self.breaker, self.hold, self._probes, self._next_s = "closed", None, 0, 0.0
        self._streak, self._ramp, self._probing = 0, 1, False
        self._seen, self._failed = [0, 0], [0, 0]
        self.dirty = True

    def _note(self, now_s: float, *, failed: bool) -> None:
        """Two half windows: what is older than a minute falls out."""
        if not 0 <= now_s - self._window_s < SHARE_WINDOW_S / 2:
            recent = 0 <= now_s - self._window_s < SHARE_WINDOW_S
            self._seen = [self._seen[1] if recent else 0, 0]
            self._failed = [self._failed[1] if recent else 0, 0]
            self._window_s = now_s
        self._seen[1] += 1
        self._failed[1] += failed

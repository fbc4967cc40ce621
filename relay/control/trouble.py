"""What goes wrong at a destination, by code: how often, since when, whether it goes on, what it means and what to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.base.codes import Door, advice_of, meaning_of
from relay.control.periods import Counts
from relay.outbox.interface import RETRY, SampleGroup

HELD = "held"
RETRYING = "retrying"
OVER = "over"
_FAILED = (RETRY, Door.DEAD.value, Door.EXPIRED.value)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One group of errors. `state`: `held`, `retrying`, `dead` (given up), `expired`, or `over` (it happened, nothing waits for it)."""

    code: str
    status: int | None
    count: int
    """Attempts that failed and entries that expired; those that only held the destination count as far as samples of them are kept."""
    first_s: float
    last_s: float
    state: str
    samples: int

    def told(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "status": self.status,
            "count": self.count,
            "first_s": self.first_s,
            "last_s": self.last_s,
            "state": self.state,
            "meaning": meaning_of(self.code),
            "advice": advice_of(self.code),
            "samples": self.samples,
        }


def troubles(
    counts: Counts, groups: Mapping[str, SampleGroup], waiting: Mapping[str, int], row: Mapping[str, Any], *, since_s: float, step_s: float
) -> list[Trouble]:
    """Every code that failed in the period or holds now, the newest first; `row`: the destination as the overview tells it."""
    failed = counts.by_code(*_FAILED)
    holds = {code for code, group in groups.items() if group.result == "hold" and group.last_s >= since_s}
    in_force = row["hold_code"] if row["hold_code"] and row["held_by"] != "user" else None
    found = []
    for code in sorted(failed.keys() | holds | ({in_force} if in_force else set())):
        group = groups.get(code)
        spans = [counts.seen[stage, code] for stage in _FAILED if (stage, code) in counts.seen]
        first_s = min(
            (first * 60.0 for first, _ in spans), default=row["since"] if code == in_force and row["since"] else group.last_s if group else 0.0
        )
        last_s = max((last * 60.0 for _, last in spans), default=first_s)
        if group and group.last_s > last_s - step_s:
            last_s = max(last_s, group.last_s)
        count = failed.get(code, 0) or (group.n if group else 1)
        found.append(
            Trouble(code, _status(code, group, row), count, first_s, last_s, _state(code, counts, group, waiting, row), group.n if group else 0)
        )
    return sorted(found, key=lambda one: (-one.last_s, -one.count, one.code))


def _status(code: str, group: SampleGroup | None, row: Mapping[str, Any]) -> int | None:
    if group is not None and group.status is not None:
        return group.status
    if row["hold_code"] == code and row["hold_status"]:
        return int(row["hold_status"])
    return int(code) if len(code) == 3 and code.isascii() and code.isdigit() else None


def _state(code: str, counts: Counts, group: SampleGroup | None, waiting: Mapping[str, int], row: Mapping[str, Any]) -> str:
    if row["hold_code"] == code:
        return HELD
    probed = row["state"] == "breaker_open" and ((RETRY, code) in counts.totals or (group is not None and group.result == "hold"))
    if code in waiting or probed:
        return RETRYING
    for door in (Door.DEAD.value, Door.EXPIRED.value):
        if (door, code) in counts.totals:
            return door
    return OVER

"""Counts per minute of each source and destination, as running sums, so that a window of any length costs two look-ups. Pure."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.base.codes import Door
from relay.observe.tallies import VIOLATED, TallyKey

Subject = tuple[str, str]
"""(`source` or `destination`, its id)."""

NOT_REFUSED: Final = frozenset(("duplicate", "suppressed"))
NO_ATTEMPT: Final = frozenset(("PAYLOAD_VALIDATION_FAILED", "bug"))
"""Codes of dead letters for which nothing was sent: they say nothing about the receiver."""


BY_PLAN: Final = frozenset(("unplanned", "schema_violation", "unplanned_and_schema_violation", "common_schema_violation"))
"""Codes of events that were blocked for breaking the plan; others were blocked because somebody wants none of them."""


class Counts(NamedTuple):
    """What is counted of a subject. The first three are of destinations, the others of sources."""

    delivered: int = 0
    failed: int = 0
    """Attempts that failed, whether they are tried again or not."""
    lost: int = 0
    """Events given up: dead or expired."""
    received: int = 0
    rejected: int = 0
    violations: int = 0
    """Events that broke the tracking plan, blocked or not."""


ZERO: Final = Counts()


class Series:
    """Sums of the last minutes; `refresh` replaces the newest, since a minute goes on growing while it is the current one."""

    def __init__(self) -> None:
        self._minutes: dict[Subject, list[int]] = {}
        self._sums: dict[Subject, list[Counts]] = {}

    def refresh(self, since_minute: int, tally: Mapping[TallyKey, int]) -> None:
        """Everything from `since_minute` on is what `tally` says."""
        for subject, minutes in self._minutes.items():
            keep = bisect_right(minutes, since_minute - 1)
            del minutes[keep:], self._sums[subject][keep:]
        fresh: dict[Subject, dict[int, list[int]]] = {}
        for key, count in tally.items():
            if key.minute >= since_minute:
                _note(fresh, key, count)
        for subject, by_minute in fresh.items():
            minutes, sums = self._minutes.setdefault(subject, []), self._sums.setdefault(subject, [])
            total = sums[-1] if sums else ZERO
            for minute in sorted(by_minute):
                total = Counts._make(map(int.__add__, total, by_minute[minute]))
                minutes.append(minute)
                sums.append(total)

    def forget(self, before_minute: int) -> None:
        """Drop what is older; the sums stay right, since only differences are asked for."""
        for subject in list(self._minutes):
            minutes = self._minutes[subject]
            gone = bisect_right(minutes, before_minute - 1) - 1  # the last one stays as the base of the first difference
            if gone > 0:
                del minutes[:gone], self._sums[subject][:gone]

    def between(self, subject: Subject, after_minute: int, upto_minute: int) -> Counts:
        """The sum of the minutes above `after_minute` up to `upto_minute`."""
        minutes, sums = self._minutes.get(subject), self._sums.get(subject)
        if not minutes or not sums:
            return ZERO
        last, first = bisect_right(minutes, upto_minute), bisect_right(minutes, after_minute)
        upper, lower = sums[last - 1] if last else ZERO, sums[first - 1] if first else ZERO
        return Counts._make(map(int.__sub__, upper, lower))

    def window(self, subject: Subject, minute: int, length_m: int) -> Counts:
        """The sum of `minute`, which may still grow, and the `length_m` whole minutes before it."""
        return self.between(subject, minute - length_m - 1, minute)

    def first(self, subject: Subject) -> int | None:
        """The oldest minute that is known of a subject; None: none is."""
        minutes = self._minutes.get(subject)
        return minutes[0] if minutes else None


def _note(into: dict[Subject, dict[int, list[int]]], key: TallyKey, count: int) -> None:
    added = _of_destination(key, count) if key.destination_id else _of_source(key, count)
    if added is ZERO:
        return
    subject = ("destination", key.destination_id) if key.destination_id else ("source", key.source_id)
    cell = into.setdefault(subject, {}).setdefault(key.minute, [0] * len(ZERO))
    for position, value in enumerate(added):
        cell[position] += value


def _of_destination(key: TallyKey, count: int) -> Counts:
    if key.stage == Door.DELIVERED:
        return Counts(delivered=count)
    if key.stage == "retry":
        return Counts(failed=count)
    if key.stage == Door.DEAD:
        return Counts(failed=0 if key.code in NO_ATTEMPT else count, lost=count)
    return Counts(lost=count) if key.stage == Door.EXPIRED else ZERO


def _of_source(key: TallyKey, count: int) -> Counts:
    if key.stage == "ingest":
        return ZERO if key.code in NOT_REFUSED else Counts(rejected=count)
    if key.stage == "source":
        return Counts(received=count)
    if key.stage == Door.BLOCKED:
        return Counts(received=count, violations=count if key.code in BY_PLAN else 0)
    return Counts(violations=count) if key.stage == VIOLATED else ZERO

"""When counts per minute become counts per hour and per day. Pure; the rows themselves lie in the outbox.

Rows younger than 48 h are minutes, younger than 14 d hours, the rest days (UTC). A folded row stands at the first minute of its hour or day, so
that a row's place tells its span, folding twice changes nothing, and sums stay exact.
"""

from typing import Final, NamedTuple

HOUR: Final = 60
DAY: Final = 1_440
MINUTES_KEPT: Final = 48 * HOUR
HOURS_KEPT: Final = 14 * DAY


class Fold(NamedTuple):
    """Everything from `first` on and before `until` becomes one row at `first` (minutes since 1970)."""

    first: int
    until: int


class Due(NamedTuple):
    """Rows before the minute `before` belong into spans of `step` minutes."""

    step: int
    before: int


def due(now_minute: int) -> tuple[Due, Due]:
    """What is to be folded, days first: minutes that are old enough for a day go there at once. Only whole spans are due."""
    return Due(DAY, _floor(now_minute - HOURS_KEPT, DAY)), Due(HOUR, _floor(now_minute - MINUTES_KEPT, HOUR))


def fold_at(minute: int, step: int) -> Fold:
    """The span of `step` minutes that holds `minute`."""
    first = _floor(minute, step)
    return Fold(first, first + step)


def gone_before(now_minute: int, keep_minutes: int) -> int:
    """Rows before this minute are to be deleted: their whole day is over `keep_minutes` old."""
    return _floor(now_minute - keep_minutes, DAY)


def finest(minute: int, now_minute: int) -> int:
    """How coarse a row at `minute` may be: 1, 60 or 1440 minutes. A series must not ask for less."""
    days, hours = due(now_minute)
    return DAY if minute < days.before else HOUR if minute < hours.before else 1


def _floor(minute: int, step: int) -> int:
    return minute // step * step

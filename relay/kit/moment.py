"""Times as fields carry them, read as the reference reads them. Pure: nothing here asks a clock.

A string without a zone is UTC, a number is Unix time in milliseconds (as JavaScript's `Date` takes it).
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
FIRST_MS: Final = -62_135_596_800_000
LAST_MS: Final = 253_402_300_799_999
"""The first moment of the year 1 and the last of the year 9999."""

_DIGITS = re.compile(r"-?\d{9,16}")
_SLOPPY_ISO = re.compile(
    r"(\d{4})[-/](\d{1,2})(?:[-/](\d{1,2}))?(?:[Tt\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)
_WRITTEN_OUT: Final = ("%b %d %Y", "%b %d, %Y", "%B %d %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%m/%d/%Y")


def unix_ms(value: Any) -> int | None:
    """Unix time in ms of a number or a date in text; None: it is no moment between the years 1 and 9999."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _within(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return _within(int(text))
    moment = _read(text)
    return None if moment is None else (moment - EPOCH) // MILLISECOND


def iso_utc(ms: int) -> str:
    """`2026-01-31T09:00:00.000Z`, as JavaScript prints a moment; `ms`: Unix time in ms, as `unix_ms` gives it."""
    return (EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _within(number: int | float) -> int | None:
    return int(number) if FIRST_MS <= number <= LAST_MS else None


def _read(text: str) -> datetime | None:
    found = _SLOPPY_ISO.fullmatch(text)
    try:
        if found:
            year, month, day, hour, minute, second, fraction, zone = found.groups()
            moment = datetime(int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=_zone(zone))
            return moment + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return _aware(parsedate_to_datetime(text))
    except ValueError:
        pass
    for form in _WRITTEN_OUT:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _zone(text: str | None) -> Any:
    return UTC if text is None or text in "Zz" else datetime.strptime(text, "%z").tzinfo


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
